"""The Blocks that the campaigns use, saved as a user saves them."""

from __future__ import annotations

from leadpush_prefect import ApiEndpoint, Workspace

WORKSPACE = "acme"


def workspace(url: str) -> Workspace:
    return Workspace(variables={"api": url}, allowed_networks=["127.0.0.0/8"])


def profile_endpoint(max_concurrency: int) -> ApiEndpoint:
    return ApiEndpoint(
        url="{{ workspace.variables.api }}/customers/{{ contact.attributes.email }}",
        max_concurrency=max_concurrency,
    )


def offer_endpoint(max_concurrency: int) -> ApiEndpoint:
    return ApiEndpoint(
        url="{{ workspace.variables.api }}/offers/{{ workflow.profile.customer_id }}",
        max_concurrency=max_concurrency,
    )


def save_blocks(url: str, max_concurrency: int = 64) -> None:
    workspace(url).save(WORKSPACE, overwrite=True)
    profile_endpoint(max_concurrency).save("profile", overwrite=True)
    offer_endpoint(max_concurrency).save("offer", overwrite=True)

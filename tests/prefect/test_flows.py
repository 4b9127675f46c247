"""The campaigns in flows/ run as they are, against a double of the API."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest

from flows.renewal_reminder import renewal_reminder
from flows.welcome import welcome
from leadpush_prefect import ApiEndpoint, Audience, RunSummary, Workspace
from leadpush_prefect.testing import use_transport

PLANS = {"ana@example.com": "pro", "bo@example.com": "free"}


def response(request: httpx.Request) -> httpx.Response:
    email = request.url.path.rsplit("/", 1)[-1]
    if request.url.host == "offers.example":
        return httpx.Response(200, json={"items": [{"name": "Coffee", "price": json.loads('"1.50"')}]})
    if email not in PLANS:
        return httpx.Response(404, json={})
    return httpx.Response(200, json={"plan": PLANS[email], "renews_at": "2026-12-01"})


@pytest.fixture(autouse=True)
def blocks(acme: Workspace) -> Iterator[None]:
    email = "{{ contact.attributes.email }}"
    for name, host in (("customer-profile", "profiles.example"), ("pro-offers", "offers.example")):
        ApiEndpoint(workspace="acme", url=f"https://{host}/{email}").save(name, overwrite=True)
    with use_transport(httpx.MockTransport(response)):
        yield


@pytest.mark.parametrize(
    ("email", "greeting"), [("ana@example.com", "Hi Ana: Coffee"), ("bo@example.com", "Hi Ana")]
)
def test_welcome(email: str, greeting: str) -> None:
    """A contact on the pro plan is made an offer, another is not."""
    contact = {"_id": "1", "subscribed": True, "attributes": {"first_name": "Ana", "email": email}}
    assert greeting == welcome("1", Audience.from_contacts([contact]))


def test_renewal_reminder() -> None:
    """Each step has its counts: one of three contacts is unknown, one of the others is on the pro plan."""
    emails = [*PLANS, "cy@example.com"]
    audience = Audience.from_contacts(
        {"id": n, "first_name": "N", "email": email} for n, email in enumerate(emails)
    )
    summary = renewal_reminder(audience)
    assert isinstance(summary, RunSummary)
    assert [(step.fetched, step.skipped, step.failed) for step in summary.steps] == [
        (2, 0, {"http_status_404": 1}),
        (1, 1, {}),
        (2, 0, {}),
    ]

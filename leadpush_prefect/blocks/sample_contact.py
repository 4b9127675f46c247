"""A contact to try an endpoint with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from leadpush_prefect.blocks import ApiEndpoint, Audience, Workspace
from leadpush_prefect.blocks.loading import load_block
from leadpush_prefect.errors import BlockInvalid, LeadpushError, Problem, Reason
from leadpush_prefect.model.context import CampaignContext

__all__ = ["SAMPLE_CONTACT", "sample_context"]

SAMPLE_CONTACT = {"id": "sample"}


def sample_context(
    endpoint: ApiEndpoint,
    *,
    contact: Mapping[str, Any] | None = None,
    audience: Audience | None = None,
    contact_id: str = "",
    outputs: Mapping[str, Any] | None = None,
    workspace: str = "",
) -> CampaignContext:
    """A contact on its way, to try an endpoint with: the one that is given, or one of an audience, or the
    workspace's sample, or one that has nothing but an id.

    Args:
        endpoint: The endpoint.
        contact: The contact.
        audience: Where it is looked up, if none is given.
        contact_id: Its id there.
        outputs: Outputs of earlier steps, by output key.
        workspace: The name of the workspace, if the endpoint names none.

    Raises:
        AudienceInvalid: if the contact is not in the audience, or has no id.
        BlockInvalid: if the audience has problems, or there is no such workspace.
        LeadpushError: if there is an audience and no id, or an id and no audience.

    Example:
        >>> audience = Audience.from_contacts([{"id": 7, "plan": "pro"}])
        >>> sample_context(ApiEndpoint(workspace="acme"), audience=audience, contact_id="7").contact_id
        '7'
    """
    name = endpoint.workspace or workspace
    if not name:
        problem = Problem("error", "workspace", "The endpoint names none.", "Say in which one to test it.")
        raise BlockInvalid(f"endpoint {endpoint.name}".strip(), [problem], Reason.ENDPOINT_INVALID)
    return CampaignContext(
        workspace=name,
        campaign="test",
        contact=contact or _found(audience, contact_id) or _sample_of(name),
        workflow=outputs or {},
        include_unsubscribed=True,  # a test is its author's own act
    )


def _found(audience: Audience | None, contact_id: str) -> Mapping[str, Any] | None:
    if audience is None and not contact_id:
        return None
    if audience is None or not contact_id:
        raise LeadpushError(
            "Give the audience and the contact's id together: the contact is looked up there."
        )
    return audience.find(contact_id, include_unsubscribed=True)


def _sample_of(workspace: str) -> Mapping[str, Any]:
    return load_block(Workspace, workspace, field="workspace").sample_contact or SAMPLE_CONTACT

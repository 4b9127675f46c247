"""The idempotency key of one contact's request, which the flow run stands for that makes it."""

from __future__ import annotations

from prefect.runtime import flow_run

from leadpush_prefect.endpoints.idempotency import idempotency_key, takes_key
from leadpush_prefect.endpoints.prepared import PreparedEndpoint
from leadpush_prefect.errors import BlockInvalid, Problem, Reason
from leadpush_prefect.model.context import CampaignContext

__all__ = ["flow_key"]


def flow_key(target: PreparedEndpoint, context: CampaignContext, node: str = "") -> str:
    """The key of a request for one contact; empty where the endpoint asks for none.

    A contact that a batch of a campaign's run gave belongs to that run, whichever flow run asks for it.

    Args:
        target: The endpoint.
        context: The contact on its way.
        node: The step's name; by default the endpoint's.

    Raises:
        BlockInvalid: if there is no run that the key could be of.
    """
    if not takes_key(target.endpoint.config):
        return ""
    run_id = context.campaign["run_id"] if context.origin is not None else flow_run.get_id()
    if not run_id:
        raise BlockInvalid(f"endpoint {target.name}".strip(), [_NO_RUN], Reason.ENDPOINT_INVALID)
    return idempotency_key(str(run_id), node or target.name, context.contact_id)


_NO_RUN = Problem(
    "error",
    "idempotency_header",
    "The key is made of a run's id, and this is no flow run: a second call would get another key.",
    "Call it in a flow; or leave idempotency_header empty, and write the header with a key of your own in `headers`.",
)

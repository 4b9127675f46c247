"""What the flow run means for a request for one contact: it stands for the campaign's run, and Prefect may repeat it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect.context import FlowRunContext, TaskRunContext
from prefect.logging import get_run_logger
from prefect.runtime import flow_run, task_run

from leadpush_prefect.endpoints.idempotency import idempotency_key, takes_key
from leadpush_prefect.errors import BlockInvalid, Problem, Reason
from leadpush_prefect.model.effects import IDEMPOTENT_METHODS
from leadpush_prefect.system.recent import Recent

if TYPE_CHECKING:
    from leadpush_prefect.endpoints.prepared import PreparedEndpoint
    from leadpush_prefect.model.context import CampaignContext

__all__ = ["flow_key", "warn_of_repeats"]


def flow_key(target: PreparedEndpoint, context: CampaignContext, node: str = "") -> str:
    """The idempotency key of a request for one contact; empty where the endpoint asks for none.

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

_said = Recent[tuple[str, str], None](256)


def warn_of_repeats(target: PreparedEndpoint, node: str = "") -> None:
    """Say once in a flow run that Prefect's `retries=` may have the API do twice what was asked for once.

    Args:
        target: The endpoint.
        node: The step's name; by default the endpoint's.
    """
    config, who = target.endpoint.config, _who_retries()
    told = str(flow_run.get_id() or task_run.get_id()), node or target.name
    is_safe = config.method.upper() in IDEMPOTENT_METHODS or takes_key(config)
    if not who or is_safe or told in _said:
        return
    _said[told] = None
    get_run_logger().warning(
        "Step %s: %s, and endpoint %s takes a %s without a key. When Prefect tries again, the request is sent again, "
        "and the API may do it twice. Give the endpoint an idempotency_header if its API knows one; otherwise take "
        "the retries away.",
        told[1],
        who,
        target.name,
        config.method.upper(),
    )


def _who_retries() -> str:
    """What Prefect would run again after a failure; empty for nothing."""
    task, flow = TaskRunContext.get(), FlowRunContext.get()
    if task and task.task.retries:
        return f"its task has retries={task.task.retries}"
    if flow and flow.flow and flow.flow.retries:
        return f"its flow has retries={flow.flow.retries}"
    return ""

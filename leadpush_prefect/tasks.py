"""The tasks: Fetch API Data and Render Template."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from leadpush_prefect.blocks import ApiEndpoint
from leadpush_prefect.campaigns import task_bodies
from leadpush_prefect.campaigns.batch import Batch
from leadpush_prefect.campaigns.task import campaign_task
from leadpush_prefect.model.context import CampaignContext
from leadpush_prefect.model.step import OnFailure

if TYPE_CHECKING:
    from leadpush_prefect.campaigns.task_types import AsyncFetchTask, FetchTask, RenderTask

__all__ = ["afetch_api_data", "fetch_api_data", "render_template"]


def _fetch_api_data(
    target: CampaignContext | Batch,
    endpoint: ApiEndpoint | str,
    *,
    output_key: str,
    node: str = "",
    when: str = "",
    on_failure: OnFailure = "stop",
    keep: Sequence[str] = (),
    mock_response: Any = None,
    mock_status: int = 200,
) -> CampaignContext | Batch:
    """Fetch JSON from an API, for one contact or for each of a batch, and store it for later steps.

    For one contact, Prefect's `retries=` of the task or of its flow send a POST or PATCH again, also where the API has
    done it already, which the log says once. With the endpoint's `idempotency_header` the API does it once all the same.

    Args:
        target: A `CampaignContext`, or a `Batch` of a run.
        endpoint: An `ApiEndpoint`, or the name of a saved one.
        output_key: Where the response is stored: later steps read `{{ workflow.OUTPUT_KEY }}`. An identifier.
        node: The step's name; by default the output key. An identifier.
        when: A condition, such as `workflow.customer_profile.plan == 'pro'`; a contact that does not meet it
            is skipped at this step. Empty: every contact.
        on_failure: `stop`: the contact's workflow ends where it fails (and a task for one contact fails);
            `continue`: it goes on without the output, and later steps must cope.
        keep: Which parts of the response are stored, such as `["plan", "account.id"]`: what no later step reads need
            not lie in a database. Of an array, each element is limited the same way. Empty: all of it.
        mock_response: The response in a simulated run: an object or a list, or its text. Ignored in a live run.
        mock_status: The HTTP status of that response. Default 200.

    Returns:
        For a context, one that has the output; for a batch, the batch, for the next step.

    Raises:
        FetchFailed: for one contact, with the Reason.
        BlockInvalid: if the endpoint is disabled, has problems, or belongs to another workspace; or if it has an
            `idempotency_header` and there is no flow run to make the key of.
        StepRefused: if the step is wrong for every contact.
        RunStopped: for a batch, if its run was stopped.

    Example:
        >>> from prefect import flow
        >>> from leadpush_prefect import ApiEndpoint, CampaignContext, Workspace, fetch_api_data
        >>> @flow
        ... def welcome(contact: dict):
        ...     context = CampaignContext(
        ...         workspace=Workspace(), campaign="welcome", contact=contact, simulate=True
        ...     )
        ...     endpoint = ApiEndpoint(url="https://api.example.com/customers/{{ contact._id }}")
        ...     pro = {"plan": "pro"}
        ...     context = fetch_api_data(context, endpoint, output_key="profile", mock_response=pro)
        ...     return context.workflow["profile"]["plan"]
        >>> welcome({"id": 7})
        'pro'
    """
    options = task_bodies.StepOptions(
        output_key=output_key,
        node=node,
        when=when,
        on_failure=on_failure,
        keep=keep,
        mock_response=mock_response,
        mock_status=mock_status,
    )
    return task_bodies.fetch(target, endpoint, options)


async def _afetch_api_data(
    target: CampaignContext | Batch,
    endpoint: ApiEndpoint | str,
    *,
    output_key: str,
    node: str = "",
    when: str = "",
    on_failure: OnFailure = "stop",
    keep: Sequence[str] = (),
    mock_response: Any = None,
    mock_status: int = 200,
) -> CampaignContext | Batch:
    """Fetch JSON from an API; the awaitable twin of `fetch_api_data`, with its arguments, results and errors.

    One contact is fetched on the dispatcher, and cancelling the task stops its request; a batch is worked on in a thread.

    Example:
        ```python
        @flow
        async def welcome(contact: dict):
            context = CampaignContext(workspace="acme", campaign="welcome", contact=contact)
            context = await afetch_api_data(context, "customer-profile", output_key="customer_profile")
        ```
    """
    options = task_bodies.StepOptions(
        output_key=output_key,
        node=node,
        when=when,
        on_failure=on_failure,
        keep=keep,
        mock_response=mock_response,
        mock_status=mock_status,
    )
    return await task_bodies.afetch(target, endpoint, options)


def _render_template(
    target: CampaignContext | Batch,
    template: str | dict[str, Any] | list[Any],
    *,
    output_key: str = "",
    node: str = "",
    when: str = "",
    on_failure: OnFailure = "stop",
) -> Any:
    """Render a message, for one contact or for each of a batch.

    Args:
        target: A `CampaignContext`, or a `Batch` of a run.
        template: A text, or an object or list whose texts are templates. It reads what an endpoint reads, but
            for secrets; in a text, values print as they are.
        output_key: Where the messages of a batch are stored. Needed for a batch.
        node: The step's name; by default the output key.
        when: A condition, as in `fetch_api_data`.
        on_failure: `stop` or `continue`, as in `fetch_api_data`.

    Returns:
        For a context, the message (None where it was skipped); for a batch, the batch.

    Raises:
        FetchFailed: for one contact, if a value is missing.
        StepRefused: if the template can never be rendered.

    Example:
        >>> from prefect import flow
        >>> from leadpush_prefect import CampaignContext, Workspace, render_template
        >>> @flow
        ... def greet(contact: dict):
        ...     context = CampaignContext(workspace=Workspace(), campaign="welcome", contact=contact)
        ...     return render_template(context, "Hi {{ contact.attributes.first_name }}")
        >>> greet({"id": 7, "first_name": "Ana"})
        'Hi Ana'
    """
    options = task_bodies.StepOptions(output_key=output_key, node=node, when=when, on_failure=on_failure)
    return task_bodies.render(target, template, options)


_fetch_api_data.__name__ = "fetch_api_data"
_afetch_api_data.__name__ = "afetch_api_data"
_render_template.__name__ = "render_template"

fetch_api_data: FetchTask = campaign_task(
    "Fetch API Data", instead="await afetch_api_data(...)", calls_endpoint=True
)(_fetch_api_data)
afetch_api_data: AsyncFetchTask = campaign_task("Fetch API Data", calls_endpoint=True)(_afetch_api_data)
render_template: RenderTask = campaign_task("Render Template")(_render_template)

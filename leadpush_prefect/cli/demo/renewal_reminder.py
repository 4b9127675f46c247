"""A scheduled campaign: remind each customer of the renewal, and make those on the pro plan an offer."""

from typing import Any

from prefect import State, flow
from prefect.task_runners import ThreadPoolTaskRunner

from leadpush_prefect import Audience, CampaignRun, fetch_api_data, render_template

# "-" inside a tag removes the line break before it, so that a message without an offer has no gap.
MESSAGE = """\
Hi {{ contact.attributes.first_name }},

your {{ workflow.customer_profile.plan }} plan renews on {{ workflow.customer_profile.renews_at }}.
{%- if workflow.offer is defined %}
Our offer for you: {{ workflow.offer.items.0.name }} at EUR {{ workflow.offer.items.0.price }}.
{%- endif %}

Your Acme team"""


@flow(
    flow_run_name="renewal-reminder for {audience}",
    task_runner=ThreadPoolTaskRunner(max_workers=2),  # type: ignore[arg-type]  # Prefect's own typing
)
def renewal_reminder(
    audience: Audience, workspace: str = "acme", limit: int = 0, run_id: str = ""
) -> State[Any]:
    """Remind customers of their renewal.

    Args:
        audience: Who gets the message. Its column `subscribed` says who may be asked; the others are skipped.
        workspace: The name of the Workspace that holds the endpoints and the limits.
        limit: How many contacts at most; 0 means all.
        run_id: Continue the run with this id; empty means this flow run's own.
    """
    with CampaignRun.start(
        "renewal-reminder", workspace=workspace, audience=audience, run_id=run_id, limit=limit
    ) as run:
        for batch in run.batches():
            profiled = fetch_api_data.submit(batch, "customer-profile", output_key="customer_profile")
            offered = fetch_api_data.submit(
                profiled, "pro-offers", output_key="offer", when="workflow.customer_profile.plan == 'pro'"
            )
            render_template.submit(offered, MESSAGE, output_key="message")
        return run.finish()

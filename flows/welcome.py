"""An event-triggered campaign: one contact has just signed up. Branches are plain Python."""

from typing import Any

from prefect import flow

from leadpush_prefect import CampaignContext, fetch_api_data, render_template

GREETING = (
    "Hi {{ contact.attributes.first_name }}"
    "{% if workflow.offer is defined %}: {{ workflow.offer.items.0.name }}{% endif %}"
)


@flow
def welcome(contact: dict[str, Any], workspace: str = "acme") -> str:
    """Greet one new contact, with an offer on the pro plan.

    Args:
        contact: The contact as Leadpush sends it: `_id`, `subscribed`, `attributes`.
        workspace: The name of the Workspace that holds the endpoints and the limits.
    """
    context = CampaignContext(workspace=workspace, campaign="welcome", contact=contact)
    context = fetch_api_data(context, "customer-profile", output_key="customer_profile")
    if context.workflow["customer_profile"]["plan"] == "pro":
        context = fetch_api_data(context, "pro-offers", output_key="offer")
    return str(render_template(context, GREETING))

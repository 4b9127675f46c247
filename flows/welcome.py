"""An event-triggered campaign: one contact has just signed up. Branches are plain Python."""

from prefect import State, flow
from prefect.states import Completed

from leadpush_prefect import Audience, CampaignContext, fetch_api_data, render_template

GREETING = (
    "Hi {{ contact.attributes.first_name }}"
    "{% if workflow.offer is defined %}: {{ workflow.offer.items.0.name }}{% endif %}"
)


@flow(flow_run_name="welcome {contact_id}")
def welcome(contact_id: str, audience: Audience, workspace: str = "acme") -> str | State[None]:
    """Greet one new contact, with an offer on the pro plan; nobody who is not subscribed.

    Prefect keeps parameters in clear, so the contact itself does not travel here: it is looked up.

    Args:
        contact_id: The contact's id.
        audience: Where the contact is found.
        workspace: The name of the Workspace that holds the endpoints and the limits.
    """
    contact = audience.find(contact_id)
    context = CampaignContext(workspace=workspace, campaign="welcome", contact=contact)
    if not context.is_subscribed:
        return Completed(
            name="Not subscribed", message=f"Contact {contact_id} is not subscribed; nobody was asked."
        )
    context = fetch_api_data(context, "customer-profile", output_key="customer_profile")
    if context.workflow["customer_profile"]["plan"] == "pro":
        context = fetch_api_data(context, "pro-offers", output_key="offer")
    return str(render_template(context, GREETING))

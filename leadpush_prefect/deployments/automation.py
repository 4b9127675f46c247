"""The automation that pauses a campaign's deployment when an endpoint keeps failing."""

from __future__ import annotations

from datetime import timedelta

from prefect.automations import Automation
from prefect.client.orchestration import get_client
from prefect.events.actions import PauseDeployment
from prefect.events.schemas.automations import EventTrigger, Posture
from prefect.exceptions import ObjectNotFound

from leadpush_prefect.errors import LeadpushError

__all__ = ["pause_when_failing"]


def pause_when_failing(deployment: str, *, events: int = 3, within_seconds: int = 300) -> str:
    """Create the automation, over the one of the same deployment.

    A failing endpoint says so at most once in 10 s and run (`leadpush.endpoint.failing`), so the default waits
    for some 20 s of failures.

    Args:
        deployment: FLOW/DEPLOYMENT, such as `renewal-reminder/renewal-reminder`.
        events: After how many such events it pauses.
        within_seconds: In how long a time they have to come, in seconds.

    Returns:
        The automation's name.

    Raises:
        LeadpushError: if there is no such deployment.
    """
    with get_client(sync_client=True) as client:
        try:
            found = client.read_deployment_by_name(deployment)
        except (ObjectNotFound, ValueError):
            raise LeadpushError(
                f"There is no deployment {deployment}. `prefect deployment ls` lists them, as FLOW/DEPLOYMENT."
            ) from None
        name = f"Pause {deployment} when an endpoint keeps failing"
        former = client.read_automations_by_name(name)
    automation = Automation(
        name=name,
        description="Made by `leadpush automations pause-when-failing`. Switch the schedules on again when it is mended.",
        trigger=EventTrigger(
            expect={"leadpush.endpoint.failing"},
            match={"prefect.resource.id": "leadpush.endpoint.*"},
            match_related={
                "prefect.resource.role": "deployment",
                "prefect.resource.id": f"prefect.deployment.{found.id}",
            },
            for_each={"prefect.resource.id"},
            posture=Posture.Reactive,
            threshold=events,
            within=timedelta(seconds=within_seconds),
        ),
        actions=[PauseDeployment(source="selected", deployment_id=found.id)],
    )
    automation.create(_sync=True)  # type: ignore[call-arg]
    with get_client(sync_client=True) as client:  # only now, so that there is always one
        for old in former:
            client.delete_automation(old.id)
    return name

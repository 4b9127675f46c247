"""`leadpush automations`: what Prefect does by itself when an API fails."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter
from cyclopts.validators import Number

from leadpush_prefect.cli.output import print_json, say

__all__ = ["app"]

app = App(name="automations", help="What Prefect does by itself when an API fails.")


@app.command
def pause_when_failing(
    deployment: str,
    *,
    events: Annotated[int, Parameter(validator=Number(gte=1))] = 3,
    within_seconds: Annotated[int, Parameter(validator=Number(gte=1))] = 300,
    json: bool = False,
) -> int:
    """Pause a campaign's deployment when an endpoint keeps failing.

    Parameters
    ----------
    deployment:
        FLOW/DEPLOYMENT, such as renewal-reminder/renewal-reminder.
    events:
        After how many events leadpush.endpoint.failing, of which a failing endpoint sends one in 10 s.
    within_seconds:
        In how long a time they have to come.
    json:
        Print JSON.
    """
    from leadpush_prefect.deployments.automation import pause_when_failing as create

    name = create(deployment, events=events, within_seconds=within_seconds)
    if json:
        print_json({"automation": name})
    else:
        say(f"{name}: created.")
    return 0

"""`leadpush endpoints`: what is configured, and one real request."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from leadpush_prefect.cli.output import cut, print_json, print_table, say

if TYPE_CHECKING:
    from leadpush_prefect.blocks import ApiEndpoint, Workspace
    from leadpush_prefect.endpoints.endpoint_test import Trial
    from leadpush_prefect.reports.endpoints import Group
    from leadpush_prefect.reports.last_tests import LastTest

__all__ = ["app"]

app = App(name="endpoints", help="The API endpoints: list them, or test one.")

COLUMNS = ("name", "method", "URL", "timeout", "enabled", "problems", "last test")


@app.default
def list_endpoints(*, json: bool = False) -> int:
    """List the endpoints by workspace, with the workspace's limits and what is wrong with each.

    Parameters
    ----------
    json:
        Print JSON.
    """
    from leadpush_prefect.reports.endpoints import endpoints_by_workspace
    from leadpush_prefect.reports.last_tests import last_tests

    groups = endpoints_by_workspace()
    tests = last_tests(endpoint.name for group in groups for endpoint in group.endpoints)
    listed = [_described(group, tests) for group in groups]
    if json:
        print_json(listed)
    else:
        _print_listed(listed, [": ".join(filter(None, (group.title, group.limits))) for group in groups])
    wrong = any(p["severity"] == "error" for w in listed for e in (w, *w["endpoints"]) for p in e["problems"])
    return 1 if wrong else 0


def _described(group: Group, tests: Mapping[str, LastTest]) -> dict[str, Any]:
    limits, workspace = {}, group.workspace
    if workspace is not None:
        limits = {
            "max_timeout_seconds": workspace.max_timeout_seconds,
            "max_response_bytes": workspace.max_response_bytes,
            "allowed_hosts": workspace.allowed_hosts,
            "allowed_networks": workspace.allowed_networks,
        }
    return {
        "workspace": group.name,
        "limits": limits,
        "problems": _problems(workspace.problems() if workspace else []),
        "endpoints": [_endpoint(each, workspace, tests.get(each.name)) for each in group.endpoints],
    }


def _endpoint(endpoint: ApiEndpoint, workspace: Workspace | None, test: LastTest | None) -> dict[str, Any]:
    return {
        "name": endpoint.name,
        "method": endpoint.method.upper(),
        "url": endpoint.url,
        "timeout_seconds": endpoint.timeout_seconds,
        "enabled": endpoint.enabled,
        "problems": _problems(endpoint.problems(workspace)),
        "last_test": {"at": test.at, "code": test.code} if test else None,
    }


def _problems(problems: list[Any]) -> list[dict[str, str]]:
    return [
        {"severity": p.severity, "field": p.field, "sentence": p.sentence, "remedy": p.remedy}
        for p in problems
    ]


def _print_listed(listed: list[dict[str, Any]], titles: list[str]) -> None:
    if not listed:
        say("No workspace and no endpoint is saved. Begin with `leadpush blocks apply`.")
    for group, title in zip(listed, titles, strict=True):
        rows = [
            (
                endpoint["name"],
                endpoint["method"],
                endpoint["url"],
                f"{endpoint['timeout_seconds']:g} s",
                "yes" if endpoint["enabled"] else "no",
                _lines(endpoint["problems"]),
                _last_test(endpoint["last_test"]),
            )
            for endpoint in group["endpoints"]
        ]
        print_table(COLUMNS, rows, title=title)
        if group["problems"]:
            say(_lines(group["problems"]), wrap=True)


def _last_test(test: dict[str, Any] | None) -> str:
    return f"{test['at']:%Y-%m-%d %H:%M} UTC: {test['code']}" if test else "never"


def _lines(problems: list[dict[str, str]]) -> str:
    return "\n".join(f"{p['severity']}: {p['field']}: {p['sentence']} {p['remedy']}" for p in problems)


@app.command
def test(
    name: str,
    *,
    contact: str = "",
    audience: str = "",
    contact_id: str = "",
    outputs: str = "{}",
    workspace: Annotated[str, Parameter(help="The workspace, where the endpoint names none.")] = "",
    json: bool = False,
) -> int:
    """Send one real request, and show what came of it.

    Parameters
    ----------
    name:
        The endpoint's name.
    contact:
        A sample contact: JSON, or a file that holds it. By default the workspace's sample contact.
    audience:
        The name of the audience in which the contact is looked up.
    contact_id:
        The contact's id in the audience.
    outputs:
        Sample outputs of earlier steps by output key: JSON, or a file that holds it.
    json:
        Print JSON.
    """
    from leadpush_prefect.blocks import ApiEndpoint, Audience
    from leadpush_prefect.blocks.loading import load_block
    from leadpush_prefect.blocks.sample_contact import sample_context
    from leadpush_prefect.endpoints.endpoint_test import try_endpoint

    endpoint = load_block(ApiEndpoint, name, field="endpoint")
    context = sample_context(
        endpoint,
        contact=_object(contact, "--contact") if contact else None,
        audience=load_block(Audience, audience, field="audience") if audience else None,
        contact_id=contact_id,
        outputs=_object(outputs, "--outputs"),
        workspace=workspace,
    )
    trial = try_endpoint(endpoint.prepare(context.workspace), context)
    if json:
        print_json(_trial(trial))
    else:
        _print_trial(name, trial)
    return 0 if trial.failure is None else 1


def _object(text: str, option: str) -> dict[str, Any]:
    from leadpush_prefect.errors import LeadpushError
    from leadpush_prefect.text.json_text import from_json

    try:
        value = from_json(text if text.lstrip().startswith("{") else Path(text).read_bytes())
    except OSError:
        raise LeadpushError(f"{option}: {text} is neither a JSON object nor a file.") from None
    except ValueError:
        raise LeadpushError(f"{option}: it is not JSON.") from None
    if not isinstance(value, dict):
        raise LeadpushError(f"{option}: it is not a JSON object.")
    return value


def _trial(trial: Trial) -> dict[str, Any]:
    from leadpush_prefect.text.json_text import from_json

    failure = trial.failure
    return {
        "ok": failure is None,
        "status": trial.status,
        "milliseconds": round(trial.seconds * 1000, 1),
        "phases_milliseconds": {phase.value: round(took * 1000, 1) for phase, took in trial.phases.items()},
        "failed_in": trial.failed_in,
        "bytes": trial.bytes,
        "request": trial.request,
        "curl": trial.curl,
        "output": from_json(trial.output) if trial.output else None,
        "reason": failure.code if failure else None,
        "message": failure.message if failure else None,
        "field": failure.field if failure else None,
        "remedy": trial.remedy,
        "excerpt": failure.excerpt if failure else None,
        "campaign_would_retry": trial.retry_seconds is not None,
        "retry_seconds_at_most": trial.retry_seconds,
    }


def _print_trial(name: str, trial: Trial) -> None:
    from leadpush_prefect.reports.endpoint_test import retry_sentence

    if trial.failure is None:
        say(("OK", "bold green"), f" {name} answers with JSON.", wrap=True)
    else:
        say((trial.code, "bold red"), wrap=True)
        say(f"{trial.sentence} {retry_sentence(trial)}", wrap=True)
    if trial.request:
        _section("Request, secrets masked", trial.request)
        _section("As cURL", trial.curl)
    if trial.status is not None or trial.phases:
        _section("Answer", _answer(trial))
    body = trial.failure.excerpt if trial.failure else trial.output
    if body:
        say(cut(body))


def _answer(trial: Trial) -> str:
    status = "none" if trial.status is None else f"HTTP {trial.status}"
    phases = [
        f"{phase} {took * 1000:,.1f} ms{' (failed here)' if phase is trial.failed_in else ''}"
        for phase, took in trial.phases.items()
    ]
    return f"{status} in {trial.seconds * 1000:,.1f} ms, {trial.bytes:,} bytes: {', '.join(phases)}"


def _section(title: str, text: str) -> None:
    say("\n", (title, "bold"))
    say(cut(text))


@app.command
def enable(name: str) -> int:
    """Let campaigns call an endpoint again, from their next run on. Nothing else of it is changed.

    Parameters
    ----------
    name:
        The endpoint's name.
    """
    return _switch(name, enabled=True)


@app.command
def disable(name: str) -> int:
    """Have campaigns not call an endpoint, from their next run on. Nothing else of it is changed.

    Parameters
    ----------
    name:
        The endpoint's name.
    """
    return _switch(name, enabled=False)


def _switch(name: str, *, enabled: bool) -> int:
    from leadpush_prefect.blocks.enabled import switch_endpoint

    changed = switch_endpoint(name, enabled=enabled)
    state = "enabled" if enabled else "disabled"
    sentence = f"is now {state}, from the next run on." if changed else f"was {state} already."
    say(f"{name} {sentence}")
    return 0

"""`leadpush endpoints`: what is configured, and one real request."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from leadpush_prefect.cli.output import cut, print_json, print_table, say
from leadpush_prefect.reports.units import milliseconds_text

if TYPE_CHECKING:
    from leadpush_prefect.errors import Problem
    from leadpush_prefect.reports.endpoint_test import EndpointTestReport, PhaseTime
    from leadpush_prefect.reports.endpoints import WorkspaceEndpoints

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
    from leadpush_prefect.reports.endpoints import endpoints_by_workspace, has_errors
    from leadpush_prefect.reports.json_documents import endpoints_json

    groups = endpoints_by_workspace()
    if json:
        print_json(endpoints_json(groups))
    elif not groups:
        say("No workspace and no endpoint is saved. Begin with `leadpush blocks apply`.")
    else:
        for group in groups:
            _print_group(group)
    return 1 if has_errors(groups) else 0


def _print_group(group: WorkspaceEndpoints) -> None:
    rows = [
        (
            endpoint.name,
            endpoint.method,
            endpoint.url,
            f"{endpoint.timeout_seconds:g} s",
            "yes" if endpoint.enabled else "no",
            _lines(endpoint.problems),
            str(endpoint.last_test or "never"),
        )
        for endpoint in group.endpoints
    ]
    print_table(COLUMNS, rows, title=": ".join(filter(None, (group.title, group.limits))))
    if group.problems:
        say(_lines(group.problems), wrap=True)


def _lines(problems: Iterable[Problem]) -> str:
    return "\n".join(f"{problem.severity}: {problem}" for problem in problems)


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
    from leadpush_prefect.endpoints.endpoint_test import run_endpoint_test
    from leadpush_prefect.reports.endpoint_test import report_test
    from leadpush_prefect.reports.json_documents import endpoint_test_json

    endpoint = load_block(ApiEndpoint, name, field="endpoint")
    context = sample_context(
        endpoint,
        contact=_object(contact, "--contact") if contact else None,
        audience=load_block(Audience, audience, field="audience") if audience else None,
        contact_id=contact_id,
        outputs=_object(outputs, "--outputs"),
        workspace=workspace,
    )
    report = report_test(name, run_endpoint_test(endpoint.prepare(context.workspace), context))
    if json:
        print_json(endpoint_test_json(report))
    else:
        _print_test(report)
    return 0 if report.test.failure is None else 1


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


def _print_test(report: EndpointTestReport) -> None:
    if report.test.failure is None:
        say((report.verdict, "bold green"), f" {report.name} answers with JSON.", wrap=True)
    else:
        say((report.verdict, "bold red"), wrap=True)
        say(f"{report.sentence} {report.retry}", wrap=True)
    if report.test.request:
        _section("Request, secrets masked", report.test.request)
        _section("As cURL", report.test.curl)
    if report.has_response:
        _section("Response", "\n".join((report.response, *map(_phase, report.phases))))
    if report.body:
        say(cut(report.body))


def _phase(phase: PhaseTime) -> str:
    failed = " (failed here)" if phase.has_failed else ""
    return f"{phase.phase} {milliseconds_text(phase.milliseconds)} ms{failed}"


def _section(title: str, text: str) -> None:
    say("\n", (title, "bold"))
    say(cut(text))


@app.command
def enable(name: str, *, json: bool = False) -> int:
    """Let campaigns call an endpoint again, from their next run on. Nothing else of it is changed.

    Parameters
    ----------
    name:
        The endpoint's name.
    json:
        Print JSON.
    """
    return _switch(name, enabled=True, json=json)


@app.command
def disable(name: str, *, json: bool = False) -> int:
    """Have campaigns not call an endpoint, from their next run on. Nothing else of it is changed.

    Parameters
    ----------
    name:
        The endpoint's name.
    json:
        Print JSON.
    """
    return _switch(name, enabled=False, json=json)


def _switch(name: str, *, enabled: bool, json: bool) -> int:
    from leadpush_prefect.blocks.enabled import switch_endpoint

    changed = switch_endpoint(name, enabled=enabled)
    if json:
        print_json({"name": name, "enabled": enabled, "changed": changed})
        return 0
    state = "enabled" if enabled else "disabled"
    sentence = f"is now {state}, from the next run on." if changed else f"was {state} already."
    say(f"{name} {sentence}")
    return 0

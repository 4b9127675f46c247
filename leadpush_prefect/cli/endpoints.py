"""`leadpush endpoints`: what is configured, and one real request."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from leadpush_prefect.cli.output import cut, print_json, print_table, stdout

if TYPE_CHECKING:
    from leadpush_prefect.blocks import ApiEndpoint, Workspace
    from leadpush_prefect.trial import Trial

__all__ = ["app"]

app = App(name="endpoints", help="The API endpoints: list them, or test one.")

COLUMNS = ("name", "method", "URL", "timeout", "enabled", "problems")


@app.default
def list_endpoints(*, json: bool = False) -> int:
    """List the endpoints by workspace, with the workspace's limits and what is wrong with each.

    Parameters
    ----------
    json:
        Print JSON.
    """
    from leadpush_prefect.blocks import ApiEndpoint, Workspace
    from leadpush_prefect.inventory import saved_blocks

    workspaces = {workspace.name: workspace for workspace in saved_blocks(Workspace)}
    by_workspace: dict[str, list[ApiEndpoint]] = {name: [] for name in workspaces}
    for endpoint in saved_blocks(ApiEndpoint):
        by_workspace.setdefault(endpoint.workspace, []).append(endpoint)
    listed = [_described(name, workspaces.get(name), found) for name, found in by_workspace.items()]
    if json:
        print_json(listed)
    else:
        _print_listed(listed)
    wrong = any(p["severity"] == "error" for w in listed for e in (w, *w["endpoints"]) for p in e["problems"])
    return 1 if wrong else 0


def _described(name: str, workspace: Workspace | None, endpoints: list[ApiEndpoint]) -> dict[str, Any]:
    limits = {}
    if workspace is not None:
        limits = {
            "max_timeout_seconds": workspace.max_timeout_seconds,
            "max_response_bytes": workspace.max_response_bytes,
            "allowed_hosts": workspace.allowed_hosts,
            "allowed_networks": workspace.allowed_networks,
        }
    return {
        "workspace": name,
        "limits": limits,
        "problems": _problems(workspace.problems() if workspace else []),
        "endpoints": [_endpoint(endpoint, workspace) for endpoint in endpoints],
    }


def _endpoint(endpoint: ApiEndpoint, workspace: Workspace | None) -> dict[str, Any]:
    return {
        "name": endpoint.name,
        "method": endpoint.method.upper(),
        "url": endpoint.url,
        "timeout_seconds": endpoint.timeout_seconds,
        "enabled": endpoint.enabled,
        "problems": _problems(endpoint.problems(workspace)),
    }


def _problems(problems: list[Any]) -> list[dict[str, str]]:
    return [
        {"severity": p.severity, "field": p.field, "sentence": p.sentence, "remedy": p.remedy}
        for p in problems
    ]


def _print_listed(listed: list[dict[str, Any]]) -> None:
    if not listed:
        stdout.print("No workspace and no endpoint is saved. Begin with `leadpush blocks apply`.")
    for group in listed:
        rows = [
            (
                endpoint["name"],
                endpoint["method"],
                endpoint["url"],
                f"{endpoint['timeout_seconds']:g} s",
                "yes" if endpoint["enabled"] else "no",
                _lines(endpoint["problems"]),
            )
            for endpoint in group["endpoints"]
        ]
        print_table(COLUMNS, rows, title=_title(group))
        if group["problems"]:
            stdout.print(_lines(group["problems"]), markup=False)


def _title(group: dict[str, Any]) -> str:
    if not group["workspace"]:
        return "Endpoints of any workspace"
    limits = group["limits"]
    if not limits:
        return f"Workspace {group['workspace']} (there is no such Block)"
    hosts = ", ".join(limits["allowed_hosts"]) or "any public"
    networks = f" and {', '.join(limits['allowed_networks'])}" if limits["allowed_networks"] else ""
    return (
        f"Workspace {group['workspace']}: timeout up to {limits['max_timeout_seconds']:g} s, answers up to "
        f"{limits['max_response_bytes']:,} bytes, hosts {hosts}{networks}"
    )


def _lines(problems: list[dict[str, str]]) -> str:
    return "\n".join(f"{p['severity']}: {p['field']}: {p['sentence']} {p['remedy']}" for p in problems)


@app.command
def test(
    name: str,
    *,
    contact: str = '{"id": "sample"}',
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
        A sample contact: JSON, or a file that holds it.
    outputs:
        Sample outputs of earlier steps by output key: JSON, or a file that holds it.
    json:
        Print JSON.
    """
    from leadpush_prefect.blocks import ApiEndpoint
    from leadpush_prefect.context import CampaignContext
    from leadpush_prefect.loading import load_block
    from leadpush_prefect.trial import try_endpoint

    endpoint = load_block(ApiEndpoint, name, field="endpoint")
    context = CampaignContext(
        workspace=endpoint.workspace or workspace,
        campaign="test",
        contact=_object(contact, "--contact"),
        workflow=_object(outputs, "--outputs"),
    )
    trial = try_endpoint(endpoint.prepare(context.workspace), context)
    if json:
        print_json(_trial(trial))
    else:
        _print_trial(name, trial)
    return 0 if trial.outcome.failure is None else 1


def _object(text: str, option: str) -> dict[str, Any]:
    from leadpush_prefect.errors import LeadpushError
    from leadpush_prefect.json_text import from_json

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
    failure = trial.outcome.failure
    return {
        "ok": failure is None,
        "status": trial.status,
        "milliseconds": round(trial.seconds * 1000, 1),
        "bytes": trial.bytes,
        "request": trial.request,
        "curl": trial.curl,
        "output": trial.output,
        "reason": failure.code if failure else None,
        "message": failure.message if failure else None,
        "field": failure.field if failure else None,
        "remedy": failure.reason.remedy if failure else None,
        "excerpt": failure.excerpt if failure else None,
        "campaign_would_retry": trial.retried,
    }


def _print_trial(name: str, trial: Trial) -> None:
    failure = trial.outcome.failure
    if failure is None:
        stdout.print(f"[bold green]OK[/] {name} answers with JSON.", highlight=False)
    else:
        where = f" (in {failure.field})" if failure.field else ""
        stdout.print(f"[bold red]{failure.code}[/]", highlight=False)
        stdout.print(f"{failure.message}{where} {failure.reason.remedy}", markup=False, highlight=False)
        if trial.retried:
            stdout.print("A campaign would have tried again.")
    if trial.request:
        _section("Request, secrets masked", trial.request)
        _section("As cURL", trial.curl)
    if trial.status is not None:
        text = f"HTTP {trial.status} in {trial.seconds * 1000:,.1f} ms, {trial.bytes:,} bytes"
        _section("Answer", text)
    if failure is None:
        import orjson

        pretty = orjson.dumps(orjson.loads(trial.outcome.output or ""), option=orjson.OPT_INDENT_2).decode()
        stdout.print(cut(pretty), markup=False, highlight=False, soft_wrap=True)
    elif failure.excerpt:
        stdout.print(failure.excerpt, markup=False, highlight=False, soft_wrap=True)


def _section(title: str, text: str) -> None:
    stdout.print(f"\n[bold]{title}[/]")
    stdout.print(cut(text), markup=False, highlight=False, soft_wrap=True)

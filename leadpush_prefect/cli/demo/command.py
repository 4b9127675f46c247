"""`leadpush demo`: the main job, on real input, with nothing to configure."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from leadpush_prefect.cli.output import print_error, print_json, say, stdout

if TYPE_CHECKING:
    from leadpush_prefect.cli.demo.run import DemoResult

__all__ = ["demo"]

SHOWN_MESSAGES = ("u000007", "u000101", "u000160", "u000001", "u000002", "u000004")
"""Quotes, emoji, right-to-left text; and ordinary ones for an audience that is too small for these."""


def demo(*, contacts: int = 1000, home: Path | None = None, json: bool = False) -> int:
    """Run a campaign over 1,000 contacts against an API on this machine, and compare the result with what it must be.

    Parameters
    ----------
    contacts:
        How many; other than 1,000, the audience is generated.
    home:
        Where the demo's PREFECT_HOME is; by default ~/.leadpush/demo. Your own Prefect is not touched.
    json:
        Print JSON.
    """
    if contacts < 1:
        print_error("--contacts must be 1 or more.")
        return 2
    home = (home or Path.home() / ".leadpush" / "demo").resolve()
    _use_home(home)

    from leadpush_prefect.cli.demo.run import run_demo

    result = run_demo(home, contacts, str(uuid4()), quiet=json)
    if json:
        print_json(result.as_json())
    else:
        _print(result, home)
    return 1 if result.differences else 0


def _use_home(home: Path) -> None:
    """A Prefect of the demo's own, whatever the user is logged into: home, profile and database."""
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        del os.environ[name]
    home.mkdir(parents=True, exist_ok=True)
    profiles = home / "profiles.toml"
    profiles.write_text(
        'active = "leadpush-demo"\n\n[profiles.leadpush-demo]\nPREFECT_SERVER_ALLOW_EPHEMERAL_MODE = "true"\n'
    )
    os.environ |= {
        "PREFECT_HOME": str(home),
        "PREFECT_PROFILES_PATH": str(profiles),
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_LOGGING_LEVEL": "WARNING",
        "PREFECT_LOGGING_SERVER_LEVEL": "CRITICAL",
        "DO_NOT_TRACK": "1",
    }
    os.chdir(home)  # a .env, prefect.toml or pyproject.toml of the current folder would set Prefect too


def _print(result: DemoResult, home: Path) -> None:
    from leadpush_prefect.cli.run_tables import print_failures, print_steps

    stdout.print()
    print_steps(result.report, title=result.report.headline)
    print_failures(result.report)
    stdout.print(
        f"{result.seconds:,.1f} s: {result.contacts_per_second:,.0f} contacts per second", highlight=False
    )
    shown = [contact_id for contact_id in SHOWN_MESSAGES if contact_id in result.messages][:3]
    for contact_id in shown:
        stdout.print(f"\n[bold]Message to {contact_id}[/]", highlight=False)
        say(result.messages[contact_id], wrap=True)
    stdout.print()
    if result.differences:
        print_error("It is not what it must be: " + "; ".join(result.differences[:10]))
    else:
        stdout.print(
            "[bold green]As expected[/]: every failure, every message and the API's own count of requests."
        )
    _print_commands(result.report.run.run_id[:8], shown[0] if shown else "ID", home)


def _print_commands(run_id: str, contact_id: str, home: Path) -> None:
    # `uv run` sets this one; without it, `leadpush` is on the user's path.
    leadpush = "uv run leadpush" if "UV_RUN_RECURSION_DEPTH" in os.environ else "leadpush"
    stdout.print("\n[bold]Look on[/]")
    for command in (f"runs show {run_id}", f"runs show {run_id} --contact {contact_id}"):
        stdout.print(f"  PREFECT_HOME={home} {leadpush} {command}", highlight=False, soft_wrap=True)

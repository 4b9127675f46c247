"""The demo's parts, as scripts that a test runs, and as files that it reads."""

import sys
from pathlib import Path

__all__ = ["API_KEY", "DEMO", "demo_script"]

DEMO = Path(__file__).parents[2] / "leadpush_prefect" / "cli" / "demo"
API_KEY = "demo-key-4f9a1c"


def demo_script(name: str, *arguments: str) -> list[str]:
    """The command that runs a script of the demo: `api`, `contacts` or `make_expected`."""
    return [sys.executable, "-m", f"leadpush_prefect.cli.demo.{name}", *arguments]

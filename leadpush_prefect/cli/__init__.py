"""The command `leadpush`.

Exit codes: 0, all is well; 1, it ran and found something wrong (problems, a failed test); 2, it could not be done
(wrong usage, an unknown name, a file that cannot be read).

What a command needs is imported when it runs: `leadpush demo` must choose Prefect's home before Prefect is imported.
"""

from __future__ import annotations

import sys

from cyclopts import App

from leadpush_prefect.cli import automations, blocks, endpoints, runs, serve
from leadpush_prefect.cli.demo import command as demo_command
from leadpush_prefect.cli.output import print_error

__all__ = ["app", "main"]

app = App(
    name="leadpush",
    help="Call APIs from Prefect campaign flows.",
    version_flags=["--version"],
    help_on_error=False,
)
app.command(demo_command.demo)
app.command(endpoints.app)
app.command(blocks.app)
app.command(runs.app)
app.command(automations.app)
app.command(serve.serve)


def main() -> None:
    """Run the command line; errors of ours are one sentence, not a traceback."""
    from leadpush_prefect.errors import LeadpushError

    try:
        code = app(sys.argv[1:], exit_on_error=False, print_error=True, result_action="return_value")
    except LeadpushError as error:
        print_error(str(error))
        code = 2
    except KeyboardInterrupt:
        code = 130
    except Exception as error:
        if type(error).__module__.startswith("cyclopts"):  # it has printed what is wrong
            sys.exit(2)
        if not (sentence := _sentence(error)):
            raise
        print_error(sentence)
        code = 2
    sys.exit(code if isinstance(code, int) else 0)


def _sentence(error: Exception) -> str:
    """What cannot be reached or used, of what others have made; nothing of any other error."""
    library = type(error).__module__.partition(".")[0]
    if library == "sqlalchemy":
        from leadpush_prefect.store.trouble import trouble_of

        return f"The database cannot be used: {trouble_of(error).why}."
    if library == "httpx":
        return f"Prefect's API cannot be reached ({error}). PREFECT_API_URL says where it is."
    return ""

"""`leadpush blocks`: Blocks from files."""

from __future__ import annotations

from pathlib import Path

from cyclopts import App

from leadpush_prefect.cli.output import print_json, print_table

__all__ = ["app"]

app = App(name="blocks", help="Workspaces, endpoints and audiences as files.")


@app.command
def apply(folder: Path = Path("blocks"), *, json: bool = False) -> int:
    """Save the Blocks that the files of a folder define, over those of the same name: all, or none.

    Parameters
    ----------
    folder:
        Holds workspaces/, endpoints/ and audiences/. `{env: NAME}` in a file is replaced from the environment.
    json:
        Print JSON.
    """
    from leadpush_prefect.definitions import apply_definitions, read_definitions

    applied = apply_definitions(read_definitions(folder))
    if json:
        print_json(
            [
                {
                    "kind": type(d.block).__name__,
                    "name": d.name,
                    "warnings": [str(problem) for problem in problems],
                }
                for d, problems in applied
            ]
        )
    else:
        rows = [
            (type(d.block).__name__, d.name, str(d.path), "\n".join(str(problem) for problem in problems))
            for d, problems in applied
        ]
        print_table(("kind", "name", "file", "warnings"), rows, title="Saved")
    return 0

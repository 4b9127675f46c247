"""`leadpush blocks`: Blocks as files, compared with what is saved, applied and exported; and brought up to date."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclopts import App

from leadpush_prefect.cli.output import print_json, print_table, say

if TYPE_CHECKING:
    from leadpush_prefect.definitions.plan import FieldChange, Plan, PlannedBlock

__all__ = ["app"]

app = App(name="blocks", help="Workspaces, endpoints and audiences as files.")


@app.command
def plan(folder: Path = Path("blocks"), *, json: bool = False) -> int:
    """Show what `apply` would change, Block by Block and field by field. Nothing is saved.

    Exit code 0: nothing would change; 1: something would; 2: it cannot be said, such as for a file with errors. A secret
    shows only that it changes, and so does what comes from the environment.

    Parameters
    ----------
    folder:
        Holds workspaces/, endpoints/ and audiences/. `{env: NAME}` in a file is replaced from the environment, and under
        `secrets:` also `{secret: BLOCK}`, by the Prefect Secret Block of that name.
    json:
        Print JSON.
    """
    from leadpush_prefect.definitions.plan import plan_blocks
    from leadpush_prefect.definitions.read import read_definitions

    planned = plan_blocks(read_definitions(folder))
    if json:
        print_json(_plan(planned))
    else:
        _print_plan(planned)
    return 1 if planned.to_save else 0


@app.command
def apply(folder: Path = Path("blocks"), *, json: bool = False) -> int:
    """Save the Blocks that are new or changed in the files of a folder: all of them, or where one has errors, none.

    Saved Blocks that no file defines are left as they are.

    Parameters
    ----------
    folder:
        Holds workspaces/, endpoints/ and audiences/. `{env: NAME}` in a file is replaced from the environment, and under
        `secrets:` also `{secret: BLOCK}`, by the Prefect Secret Block of that name.
    json:
        Print JSON: the plan, as it was before.
    """
    from leadpush_prefect.definitions.apply import apply_plan
    from leadpush_prefect.definitions.plan import plan_blocks
    from leadpush_prefect.definitions.read import read_definitions

    planned = plan_blocks(read_definitions(folder))
    if not json:
        _print_plan(planned)
    apply_plan(planned)
    if json:
        print_json(_plan(planned))
    else:
        saved = len(planned.to_save)
        _say(f"Saved {_blocks(saved)}." if saved else "Nothing to save: all is as the files say.")
    return 0


def _plan(planned: Plan) -> dict[str, Any]:
    return {
        "blocks": [_planned(block) for block in planned.blocks],
        "not_in_files": [{"kind": kind, "name": name} for kind, name in planned.not_in_files],
    }


def _planned(block: PlannedBlock) -> dict[str, Any]:
    from leadpush_prefect.reports.json_documents import problems_json

    return {
        "kind": block.kind,
        "name": block.definition.name,
        "file": str(block.definition.path),
        "state": block.state,
        "changes": [_change(change) for change in block.changes],
        "problems": problems_json(block.warnings),
    }


def _change(change: FieldChange) -> dict[str, Any]:
    shown = {"old": change.old, "new": change.new, "diff": list(change.diff), "source": change.source}
    present = {name: value for name, value in shown.items() if value}
    return {"field": change.field, "change": change.change, **present}


_STYLES = {"new": "green", "changed": "yellow", "unchanged": "dim"}


def _print_plan(planned: Plan) -> None:
    for block in planned.blocks:
        _say(f"{block.kind} {block.definition.name}: {block.state}", style=_STYLES[block.state])
        for line in (*block.changes, *(f"warning: {problem}" for problem in block.warnings)):
            _say("\n".join(f"  {part}" for part in str(line).splitlines()))
    if planned.not_in_files:
        names = ", ".join(f"{kind} {name}" for kind, name in planned.not_in_files)
        _say(f"Not in the files, and left as they are: {names}")
    states: list[str] = [block.state for block in planned.blocks]
    _say(", ".join(f"{states.count(state)} {state}" for state in _STYLES) + ".")


def _say(text: str, style: str = "") -> None:
    say((text, style))


def _blocks(number: int) -> str:
    return f"{number} Block" if number == 1 else f"{number} Blocks"


@app.command
def export(folder: Path, *, json: bool = False) -> int:
    """Write the saved Blocks, perhaps changed in Prefect's UI, as files: workspaces/NAME.yaml and so on.

    Only fields that are not the default are written, and only files that do not say the same already. No secret is
    written. From where one came cannot be known: where the file has a reference for it, that is kept, and else it is
    `{env: NAME}` with a name made of endpoint and key, such as CUSTOMER_PROFILE_API_KEY.

    Parameters
    ----------
    folder:
        Where workspaces/, endpoints/ and audiences/ are, or are made. `{env: NAME}` in its files is kept where the
        variable is not set, or is what is saved.
    json:
        Print JSON.
    """
    from leadpush_prefect.definitions.export import export_blocks
    from leadpush_prefect.reports.json_documents import problems_json

    exported = export_blocks(folder)
    if json:
        print_json(
            [
                {
                    "kind": block.kind,
                    "name": block.name,
                    "file": str(block.path),
                    "written": block.written,
                    "secrets": [reference.as_data() for reference in block.secrets],
                    "problems": problems_json(block.problems),
                }
                for block in exported
            ]
        )
        return 0
    for block in exported:
        _say(f"{block.path}: {'written' if block.written else 'as it was'}")
        for problem in block.problems:
            _say(f"  {problem}")
    written = sum(block.written for block in exported)
    _say(f"{_blocks(len(exported))}, {written} of the files written.")
    references = sorted({str(reference) for block in exported for reference in block.secrets})
    if references:
        _say(
            f"No secret is in a file. In their places stand {', '.join(references)}. Set these variables before "
            "`plan` and `apply`, or write another {env: NAME} or {secret: BLOCK}: the next export keeps it."
        )
    return 0


@app.command
def migrate(*, json: bool = False) -> int:
    """Bring the saved Blocks of a former version to this one, so that their forms in Prefect's UI have all fields.

    Values and secrets stay as they are, and so does what a Block cannot use.

    Parameters
    ----------
    json:
        Print JSON.
    """
    from leadpush_prefect.definitions.migration import migrate_blocks
    from leadpush_prefect.reports.json_documents import problems_json

    migrated = migrate_blocks()
    if json:
        print_json(
            [
                {
                    "kind": block.kind,
                    "name": block.name,
                    "state": block.state,
                    "problems": problems_json(block.problems),
                }
                for block in migrated
            ]
        )
        return 0
    rows = [
        (block.kind, block.name, block.state, "\n".join(str(problem) for problem in block.problems))
        for block in migrated
    ]
    if rows:
        print_table(("kind", "name", "state", "cannot be used, and is kept"), rows)
    saved = sum(block.state == "re-saved" for block in migrated)
    _say(f"Re-saved {_blocks(saved)}." if saved else "Nothing to re-save: no Block has an older schema.")
    return 0

"""What applying definitions would change: Block by Block, field by field, secrets never in clear."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

from leadpush_prefect.blocks import ApiEndpoint, Workspace
from leadpush_prefect.blocks.loading import saved_documents
from leadpush_prefect.definitions.definition import KINDS, AnyBlock
from leadpush_prefect.definitions.references import SECRETS, Keys, Reference
from leadpush_prefect.definitions.values import field_values, is_same, stored_values
from leadpush_prefect.errors import BlockInvalid, Problem
from leadpush_prefect.text.display import visible_line
from leadpush_prefect.text.json_text import to_json
from leadpush_prefect.text.redaction import Masker

if TYPE_CHECKING:
    from leadpush_prefect.definitions.definition import Definition

__all__ = ["FieldChange", "Plan", "PlannedBlock", "plan_blocks"]

SHORT = 60
"""Texts of up to this many characters are shown as old → new, longer ones as a diff."""


@dataclass(frozen=True, slots=True)
class FieldChange:
    """What happens to a field, or to one entry of it.

    Attributes:
        field: Such as `timeout_seconds` or `headers.X-Plan`.
        change: What happens.
        old: The saved value as JSON, secrets masked; None where there is none, or it is not shown.
        new: The value that is to be.
        diff: The lines of a unified diff, for long texts.
        source: Where the new value comes from, where it is not shown for that.
    """

    field: str
    change: Literal["added", "changed", "removed"]
    old: str | None = None
    new: str | None = None
    diff: tuple[str, ...] = ()
    source: str = ""

    def __str__(self) -> str:
        if self.diff:
            return "\n".join((f"{self.field}:", *(f"  {line}" for line in self.diff)))
        shown = " → ".join(value for value in (self.old, self.new) if value is not None)
        if self.change == "changed" and shown:
            return f"{self.field}: {shown}"
        source = f"from {self.source}" if self.source else ""
        return " ".join(word for word in (f"{self.field}: {self.change}", shown, source) if word)


@dataclass(frozen=True, slots=True)
class PlannedBlock:
    """What happens to a Block that a file defines.

    Attributes:
        definition: The file's.
        state: `new`, `changed` or `unchanged`.
        changes: Field by field, of one that is changed.
        warnings: What is doubtful about it.
    """

    definition: Definition
    state: Literal["new", "changed", "unchanged"]
    changes: tuple[FieldChange, ...] = ()
    warnings: tuple[Problem, ...] = ()

    @property
    def kind(self) -> str:
        """The Block's class, by name."""
        return type(self.definition.block).__name__


@dataclass(frozen=True, slots=True)
class Plan:
    """What applying definitions would change.

    Attributes:
        blocks: Those that files define.
        not_in_files: Kind and name of the saved Blocks that no file defines. They are left as they are.
    """

    blocks: tuple[PlannedBlock, ...]
    not_in_files: tuple[tuple[str, str], ...] = ()

    @property
    def to_save(self) -> list[PlannedBlock]:
        """Those that are new or changed."""
        return [planned for planned in self.blocks if planned.state != "unchanged"]


def plan_blocks(definitions: Sequence[Definition]) -> Plan:
    """Compare definitions with what is saved. Nothing is saved.

    Raises:
        BlockInvalid: the first definition that has errors.
    """
    warnings = _checked(definitions)
    saved: dict[tuple[type[AnyBlock], str], dict[str, Any]] = {
        (kind, document.name or ""): document.data
        for kind in KINDS.values()
        for document in saved_documents(kind, secrets=True)
    }
    blocks = tuple(
        _planned(definition, saved.pop((type(definition.block), definition.name), None), found)
        for definition, found in zip(definitions, warnings, strict=True)
    )
    return Plan(blocks, tuple((kind.__name__, name) for kind, name in saved))


def _checked(definitions: Sequence[Definition]) -> list[tuple[Problem, ...]]:
    """The warnings of each."""
    workspaces = {d.name: d.block for d in definitions if isinstance(d.block, Workspace)}
    checked = [_problems(definition, workspaces) for definition in definitions]
    for definition, problems in zip(definitions, checked, strict=True):
        errors = [problem for problem in problems if problem.severity == "error"]
        if errors:
            raise BlockInvalid(str(definition.path), errors)
    return [tuple(problems) for problems in checked]


def _problems(definition: Definition, workspaces: Mapping[str, Workspace]) -> list[Problem]:
    block = definition.block
    if isinstance(block, ApiEndpoint):
        return block.problems(workspaces.get(block.workspace))
    return block.problems()


def _planned(
    definition: Definition, saved: Mapping[str, Any] | None, warnings: tuple[Problem, ...]
) -> PlannedBlock:
    if saved is None:
        return PlannedBlock(definition, "new", (), warnings)
    old = stored_values(type(definition.block), saved)
    new = field_values(definition.block)
    mask = Masker([*_texts(old.get(SECRETS)), *_texts(new.get(SECRETS))])
    changes = tuple(
        _change(keys, before, after, definition.references, mask)
        for keys, before, after in _differences(old, new)
    )
    return PlannedBlock(definition, "changed" if changes else "unchanged", changes, warnings)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif value is not None:
        yield value if isinstance(value, str) else to_json(value)


class _Nothing:
    """Stands where a field has no such entry: null is a value."""


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[tuple[Keys, Any, Any]]:
    """Where two Blocks differ: field by field, and entry by entry where both are objects."""
    for name in new:
        before, after = old[name], new[name]
        if isinstance(before, dict) and isinstance(after, dict):
            for key in dict.fromkeys((*before, *after)):
                entries = before.get(key, _Nothing), after.get(key, _Nothing)
                if not is_same(*entries):
                    yield (name, key), *entries
        elif not is_same(before, after):
            yield (name,), before, after


def _change(keys: Keys, old: Any, new: Any, referred: Mapping[Keys, Reference], mask: Masker) -> FieldChange:
    name = visible_line(".".join(keys))
    change: Literal["added", "changed", "removed"] = "changed"
    if old is _Nothing or new is _Nothing:
        change = "added" if old is _Nothing else "removed"
    sources = [str(reference) for where, reference in referred.items() if _overlap(where, keys)]
    if keys[0] == SECRETS or sources:
        # What comes from the environment is not shown anywhere else either: it may be a secret as well.
        return FieldChange(name, change, source=", ".join(sources) if keys[0] != SECRETS else "")
    if isinstance(old, str) and isinstance(new, str) and max(len(old), len(new)) > SHORT:
        diff = tuple(map(visible_line, _diff(mask(old), mask(new))))  # a secret may have several lines
        if diff:
            return FieldChange(name, change, diff=diff)
    shown = [None if value is _Nothing else visible_line(mask(to_json(value))) for value in (old, new)]
    return FieldChange(name, change, old=shown[0], new=shown[1])


def _overlap(where: Keys, keys: Keys) -> bool:
    length = min(len(where), len(keys))
    return where[:length] == keys[:length]


def _diff(old: str, new: str) -> list[str]:
    diff = unified_diff(old.splitlines(), new.splitlines(), n=1, lineterm="")
    lines = list(islice(diff, 2, None))  # the first two would name files
    places = [line for line in lines if line.startswith("@@")]
    return [line for line in lines if line not in places] if len(places) == 1 else lines

"""Saved Blocks, perhaps changed in Prefect's UI, as files of the form that `read_definitions` reads.

A secret is written as a reference. Where it came from cannot be known, so it is the file's own reference where the file
has one, and else `{env: NAME}` with a name made of endpoint and key: `{env: CUSTOMER_PROFILE_API_KEY}`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import Any

from leadpush_prefect.blocks.loading import saved_documents
from leadpush_prefect.definitions.definition import KINDS, AnyBlock
from leadpush_prefect.definitions.files import block_files, path_of, read_fields, write_fields
from leadpush_prefect.definitions.references import SECRETS, Keys, Reference, references, replaced
from leadpush_prefect.definitions.values import default_values, is_same, stored_values
from leadpush_prefect.errors import Problem
from leadpush_prefect.text.json_text import to_json
from leadpush_prefect.text.projection import value_at

__all__ = ["ExportedBlock", "export_blocks"]


@dataclass(frozen=True, slots=True)
class ExportedBlock:
    """A saved Block, and its file.

    Attributes:
        kind: The Block's class, by name.
        name: The document's name.
        path: The file.
        written: Whether it was written: False where it said the same already.
        secrets: The references that stand for its secrets.
        problems: What the Block cannot use of what is saved. It is written as it is; a field that there is not, is not.
    """

    kind: str
    name: str
    path: Path
    written: bool
    secrets: tuple[Reference, ...]
    problems: tuple[Problem, ...] = ()


def export_blocks(folder: Path, environment: Mapping[str, str] = os.environ) -> list[ExportedBlock]:
    """Write the saved Blocks as files, each with the fields that are not the default.

    A file that says the same already is not touched; of another one only what changes is, and comments, the order of keys
    and quotes stay. A reference of a file is kept where it still gives the saved value, where its variable is not set,
    and always under `secrets:`.

    Args:
        folder: Such as `blocks/`. It is made where it is missing; files of other Blocks stay.
        environment: What `{env: NAME}` in the files is replaced from.

    Raises:
        LeadpushError: if a file there cannot be read or written, or a Block's name cannot be a file's. All is read before
            the first file is written.
    """
    files = {(kind, name): (path, read_fields(path)) for kind, name, path in block_files(folder)}
    names = _Names(reference for _, fields in files.values() for _, reference in references(fields))
    exported: list[tuple[ExportedBlock, dict[str, Any]]] = []
    for kind in KINDS.values():
        for document in saved_documents(kind, secrets=True):
            name = document.name or ""
            path, fields = files.get((kind, name)) or (path_of(folder, kind, name), None)
            saved = stored_values(kind, document.data)
            says = _resolved(kind, fields or {}, saved, environment)
            kept = _kept(fields or {}, says, saved)
            secrets = _secret_references(name, saved.get(SECRETS), kept, names)
            same = fields is not None and is_same(says, saved) and _has_only(secrets, fields.get(SECRETS))
            problems = tuple(kind.model_validate(dict(document.data))._unusable)
            block = ExportedBlock(kind.__name__, name, path, not same, tuple(secrets.values()), problems)
            same_fields = _same_fields(fields or {}, says, saved)
            exported.append((block, _fields(kind, saved, {**kept, **secrets}, same_fields)))
    for block, content in exported:
        if block.written:
            write_fields(block.path, content)
    return [block for block, _ in exported]


class _Names:
    """Names of variables, each for one secret."""

    def __init__(self, used: Iterable[Reference]) -> None:
        self._used = {reference.name for reference in used if reference.source == "env"}

    def new(self, endpoint: str, key: str) -> str:
        first = re.sub(r"[^A-Z0-9]", "_", f"{endpoint}_{key}".upper())
        first = f"_{first}" if first[0].isdigit() else first
        numbered = (f"{first}_{number}" for number in count(2))  # a-b + c is not a + b-c
        name = next(name for name in chain([first], numbered) if name not in self._used)
        self._used.add(name)
        return name


def _resolved(
    kind: type[AnyBlock], fields: Mapping[str, Any], saved: Mapping[str, Any], environment: Mapping[str, str]
) -> dict[str, Any]:
    """What a file says. A secret, and what is not set, counts as what is saved: it is not for a file to say."""

    def value_of(keys: Keys, reference: Reference) -> Any:
        if keys[0] != SECRETS and reference.name in environment:
            return environment[reference.name]
        return value_at(saved, keys)

    return stored_values(kind, replaced(dict(fields), value_of))


def _kept(
    fields: Mapping[str, Any], says: Mapping[str, Any], saved: Mapping[str, Any]
) -> dict[Keys, Reference]:
    """The references of a file that can stay."""
    found = dict(references(dict(fields)))
    return {
        keys: reference
        for keys, reference in found.items()
        if value_at(saved, keys) is not None and is_same(value_at(says, keys), value_at(saved, keys))
    }


def _secret_references(
    name: str, secrets: Any, kept: Mapping[Keys, Reference], names: _Names
) -> dict[Keys, Reference]:
    """A reference for each secret, whatever it is."""
    if not secrets or (SECRETS,) in kept:
        return {keys: reference for keys, reference in kept.items() if keys == (SECRETS,)}
    if not isinstance(secrets, dict):
        return {(SECRETS,): Reference("env", names.new(name, SECRETS))}
    places = {(SECRETS, key): key for key in secrets}
    return {keys: kept.get(keys) or Reference("env", names.new(name, key)) for keys, key in places.items()}


def _has_only(secrets: Mapping[Keys, Reference], written: Any) -> bool:
    """Whether a file has just these references for its secrets, and none in clear."""
    found = dict(references({SECRETS: written or {}}))
    return found == secrets and (not written or (SECRETS,) in found or len(found) == len(written))


def _same_fields(
    fields: Mapping[str, Any], says: Mapping[str, Any], saved: Mapping[str, Any]
) -> dict[str, Any]:
    """The fields of a file that say what is saved, as they stand there: also 2.0, or what is the default."""
    return {
        name: value
        for name, value in fields.items()
        if name != SECRETS and name in saved and is_same(says[name], saved[name])
    }


def _fields(
    kind: type[AnyBlock],
    saved: Mapping[str, Any],
    referred: Mapping[Keys, Reference],
    same: Mapping[str, Any],
) -> dict[str, Any]:
    """What stands in the file: fields in the Block's order, without those that are the default."""
    defaults = default_values(kind)
    return {
        name: same[name] if name in same else _with_references(_plainly(name, value), referred, (name,))
        for name, value in saved.items()
        if name in same or not is_same(value, defaults[name])
    }


def _plainly(name: str, value: Any) -> Any:
    """A field as people write it: 2 seconds, not 2.0. What only looks like a reference, such as a parameter `env`, is
    written as JSON text, in which none is read."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return to_json(value) if name != SECRETS and any(references(value, (name,))) else value


def _with_references(value: Any, referred: Mapping[Keys, Reference], keys: Keys) -> Any:
    if keys in referred:
        return referred[keys]
    if isinstance(value, dict):
        return {key: _with_references(item, referred, (*keys, key)) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_references(item, referred, (*keys, str(index))) for index, item in enumerate(value)]
    return value

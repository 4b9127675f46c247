"""The files of a folder that define Blocks: found, read and written.

    blocks/workspaces/acme.yaml    blocks/endpoints/customer-profile.yaml    blocks/audiences/customers.yaml

A file's name is the Block's name, its folder the kind, its content the fields. Nothing outside of the folder is read
or written, whatever a name or a link says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson

from leadpush_prefect.definitions.definition import KINDS, AnyBlock
from leadpush_prefect.definitions.references import Reference
from leadpush_prefect.definitions.yaml_changes import changed_yaml
from leadpush_prefect.definitions.yaml_text import InvalidYaml, from_yaml, to_yaml
from leadpush_prefect.errors import LeadpushError
from leadpush_prefect.system.regular_file import open_regular

__all__ = ["block_files", "path_of", "read_fields", "write_fields"]

MAX_SIZE = 1_000_000


SUFFIXES = (".yaml", ".yml", ".json")


def block_files(folder: Path) -> Iterator[tuple[type[AnyBlock], str, Path]]:
    """The files of a folder that define Blocks: each with the kind and name, ordered by them.

    Raises:
        LeadpushError: if a name is none of a Block, a file leads out of the folder, or two define the same.
    """
    for subfolder, kind in KINDS.items():
        found: dict[str, Path] = {}
        for path in sorted(path for path in (folder / subfolder).glob("*") if path.suffix in SUFFIXES):
            _check(folder, path)
            if path.stem in found:
                raise LeadpushError(
                    f"{path} and {found[path.stem]} define the same Block. Delete one of them."
                )
            found[path.stem] = path
            yield kind, path.stem, path


def path_of(folder: Path, kind: type[AnyBlock], name: str) -> Path:
    """Where a new file for a Block belongs.

    Raises:
        LeadpushError: if the name is none of a Block, or the place is outside of the folder.
    """
    subfolder = next(subfolder for subfolder, other in KINDS.items() if other is kind)
    if not _is_name(name):
        raise LeadpushError(
            f"{name!r} cannot be the name of a file: it has other characters than lower-case letters, digits "
            "and dashes. Save the Block under such a name, and delete this one."
        )
    path = folder / subfolder / f"{name}.yaml"
    _check(folder, path)
    return path


def _is_name(name: str) -> bool:
    return re.fullmatch(r"[a-z0-9-]+", name) is not None


def _check(folder: Path, path: Path) -> None:
    if not _is_name(path.stem):
        raise LeadpushError(
            f"{path}: the file's name is the Block's, and has only lower-case letters, digits and dashes. "
            "Rename it."
        )
    if not path.resolve().is_relative_to(folder.resolve()):
        raise LeadpushError(f"{path} leads out of {folder}, and is not followed. Put the file itself there.")


def read_fields(path: Path) -> dict[str, Any]:
    """The fields that stand in a file, references as they are written.

    Raises:
        LeadpushError: naming the file, and the line where there is one, if it cannot be read.
    """
    return _fields(_read(path), path)


def _fields(text: str, path: Path) -> dict[str, Any]:
    try:
        fields = from_yaml(text)  # JSON is YAML
    except InvalidYaml as error:
        raise _not_yaml(path, error.line, error.why) from None
    if not isinstance(fields, dict):
        raise LeadpushError(f"{path}: it must hold the Block's fields, as `name: value`.")
    return {str(name): value for name, value in fields.items()}


def _read(path: Path) -> str:
    try:
        with open(path, "rb", opener=open_regular) as file:
            content = file.read(MAX_SIZE + 1)
    except OSError as error:
        raise LeadpushError(f"{path} cannot be read: {error.strerror}.") from None
    if len(content) > MAX_SIZE:
        raise LeadpushError(f"{path} is larger than {MAX_SIZE:,} bytes, and no definition of a Block.")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise _not_yaml(path) from None


def _not_yaml(path: Path, line: int | None = None, why: str = "") -> LeadpushError:
    where = f", line {line}" if line else ""
    return LeadpushError(f"{path}{where}: it is not YAML in UTF-8{f': {why}' if why else ''}.")


def write_fields(path: Path, fields: dict[str, Any]) -> None:
    """Write a file whole or not at all; what a link in its place points to stays as it is.

    Of a file that is there, what does not change stays as it is written: comments, the order of keys, quotes.

    Raises:
        LeadpushError: if it cannot be written.
    """
    text = _text(path, fields)
    beside = path.with_name(f".{path.name}.{uuid4().hex}")  # where nobody can have put a link
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(beside, "x", encoding="utf-8", newline="\n") as file:
            file.write(text)
        beside.replace(path)
    except OSError as error:
        raise LeadpushError(f"{path} cannot be written: {error.strerror}.") from None
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)


def _text(path: Path, fields: dict[str, Any]) -> str:
    write_anew = _to_json if path.suffix == ".json" else to_yaml
    try:
        written = _read(path)
        before = _fields(written, path)
    except LeadpushError:  # there is none, or nothing to keep of it
        return write_anew(fields)
    return write_anew(_in_order(fields, before)) if path.suffix == ".json" else changed_yaml(written, fields)


def _in_order(value: Any, before: Any) -> Any:
    """A value whose keys stand in the order in which they stood before; new ones are last."""
    if not isinstance(value, dict) or not isinstance(before, dict):
        return value
    keys = dict.fromkeys([*(key for key in before if key in value), *value])
    return {key: _in_order(value[key], before.get(key)) for key in keys}


def _to_json(fields: dict[str, Any]) -> str:
    option = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE | orjson.OPT_PASSTHROUGH_DATACLASS
    return orjson.dumps(fields, default=Reference.as_data, option=option).decode()

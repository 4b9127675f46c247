"""Blocks as files, so that a team can review its endpoints like code.

    blocks/workspaces/acme.yaml    blocks/endpoints/customer-profile.yaml    blocks/audiences/customers.yaml

A file's name is the Block's name, its folder the kind, its content the fields. `{env: NAME}` stands for a variable of the
environment, so that no secret is in a file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from leadpush_prefect.blocks import ApiEndpoint, Audience, Workspace
from leadpush_prefect.errors import BlockInvalid, LeadpushError, Problem

__all__ = ["Definition", "apply_definitions", "read_definitions"]

KINDS = {"workspaces": Workspace, "audiences": Audience, "endpoints": ApiEndpoint}
"""In the order in which they are saved: an endpoint names its workspace."""


@dataclass(frozen=True, slots=True)
class Definition:
    """A Block that a file defines.

    Attributes:
        name: The document's name.
        block: The Block, not yet saved.
        path: The file.
    """

    name: str
    block: Workspace | ApiEndpoint | Audience
    path: Path


def read_definitions(folder: Path, environment: Mapping[str, str] = os.environ) -> list[Definition]:
    """The Blocks that the files of a folder define.

    Args:
        folder: Such as `blocks/`.
        environment: What `{env: NAME}` is replaced from.

    Raises:
        LeadpushError: naming the file and field, if one cannot be read or a variable is not set.
    """
    if not folder.is_dir():
        raise LeadpushError(f"There is no folder {folder}. Give the one that holds {', '.join(KINDS)}.")
    return [
        Definition(path.stem, kind(**_data(path, environment)), path)
        for subfolder, kind in KINDS.items()
        for path in _files(folder / subfolder)
    ]


def _files(folder: Path) -> Iterator[Path]:
    return iter(sorted(path for path in folder.glob("*") if path.suffix in (".yaml", ".yml", ".json")))


def _data(path: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    try:
        data = yaml.safe_load(path.read_text("utf-8"))  # JSON is YAML
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise LeadpushError(f"{path}{where}: it is not YAML in UTF-8.") from None
    if not isinstance(data, dict):
        raise LeadpushError(f"{path}: it must hold the Block's fields, as `name: value`.")
    return {
        str(name): _from_environment(value, f"{path}: {name}", environment) for name, value in data.items()
    }


def _from_environment(value: Any, where: str, environment: Mapping[str, str]) -> Any:
    match value:
        case {"env": str(name), **others} if not others:
            if name not in environment:
                raise LeadpushError(
                    f"{where}: the environment variable {name} is not set. Set it and apply again."
                )
            return environment[name]
        case dict():
            return {
                key: _from_environment(item, f"{where}.{key}", environment) for key, item in value.items()
            }
        case list():
            return [_from_environment(item, where, environment) for item in value]
    return value


def apply_definitions(definitions: list[Definition]) -> list[tuple[Definition, list[Problem]]]:
    """Save Blocks over those of the same name: all, or where one has errors, none.

    Returns:
        Each with the warnings that it has.

    Raises:
        BlockInvalid: the first one that has errors.
    """
    workspaces = {d.name: d.block for d in definitions if isinstance(d.block, Workspace)}
    checked = [(definition, _problems(definition, workspaces)) for definition in definitions]
    for definition, problems in checked:
        errors = [problem for problem in problems if problem.severity == "error"]
        if errors:
            raise BlockInvalid(str(definition.path), errors)
    for definition in definitions:
        definition.block.save(definition.name, overwrite=True)
    return checked


def _problems(definition: Definition, workspaces: Mapping[str, Workspace]) -> list[Problem]:
    block = definition.block
    if isinstance(block, ApiEndpoint):
        return block.problems(workspaces.get(block.workspace))
    return block.problems()

"""Definitions read from the files of a folder, references replaced."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prefect.blocks.system import Secret

from leadpush_prefect.blocks.loading import load_block
from leadpush_prefect.definitions.definition import KINDS, AnyBlock, Definition
from leadpush_prefect.definitions.files import block_files, read_fields
from leadpush_prefect.definitions.references import SECRETS, Keys, Reference, references, replaced
from leadpush_prefect.errors import LeadpushError

__all__ = ["read_definitions"]


def read_definitions(folder: Path, environment: Mapping[str, str] = os.environ) -> list[Definition]:
    """The Blocks that the files of a folder define.

    Args:
        folder: Such as `blocks/`.
        environment: What `{env: NAME}` is replaced from.

    Raises:
        LeadpushError: naming the file and field, if one cannot be read, a secret stands in it, or what it refers to
            is not there.
    """
    if not folder.is_dir():
        raise LeadpushError(f"There is no folder {folder}. Give the one that holds {', '.join(KINDS)}.")
    return [_definition(kind, name, path, environment) for kind, name, path in block_files(folder)]


def _definition(kind: type[AnyBlock], name: str, path: Path, environment: Mapping[str, str]) -> Definition:
    fields = read_fields(path)
    found = dict(references(fields))
    if SECRETS in kind.model_fields:
        _refuse_literal_secrets(fields.get(SECRETS), found, path)

    def value_of(keys: Keys, reference: Reference) -> Any:
        where = f"{path}: {'.'.join(keys)}"
        if reference.source == "secret":
            secret: Any = load_block(Secret, reference.name, field=where)
            return secret.value.get_secret_value()  # its get() would make a number of the text 0123
        if reference.name not in environment:
            raise LeadpushError(
                f"{where}: the environment variable {reference.name} is not set. Set it and apply again."
            )
        return environment[reference.name]

    return Definition(name, kind.model_validate(replaced(fields, value_of)), path, found)


def _refuse_literal_secrets(secrets: Any, found: Mapping[Keys, Reference], path: Path) -> None:
    if not secrets or (SECRETS,) in found:
        return
    keys = [(SECRETS, str(key)) for key in secrets] if isinstance(secrets, dict) else [(SECRETS,)]
    for literal in (where for where in keys if where not in found):
        raise LeadpushError(
            f"{path}: {'.'.join(literal)}: a secret must not stand in a file. Write {{env: NAME}} for a variable of "
            "the environment, or {secret: BLOCK} for a Prefect Secret block."
        )

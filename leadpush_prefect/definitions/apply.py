"""Blocks as files, so that a team can review its endpoints like code.

    blocks/workspaces/acme.yaml    blocks/endpoints/customer-profile.yaml    blocks/audiences/customers.yaml

`{env: NAME}` in a file stands for a variable of the environment. A secret stands in no file: under `secrets:` there are
only `{env: NAME}` and `{secret: BLOCK}`, a Prefect Secret Block by its name.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prefect.blocks.system import Secret

from leadpush_prefect.blocks.loading import load_block
from leadpush_prefect.definitions.files import KINDS, block_files, read_fields
from leadpush_prefect.definitions.plan import Plan, plan_blocks
from leadpush_prefect.definitions.references import SECRETS, Keys, Reference, references, replaced
from leadpush_prefect.definitions.values import AnyBlock
from leadpush_prefect.errors import LeadpushError

__all__ = ["Definition", "apply_definitions", "apply_plan", "read_definitions"]


@dataclass(frozen=True, slots=True)
class Definition:
    """A Block that a file defines.

    Attributes:
        name: The document's name.
        block: The Block, not yet saved.
        path: The file.
        references: What is not in the file but referred to, by where it stands.
    """

    name: str
    block: AnyBlock
    path: Path
    references: Mapping[Keys, Reference] = field(default_factory=dict)


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


def apply_definitions(definitions: list[Definition]) -> Plan:
    """Save what the definitions change: all of it, or where one has errors, nothing.

    Returns:
        What was new or changed, and so saved.

    Raises:
        BlockInvalid: the first one that has errors.
    """
    plan = plan_blocks(definitions)
    apply_plan(plan)
    return plan


def apply_plan(plan: Plan) -> None:
    """Save the Blocks of a plan that are new or changed, over those of the same name."""
    for planned in plan.to_save:
        planned.definition.block.save(planned.definition.name, overwrite=True)

"""Saved Blocks of a former version of the package, brought to the schema of this one.

Prefect binds a Block's document to the schema with which it was saved, so that the form in its UI lacks newer fields.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import BlockDocumentUpdate
from prefect.client.schemas.objects import BlockDocument

from leadpush_prefect.blocks.loading import saved_documents
from leadpush_prefect.definitions.definition import KINDS, AnyBlock
from leadpush_prefect.errors import Problem

__all__ = ["MigratedBlock", "migrate_blocks"]


@dataclass(frozen=True, slots=True)
class MigratedBlock:
    """A saved Block, and what was done with it.

    Attributes:
        kind: The Block's class, by name.
        name: The document's name.
        state: `re-saved`; `current`, if it had this version's schema; `newer`, if it has a later version's, and was
            left alone.
        problems: What the Block cannot use of what is saved. It is kept as it is.
    """

    kind: str
    name: str
    state: Literal["re-saved", "current", "newer"]
    problems: tuple[Problem, ...]


def migrate_blocks() -> list[MigratedBlock]:
    """Bind all saved Blocks to the schemas of this version. Their values are not touched, whatever they are."""
    return [
        MigratedBlock(
            kind.__name__, document.name or "", _migrated(kind, document), _unusable(kind, document)
        )
        for kind in KINDS.values()
        for document in saved_documents(kind, secrets=True)  # masked, an object of none would be a text
    ]


def _migrated(kind: type[AnyBlock], document: BlockDocument) -> Literal["re-saved", "current", "newer"]:
    kind.register_type_and_schema(_sync=True)  # type: ignore[call-arg]  # also on a running loop
    schema = kind._block_schema_id
    if document.block_schema_id == schema:
        return "current"
    if _is_newer(document, kind.get_block_schema_version()):
        return "newer"
    # No value is sent: what is saved stays as it is on the server, secrets and what cannot be used included.
    update = BlockDocumentUpdate(block_schema_id=schema, data={}, merge_existing_data=True)
    with get_client(sync_client=True) as client:
        client.update_block_document(document.id, update)
    return "re-saved"


def _is_newer(document: BlockDocument, version: str) -> bool:
    return document.block_schema is not None and _numbers(document.block_schema.version) > _numbers(version)


def _numbers(version: str) -> list[int]:
    """A version to compare: Prefect stores its numbers only."""
    return [int(number) for number in re.findall(r"\d+", version)]


def _unusable(kind: type[AnyBlock], document: BlockDocument) -> tuple[Problem, ...]:
    return tuple(kind.model_validate(dict(document.data))._unusable)

"""The Blocks that are saved."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from prefect.blocks.core import Block
from prefect.client.orchestration import get_client

from leadpush_prefect.loading import load_block

__all__ = ["saved_blocks"]

BlockT = TypeVar("BlockT", bound=Block)


def saved_blocks(kind: type[BlockT]) -> Iterator[BlockT]:
    """All saved Blocks of a kind, by name."""
    yield from (load_block(kind, name, field="name") for name in sorted(_names(kind)))


def _names(kind: type[Block]) -> list[str]:
    with get_client(sync_client=True) as client:  # this answer has no pages: it is all of them
        documents = client.read_block_documents_by_type(kind.get_block_type_slug(), include_secrets=False)
    return [document.name for document in documents if document.name]

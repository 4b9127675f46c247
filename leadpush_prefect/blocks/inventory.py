"""The Blocks that are saved."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from prefect.blocks.core import Block
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import BlockDocument
from prefect.exceptions import PrefectHTTPStatusError

from leadpush_prefect.blocks.loading import load_block

__all__ = ["saved_blocks", "saved_documents"]

BlockT = TypeVar("BlockT", bound=Block)


def saved_blocks(kind: type[BlockT]) -> Iterator[BlockT]:
    """All saved Blocks of a kind, by name."""
    names = [document.name for document in saved_documents(kind, secrets=False)]
    yield from (load_block(kind, name, field="name") for name in names if name)


def saved_documents(kind: type[Block], *, secrets: bool) -> list[BlockDocument]:
    """The documents of all saved Blocks of a kind, by name: what is stored, whether it can be used or not.

    Args:
        kind: The Block's class.
        secrets: Whether secrets are in clear.
    """
    with get_client(sync_client=True) as client:  # this answer has no pages: it is all of them
        try:
            documents = client.read_block_documents_by_type(
                kind.get_block_type_slug(), include_secrets=secrets
            )
        except PrefectHTTPStatusError as error:
            if error.response.status_code != 404:
                raise
            return []  # of this kind none was ever saved, and the server does not know it
    named = [document for document in documents if document.name]
    return sorted(named, key=lambda document: document.name or "")

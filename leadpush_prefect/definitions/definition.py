"""What a file defines: a Block of one of the kinds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from leadpush_prefect.blocks import ApiEndpoint, Audience, Workspace
from leadpush_prefect.definitions.references import Keys, Reference

__all__ = ["KINDS", "AnyBlock", "Definition"]


AnyBlock = Workspace | ApiEndpoint | Audience

KINDS: dict[str, type[AnyBlock]] = {
    "workspaces": Workspace,
    "audiences": Audience,
    "endpoints": ApiEndpoint,
}
"""In the order in which they are saved: an endpoint names its workspace."""


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

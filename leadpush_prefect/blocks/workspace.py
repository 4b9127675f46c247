"""The Block Workspace."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Self

from prefect.blocks.core import Block
from pydantic import Field, ModelWrapValidatorHandler, PrivateAttr, model_validator

import leadpush_prefect.blocks.lenient as lenient
from leadpush_prefect.blocks.base import DOCUMENTATION, CheckedBlock, block_of_any_json
from leadpush_prefect.errors import AudienceInvalid, BlockInvalid, Problem
from leadpush_prefect.model.config import HasConfig, WorkspaceConfig

__all__ = ["Workspace", "workspace_config"]


class Workspace(CheckedBlock, Block):
    """A Leadpush workspace: what its templates share, and the limits that its endpoints keep.

    Attributes:
        uuid: The workspace's id at Leadpush.
        variables: Values for templates, read as `{{ workspace.variables.NAME }}`.
        sample_contact: The contact with which its endpoints are tested, where no other is given.
        max_timeout_seconds: The longest timeout that an endpoint may have, in seconds. Default 30.
        max_response_bytes: The largest response in bytes, counted after decompression. Default 1,048,576.
        allowed_hosts: Hosts that may be called; empty for any.
        allowed_networks: Networks that may be called although they are not public.
        database: The name of a SqlAlchemyConnector Block for contacts and outputs; empty for the embedded
            SQLite file.

    Example:
        Load a saved workspace:
        ```python
        from leadpush_prefect import Workspace

        workspace = Workspace.load("BLOCK_NAME")
        ```
    """

    _block_type_name = "Leadpush Workspace"
    _block_type_slug = "leadpush-workspace"
    _main_field: ClassVar[str] = "variables"
    _documentation_url = DOCUMENTATION
    _readers: ClassVar[Mapping[str, Any]] = {
        "uuid": lenient.text,
        "variables": lenient.mapping(lenient.anything),
        "sample_contact": lenient.mapping(lenient.anything),
        "max_timeout_seconds": lenient.number,
        "max_response_bytes": lenient.integer,
        "allowed_hosts": lenient.texts,
        "allowed_networks": lenient.texts,
        "database": lenient.text,
    }

    uuid: str = Field(default="", title="UUID", description="The workspace's id at Leadpush.")
    variables: dict[str, Any] = Field(
        default={},
        title="Variables",
        description='Values for templates, as JSON: {"api": "https://api.example.com"} is read as '
        "{{ workspace.variables.api }}. No secrets.",
    )
    sample_contact: dict[str, Any] = Field(
        default={},
        title="Sample contact",
        description="The contact with which endpoints are tested, where no other is given, as JSON: "
        '{"id": "7", "email": "ana@example.com", "first_name": "Ana"}.',
    )
    max_timeout_seconds: float = Field(
        default=30.0,
        title="Longest timeout (seconds)",
        description="The longest timeout that an endpoint may have, in seconds.",
    )
    max_response_bytes: int = Field(
        default=1_048_576,
        title="Largest response (bytes)",
        description="The largest response that is read, in bytes, counted after decompression.",
    )
    allowed_hosts: list[str] = Field(
        default=[],
        title="Allowed hosts",
        description="Hosts that may be called, such as api.example.com or *.example.com. Empty: any.",
    )
    allowed_networks: list[str] = Field(
        default=[],
        title="Allowed networks",
        description="Networks that may be called although they are not public, such as 10.1.0.0/16. "
        "Only for an API of your own.",
    )
    database: str = Field(
        default="",
        title="Database",
        description="The name of a SqlAlchemyConnector block for contacts and outputs. Empty: an SQLite file "
        "in Prefect's home.",
    )

    _unusable: list[Problem] = PrivateAttr(default_factory=list)

    @model_validator(mode="wrap")
    @classmethod
    def _load_any_json(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        return block_of_any_json(cls, data, handler)

    def config(self) -> WorkspaceConfig:
        """The workspace as plain data."""
        return WorkspaceConfig(
            name=self.name,
            uuid=self.uuid,
            variables=self.variables,
            max_timeout_seconds=self.max_timeout_seconds,
            max_response_bytes=self.max_response_bytes,
            allowed_hosts=tuple(self.allowed_hosts),
            allowed_networks=tuple(self.allowed_networks),
            database=self.database,
        )

    def problems(self) -> list[Problem]:
        """What is wrong with the workspace, errors first.

        Example:
            >>> Workspace(max_timeout_seconds=5).problems()
            []
        """
        from leadpush_prefect.endpoints.validation import workspace_problems

        return [*self._unusable, *workspace_problems(self.config()), *self._sample_problems()]

    def _sample_problems(self) -> Iterator[Problem]:
        from leadpush_prefect.model.context import contact_from

        try:
            if self.sample_contact:
                contact_from(self.sample_contact, include_unsubscribed=True)
        except AudienceInvalid as invalid:  # campaigns do not read it, so that they may go on
            yield Problem("warning", "sample_contact", str(invalid), 'Give it an id, such as {"id": "7"}.')


def workspace_config(workspace: HasConfig | WorkspaceConfig | str) -> WorkspaceConfig:
    """A workspace as plain data, whether it is given or named.

    Raises:
        BlockInvalid: if it has problems, or there is none of that name.
    """
    if isinstance(workspace, str):
        from leadpush_prefect.blocks.loading import load_block

        workspace = load_block(Workspace, workspace, field="workspace")
    if isinstance(workspace, WorkspaceConfig):
        return workspace
    errors = [problem for problem in workspace.problems() if problem.severity == "error"]
    if errors:
        raise BlockInvalid(f"Workspace {workspace.name}".strip(), errors)
    return workspace.config()

"""The three Blocks: Workspace, ApiEndpoint and Audience.

Prefect imports this module when a server or a worker starts (entry point `prefect.collections`), so it is
light, and what sends requests or reads databases is imported where it is used.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar
from uuid import UUID

from prefect.blocks.core import Block
from prefect.types import SecretDict
from pydantic import (
    Field,
    GetJsonSchemaHandler,
    HttpUrl,
    ModelWrapValidatorHandler,
    PrivateAttr,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from leadpush_prefect import tolerance
from leadpush_prefect.config import METHODS, EndpointConfig, WorkspaceConfig
from leadpush_prefect.errors import AudienceInvalid, BlockInvalid, Problem, Reason

if TYPE_CHECKING:
    import httpx
    from prefect.client.orchestration import PrefectClient
    from prefect_sqlalchemy import SqlAlchemyConnector

    from leadpush_prefect.contact import ContactRow, InvalidRow
    from leadpush_prefect.context import CampaignContext
    from leadpush_prefect.prepared import PreparedEndpoint

__all__ = ["ApiEndpoint", "Audience", "Workspace"]

_DOCUMENTATION = HttpUrl("https://github.com/leadpush/leadpush-prefect#blocks")


if TYPE_CHECKING:
    _Base = Block
else:
    _Base = object
BlockT = TypeVar("BlockT", bound="_Checked")


class _Checked(_Base):
    """What the three Blocks share. Not a Block itself, since Prefect would list it as a type."""

    _unusable: list[Problem]
    _readers: ClassVar[Mapping[str, Callable[[Any], Any]]]
    _main_field: ClassVar[str]

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        # A flow's parameter is either a reference to a saved Block or a whole one, and Prefect refuses a run whose
        # parameter fits both. With no field required, a reference would.
        schema = handler(core_schema)
        handler.resolve_ref_schema(schema)["required"] = [cls._main_field]
        return schema

    @property
    def name(self) -> str:
        """The name of the Block's document; empty while it is not saved."""
        return self._block_document_name or ""

    def problems(self) -> list[Problem]:
        """What is wrong with the Block, errors first."""
        raise NotImplementedError

    def save(
        self, name: str | None = None, overwrite: bool = False, client: PrefectClient | None = None
    ) -> Any:
        """Save the Block.

        Raises:
            BlockInvalid: if it has problems.
        """
        self._refuse_problems(name)
        return super().save(name=name, overwrite=overwrite, client=client)

    async def asave(
        self, name: str | None = None, overwrite: bool = False, client: PrefectClient | None = None
    ) -> UUID:
        """Save the Block; the awaitable twin of `save`."""
        self._refuse_problems(name)
        saved: UUID = await super().asave(name=name, overwrite=overwrite, client=client)
        return saved

    def _refuse_problems(self, name: str | None) -> None:
        found = [*self._problems_of_saving(), *_name_problems(name or self.name)]
        errors = [problem for problem in found if problem.severity == "error"]
        if errors:
            reason = Reason.ENDPOINT_INVALID if isinstance(self, ApiEndpoint) else None
            raise BlockInvalid(f"{type(self).__name__} {name or self.name}".strip(), errors, reason)

    def _problems_of_saving(self) -> list[Problem]:
        return self.problems()


def _name_problems(name: str) -> list[Problem]:
    if re.fullmatch(r"[a-z0-9-]+", name):
        return []
    sentence = f"{name!r} is no name of a Block." if name else "The Block has no name."
    return [
        Problem(
            "error", "name", sentence, "Use lower-case letters, digits and dashes, such as customer-profile."
        )
    ]


def _tolerate(cls: type[BlockT], data: Any, handler: Callable[[Any], BlockT]) -> BlockT:
    if not isinstance(data, Mapping):
        return handler(data)
    usable, problems = tolerance.block_of_any_json(cls.model_fields, cls._readers, data)
    block = handler(usable)
    block._unusable = problems
    return block


def _error_or_empty(value: Any) -> str:
    if value not in ("error", "empty"):
        raise tolerance.Unusable("error or empty")
    return str(value)


class Workspace(_Checked, Block):
    """A Leadpush workspace: what its templates share, and the limits that its endpoints keep.

    Attributes:
        uuid: The workspace's id at Leadpush.
        variables: Values for templates, read as `{{ workspace.variables.NAME }}`.
        max_timeout_seconds: The longest timeout that an endpoint may have, in seconds. Default 30.
        max_response_bytes: The largest answer in bytes, counted after decompression. Default 1,048,576.
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
    _documentation_url = _DOCUMENTATION
    _readers: ClassVar[Mapping[str, Any]] = {
        "uuid": tolerance.text,
        "variables": tolerance.mapping(tolerance.anything),
        "max_timeout_seconds": tolerance.number,
        "max_response_bytes": tolerance.integer,
        "allowed_hosts": tolerance.texts,
        "allowed_networks": tolerance.texts,
        "database": tolerance.text,
    }

    uuid: str = Field(default="", title="UUID", description="The workspace's id at Leadpush.")
    variables: dict[str, Any] = Field(
        default={},
        title="Variables",
        description='Values for templates, as JSON: {"api": "https://api.example.com"} is read as '
        "{{ workspace.variables.api }}. No secrets.",
    )
    max_timeout_seconds: float = Field(
        default=30.0,
        title="Longest timeout (seconds)",
        description="The longest timeout that an endpoint may have, in seconds.",
    )
    max_response_bytes: int = Field(
        default=1_048_576,
        title="Largest answer (bytes)",
        description="The largest answer that is read, in bytes, counted after decompression.",
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
        return _tolerate(cls, data, handler)

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
        from leadpush_prefect.problems import workspace_problems

        return [*self._unusable, *workspace_problems(self.config())]


def workspace_config(workspace: Workspace | WorkspaceConfig | str) -> WorkspaceConfig:
    """A workspace as plain data, whether it is given or named.

    Raises:
        BlockInvalid: if it has problems, or there is none of that name.
    """
    if isinstance(workspace, str):
        from leadpush_prefect.loading import load_block

        workspace = load_block(Workspace, workspace, field="workspace")
    if isinstance(workspace, WorkspaceConfig):
        return workspace
    errors = [problem for problem in workspace.problems() if problem.severity == "error"]
    if errors:
        raise BlockInvalid(f"Workspace {workspace.name}".strip(), errors)
    return workspace.config()


class ApiEndpoint(_Checked, Block):
    """An API that campaigns fetch JSON from: the templates of its request, and how it is called.

    Attributes:
        workspace: The name of the Workspace that it belongs to; empty for the campaign's.
        method: GET, POST, PUT, PATCH or DELETE, in any case.
        url: A template that begins with `https://` or with one `{{ workspace.variables.NAME }}`. Values are
            percent-encoded as the text of one path segment or one query value.
        headers: Templates, by header name.
        query: Templates, by parameter name; a list repeats the parameter.
        body: A template: JSON, unless the header Content-Type says otherwise.
        secrets: Values that headers, query and body read as `{{ secrets.NAME }}`; masked wherever they show.
        timeout_seconds: The deadline of one attempt, from resolving the name to the body's last byte. Default
            10.
        enabled: Whether it may be called.
        missing_variables: `error`, or `empty` to render a missing value as nothing (never in the URL's path).
        max_concurrency: Requests at once, in one process. Default 16.
        requests_per_second: In one process; 0 for no limit.
        max_attempts: How often a request is sent at most, the first time included. Default 3.

    Example:
        Load a saved endpoint and use it in a flow:
        ```python
        from leadpush_prefect import ApiEndpoint

        endpoint = ApiEndpoint.load("BLOCK_NAME")
        ```
    """

    _block_type_name = "Leadpush API Endpoint"
    _block_type_slug = "leadpush-api-endpoint"
    _main_field: ClassVar[str] = "url"
    _documentation_url = _DOCUMENTATION
    _readers: ClassVar[Mapping[str, Any]] = {
        "workspace": tolerance.text,
        "method": tolerance.text,
        "url": tolerance.text,
        "headers": tolerance.mapping(tolerance.scalar),
        "query": tolerance.mapping(tolerance.scalars),
        "body": tolerance.template,
        "secrets": tolerance.mapping(tolerance.text),
        "timeout_seconds": tolerance.number,
        "enabled": tolerance.switch,
        "missing_variables": _error_or_empty,
        "max_concurrency": tolerance.integer,
        "requests_per_second": tolerance.number,
        "max_attempts": tolerance.integer,
    }

    workspace: str = Field(
        default="",
        title="Workspace",
        description="The name of the Leadpush Workspace block that it belongs to. Empty: the campaign's.",
    )
    method: str = Field(
        default="GET",
        title="Method",
        description="GET, POST, PUT, PATCH or DELETE.",
        json_schema_extra={
            "enum": list(METHODS)
        },  # a menu in the form; what else is saved is problems()' to say
    )
    url: str = Field(
        default="",
        title="URL",
        description="A template, such as https://api.example.com/customers/{{ contact.attributes.email }}"
        "/profile. Values are percent-encoded.",
    )
    headers: dict[str, Any] = Field(
        default={},
        title="Headers",
        description='Templates by name, as JSON: {"Authorization": "Bearer {{ secrets.api_key }}"}.',
    )
    query: dict[str, Any] = Field(
        default={},
        title="Query",
        description='Templates by parameter, as JSON: {"plan": "{{ workflow.customer_profile.plan }}"}. '
        "A list repeats the parameter.",
    )
    body: str = Field(
        default="",
        title="Body",
        description='A template. As JSON: {"name": "{{ contact.attributes.first_name }}"}; a string that is '
        "one single {{ expression }} keeps the value's type.",
    )
    secrets: SecretDict = Field(
        default=SecretDict({}),
        title="Secrets",
        description='Values that headers, query and body read, as JSON: {"api_key": "..."} is read as '
        "{{ secrets.api_key }}.",
    )
    timeout_seconds: float = Field(
        default=10.0,
        title="Timeout (seconds)",
        description="The deadline of one attempt, from resolving the name to the last byte of the answer.",
    )
    enabled: bool = Field(default=True, title="Enabled", description="Whether campaigns may call it.")
    missing_variables: str = Field(
        default="error",
        title="Missing variables",
        description="error: a missing value fails the contact. empty: it renders as nothing (never in the "
        "URL's path).",
        json_schema_extra={"enum": ["error", "empty"]},
    )
    max_concurrency: int = Field(
        default=16,
        title="Requests at once",
        description="How many requests are under way at once, in one process.",
    )
    requests_per_second: float = Field(
        default=0.0,
        title="Requests per second",
        description="The most requests per second, in one process. 0: no limit.",
    )
    max_attempts: int = Field(
        default=3,
        title="Attempts",
        description="How often a request is sent at most when the API fails in a way that may pass.",
    )

    _unusable: list[Problem] = PrivateAttr(default_factory=list)
    _prepared: PreparedEndpoint | None = PrivateAttr(default=None)

    @model_validator(mode="wrap")
    @classmethod
    def _load_any_json(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        return _tolerate(cls, data, handler)

    def config(self) -> EndpointConfig:
        """The endpoint as plain data, secrets in clear."""
        return EndpointConfig(
            name=self.name,
            workspace=self.workspace,
            method=self.method.strip().upper(),
            url=self.url,
            headers=self.headers,
            query=self.query,
            body=self.body,
            secrets=self.secrets.get_secret_value(),
            timeout_seconds=self.timeout_seconds,
            enabled=self.enabled,
            missing_variables=self.missing_variables,
            max_concurrency=self.max_concurrency,
            requests_per_second=self.requests_per_second,
            max_attempts=self.max_attempts,
        )

    def problems(self, workspace: Workspace | WorkspaceConfig | None = None) -> list[Problem]:
        """What is wrong with the endpoint, errors first.

        Args:
            workspace: Its workspace; by default the one that it names, which is looked up in Prefect.

        Example:
            >>> [problem] = ApiEndpoint(url="https://{{ contact.attributes.host }}/").problems()
            >>> problem.field, problem.severity
            ('url', 'error')
        """
        from leadpush_prefect.problems import endpoint_problems

        found = list(self._unusable)
        if workspace is None and self.workspace:
            try:
                workspace = workspace_config(self.workspace)
            except BlockInvalid as unknown:
                found += unknown.problems
        config = workspace.config() if isinstance(workspace, Workspace) else workspace
        return [*found, *endpoint_problems(self.config(), config)]

    def build_request(self, context: CampaignContext) -> httpx.Request:
        """The request for one contact, with exactly what the wire will have. Nothing is sent.

        Args:
            context: The contact on its way through a campaign.

        Raises:
            FetchFailed: if a template cannot be rendered for this contact.
            BlockInvalid: if the endpoint has problems.

        Example:
            >>> from leadpush_prefect import CampaignContext
            >>> endpoint = ApiEndpoint(url="https://api.example.com/customers/{{ contact.attributes.email }}")
            >>> context = CampaignContext(
            ...     workspace=Workspace(), campaign="welcome", contact={"id": 1, "email": "a+b/c@example.com"}
            ... )
            >>> str(endpoint.build_request(context).url)
            'https://api.example.com/customers/a%2Bb%2Fc%40example.com'
        """
        from leadpush_prefect.calling import rendered_request

        return rendered_request(self.prepare(context.workspace), context).to_httpx()

    def call(self, context: CampaignContext, transport: httpx.AsyncBaseTransport | None = None) -> Any:
        """Send the request for one contact, and give the answer's JSON: an object or an array.

        Args:
            context: The contact on its way through a campaign.
            transport: What sends the request instead of the network, such as `httpx.MockTransport`.

        Raises:
            FetchFailed: with the Reason, if there is no such answer.
            BlockInvalid: if the endpoint has problems.

        Example:
            >>> import httpx
            >>> from leadpush_prefect import CampaignContext
            >>> context = CampaignContext(workspace=Workspace(), campaign="welcome", contact={"id": 1})
            >>> api = httpx.MockTransport(lambda request: httpx.Response(200, json={"plan": "pro"}))
            >>> ApiEndpoint(url="https://api.example.com/profile").call(context, transport=api)
            {'plan': 'pro'}
        """
        from leadpush_prefect.calling import call

        return call(self.prepare(context.workspace), context, transport)

    async def acall(self, context: CampaignContext, transport: httpx.AsyncBaseTransport | None = None) -> Any:
        """Send the request for one contact; the awaitable twin of `call`, with its arguments and errors.

        Cancelling it stops the request. With a transport it runs on the caller's own loop.
        """
        from leadpush_prefect.calling import acall

        return await acall(self.prepare(context.workspace), context, transport)

    def prepare(self, workspace: Workspace | WorkspaceConfig | str) -> PreparedEndpoint:
        """The endpoint, checked and compiled for a workspace; compiled again only when one of them has
        changed.

        Args:
            workspace: The campaign's workspace, or its name.

        Raises:
            BlockInvalid: `endpoint_invalid`, `endpoint_disabled` or `workspace_mismatch`.
        """
        from leadpush_prefect.prepared import prepare

        config, workspace = self.config(), workspace_config(workspace)
        if self._prepared is None or self._prepared.made_of != (config, workspace):
            self._prepared = prepare(config, workspace, self._unusable)
        return self._prepared


class Audience(_Checked, Block):
    """Whom a campaign is for: the contacts of a file, a query, or anything that can be iterated. Always
    streamed.

    Attributes:
        path: A CSV or JSONL file.
        connector: The name of a SqlAlchemyConnector Block.
        query: The SQL query whose rows are the contacts.
        id_column: The column of the contact's id; empty for the first of `_id`, `uuid`, `id`.

    Example:
        Load a saved audience:
        ```python
        from leadpush_prefect import Audience

        audience = Audience.load("BLOCK_NAME")
        ```
    """

    _block_type_name = "Leadpush Audience"
    _block_type_slug = "leadpush-audience"
    _main_field: ClassVar[str] = "path"
    _documentation_url = _DOCUMENTATION
    _readers: ClassVar[Mapping[str, Any]] = dict.fromkeys(
        ("path", "connector", "query", "id_column"), tolerance.text
    )

    path: str = Field(
        default="",
        title="File",
        description="A CSV or JSONL file, where the campaign runs. Its column _id, uuid or id is the "
        "contact's id.",
    )
    connector: str = Field(
        default="",
        title="Database",
        description="The name of a SqlAlchemyConnector block, if the contacts are the rows of a query.",
    )
    query: str = Field(
        default="",
        title="SQL query",
        description="The query, such as SELECT id, email, subscribed FROM customers WHERE renews_at < now().",
    )
    id_column: str = Field(
        default="",
        title="Id column",
        description="The column of the contact's id. Empty: the first of _id, uuid and id.",
    )

    _unusable: list[Problem] = PrivateAttr(default_factory=list)
    _contacts: Iterable[Mapping[str, Any]] | None = PrivateAttr(default=None)
    _connector: Any = PrivateAttr(default=None)

    @model_validator(mode="wrap")
    @classmethod
    def _load_any_json(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        return _tolerate(cls, data, handler)

    @classmethod
    def from_file(cls, path: str | Path, *, id: str = "") -> Self:
        """The contacts of a file.

        Args:
            path: A `.csv` file (RFC 4180) or a `.jsonl` file, in UTF-8.
            id: The column of the contact's id; by default the first of `_id`, `uuid`, `id`.

        Example:
            >>> Audience.from_file("customers.csv").describe()
            'customers.csv'
        """
        return cls(path=str(path), id_column=id)

    @classmethod
    def from_sql(cls, connector: SqlAlchemyConnector | str, query: str, *, id: str = "") -> Self:
        """The rows of a query.

        Args:
            connector: A `SqlAlchemyConnector` (with a sync driver), or the name of a saved one.
            query: The SQL.
            id: The column of the contact's id; by default the first of `_id`, `uuid`, `id`.

        Example:
            >>> Audience.from_sql("warehouse", "SELECT id, email, subscribed FROM customers").describe()
            'query through warehouse'
        """
        name = connector if isinstance(connector, str) else connector._block_document_name or "unsaved"
        audience = cls(connector=name, query=query, id_column=id)
        audience._connector = None if isinstance(connector, str) else connector
        return audience

    @classmethod
    def from_contacts(cls, contacts: Iterable[Mapping[str, Any]], *, id: str = "") -> Self:
        """Any iterable of contacts, such as a generator. It is read once.

        Args:
            contacts: Each in Leadpush's shape or flat, as in `CampaignContext`. A NaN in it is null.
            id: The key of the contact's id; by default the first of `_id`, `uuid`, `id`.

        Example:
            >>> audience = Audience.from_contacts([{"id": 1, "email": "ana@example.com"}])
            >>> [row.contact_id for row in audience.rows()]
            ['1']
        """
        if not isinstance(contacts, Iterable):
            raise TypeError(f"contacts is a {type(contacts).__name__}, and must be iterable, such as a list.")
        audience = cls(id_column=id)
        audience._contacts = contacts
        return audience

    def __len__(self) -> int:
        raise TypeError("An audience is streamed; it has no length before it is read.")

    def __bool__(self) -> bool:
        return True

    def describe(self) -> str:
        """Where the contacts come from, in words."""
        if self._contacts is not None:
            return "contacts given in Python"
        return f"query through {self.connector}" if self.query else self.path

    def problems(self) -> list[Problem]:
        """What is wrong with the audience.

        Example:
            >>> print(Audience().problems()[0])
            path: It has no source. Give a file, or a database and a query.
        """
        found = list(self._unusable)
        if self._contacts is None:
            found += self._source_problems()
        return found

    def _source_problems(self) -> Iterator[Problem]:
        if self.path and (self.query or self.connector):
            yield Problem("error", "path", "There is a file and a query.", "Leave one of them out.")
        elif self.path:
            if Path(self.path).suffix.lower() not in (".csv", ".jsonl", ".ndjson"):
                yield Problem("error", "path", "It is neither .csv nor .jsonl.", "Give a CSV or JSONL file.")
        elif self.query and not self.connector:
            yield Problem("error", "connector", "It is empty.", "Name the SqlAlchemyConnector block to ask.")
        elif self.connector and not self.query:
            yield Problem("error", "query", "It is empty.", "Write the SQL whose rows are the contacts.")
        elif not self.query:
            yield Problem("error", "path", "It has no source.", "Give a file, or a database and a query.")

    def rows(self) -> Iterator[ContactRow | InvalidRow]:
        """The contacts, streamed: each as it will be stored, or why it cannot be.

        Raises:
            AudienceInvalid: if the source as a whole cannot be read.
        """
        from leadpush_prefect import audience as readers

        if self._contacts is not None:
            return readers.read_contacts(self._contacts, id=self.id_column)
        if self.query:
            from leadpush_prefect.sql_audience import read_query

            return read_query(self._connector or self._load_connector(), self.query, id=self.id_column)
        read = readers.read_csv if Path(self.path).suffix.lower() == ".csv" else readers.read_jsonl
        return read(self.path, id=self.id_column)

    def find(self, contact_id: str) -> dict[str, Any]:
        """One contact, for a campaign that an event starts.

        The audience is read until the contact comes; of a large one, give a query that gives few rows.

        Args:
            contact_id: The contact's id.

        Returns:
            The contact in Leadpush's shape.

        Raises:
            AudienceInvalid: if there is no such contact, or the source cannot be read.
            BlockInvalid: if the audience has problems.

        Example:
            >>> Audience.from_contacts([{"id": 1}, {"id": 2, "plan": "pro"}]).find("2")["attributes"]
            {'plan': 'pro'}
        """
        from leadpush_prefect.contact import ContactRow
        from leadpush_prefect.json_text import from_json

        errors = [problem for problem in self.problems() if problem.severity == "error"]
        if errors:
            raise BlockInvalid(f"Audience {self.name}".strip(), errors)
        for row in self.rows():
            if isinstance(row, ContactRow) and row.contact_id == contact_id:
                contact: dict[str, Any] = from_json(row.data)
                return contact
        raise AudienceInvalid(f"Contact {contact_id} is not in the audience ({self.describe()}).")

    def _load_connector(self) -> Any:
        from prefect_sqlalchemy import SqlAlchemyConnector

        from leadpush_prefect.loading import load_block

        return load_block(SqlAlchemyConnector, self.connector, field="connector")

    def _problems_of_saving(self) -> list[Problem]:
        if self._contacts is None:
            return self.problems()
        sentence = "Contacts given in Python cannot be saved."
        return [Problem("error", "path", sentence, "Write them to a file, or into a database.")]

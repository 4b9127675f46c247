"""The Block ApiEndpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from prefect.blocks.core import Block
from prefect.types import SecretDict
from pydantic import Field, ModelWrapValidatorHandler, PrivateAttr, model_validator

import leadpush_prefect.blocks.lenient as lenient
from leadpush_prefect.blocks.base import DOCUMENTATION, CheckedBlock, block_of_any_json
from leadpush_prefect.blocks.one_contact import flow_key, warn_of_repeats
from leadpush_prefect.blocks.workspace import Workspace, workspace_config
from leadpush_prefect.errors import BlockInvalid, Problem, Reason
from leadpush_prefect.model.config import METHODS, EndpointConfig, HasConfig, WorkspaceConfig

if TYPE_CHECKING:
    import httpx

    from leadpush_prefect.endpoints.prepared import PreparedEndpoint
    from leadpush_prefect.model.context import CampaignContext

__all__ = ["ApiEndpoint"]


def _error_or_empty(value: Any) -> str:
    if value not in ("error", "empty"):
        raise lenient.Unusable("error or empty")
    return str(value)


class ApiEndpoint(CheckedBlock, Block):
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
        follow_redirects: Whether redirects are followed, 5 at most, each within the workspace's limits. To another
            origin (scheme, host and port) goes only a GET, with no header of the endpoint's own. Default False.
        reuse_connections: Whether a connection to the API carries one request after the other. Default True.
        idempotency_header: The header in which a POST or PATCH carries a key, such as `Idempotency-Key` (IETF
            draft-ietf-httpapi-idempotency-key-header): the same key for the same run, step and contact, so that an API
            that knows the header does once what it is asked twice. With it a write is sent again as a GET is. For an
            API that does not keep keys, leave it empty, which is the default.

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
    _reason: ClassVar[Reason | None] = Reason.ENDPOINT_INVALID
    _documentation_url = DOCUMENTATION
    _readers: ClassVar[Mapping[str, Any]] = {
        "workspace": lenient.text,
        "method": lenient.text,
        "url": lenient.text,
        "headers": lenient.mapping(lenient.scalar),
        "query": lenient.mapping(lenient.scalars),
        "body": lenient.template,
        "secrets": lenient.mapping(lenient.text),
        "timeout_seconds": lenient.number,
        "enabled": lenient.switch,
        "missing_variables": _error_or_empty,
        "max_concurrency": lenient.integer,
        "requests_per_second": lenient.number,
        "max_attempts": lenient.integer,
        "follow_redirects": lenient.switch,
        "reuse_connections": lenient.switch,
        "idempotency_header": lenient.text,
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
        description="The deadline of one attempt, from resolving the name to the last byte of the response.",
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
    follow_redirects: bool = Field(
        default=False,
        title="Follow redirects",
        description="Up to 5. Headers, secrets and body do not go to another host.",
    )
    reuse_connections: bool = Field(
        default=True,
        title="Reuse connections",
        description="Off: each request gets a connection of its own, for an API that mixes up its responses.",
    )
    idempotency_header: str = Field(
        default="",
        title="Idempotency header",
        description="Where the API does once what it is asked twice under one key: the header of the key, such as "
        "Idempotency-Key. A POST or PATCH is then sent again as a GET is. Empty: none.",
    )

    if TYPE_CHECKING:  # a field takes more than it is: plain secrets, and a body of any JSON

        def __init__(
            self,
            *,
            workspace: str = "",
            method: str = "GET",
            url: str = "",
            headers: Mapping[str, Any] = {},
            query: Mapping[str, Any] = {},
            body: str | Mapping[str, Any] | list[Any] = "",
            secrets: Mapping[str, str] | SecretDict = {},  # noqa: B006
            timeout_seconds: float = 10.0,
            enabled: bool = True,
            missing_variables: Literal["error", "empty"] = "error",
            max_concurrency: int = 16,
            requests_per_second: float = 0.0,
            max_attempts: int = 3,
            follow_redirects: bool = False,
            reuse_connections: bool = True,
            idempotency_header: str = "",
        ) -> None: ...

    _unusable: list[Problem] = PrivateAttr(default_factory=list)
    _prepared: PreparedEndpoint | None = PrivateAttr(default=None)

    @model_validator(mode="wrap")
    @classmethod
    def _load_any_json(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        return block_of_any_json(cls, data, handler)

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
            follow_redirects=self.follow_redirects,
            reuse_connections=self.reuse_connections,
            idempotency_header=self.idempotency_header.strip(),
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
        from leadpush_prefect.endpoints.validation import endpoint_problems

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

        With an `idempotency_header`, the key of a POST or PATCH is made of the flow run's id, the endpoint's name and
        the contact's id, so that outside of a flow there is none.

        Args:
            context: The contact on its way through a campaign.

        Raises:
            FetchFailed: if a template cannot be rendered for this contact.
            BlockInvalid: if the endpoint has problems, or an `idempotency_header` outside of a flow.

        Example:
            >>> from leadpush_prefect import CampaignContext
            >>> endpoint = ApiEndpoint(url="https://api.example.com/customers/{{ contact.attributes.email }}")
            >>> context = CampaignContext(
            ...     workspace=Workspace(), campaign="welcome", contact={"id": 1, "email": "a+b/c@example.com"}
            ... )
            >>> str(endpoint.build_request(context).url)
            'https://api.example.com/customers/a%2Bb%2Fc%40example.com'
        """
        from leadpush_prefect.sending.client import rendered_request

        target = self.prepare(context.workspace)
        return rendered_request(target, context, flow_key(target, context)).to_httpx()

    def call(self, context: CampaignContext, transport: httpx.AsyncBaseTransport | None = None) -> Any:
        """Send the request for one contact, and give the response's JSON: an object or an array.

        With an `idempotency_header`, a POST or PATCH has the key that `build_request` shows: within one flow run the
        API does it once for a contact, however often it is called.

        Args:
            context: The contact on its way through a campaign.
            transport: What sends the request instead of the network, such as `httpx.MockTransport`.

        Raises:
            FetchFailed: with the Reason, if there is no such response.
            BlockInvalid: if the endpoint has problems, or an `idempotency_header` outside of a flow.

        Example:
            >>> import httpx
            >>> from leadpush_prefect import CampaignContext
            >>> context = CampaignContext(workspace=Workspace(), campaign="welcome", contact={"id": 1})
            >>> api = httpx.MockTransport(lambda request: httpx.Response(200, json={"plan": "pro"}))
            >>> ApiEndpoint(url="https://api.example.com/profile").call(context, transport=api)
            {'plan': 'pro'}
        """
        from leadpush_prefect.sending.client import call

        target = self.prepare(context.workspace)
        warn_of_repeats(target)
        return call(target, context, transport, flow_key(target, context))

    async def acall(self, context: CampaignContext, transport: httpx.AsyncBaseTransport | None = None) -> Any:
        """Send the request for one contact; the awaitable twin of `call`, with its arguments and errors.

        Cancelling it stops the request. With a transport it runs on the caller's own loop.
        """
        from leadpush_prefect.sending.client import acall

        target = self.prepare(context.workspace)
        warn_of_repeats(target)
        return await acall(target, context, transport, flow_key(target, context))

    def prepare(self, workspace: HasConfig | WorkspaceConfig | str) -> PreparedEndpoint:
        """The endpoint, checked and compiled for a workspace; compiled again only when one of them has
        changed.

        Args:
            workspace: The campaign's workspace, or its name.

        Raises:
            BlockInvalid: `endpoint_invalid`, `endpoint_disabled` or `workspace_mismatch`.
        """
        from leadpush_prefect.endpoints.prepared import prepare

        config, workspace = self.config(), workspace_config(workspace)
        if self._prepared is None or self._prepared.made_of != (config, workspace):
            self._prepared = prepare(config, workspace, self._unusable)
        return self._prepared

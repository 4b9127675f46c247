"""What a workspace and an endpoint are, as plain data: what the Blocks hold, without Prefect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from leadpush_prefect.errors import Problem

__all__ = ["METHODS", "EndpointConfig", "HasConfig", "Secrets", "WorkspaceConfig"]

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


V = TypeVar("V")


class Secrets(dict[str, V]):
    """Values by name, some of which are secrets. Only their names are told: it stands in tracebacks that show locals.

    >>> Secrets(api_key="s3cr3t")
    <secrets: api_key>
    """

    def __repr__(self) -> str:
        return f"<secrets: {', '.join(self)}>"

    __str__ = __repr__


@dataclass(frozen=True, slots=True)
class WorkspaceConfig:
    """A workspace: what templates read of it, and the limits that it sets.

    Attributes:
        name: The Block document's name.
        uuid: The workspace's id at Leadpush.
        variables: Values for templates.
        max_timeout_seconds: The longest timeout that an endpoint may have.
        max_response_bytes: The largest response, decompressed.
        allowed_hosts: Hosts that may be called, such as `*.example.com`; empty: any.
        allowed_networks: Networks (CIDR) that may be called although they are not public.
        database: The name of a SqlAlchemyConnector Block; empty: the embedded SQLite file.
    """

    name: str = ""
    uuid: str = ""
    variables: Mapping[str, Any] = field(default_factory=dict)
    max_timeout_seconds: float = 30.0
    max_response_bytes: int = 1_048_576
    allowed_hosts: tuple[str, ...] = ()
    allowed_networks: tuple[str, ...] = ()
    database: str = ""


class HasConfig(Protocol):
    """A Workspace, without knowing of Blocks."""

    @property
    def name(self) -> str:
        """The Block document's name; empty while it is not saved."""

    def problems(self) -> list[Problem]:
        """What is wrong with it."""

    def config(self) -> WorkspaceConfig:
        """The workspace as plain data."""


@dataclass(frozen=True, slots=True)
class EndpointConfig:
    """An endpoint: the templates of a request, and how it is sent. `ApiEndpoint` documents each field."""

    name: str = ""
    workspace: str = ""
    method: str = "GET"
    url: str = ""
    headers: Mapping[str, Any] = field(default_factory=dict)
    query: Mapping[str, Any] = field(default_factory=dict)
    body: str = ""
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout_seconds: float = 10.0
    enabled: bool = True
    missing_variables: str = "error"
    max_concurrency: int = 16
    requests_per_second: float = 0.0
    max_attempts: int = 3
    follow_redirects: bool = False
    reuse_connections: bool = True
    idempotency_header: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "secrets", Secrets(self.secrets))

    def header(self, name: str) -> str | None:
        """The template of a header, whatever the case of its name."""
        return next((str(value) for key, value in self.headers.items() if key.lower() == name.lower()), None)

    def query_values(self, name: str) -> Sequence[Any]:
        """The templates of a parameter: a list repeats it."""
        value = self.query[name]
        return value if isinstance(value, (list, tuple)) else [value]

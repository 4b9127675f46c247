"""The saved endpoints by workspace, with what is wrong with them, for whoever shows them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from leadpush_prefect.blocks import ApiEndpoint, Workspace
from leadpush_prefect.blocks.loading import saved_blocks
from leadpush_prefect.errors import Problem
from leadpush_prefect.reports.last_tests import LastTest, last_tests

__all__ = ["EndpointRow", "WorkspaceEndpoints", "endpoints_by_workspace", "has_errors"]


@dataclass(frozen=True, slots=True)
class EndpointRow:
    """A saved endpoint.

    Attributes:
        name: Its name.
        method: In upper case.
        url: The template.
        timeout_seconds: Of an attempt.
        enabled: Whether campaigns may call it.
        problems: What is wrong with it, in its workspace.
        last_test: None if it was never tested in Prefect.
    """

    name: str
    method: str
    url: str
    timeout_seconds: float
    enabled: bool
    problems: tuple[Problem, ...]
    last_test: LastTest | None


@dataclass(frozen=True, slots=True)
class WorkspaceEndpoints:
    """A workspace with its endpoints.

    Attributes:
        name: The workspace's name; empty for the endpoints that name none.
        workspace: The Block; None if there is none of that name.
        problems: What is wrong with the Block.
        endpoints: Those that name it.
    """

    name: str
    workspace: Workspace | None
    problems: tuple[Problem, ...]
    endpoints: tuple[EndpointRow, ...]

    @property
    def title(self) -> str:
        """The workspace, as a heading."""
        if not self.name:
            return "Endpoints of any workspace"
        return f"Workspace {self.name}" + ("" if self.workspace else " (there is no such Block)")

    @property
    def limits(self) -> str:
        """The workspace's limits in one line; empty if there is no such workspace.

        >>> WorkspaceEndpoints("acme", Workspace(allowed_hosts=["api.example.com"]), (), ()).limits
        'timeout up to 30 s, responses up to 1,048,576 bytes, hosts api.example.com'
        """
        if self.workspace is None:
            return ""
        limits = self.workspace
        hosts = ", ".join(limits.allowed_hosts) or "any public"
        networks = f" and {', '.join(limits.allowed_networks)}" if limits.allowed_networks else ""
        return (
            f"timeout up to {limits.max_timeout_seconds:g} s, responses up to {limits.max_response_bytes:,} bytes, "
            f"hosts {hosts}{networks}"
        )


def endpoints_by_workspace() -> list[WorkspaceEndpoints]:
    """All workspaces with their endpoints, and the endpoints of none."""
    workspaces = {workspace.name: workspace for workspace in saved_blocks(Workspace)}
    endpoints: defaultdict[str, list[ApiEndpoint]] = defaultdict(list)
    for endpoint in saved_blocks(ApiEndpoint):
        endpoints[endpoint.workspace].append(endpoint)
    tests = last_tests(endpoint.name for each in endpoints.values() for endpoint in each)
    return [
        _group(name, workspaces.get(name), endpoints[name], tests)
        for name in dict.fromkeys([*workspaces, *endpoints])
    ]


def has_errors(groups: Iterable[WorkspaceEndpoints]) -> bool:
    """Whether any of the Blocks would be refused."""
    return any(
        problem.severity == "error"
        for group in groups
        for problems in (group.problems, *(endpoint.problems for endpoint in group.endpoints))
        for problem in problems
    )


def _group(
    name: str, workspace: Workspace | None, endpoints: Iterable[ApiEndpoint], tests: Mapping[str, LastTest]
) -> WorkspaceEndpoints:
    return WorkspaceEndpoints(
        name,
        workspace,
        tuple(workspace.problems()) if workspace else (),
        tuple(_row(endpoint, workspace, tests.get(endpoint.name)) for endpoint in endpoints),
    )


def _row(endpoint: ApiEndpoint, workspace: Workspace | None, test: LastTest | None) -> EndpointRow:
    return EndpointRow(
        endpoint.name,
        endpoint.method.upper(),
        endpoint.url,
        endpoint.timeout_seconds,
        endpoint.enabled,
        tuple(endpoint.problems(workspace)),
        test,
    )

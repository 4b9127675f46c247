"""The saved endpoints by workspace, with the workspace's limits: the same for the terminal and for a page."""

from __future__ import annotations

from dataclasses import dataclass, field

from leadpush_prefect.blocks import ApiEndpoint, Workspace
from leadpush_prefect.blocks.loading import saved_blocks

__all__ = ["Group", "endpoints_by_workspace"]


@dataclass(frozen=True, slots=True)
class Group:
    """A workspace with its endpoints.

    Attributes:
        name: The workspace's name; empty for the endpoints that name none.
        workspace: The Block; None if there is none of that name.
        endpoints: Those that name it, by name.
    """

    name: str
    workspace: Workspace | None
    endpoints: list[ApiEndpoint] = field(default_factory=list)

    @property
    def title(self) -> str:
        """The workspace, as a heading."""
        if not self.name:
            return "Endpoints of any workspace"
        return (
            f"Workspace {self.name}" if self.workspace else f"Workspace {self.name} (there is no such Block)"
        )

    @property
    def limits(self) -> str:
        """The workspace's limits in one line; empty if there is no such workspace.

        >>> Group("acme", Workspace(allowed_hosts=["api.example.com"])).limits
        'timeout up to 30 s, answers up to 1,048,576 bytes, hosts api.example.com'
        """
        if self.workspace is None:
            return ""
        limits = self.workspace
        hosts = ", ".join(limits.allowed_hosts) or "any public"
        networks = f" and {', '.join(limits.allowed_networks)}" if limits.allowed_networks else ""
        return (
            f"timeout up to {limits.max_timeout_seconds:g} s, answers up to {limits.max_response_bytes:,} bytes, "
            f"hosts {hosts}{networks}"
        )


def endpoints_by_workspace() -> list[Group]:
    """All workspaces with their endpoints, and the endpoints of none."""
    groups = {workspace.name: Group(workspace.name, workspace) for workspace in saved_blocks(Workspace)}
    for endpoint in saved_blocks(ApiEndpoint):
        name = endpoint.workspace
        groups.setdefault(name, Group(name, None)).endpoints.append(endpoint)
    return list(groups.values())

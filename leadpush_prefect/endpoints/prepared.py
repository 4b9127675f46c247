"""An endpoint that may be called: checked and compiled, in its workspace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from leadpush_prefect.endpoints.compiled import CompiledEndpoint, compile_endpoint
from leadpush_prefect.endpoints.idempotency import takes_key
from leadpush_prefect.endpoints.validation import endpoint_problems
from leadpush_prefect.errors import BlockInvalid, Problem, Reason
from leadpush_prefect.model.config import EndpointConfig, WorkspaceConfig
from leadpush_prefect.templates import TemplateFailed
from leadpush_prefect.text.projection import Paths

__all__ = ["PreparedEndpoint", "prepare"]


@dataclass(frozen=True, slots=True)
class PreparedEndpoint:
    """An endpoint that may be called.

    Attributes:
        endpoint: Its templates, compiled.
        workspace: Where it is called, and so within which limits.
        keep: Which parts of a response are kept; none: all of it.
    """

    endpoint: CompiledEndpoint
    workspace: WorkspaceConfig
    keep: Paths = ()

    @property
    def name(self) -> str:
        """The endpoint's name."""
        return self.endpoint.config.name

    @property
    def digest(self) -> str:
        """Of what it sends under a key; empty without a key."""
        config = self.endpoint.config
        if not takes_key(config):
            return ""
        return sha256(
            repr((config.method, config.url, config.body)).encode("utf-8", "surrogatepass")
        ).hexdigest()[:32]

    @property
    def made_of(self) -> tuple[EndpointConfig, WorkspaceConfig]:
        """What it was made of."""
        return self.endpoint.config, self.workspace


def prepare(
    endpoint: EndpointConfig, workspace: WorkspaceConfig, unusable: Sequence[Problem] = ()
) -> PreparedEndpoint:
    """Check and compile an endpoint.

    Args:
        endpoint: The endpoint.
        workspace: The campaign's workspace.
        unusable: What is wrong with the endpoint's Block already.

    Raises:
        BlockInvalid: `workspace_mismatch`, `endpoint_disabled`, or `endpoint_invalid` with what is wrong.
    """
    if endpoint.workspace and endpoint.workspace != workspace.name:
        sentence = (
            f"It belongs to workspace {endpoint.workspace!r}, and the campaign runs in {workspace.name!r}."
        )
        raise _refused(endpoint, Reason.WORKSPACE_MISMATCH, Problem("error", "workspace", sentence, _MOVE))
    if not endpoint.enabled:
        problem = Problem(
            "error", "enabled", Reason.ENDPOINT_DISABLED.sentence, Reason.ENDPOINT_DISABLED.remedy
        )
        raise _refused(endpoint, Reason.ENDPOINT_DISABLED, problem)
    errors = [*unusable, *(p for p in endpoint_problems(endpoint, workspace) if p.severity == "error")]
    if errors:
        raise _refused(endpoint, Reason.ENDPOINT_INVALID, *errors)
    compiled = _compiled(endpoint, workspace)
    if isinstance(compiled, Problem):
        # Raised here, so that no exception comes along whose frames hold secrets.
        raise _refused(endpoint, Reason.ENDPOINT_INVALID, compiled)
    return PreparedEndpoint(compiled, workspace)


def _compiled(endpoint: EndpointConfig, workspace: WorkspaceConfig) -> CompiledEndpoint | Problem:
    try:
        return compile_endpoint(endpoint, bounded=bool(workspace.allowed_hosts))
    except TemplateFailed as failed:  # such as a secret that no header can hold
        return Problem("error", failed.field, failed.message, failed.reason.remedy)


_MOVE = Reason.WORKSPACE_MISMATCH.remedy


def _refused(endpoint: EndpointConfig, reason: Reason, *problems: Problem) -> BlockInvalid:
    return BlockInvalid(f"endpoint {endpoint.name}".strip(), problems, reason)

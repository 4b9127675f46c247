"""One node of a campaign, and the options that a task was asked for it with."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from leadpush_prefect.model.names import check_identifier

__all__ = ["OnFailure", "Step", "StepOptions", "node_values"]

OnFailure = Literal["stop", "continue"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepOptions:
    """What a task was asked for beside its target and its endpoint or template; each task describes its own.

    Attributes:
        output_key: Where the outputs are stored.
        node: The step's name; empty for the output key.
        when: A condition; empty for none.
        on_failure: Whether a contact's workflow stops at a failure.
        keep: Which parts of a response are stored; none: all of it.
        mock_response: The response in a simulated run.
        mock_status: The HTTP status of that response.
    """

    output_key: str
    node: str
    when: str
    on_failure: OnFailure
    keep: Sequence[str] = ()
    mock_response: Any = None
    mock_status: int = 200

    def step(self, kind: Literal["fetch", "render"], endpoint: str = "", detail: str = "") -> Step:
        """The step that they make.

        Raises:
            ValueError: if a name is no identifier, or on_failure is neither stop nor continue.
        """
        node = self.node or self.output_key
        step = Step(node, self.output_key, kind, endpoint, self.when, self.on_failure, detail)
        step.check()
        return step


def node_values(node: str = "", output_key: str = "", endpoint: str = "") -> dict[str, str]:
    """What a template reads of its node."""
    return {"name": node, "output_key": output_key, "endpoint": endpoint}


@dataclass(frozen=True, slots=True)
class Step:
    """One node of a campaign, as the task was asked for it.

    Attributes:
        node: Its name.
        output_key: Where its outputs are stored.
        kind: Whether it fetches or renders.
        endpoint: The endpoint's name.
        when: Its condition; empty for none.
        on_failure: Whether a contact's workflow stops at a failure.
        detail: What else makes it what it is.
    """

    node: str
    output_key: str
    kind: Literal["fetch", "render"]
    endpoint: str
    when: str
    on_failure: str
    detail: str = ""

    def check(self) -> None:
        """See that it can be a step at all.

        Raises:
            ValueError: if a name is no identifier, or on_failure is neither stop nor continue.
        """
        if self.output_key:
            check_identifier("output_key", self.output_key)
        if self.node:
            check_identifier("node", self.node)
        if self.on_failure not in ("stop", "continue"):
            raise ValueError(f"on_failure is {self.on_failure!r}, and must be 'stop' or 'continue'.")

    def values(self) -> dict[str, str]:
        """What a template reads of its node."""
        return node_values(self.node, self.output_key, self.endpoint)

    def definition(self) -> str:
        """A fingerprint: two different steps of a run cannot be the same node."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:32]

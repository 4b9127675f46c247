"""What one side of a comparison gives back."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Result:
    """One measurement of one side.

    Attributes:
        contacts: How many were done in `seconds`.
        requests: How many were sent in `seconds`.
        seconds: What was timed.
        flow_seconds: The same from the flow's call to its return, where that is more.
        other_requests: Sent, and not timed: to warm up.
        peak_mb: The largest that the process's memory was.
    """

    contacts: int
    requests: int
    seconds: float
    flow_seconds: float = 0
    other_requests: int = 0
    peak_mb: float = 0

    @property
    def rate(self) -> float:
        """Contacts per second."""
        return self.contacts / self.seconds

    @property
    def requests_per_second(self) -> float:
        """What the server had to answer."""
        return self.requests / self.seconds

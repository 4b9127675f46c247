"""When each endpoint was last tested in Prefect, and what came of it: the artifacts of its tests say so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactCollectionFilter, ArtifactCollectionFilterKey

from leadpush_prefect.endpoints.endpoint_test import OK

__all__ = ["LastTest", "artifact_description", "artifact_key", "last_tests"]

KEYS_AT_ONCE = 100
"""Below the 200 rows that Prefect's API gives at once."""


@dataclass(frozen=True, slots=True)
class LastTest:
    """An endpoint's last test.

    Attributes:
        at: When.
        verdict: `OK`, or the reason, such as `http_status_404`.
    """

    at: datetime
    verdict: str

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} UTC: {self.verdict}"

    @property
    def reason(self) -> str | None:
        """Why it failed; None if it did not."""
        return None if self.verdict == OK else self.verdict


def artifact_key(endpoint: str) -> str:
    """The key of the artifacts of an endpoint's tests, so that its page is their history.

    >>> artifact_key("customer-profile")
    'endpoint-test-customer-profile'
    """
    return f"endpoint-test-{endpoint or 'unsaved'}"


# An artifact's description is the only text of ours that Prefect lists without the page itself.
def artifact_description(verdict: str, sentence: str) -> str:
    """The description of the artifact of a test; `last_tests` reads its verdict back.

    >>> artifact_description("timeout", "There was no whole response.")
    'timeout: There was no whole response.'
    """
    return f"{verdict}: {sentence}"


def _verdict(description: str) -> str:
    """
    >>> _verdict(artifact_description("timeout", "There was no whole response."))
    'timeout'
    """
    return description.partition(":")[0]


def last_tests(endpoints: Iterable[str]) -> dict[str, LastTest]:
    """The last tests, by the endpoint's name; one that was never tested is missing."""
    return dict(_last_tests(list(endpoints)))


def _last_tests(endpoints: list[str]) -> Iterator[tuple[str, LastTest]]:
    by_key = {artifact_key(name): name for name in endpoints}
    keys = list(by_key)
    with get_client(sync_client=True) as client:
        for first in range(0, len(keys), KEYS_AT_ONCE):
            key = ArtifactCollectionFilterKey(any_=keys[first : first + KEYS_AT_ONCE])
            for found in client.read_latest_artifacts(artifact_filter=ArtifactCollectionFilter(key=key)):
                if found.updated:
                    yield by_key[found.key], LastTest(found.updated, _verdict(found.description or ""))

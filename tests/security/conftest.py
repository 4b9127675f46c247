"""No test of this folder reaches the network."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.security.wiretap import Wiretap, tapped


@pytest.fixture
def wire() -> Iterator[Wiretap]:
    with tapped() as wire:
        yield wire

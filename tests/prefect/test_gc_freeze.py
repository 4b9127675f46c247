"""While a run is open, full garbage collections leave out what was there before it; afterwards all is as it was."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from leadpush_prefect import ApiEndpoint, Audience, CampaignRun, RunIncomplete, Workspace, fetch_api_data
from tests.support.raw_server import RawServer


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    gc.unfreeze()
    yield
    gc.unfreeze()


class Cycle:
    def __init__(self) -> None:
        self.me = self


def start(acme: Workspace, run_id: str = "") -> CampaignRun:
    return CampaignRun.start("c", workspace=acme, audience=Audience.from_contacts([{"id": 1}]), run_id=run_id)


def test_while_a_run_is_open(acme: Workspace, api: RawServer) -> None:
    """What was there before is left where it is until then, also as garbage; what comes in between is collected."""
    cycle: Cycle | None = Cycle()
    before = weakref.ref(cycle)
    with start(acme) as run:
        assert gc.get_freeze_count() > 0
        cycle = None
        between = weakref.ref(Cycle())
        gc.collect()
        assert (before() is None, between() is None) == (False, True)
        endpoint = ApiEndpoint(url=api.url + "/{{ contact._id }}")
        for batch in run.batches():
            fetch_api_data.fn(batch, endpoint, output_key="profile")
        run.finish()
    assert gc.get_freeze_count() == 0
    gc.collect()
    assert before() is None


def test_while_the_audience_is_read(acme: Workspace) -> None:
    """A large one would have Python do it again and again; an audience that fails leaves all as it was."""
    frozen: list[int] = []

    def people() -> Iterator[dict[str, int]]:
        frozen.append(gc.get_freeze_count())
        yield {"id": 1}
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        CampaignRun.start("c", workspace=acme, audience=Audience.from_contacts(people()))
    assert frozen[0] > 0
    assert gc.get_freeze_count() == 0


def test_after_the_last_of_several(acme: Workspace) -> None:
    """It ends with the last run of the process, and also where a run fails."""
    with pytest.raises(RunIncomplete), start(acme, "outer"):
        with pytest.raises(ZeroDivisionError), start(acme, "inner"):
            raise ZeroDivisionError
        assert gc.get_freeze_count() > 0
    assert gc.get_freeze_count() == 0


def test_what_the_program_froze(acme: Workspace) -> None:
    """A program that has frozen its objects finds them so."""
    gc.freeze()
    with pytest.raises(ZeroDivisionError), start(acme):
        raise ZeroDivisionError
    assert gc.get_freeze_count() > 0

"""A process that is not the flow's finds a run by its workspace's name, and sees when it is over."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from leadpush_prefect import (
    Audience,
    Batch,
    CampaignRun,
    RunStopped,
    Workspace,
    render_template,
)
from leadpush_prefect.runs import open_runs
from leadpush_prefect.system.gc_freeze import spare_no_more


def people(count: int) -> Audience:
    return Audience.from_contacts({"id": n * 10} for n in range(count))


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """From its call on, this process knows a run only from the database, as another would."""

    runs = open_runs._runs

    def forget() -> None:
        monkeypatch.setattr(open_runs, "_runs", {})
        monkeypatch.setattr(open_runs, "LOOK_SECONDS", 0.0)

    yield forget
    runs.clear()
    spare_no_more()  # these runs do not end in this process


def test_a_stop_is_seen_elsewhere(acme: Workspace, elsewhere: Callable[[], None]) -> None:
    """A run that was stopped, or has ended, is over elsewhere too; a later execution goes on."""
    kept: list[Batch] = []

    def start() -> Any:
        return CampaignRun.start("c", workspace="acme", audience=people(3), run_id="r")

    with pytest.raises(ZeroDivisionError), start() as run:
        kept.extend(run.batches())
        elsewhere()
        contexts = kept[0].contexts()
        assert next(contexts).contact_id == "0"
        raise ZeroDivisionError
    with pytest.raises(RunStopped):
        next(contexts)
    with pytest.raises(RunStopped):
        list(kept[0].contexts())
    with start() as run:
        elsewhere()
        assert len(list(kept[0].contexts())) == 3, "the second execution goes on"
        render_template.fn(kept[0], "Hi", output_key="m")
        run.finish()
    with pytest.raises(RunStopped, match="has ended"):
        list(kept[0].contexts())


def test_executed_where_it_was_known_from_the_database(
    acme: Workspace, elsewhere: Callable[[], None]
) -> None:
    """When it ends there, the process is as it was: its garbage is collected again."""

    def start() -> Any:
        return CampaignRun.start("c", workspace="acme", audience=people(3), run_id="r")

    with pytest.raises(ZeroDivisionError), start() as run:
        elsewhere()
        next(run.batches()[0].contexts())
        raise ZeroDivisionError
    with start() as run:
        assert gc.get_freeze_count() > 0
        render_template.fn(run.batches()[0], "Hi", output_key="m")
        run.finish()
    assert gc.get_freeze_count() == 0

"""The line of the log that says how far a run is."""

from __future__ import annotations

import asyncio
import logging
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from prefect import flow, task
from sqlalchemy import Engine, text

from leadpush_prefect import ApiEndpoint, Audience, Batch, CampaignRun, Workspace, fetch_api_data
from leadpush_prefect.model.step import OnFailure
from leadpush_prefect.reports import progress
from tests.support.flows import run_flow
from tests.support.raw_server import RawServer, Request, each, respond

LINE = re.compile(
    r"(?:profile|score) ([\d,]+) of ([\d,]+)(?: \(([\d,]+) failed\))?; ([\d,]+) per second(?:, about [\d:]+ left)?"
)
FEW = 12


class Api:
    """Answers the first few, and the others only when it is let go. `broken` answer 500."""

    def __init__(self) -> None:
        self.let_go = asyncio.Event()
        self.few = FEW
        self.answered = 0
        self.broken: set[int] = set()

    async def __call__(self, request: Request) -> bytes:
        self.answered += 1
        if self.answered > self.few:
            await self.let_go.wait()
        return respond(status=500 if int(request.target[1:]) in self.broken else 200)


@pytest.fixture
def behaviour() -> Api:
    return Api()


@pytest.fixture
def api(behaviour: Api) -> Iterator[RawServer]:
    with RawServer(each(behaviour)) as server:
        yield server


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "EVERY_SECONDS", 0.1)


class Lines(logging.Handler):
    """The progress lines of the log; a test waits for one."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[re.Match[str]] = []
        self._changed = threading.Condition()

    def emit(self, record: logging.LogRecord) -> None:
        if match := LINE.fullmatch(record.getMessage()):
            with self._changed:
                self.found.append(match)
                self._changed.notify_all()

    def wait_for(self, done: str) -> re.Match[str]:
        """The first line that says so many are done."""

        def found() -> re.Match[str] | None:
            return next((match for match in self.found if match[1] == done), None)

        with self._changed:
            assert self._changed.wait_for(lambda: found() is not None, 30), self.found
        match = found()
        assert match
        return match


@pytest.fixture
def lines() -> Iterator[Lines]:
    handler = Lines()
    logger = logging.getLogger("prefect.flow_runs")
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "leadpush-progress"]


def people(count: int) -> Audience:
    """Each tenth, from 5 on, is not subscribed."""
    return Audience.from_contacts({"id": n, "subscribed": n % 10 != 5} for n in range(count))


def campaign(
    api: RawServer, acme: Workspace, meanwhile: Callable[[], None], *, on_failure: OnFailure = "stop"
) -> Callable[[], Any]:
    endpoint = ApiEndpoint(url=api.url + "/{{ contact._id }}", max_attempts=1, max_concurrency=4)

    def body() -> Any:
        with CampaignRun.start("p", workspace=acme, audience=people(40), run_id="p") as run:
            [batch] = run.batches()
            fetch_api_data.submit(batch, endpoint, output_key="profile", on_failure=on_failure)
            meanwhile()
            return run.finish()

    return body


def test_a_line_every_few_seconds(
    api: RawServer, behaviour: Api, acme: Workspace, lines: Lines, caplog: pytest.LogCaptureFixture
) -> None:
    """Contacts done, failures, rate; then the end. Nothing of a single contact, and no thread is left."""
    behaviour.broken = set(range(40))  # whichever come first: one of four connections may be slow

    def meanwhile() -> None:
        line = lines.wait_for("12")
        assert (line[2], line[3]) == ("36", "12"), "those that are not subscribed are not waited for"
        assert threads() == ["leadpush-progress"]
        api.call(behaviour.let_go.set)

    with caplog.at_level(logging.INFO):
        assert run_flow(campaign(api, acme, meanwhile)).name == "Completed with failures"
    assert threads() == []
    said = [record.getMessage() for record in caplog.records if record.name.startswith("prefect.flow_runs")]
    others = [message for message in said if not LINE.fullmatch(message)]
    assert len(others) < 10, others


@pytest.mark.parametrize(("on_failure", "before"), [("stop", 34), ("continue", 36)])
def test_a_second_execution(
    on_failure: OnFailure,
    before: int,
    api: RawServer,
    behaviour: Api,
    acme: Workspace,
    lines: Lines,
    database: Engine,
) -> None:
    """What was done before counts; what is tried again does not."""
    behaviour.broken, behaviour.few = {3, 7}, 1000
    run_flow(campaign(api, acme, lambda: None, on_failure=on_failure))
    with database.begin() as connection:  # as if it had been killed before the last three
        connection.execute(text("DELETE FROM leadpush_outcome WHERE number IN (36, 38, 39)"))
    lines.found.clear()
    behaviour.broken, behaviour.answered, behaviour.few = {7}, 0, 2

    def meanwhile() -> None:
        lines.wait_for(str(before - 3 + 2))
        api.call(behaviour.let_go.set)

    run_flow(campaign(api, acme, meanwhile, on_failure=on_failure))
    assert all(int(match[1]) <= 36 for match in lines.found)
    assert all(int(match[4].replace(",", "")) < 1000 for match in lines.found), (
        "what was done before took no time"
    )


def test_outputs_of_a_task_of_ones_own(
    acme: Workspace, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They count as they are written, and at the end those for whom nothing was stored; in a second execution,
    which stores them again, they count anew."""
    monkeypatch.setenv("PREFECT_INTEGRATIONS_LEADPUSH_FLUSH_SECONDS", "0.000001")
    first = run_flow(scored(acme, lines, stop=True))
    assert first.is_failed()
    assert {"12", "36"} <= {match[1] for match in lines.found}
    lines.found.clear()
    assert run_flow(scored(acme, lines)).name == "Completed"
    assert all(int(match[1]) <= int(match[2]) == 36 for match in lines.found)


def scored(acme: Workspace, lines: Lines, *, stop: bool = False) -> Callable[[], Any]:
    """Stores for each contact but the last six; waits for the line after 12, and after the last one."""

    @task
    def score(batch: Batch) -> None:
        for number, context in enumerate(batch.contexts()):
            if number == 12:
                lines.wait_for("12")
            if number < 30:
                batch.store(context, "score", number)
        lines.wait_for("36")
        if stop:
            raise ZeroDivisionError

    def body() -> Any:
        with CampaignRun.start("p", workspace=acme, audience=people(40), run_id="p") as run:
            return run.finish([score.submit(batch) for batch in run.batches()])

    return body


@pytest.mark.parametrize("how", ["finished", "raised", "left", "stopped in async"])
def test_the_thread_ends(how: str, api: RawServer, behaviour: Api, acme: Workspace) -> None:
    """However the run ends."""
    behaviour.few = 1000

    def body() -> Any:
        with CampaignRun.start("p", workspace=acme, audience=people(10)) as run:
            assert threads() == ["leadpush-progress"]
            if how == "raised":
                raise ZeroDivisionError
            if how == "stopped in async":
                raise asyncio.CancelledError
            endpoint = ApiEndpoint(url=api.url + "/{{ contact._id }}")
            fetch_api_data.submit(run.batches()[0], endpoint, output_key="profile")
            return run.finish() if how == "finished" else None

    async def abody() -> Any:
        return body()

    if how == "stopped in async":
        made: Any = flow(abody)
        with pytest.raises(BaseException):  # noqa: B017 - Prefect decides which
            asyncio.run(made())
    else:
        run_flow(body)
    assert threads() == []


def test_the_database_goes_away(
    api: RawServer, behaviour: Api, acme: Workspace, database: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    """The line is missing, with a word about it; the thread raises nothing."""
    behaviour.few = 1000

    def body() -> Any:
        with CampaignRun.start("p", workspace=acme, audience=people(10)):
            with database.begin() as connection:
                connection.execute(text("ALTER TABLE leadpush_step RENAME TO elsewhere"))
            [watched] = [t for t in threading.enumerate() if t.name == "leadpush-progress"]
            watched.join(30)
            with database.begin() as connection:
                connection.execute(text("ALTER TABLE elsewhere RENAME TO leadpush_step"))
            raise ZeroDivisionError

    run_flow(body)
    assert [m for m in caplog.messages if m.startswith("No more progress is shown")]

"""Writes (POST, PATCH) of campaigns: what is sent again, and what never is, over executions and changed endpoints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from prefect.client.schemas.objects import State

from leadpush_prefect import ApiEndpoint, Audience, CampaignRun, RunSummary, Workspace, fetch_api_data
from tests.support.flows import run_flow
from tests.support.raw_server import RawServer, Request, each, respond

CONTACTS = 30
Answer = Callable[[int, int], bytes | None]


class Api:
    """Answers as it is told: by the contact's number, and how often it was asked for it."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.asked: Counter[int] = Counter()

    def __call__(self, request: Request) -> bytes | None:
        number = int(request.target.rpartition(b"/")[2])
        self.asked[number] += 1
        return self.answer(number, self.asked[number])


def execute(
    acme: Workspace, url: str, *, on_failure: Any = "stop", then: bool = False, **fields: Any
) -> State[RunSummary]:
    endpoint = ApiEndpoint(url=url + "/{{ contact._id }}", **{"method": "POST", "body": "{}", **fields})

    def body() -> Any:
        people = Audience.from_contacts({"id": number} for number in range(CONTACTS))
        with CampaignRun.start("writes", workspace=acme, audience=people, run_id="w", batches=2) as run:
            for batch in run.batches():
                done = fetch_api_data.submit(batch, endpoint, output_key="a", on_failure=on_failure)
                if then:
                    later = ApiEndpoint(url=url + "/later/{{ contact._id }}")
                    fetch_api_data.submit(done, later, output_key="b")
            return run.finish()

    return run_flow(body)


def check_sums(summary: RunSummary) -> None:
    """Each contact is somewhere, at each step."""
    for step in summary.steps:
        reached = step.fetched + step.skipped + sum(step.failed.values())
        assert reached + step.not_reached == CONTACTS, step


OK = respond(b'{"n": 1}')


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize("on_failure", ["stop", "continue"])
def test_a_lost_answer(on_failure: str, method: str, acme: Workspace) -> None:
    """Who was asked and not answered is unknown, in this execution and the next; the step's word on failures holds."""
    api = Api(lambda number, times: None if number % 3 == 0 else OK)
    with RawServer(each(api)) as server:
        for execution in (1, 2):
            summary = execute(acme, server.url, on_failure=on_failure, then=True, method=method).result()
            first, second = summary.steps
            assert (first.fetched, first.failed) == (20, {"outcome_unknown": 10}), execution
            assert second.fetched == 20
            check_sums(summary)
    assert first.requests == 30


@pytest.mark.parametrize(
    ("answer", "code", "again"),
    [
        (respond(b"", status=404), "http_status_404", True),
        (respond(b"", status=429), "http_status_429", True),
        (respond(b"", status=503, headers=[("Retry-After", "0")]), "http_status_503", True),
        (respond(b"", status=503), "outcome_unknown", False),
        (respond(b"", status=500), "outcome_unknown", False),
        (respond(b"", status=408), "outcome_unknown", False),
        (respond(b"<html>"), "response_not_json", False),
        (respond(b"1"), "response_not_object_or_array", False),
        (respond(b"", status=302, headers=[("Location", "/x")]), "redirect", False),
    ],
)
def test_what_a_second_execution_sends_again(answer: bytes, code: str, again: bool, acme: Workspace) -> None:
    """Refusals, and nothing else; and where the workflow goes on, nothing at all."""
    for on_failure in ("stop", "continue"):
        api = Api(lambda number, times: answer if times == 1 else OK)
        with RawServer(each(api)) as server:
            first = execute(acme, server.url, on_failure=on_failure, max_attempts=1).result()
            assert first.steps[0].failed == {code: CONTACTS}
            second = execute(acme, server.url, on_failure=on_failure, max_attempts=1).result()
        is_again = again and on_failure == "stop"
        assert set(api.asked.values()) == {2 if is_again else 1}
        assert second.steps[0].fetched == (CONTACTS if is_again else 0)
        assert second.steps[0].requests == (2 if is_again else 1) * CONTACTS
        _forget()


@pytest.mark.parametrize(
    "change",
    [{"idempotency_header": ""}, {"body": '{"changed": true}'}, {"method": "PUT", "idempotency_header": ""}],
)
@pytest.mark.parametrize("second", [404, 429, 500, None])
def test_a_changed_endpoint(second: int | None, change: dict[str, Any], acme: Workspace) -> None:
    """Once the API may have done it under a key, another request is not sent unasked, whatever came after."""

    def answer(number: int, times: int) -> bytes | None:
        return None if times == 1 or second is None else respond(b"", status=second)

    api = Api(answer)
    key: dict[str, Any] = {"idempotency_header": "Idempotency-Key", "max_attempts": 2}
    with RawServer(each(api)) as server:
        execute(acme, server.url, **key)
        asked = Counter(api.asked)
        summary = execute(acme, server.url, **key | change).result()
    assert api.asked == asked
    assert summary.steps[0].failed == {"outcome_unknown": CONTACTS}
    assert summary.steps[0].requests == asked.total()


def test_the_same_endpoint_under_its_key(acme: Workspace) -> None:
    """Under the same key it is sent again until it is answered."""
    api = Api(lambda number, times: OK if times > 2 else None)
    key: dict[str, Any] = {"idempotency_header": "Idempotency-Key", "max_attempts": 2}
    with RawServer(each(api)) as server:
        assert execute(acme, server.url, **key).result().steps[0].failed == {"disconnected": CONTACTS}
        assert execute(acme, server.url, **key).result().steps[0].fetched == CONTACTS


def _forget() -> None:
    """The next run of this id is a new one."""
    from prefect.settings import PREFECT_HOME

    from leadpush_prefect.store.database import open_database, writing

    database = open_database(f"sqlite:///{PREFECT_HOME.value()}/leadpush/outputs.db")
    with writing(database) as connection:
        connection.exec_driver_sql("UPDATE leadpush_run SET run_id = run_id || '-' || run")

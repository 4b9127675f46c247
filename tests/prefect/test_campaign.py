"""A campaign over an audience: what is stored, how it ends, and what is refused."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from prefect import flow, task
from prefect_sqlalchemy import ConnectionComponents, SqlAlchemyConnector, SyncDriver
from sqlalchemy import Engine, create_engine, text

from leadpush_prefect import (
    ApiEndpoint,
    Audience,
    AudienceInvalid,
    Batch,
    BlockInvalid,
    CampaignRun,
    LeadpushError,
    Reason,
    RunBusy,
    RunIncomplete,
    RunStopped,
    StepRefused,
    Workspace,
    afetch_api_data,
    fetch_api_data,
    render_template,
)
from leadpush_prefect.store.database import open_database
from tests.support.flows import on_database, run_flow, threads
from tests.support.raw_server import RawServer

Ask = Callable[[str], list[tuple[object, ...]]]
OUTCOMES = "SELECT step, status, count(*) FROM leadpush_outcome GROUP BY 1, 2 ORDER BY 1, 2"
FETCHED, SKIPPED, FAILED = 1, 2, 3
MESSAGE = "{{ contact._id }} is {{ workflow.profile.plan }}"


@pytest.fixture
def acme(acme: Workspace, block: str) -> Workspace:
    """The workspace, on either database."""
    return on_database(acme, block)


@pytest.fixture
def database(url: str) -> Engine:
    return open_database(url)


def people(count: int) -> Audience:
    """`count` contacts, of whom each tenth, from 5 on, is not subscribed."""
    return Audience.from_contacts({"id": n, "subscribed": n % 10 != 5, "name": f"N{n}"} for n in range(count))


def error_of(body: Callable[[], Any]) -> Any:
    state = run_flow(body)
    assert state.is_failed(), state
    return state.result(raise_on_failure=False)


@pytest.fixture
def endpoint(api: RawServer, acme: Workspace) -> ApiEndpoint:
    return ApiEndpoint(url=api.url + "/profile/{{ contact._id }}", max_attempts=1)


def test_chained_steps_over_batches(
    endpoint: ApiEndpoint, acme: Workspace, api: RawServer, rows: Ask
) -> None:
    """Each contact goes through its steps; the state's name and message, and the summary, say how it went."""
    found: dict[str, Any] = {}

    def body() -> Any:
        with CampaignRun.start("renewal", workspace=acme, audience=people(40), batches=3) as run:
            assert [batch.size for batch in run.batches()] == [14, 14, 12]
            for batch in run.batches():
                profiled = fetch_api_data.submit(batch, endpoint, output_key="profile")
                offered = fetch_api_data.submit(
                    profiled, endpoint, output_key="offer", when="workflow.profile.plan == 'pro'"
                )
                render_template.submit(offered, MESSAGE, output_key="message")
            state = run.finish()
            found["outputs"] = dict(run.outputs(["message"]))
            found["failures"] = list(run.failures())
            return state

    state = run_flow(body)
    assert (state.is_completed(), state.name) == (True, "Completed with failures")
    # 40 contacts, 4 of them not subscribed; 7, 17, 27, 37 answer 404; of the 32 others, 12 are odd, and so
    # pro.
    assert rows(OUTCOMES) == [(0, 1, 32), (0, 3, 4), (1, 1, 12), (1, 2, 20), (2, 1, 32)]
    assert len(api.requests) == 36 + 12
    assert str(state.message) == (
        "40 contacts; 4 unsubscribed; profile: 32 done, 0 skipped, 4 failed; "
        "offer: 12 done, 20 skipped, 0 failed; message: 32 done, 0 skipped, 0 failed."
    )
    summary = state.result()
    assert (summary.contacts, summary.unsubscribed, summary.completed, summary.stopped) == (40, 4, 32, 4)
    assert summary.steps[0].failed == {"http_status_404": 4}
    assert [step.not_reached for step in summary.steps] == [0, 4, 4]
    assert found["outputs"]["3"] == {"message": "3 is pro"}
    assert found["outputs"]["12"] == {"message": "12 is free"}
    assert [(contact, node, failure.code) for contact, node, failure in found["failures"]] == [
        (str(n), "profile", "http_status_404") for n in (7, 17, 27, 37)
    ]
    assert rows("SELECT status, state, contacts FROM leadpush_run") == [
        ("finished", "Completed with failures", 40)
    ]


@pytest.mark.parametrize(
    ("simulate", "mock", "name"),
    [
        (False, None, "Completed"),
        (True, {"plan": "pro"}, "Simulated"),
        (True, None, "Simulated with failures"),
    ],
)
def test_names_of_states(
    simulate: bool, mock: Any, name: str, endpoint: ApiEndpoint, acme: Workspace, api: RawServer, rows: Ask
) -> None:
    """A simulated run sends nothing and is marked as such; without a mock each step fails with
    mock_missing."""

    def body() -> Any:
        audience = people(5)
        with CampaignRun.start("c", workspace=acme, audience=audience, simulate=simulate) as run:
            for batch in run.batches():
                fetch_api_data.submit(batch, endpoint, output_key="profile", mock_response=mock)
            return run.finish()

    state = run_flow(body)
    assert state.name == name
    assert len(api.requests) == (0 if simulate else 5)
    assert rows("SELECT simulate FROM leadpush_run") == [(simulate,)]
    code = "mock_missing" if name.endswith("failures") else None
    assert rows("SELECT DISTINCT code, attempts FROM leadpush_outcome") == [(code, 0 if simulate else 1)]
    assert state.result().simulate is simulate


def test_a_mock_is_ignored_when_live(
    endpoint: ApiEndpoint, acme: Workspace, api: RawServer, caplog: pytest.LogCaptureFixture
) -> None:
    """One line for the run, not one for each batch."""

    def body() -> Any:
        with CampaignRun.start("c", workspace=acme, audience=people(5), batches=5) as run:
            for batch in run.batches():
                fetch_api_data.submit(batch, endpoint, output_key="profile", mock_response={"plan": "x"})
            return run.finish()

    with caplog.at_level(logging.WARNING):
        run_flow(body)
    assert len([r for r in caplog.records if "mock_response is ignored" in r.message]) == 1
    assert len(api.requests) == 5


@pytest.mark.parametrize(
    ("changes", "code", "sentence"),
    [
        ({"enabled": False}, "endpoint_disabled", "The endpoint is switched off."),
        ({"method": "FETCH"}, "endpoint_invalid", "method: FETCH is none of"),
        ({"timeout_seconds": 31}, "endpoint_invalid", "It is 31, and the workspace allows 30."),
        ({"workspace": "other"}, "workspace_mismatch", "It belongs to workspace 'other'"),
        ("nothing", "endpoint_invalid", "There is no Leadpush API Endpoint block named 'nothing'."),
    ],
    ids=str,
)
def test_what_concerns_the_endpoint(
    changes: Any, code: str, sentence: str, endpoint: ApiEndpoint, acme: Workspace, api: RawServer, rows: Ask
) -> None:
    """The task fails before any contact: no outcome, no request; `finish` names the batch and the step."""
    given = changes if isinstance(changes, str) else endpoint.model_copy(update=changes)

    def body() -> Any:
        with CampaignRun.start("c", workspace=acme, audience=people(5)) as run:
            for batch in run.batches():
                done = fetch_api_data.submit(batch, given, output_key="profile")
                render_template.submit(done, MESSAGE, output_key="message")
            return run.finish()

    error = error_of(body)
    assert isinstance(error, RunIncomplete)
    assert str(error).startswith("2 of 2 tasks did not complete: step profile, batch 0: Failed: ")
    assert code in str(error)
    assert sentence in str(error)
    assert "step message, batch 0: NotReady" in str(error)
    assert (api.requests, rows("SELECT * FROM leadpush_outcome")) == ([], [])
    assert rows("SELECT status, state FROM leadpush_run") == [("stopped", "RunIncomplete")]


def test_an_unknown_workspace(endpoint: ApiEndpoint) -> None:
    """It is refused when the run starts."""
    with pytest.raises(BlockInvalid, match="There is no Leadpush Workspace block named 'nowhere'"):
        CampaignRun.start("c", workspace="nowhere", audience=people(1))


def refused(steps: Callable[[Batch, ApiEndpoint], Any], endpoint: ApiEndpoint, acme: Workspace) -> str:
    def body() -> Any:
        with CampaignRun.start("c", workspace=acme, audience=people(5)) as run:
            for batch in run.batches():
                steps(batch, endpoint)
            return run.finish()

    return str(error_of(body))


def test_two_steps_of_one_node(endpoint: ApiEndpoint, acme: Workspace) -> None:
    """The same node twice, whether the same step or another, is refused by name."""

    def same(batch: Batch, endpoint: ApiEndpoint) -> None:
        first = fetch_api_data.submit(batch, endpoint, output_key="profile")
        fetch_api_data.submit(first, endpoint, output_key="profile")

    assert "The step profile has already run for batch 0" in refused(same, endpoint, acme)

    def other(batch: Batch, endpoint: ApiEndpoint) -> None:
        first = fetch_api_data.submit(batch, endpoint, output_key="profile")
        fetch_api_data.submit(first, endpoint, output_key="offer", node="profile")

    assert "Two different steps of this run are the node profile" in refused(other, endpoint, acme)


def test_an_output_is_not_overwritten(endpoint: ApiEndpoint, acme: Workspace) -> None:
    """Two steps that store under one key are refused by name, unless each has a condition."""

    def both(batch: Batch, endpoint: ApiEndpoint) -> None:
        first = fetch_api_data.submit(batch, endpoint, output_key="profile")
        render_template.submit(first, "Hi", output_key="profile", node="greeting")

    message = refused(both, endpoint, acme)
    assert "output_key_taken: The nodes profile and greeting both store under profile" in message


def test_if_and_else_under_one_key(endpoint: ApiEndpoint, acme: Workspace, rows: Ask) -> None:
    """Two branches may store under one key: a contact of the first is skipped at the second."""

    def body() -> Any:
        with CampaignRun.start("c", workspace=acme, audience=people(5)) as run:
            for batch in run.batches():
                low = "contact._id < '2'"
                first = render_template.submit(batch, "low", output_key="text", node="low", when=low)
                render_template.submit(first, "high", output_key="text", node="high", when=f"not ({low})")
            state = run.finish()
            assert dict(run.outputs()) == {str(n): {"text": "low" if n < 2 else "high"} for n in range(5)}
            return state

    assert run_flow(body).name == "Completed"
    assert rows(OUTCOMES) == [(0, 1, 2), (0, 2, 3), (1, 1, 3), (1, 2, 2)]


def test_a_wrong_template_or_condition(endpoint: ApiEndpoint, acme: Workspace, rows: Ask) -> None:
    """What is wrong for every contact fails the task before any."""
    bad = refused(lambda b, e: render_template.submit(b, "{{ secrets.key }}", output_key="m"), endpoint, acme)
    assert "template_invalid" in bad
    bad = refused(lambda b, e: fetch_api_data.submit(b, e, output_key="m", when="a =="), endpoint, acme)
    assert "template_invalid: Step m: when" in bad
    bad = refused(lambda b, e: render_template.submit(b, "Hi"), endpoint, acme)  # type: ignore[call-overload]
    assert "needs an output_key for a batch" in bad
    assert rows("SELECT * FROM leadpush_outcome") == []


def test_a_step_for_only_some_batches(endpoint: ApiEndpoint, acme: Workspace) -> None:
    """`finish` names the step and the batches that it was not submitted for."""

    def body() -> Any:
        with CampaignRun.start("c", workspace=acme, audience=people(30), batches=3) as run:
            for batch in run.batches():
                first = render_template.submit(batch, "Hi", output_key="a")
                if batch.number != 1:
                    render_template.submit(first, "Ho", output_key="b")
            return run.finish()

    assert "9 contacts of batch 1 at step b" in str(error_of(body))


def test_no_step_at_all(acme: Workspace) -> None:
    """A run of no step touches nobody, and says so."""

    def body() -> Any:
        with CampaignRun.start("c", workspace=acme, audience=people(5)) as run:
            return run.finish()

    assert "5 contacts of batch 0" in str(error_of(body))


def test_a_forgotten_future(endpoint: ApiEndpoint, acme: Workspace, api: RawServer) -> None:
    """A flow that keeps no future waits for them all: `finish` knows those of this package's tasks."""

    def body() -> Any:
        with CampaignRun.start("c", workspace=acme, audience=people(40), batches=8) as run:
            for batch in run.batches():
                render_template.submit(
                    fetch_api_data.submit(batch, endpoint, output_key="profile"), MESSAGE, output_key="m"
                )
            return run.finish()

    state = run_flow(body)
    assert state.result().completed == 32
    assert len(api.requests) == 36


def test_left_without_finish(endpoint: ApiEndpoint, acme: Workspace, rows: Ask) -> None:
    """It is an error, and the run is marked as stopped."""

    def body() -> Any:
        with CampaignRun.start("c", workspace=acme, audience=people(40), batches=8) as run:
            for batch in run.batches():
                fetch_api_data.submit(batch, endpoint, output_key="profile")

    error = error_of(body)
    assert isinstance(error, RunIncomplete)
    assert "left without finish()" in str(error)
    assert rows("SELECT status, state FROM leadpush_run") == [("stopped", "left")]


def test_submitted_after_finish(endpoint: ApiEndpoint, acme: Workspace) -> None:
    """A step that is submitted after `finish` was not waited for: an error too."""

    def body() -> Any:
        with CampaignRun.start("c", workspace=acme, audience=people(5)) as run:
            [batch] = run.batches()
            fetch_api_data.submit(batch, endpoint, output_key="profile")
            state = run.finish()
            render_template.submit(batch, "Hi", output_key="m")
            return state

    assert isinstance(error_of(body), RunIncomplete)


def test_an_exception_in_the_flow(endpoint: ApiEndpoint, acme: Workspace, rows: Ask) -> None:
    """It stays the flow's exception; the run is marked as stopped, by its name."""

    def body() -> Any:
        with CampaignRun.start("c", workspace=acme, audience=people(5)) as run:
            fetch_api_data(run.batches()[0], endpoint, output_key="profile")
            raise ZeroDivisionError

    assert isinstance(error_of(body), ZeroDivisionError)
    assert rows("SELECT status, state FROM leadpush_run") == [("stopped", "ZeroDivisionError")]
    assert rows(OUTCOMES) == [(0, 1, 5)]


@task
def score(
    batch: Batch, keys: Iterable[str] = ("score",), only: Callable[[int], bool] = lambda n: True
) -> Batch:
    for context in batch.contexts():
        if only(int(context.contact_id)):
            for key in keys:
                batch.store(
                    context,
                    key,
                    {"points": len(context.workflow), "name": context.contact["attributes"]["name"]},
                )
    return batch


def test_a_task_of_ones_own(endpoint: ApiEndpoint, acme: Workspace, rows: Ask) -> None:
    """It reads the contexts of those whose workflow goes on, and stores outputs that later steps read."""

    def body() -> Any:
        with CampaignRun.start("c", workspace=acme, audience=people(1300), batches=2) as run:
            scored = []
            for batch in run.batches():
                profiled: Any = fetch_api_data.submit(batch, endpoint, output_key="profile")
                scored.append(score.submit(profiled))
                render_template.submit(scored[-1], "{{ workflow.score.name }}", output_key="m")
            state = run.finish(scored)
            assert dict(run.outputs(["m"]))["12"] == {"m": "N12"}
            return state

    state = run_flow(body)
    assert rows(OUTCOMES) == [(0, 1, 1040), (0, 3, 130), (1, 1, 1040), (2, 1, 1040)]
    assert state.result().completed == 1040


def test_storing_for_only_some(acme: Workspace, rows: Ask) -> None:
    """A contact for which a task stored nothing is skipped there, in whatever batch; it is not lost."""

    def body() -> Any:
        with CampaignRun.start("c", workspace=acme, audience=people(30), batches=3) as run:
            return run.finish([score.submit(b, only=lambda n: n in (3, 4)) for b in run.batches()])

    state = run_flow(body)
    assert state.name == "Completed"
    assert rows(OUTCOMES) == [(0, 1, 2), (0, 2, 25)]
    assert state.result().completed == 27


def test_a_task_of_ones_own_for_only_some_batches(acme: Workspace) -> None:
    """The contacts of a batch that it never read are named."""

    def body() -> Any:
        with CampaignRun.start("c", workspace=acme, audience=people(30), batches=3) as run:
            return run.finish([score.submit(batch) for batch in run.batches()[:2]])

    assert "9 contacts of batch 2 at step score" in str(error_of(body))


def test_a_task_of_ones_own_that_raises(acme: Workspace, rows: Ask) -> None:
    """What it had stored is kept; `finish` names the batch; a retry of Prefect's stores the rest."""
    fails = [True]

    @task(retries=1)
    def half(batch: Batch) -> None:
        for context in batch.contexts():
            if context.contact_id == "3" and fails and fails.pop():
                assert rows("SELECT count(*) FROM leadpush_outcome") == [(0,)], "not yet written"
                raise ZeroDivisionError
            batch.store(context, "score", 1)

    def body() -> Any:
        with CampaignRun.start("c", workspace=acme, audience=people(10)) as run:
            return run.finish([half.submit(batch) for batch in run.batches()])

    assert run_flow(body).name == "Completed"
    assert rows(OUTCOMES) == [(0, 1, 9)]

    @task
    def always(batch: Batch) -> None:
        for context in batch.contexts():
            batch.store(context, "other", 1)
            if context.contact_id == "3":
                raise ZeroDivisionError

    def raising() -> Any:
        with CampaignRun.start("d", workspace=acme, audience=people(10)) as run:
            return run.finish([always.submit(batch) for batch in run.batches()])

    assert "a task of the flow: Failed" in str(error_of(raising))
    assert rows("SELECT count(*) FROM leadpush_outcome WHERE run = 2") == [(4,)]


def test_two_tasks_read_one_batch(acme: Workspace, rows: Ask) -> None:
    """Two tasks may read the same batch at once, and each stores under its own key."""

    def body() -> Any:
        with CampaignRun.start("c", workspace=acme, audience=people(700)) as run:
            [batch] = run.batches()
            return run.finish([score.submit(batch, keys=[key]) for key in ("a", "b", "c", "d")])

    run_flow(body)
    assert rows("SELECT count(*) FROM leadpush_outcome GROUP BY step") == [(630,)] * 4


def test_what_store_refuses(acme: Workspace, rows: Ask) -> None:
    """A contact given twice, one of another batch, a value without JSON, a key that is no identifier."""

    def body() -> Any:
        with CampaignRun.start("c", workspace=acme, audience=people(4), batches=2) as run:
            first, second = run.batches()
            with pytest.raises(StepRefused) as refused:
                for context in first.contexts():
                    first.store(context, "a", 1)
                    first.store(context, "a", 2)
            assert refused.value.reason == Reason.OUTPUT_KEY_TAKEN
            contexts = list(first.contexts())
            with pytest.raises(ValueError, match="is not in batch 1"):
                second.store(contexts[0], "a", 1)
            with pytest.raises(TypeError):
                first.store(contexts[0], "a", object())
            with pytest.raises(ValueError, match="is no identifier"):
                first.store(contexts[0], "a b", 1)
            first.store(contexts[0], "a", 3)  # after the iteration it is written at once, over what was there
            raise ZeroDivisionError

    assert isinstance(error_of(body), ZeroDivisionError)
    assert rows("SELECT output FROM leadpush_outcome") == [("3",)]


def test_a_context_of_another_run(acme: Workspace, rows: Ask) -> None:
    """A context is known by its contact, not by its number in the run that it came from."""
    kept: list[Any] = []

    def first() -> Any:
        with CampaignRun.start("c", workspace=acme, audience=people(3)) as run:
            [batch] = run.batches()
            kept.extend(batch.contexts())
            raise ZeroDivisionError

    def second() -> Any:
        audience = Audience.from_contacts([{"id": 2}, {"id": 1}])
        with CampaignRun.start("d", workspace=acme, audience=audience) as run:
            [batch] = run.batches()
            batch.store(kept[1], "a", "of 1")
            raise ZeroDivisionError

    run_flow(first)
    run_flow(second)
    assert rows("SELECT number, output FROM leadpush_outcome") == [(1, '"of 1"')]


def test_a_batch_after_its_run(endpoint: ApiEndpoint, acme: Workspace) -> None:
    """When the run has ended, its batches do nothing more, and say so."""
    kept: list[Batch] = []

    def body() -> Any:
        with CampaignRun.start("c", workspace=acme, audience=people(3)) as run:
            kept.extend(run.batches())
            render_template(kept[0], "Hi", output_key="m")
            return run.finish()

    run_flow(body)
    for use in (lambda: list(kept[0].contexts()), lambda: render_template.fn(kept[0], "Hi", output_key="n")):
        with pytest.raises(RunStopped, match="has ended"):
            use()


def test_two_runs_in_one_flow(acme: Workspace) -> None:
    """The flow run's id is for one run; a second one needs an id of its own, or it would go on with the
    first."""

    def body() -> Any:
        with CampaignRun.start("c", workspace=acme, audience=people(3)) as run:
            render_template(run.batches()[0], "Hi", output_key="m")
            with pytest.raises(RunBusy, match="is open in this process"):
                CampaignRun.start("c", workspace=acme, audience=people(3), run_id=run.id)
            run.finish()
        with pytest.raises(LeadpushError, match="has started a run already"):
            CampaignRun.start("c", workspace=acme, audience=people(4))
        with CampaignRun.start("c", workspace=acme, audience=people(4), run_id=f"{run.id}-2") as second:
            render_template(second.batches()[0], "Hi", output_key="m")
            return second.finish()

    assert run_flow(body).result().completed == 4


def test_unsubscribed(endpoint: ApiEndpoint, acme: Workspace, api: RawServer) -> None:
    """They are skipped from the start, unless the campaign says otherwise."""

    def body(include: bool) -> Any:
        audience = people(10)
        with CampaignRun.start("c", workspace=acme, audience=audience, include_unsubscribed=include) as run:
            fetch_api_data(run.batches()[0], endpoint, output_key="profile")
            return run.finish()

    run_flow(lambda: body(False))
    assert b"/profile/5" not in [request.target for request in api.requests]
    run_flow(lambda: body(True))
    assert b"/profile/5" in [request.target for request in api.requests]
    assert len(api.requests) == 9 + 10


def test_limit(acme: Workspace) -> None:
    """At most so many contacts are read of the audience."""
    read: list[int] = []

    def contacts() -> Iterable[dict[str, Any]]:
        for n in range(100):
            read.append(n)
            yield {"id": n}

    def body() -> Any:
        audience = Audience.from_contacts(contacts())
        with CampaignRun.start("c", workspace=acme, audience=audience, limit=7) as run:
            render_template(run.batches()[0], "Hi", output_key="m")
            return run.finish()

    assert run_flow(body).result().contacts == 7
    assert len(read) == 7


def test_malformed_rows(tmp_path: Path, acme: Workspace, rows: Ask, caplog: pytest.LogCaptureFixture) -> None:
    """By default the run refuses to start and names the lines; skip_invalid counts and logs them."""
    path = tmp_path / "people.csv"
    path.write_text("id,subscribed,code\n1,true,007\n,true,a\n3,perhaps,b\n4,0,c\n")

    def body(skip: bool) -> Any:
        audience = Audience.from_file(path)
        with CampaignRun.start("c", workspace=acme, audience=audience, skip_invalid=skip) as run:
            render_template(run.batches()[0], "{{ contact.attributes.code }}", output_key="m")
            state = run.finish()
            assert dict(run.outputs()) == {"1": {"m": "007"}}
            return state

    error = error_of(lambda: body(False))
    assert isinstance(error, AudienceInvalid)
    assert "line 3: It has no id." in str(error)
    assert "line 4: Its subscribed is none of" in str(error)
    assert rows("SELECT count(*) FROM leadpush_contact") == [(0,)]
    with caplog.at_level(logging.WARNING):
        summary = run_flow(lambda: body(True)).result()
    assert (summary.contacts, summary.unsubscribed, summary.invalid) == (2, 1, 2)
    assert "2 rows of the audience were left out. line 3:" in caplog.text


def test_namesakes(acme: Workspace, rows: Ask) -> None:
    """Two contacts of one id are refused and named; nothing is kept of them."""
    audience = Audience.from_contacts([{"id": 1}, {"id": 2}, {"id": "1"}])
    error = error_of(lambda: CampaignRun.start("c", workspace=acme, audience=audience))
    assert "Two contacts have the id 1: item 1 and item 3." in str(error)
    assert rows("SELECT count(*) FROM leadpush_contact") == [(0,)]


def ids(audience: Audience, acme: Workspace) -> dict[str, Any]:
    found: dict[str, Any] = {}

    def body() -> Any:
        with CampaignRun.start("c", workspace=acme, audience=audience) as run:
            for context in run.batches()[0].contexts():
                found[context.contact_id] = dict(context.contact["attributes"])
            raise ZeroDivisionError

    error = error_of(body)
    if not isinstance(error, ZeroDivisionError):
        raise error
    return found


def test_jsonl(tmp_path: Path, acme: Workspace) -> None:
    """Leadpush's shape, with attributes as an object or as text, and flat."""
    path = tmp_path / "people.jsonl"
    path.write_text(
        '{"_id": "a", "attributes": {"n": 1.50}}\n'
        '{"uuid": "b", "attributes": "{\\"n\\": 2}"}\n'
        '{"id": 3, "n": "x"}\n'
    )
    assert ids(Audience.from_file(path), acme) == {"a": {"n": 1.5}, "b": {"n": 2}, "3": {"n": "x"}}


@pytest.fixture
def customers(tmp_path: Path) -> SqlAlchemyConnector:
    database = tmp_path / "customers.db"
    engine = create_engine(f"sqlite:///{database}")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE customer (id INTEGER, plan TEXT, active BOOLEAN, at TEXT)"))
        many = [{"id": n, "plan": "50 %: pro", "active": n % 2, "at": "12:30"} for n in range(2500)]
        connection.execute(text("INSERT INTO customer VALUES (:id, :plan, :active, :at)"), many)
    engine.dispose()
    components = ConnectionComponents(driver=SyncDriver.SQLITE_PYSQLITE, database=str(database))
    return SqlAlchemyConnector(connection_info=components)


def test_sql(customers: SqlAlchemyConnector, acme: Workspace) -> None:
    """The rows of a query are the contacts; `%` and `:` mean nothing to us; a saved connector goes by its
    name."""
    query = (
        "SELECT id, active AS subscribed, plan FROM customer "
        "WHERE plan LIKE '%pro' AND at = '12:30' AND plan != ' :x' AND id < 5"
    )
    assert ids(Audience.from_sql(customers, query), acme) == {n: {"plan": "50 %: pro"} for n in ("1", "3")}
    customers.save("customers", overwrite=True)
    audience = Audience.from_sql(
        "customers", "SELECT plan, id AS customer FROM customer WHERE id = 2", id="customer"
    )
    assert ids(audience, acme) == {"2": {"plan": "50 %: pro"}}
    audience.save("pros", overwrite=True)
    loaded: Any = Audience.load("pros")
    assert ids(loaded, acme) == {"2": {"plan": "50 %: pro"}}
    assert len(ids(Audience.from_sql(customers, "SELECT id FROM customer"), acme)) == 1250, "of two batches"


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("SELECT nonsense FROM customer", "cannot be run: no such column: nonsense"),
        ("UPDATE customer SET plan = 'x' WHERE id = -1", "gives no rows"),
        ("SELECT plan FROM customer", "no column _id, uuid or id"),
    ],
)
def test_sql_that_cannot_be_used(
    query: str, sentence: str, customers: SqlAlchemyConnector, acme: Workspace
) -> None:
    """It says why."""
    with pytest.raises(AudienceInvalid, match=sentence):
        ids(Audience.from_sql(customers, query), acme)


def test_an_unknown_connector(acme: Workspace) -> None:
    """It is named."""
    with pytest.raises(BlockInvalid, match="named 'nothing'"):
        ids(Audience.from_sql("nothing", "SELECT 1 AS id"), acme)


def test_problems_of_the_audience(acme: Workspace) -> None:
    """They are said before the run begins."""
    with pytest.raises(BlockInvalid, match="neither .csv nor .jsonl"):
        ids(Audience(path="people.xlsx"), acme)


def test_a_database_of_ones_own(tmp_path: Path, endpoint: ApiEndpoint) -> None:
    """The workspace names a SqlAlchemyConnector, whose database holds contacts and outputs."""
    components = ConnectionComponents(driver=SyncDriver.SQLITE_PYSQLITE, database=str(tmp_path / "own.db"))
    SqlAlchemyConnector(connection_info=components).save("own-database", overwrite=True)
    workspace = Workspace(database="own-database", allowed_networks=["127.0.0.0/8"])

    def body() -> Any:
        with CampaignRun.start("c", workspace=workspace, audience=people(3)) as run:
            fetch_api_data(run.batches()[0], endpoint, output_key="profile")
            return run.finish()

    assert run_flow(body).result().completed == 3
    engine = create_engine(f"sqlite:///{tmp_path / 'own.db'}")
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM leadpush_outcome")) == 3
    engine.dispose()
    with pytest.raises(BlockInvalid, match="named 'nothing'"):
        CampaignRun.start("c", workspace=Workspace(database="nothing"), audience=people(1))


async def test_async_flow(endpoint: ApiEndpoint, acme: Workspace, api: RawServer) -> None:
    """An async flow awaits the twin, or submits; `finish` waits for both kinds."""

    @flow(task_runner=threads(4))
    async def campaign() -> Any:
        with CampaignRun.start("c", workspace=acme, audience=people(10), batches=2) as run:
            first, second = run.batches()
            assert await afetch_api_data(first, endpoint, output_key="profile") == first
            waited = afetch_api_data.submit(second, endpoint, output_key="profile")
            for batch in (first, waited):
                render_template.submit(batch, MESSAGE, output_key="m")
            return run.finish()

    assert (await campaign()).completed == 8
    assert len(api.requests) == 9


def test_retries_of_a_batch(endpoint: ApiEndpoint, acme: Workspace, api: RawServer, rows: Ask) -> None:
    """Prefect's `retries` run a batch's task again: what has an outcome is not fetched again."""
    from leadpush_prefect.campaigns import outcome_writer
    from leadpush_prefect.store.outcomes import write_outcomes

    calls = [0]

    def write(*arguments: Any, **named: Any) -> None:
        write_outcomes(*arguments, **named)
        calls[0] += 1
        if calls[0] == 1:
            raise ZeroDivisionError

    def body() -> Any:
        with CampaignRun.start("c", workspace=acme, audience=people(10)) as run:
            patient = fetch_api_data.with_options(retries=1)
            patient.submit(run.batches()[0], endpoint, output_key="profile")
            return run.finish()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outcome_writer, "write_outcomes", write)
        state = run_flow(body)
    assert state.is_completed()
    assert len(api.requests) == 9
    assert rows(OUTCOMES) == [(0, 1, 8), (0, 3, 1)]


def test_an_empty_audience(endpoint: ApiEndpoint, acme: Workspace) -> None:
    """A run of nobody is complete."""

    def body() -> Any:
        with CampaignRun.start("c", workspace=acme, audience=Audience.from_contacts([])) as run:
            for batch in run.batches():
                fetch_api_data.submit(batch, endpoint, output_key="profile")
            return run.finish()

    assert run_flow(body).name == "Completed"

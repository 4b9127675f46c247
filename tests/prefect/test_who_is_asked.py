"""Nobody is asked who opted out: campaigns over each kind of audience, counted at the API, on both databases."""

from __future__ import annotations

import csv
import itertools
import json
import logging
import pickle
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prefect import flow, task
from prefect.client.schemas.objects import State
from prefect_sqlalchemy import ConnectionComponents, SqlAlchemyConnector, SyncDriver
from sqlalchemy import Engine, update

from flows.welcome import welcome
from leadpush_prefect import (
    ApiEndpoint,
    Audience,
    AudienceInvalid,
    Batch,
    CampaignContext,
    CampaignRun,
    FetchFailed,
    Reason,
    RunSummary,
    Workspace,
    afetch_api_data,
    fetch_api_data,
    render_template,
)
from leadpush_prefect.model.contact import ContactRow
from leadpush_prefect.store.database import open_database, writing
from leadpush_prefect.store.exports import contact_outcomes
from leadpush_prefect.store.runs import find_run
from leadpush_prefect.store.schema import contact as contacts
from leadpush_prefect.store.schema import run as runs
from tests.support.depth import catalogue
from tests.support.flows import on_database, run_flow
from tests.support.raw_server import RawServer, respond

Row = dict[str, Any]
YES_NO = "true", "no", "", "YES", "0", None, "n", "1"
ASKED = {"0", "3", "7"}
"""Of eight contacts with these answers, those who said yes."""


@pytest.fixture
def acme(acme: Workspace, block: str) -> Workspace:
    """The workspace, on either database."""
    return on_database(acme, block)


@pytest.fixture
def database(url: str) -> Engine:
    return open_database(url)


@pytest.fixture
def api() -> Iterator[RawServer]:
    with RawServer(respond(b'{"plan": "pro"}')) as server:
        yield server


def asked(api: RawServer) -> set[str]:
    """Whom the API was asked for; nobody twice."""
    ids = [request.target.decode().rsplit("/", 1)[-1] for request in api.requests]
    assert len(ids) == len(set(ids))
    return set(ids)


def campaign(api: RawServer, workspace: Workspace, **options: Any) -> Callable[..., State[Any]]:
    """A step and a message; with `stop_after`, the first step alone, and then an exception."""
    endpoint = ApiEndpoint(url=api.url + "/{{ contact._id }}", max_attempts=1)

    def body(audience: Audience, stop: bool = False, **more: Any) -> Any:
        with CampaignRun.start("c", workspace=workspace, audience=audience, **options | more) as run:
            for batch in run.batches():
                done = fetch_api_data.submit(batch, endpoint, output_key="profile")
                if stop:
                    done.wait()
                    raise ZeroDivisionError
                render_template.submit(done, "Hi {{ contact._id }}", output_key="message")
            return run.finish()

    return lambda audience, **more: run_flow(lambda: body(audience, **more))


def people(name: str, answers: Iterable[Any] = YES_NO) -> list[Row]:
    return [{"id": n, name: answer} for n, answer in enumerate(answers)]


def as_csv(folder: Path, rows: list[Row], **named: str) -> Audience:
    path = folder / "people.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return Audience.from_file(path, **named)


def as_jsonl(folder: Path, rows: list[Row], **named: str) -> Audience:
    path = folder / "people.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return Audience.from_file(path, **named)


def as_leadpush(folder: Path, rows: list[Row], **named: str) -> Audience:
    shaped = [{"_id": row["id"], "attributes": {k: v for k, v in row.items() if k != "id"}} for row in rows]
    return as_jsonl(folder, shaped, **named)


def as_sql(folder: Path, rows: list[Row], **named: str) -> Audience:
    path = folder / "people.db"
    path.unlink(missing_ok=True)
    columns = ", ".join(f'"{name}"' for name in rows[0])
    values = ", ".join("?" for _ in rows[0])
    with sqlite3.connect(path) as connection:
        connection.execute(f"CREATE TABLE people ({columns})")
        connection.executemany(f"INSERT INTO people VALUES ({values})", [list(row.values()) for row in rows])
    connection.close()
    driver = ConnectionComponents(driver=SyncDriver.SQLITE_PYSQLITE, database=str(path))
    return Audience.from_sql(SqlAlchemyConnector(connection_info=driver), "SELECT * FROM people", **named)


def as_python(folder: Path, rows: list[Row], **named: str) -> Audience:
    return Audience.from_contacts((row for row in rows), **named)


Kind = Callable[..., Audience]
KINDS = [as_csv, as_jsonl, as_leadpush, as_sql, as_python]
each_kind = pytest.mark.parametrize("kind", KINDS)
each_kind_asked = pytest.mark.parametrize("kind", catalogue(KINDS))  # a whole campaign for each


@each_kind
@pytest.mark.parametrize("name", ["subscribed", "Subscribed", "SUBSCRIBED", " subscribed", "subscribed "])
def test_however_the_column_is_written(kind: Kind, name: str, tmp_path: Path) -> None:
    """The column is found in any case and with blanks around it."""
    rows = kind(tmp_path, people(name)).rows()
    assert {row.contact_id for row in rows if isinstance(row, ContactRow) and row.subscribed} == ASKED


@pytest.mark.parametrize(
    ("kind", "name"),
    catalogue(
        zip(KINDS, ["subscribed", "Subscribed", "SUBSCRIBED", " subscribed", "subscribed "], strict=True)
    ),
)
def test_only_who_said_yes(kind: Kind, name: str, acme: Workspace, api: RawServer, tmp_path: Path) -> None:
    """Who says no, or nothing, is not asked; those who said nothing are counted apart."""
    summary = campaign(api, acme)(kind(tmp_path, people(name))).result()
    assert asked(api) == ASKED
    assert (summary.contacts, summary.unsubscribed, summary.no_answer) == (8, 5, 2)
    assert summary.completed == 3
    assert summary.consent == f"column {name.strip()}"


@each_kind_asked
def test_named_column(kind: Kind, acme: Workspace, api: RawServer, tmp_path: Path) -> None:
    """A column that the audience names says it, whatever it is called."""
    assert campaign(api, acme)(kind(tmp_path, people("ok with us"), subscribed="OK with us")).is_completed()
    assert asked(api) == ASKED


@each_kind_asked
def test_opposite_column(kind: Kind, acme: Workspace, api: RawServer, tmp_path: Path) -> None:
    """A column of those who opted out asks the others; who gives no answer is not asked either."""
    audience = kind(tmp_path, people("Do Not Email"), unsubscribed="Do Not Email")
    state = campaign(api, acme)(audience)
    assert asked(api) == {"1", "4", "6"}
    assert "5 unsubscribed (no answer: 2)" in (state.message or "")


@each_kind_asked
def test_no_column_on_purpose(kind: Kind, acme: Workspace, api: RawServer, tmp_path: Path) -> None:
    """An audience that says that it has no consent column is asked whole."""
    assert campaign(api, acme)(kind(tmp_path, people("marketing_consent"), subscribed="*")).is_completed()
    assert asked(api) == set(map(str, range(8)))


@each_kind
@pytest.mark.parametrize("name", ["unsubscribed", "is_subscribed", "opt_out", "Do Not Email", "gdprConsent"])
def test_look_alikes_are_refused(kind: Kind, name: str, tmp_path: Path) -> None:
    """A column that looks like consent and is not named ends the reading."""
    with pytest.raises(AudienceInvalid, match="looks like consent"):
        list(kind(tmp_path, people(name)).rows())


@pytest.mark.parametrize(
    ("kind", "name"),
    catalogue(
        zip(KINDS, ["unsubscribed", "is_subscribed", "opt_out", "Do Not Email", "gdprConsent"], strict=True)
    ),
)
def test_look_alikes_stop_the_run(
    kind: Kind, name: str, acme: Workspace, api: RawServer, tmp_path: Path
) -> None:
    """A look-alike that is not named stops the run before anybody is asked, with lines to choose from."""
    refusal = campaign(api, acme)(kind(tmp_path, people(name))).result(raise_on_failure=False)
    assert isinstance(refusal, AudienceInvalid)
    for line in (f'subscribed="{name}"', f'unsubscribed="{name}"', 'subscribed="*"'):
        assert line in str(refusal)
    assert asked(api) == set()


@each_kind_asked
def test_a_status_of_unsubscribed(kind: Kind, acme: Workspace, api: RawServer, tmp_path: Path) -> None:
    """A status column may hold anything, until it says of somebody that they opted out."""
    states = people("email_status", ["active", "new"])
    assert campaign(api, acme)(kind(tmp_path, states)).is_completed()
    gone = people("email_status", ["active", "Unsubscribed"])
    assert isinstance(
        campaign(api, acme)(kind(tmp_path, gone)).result(raise_on_failure=False), AudienceInvalid
    )
    assert asked(api) == {"0", "1"}


def test_no_column(acme: Workspace, api: RawServer, caplog: pytest.LogCaptureFixture) -> None:
    """Without such a column everybody is asked, and the run's first line, its summary and problems() say so."""
    rows = [{"id": n, "subscription_plan": "pro", "optional": "false"} for n in range(3)]
    with caplog.at_level(logging.INFO):
        state = campaign(api, acme)(Audience.from_contacts(rows))
    said = "no consent column, so everybody is taken for subscribed"
    first = next(record.getMessage() for record in caplog.records if "Campaign c" in record.getMessage())
    assert said in first
    assert said == state.result().consent
    assert asked(api) == {"0", "1", "2"}
    [problem] = Audience.from_contacts(rows).problems()
    assert ("warning", "subscribed") == (problem.severity, problem.field)
    assert [] == Audience.from_contacts(rows, subscribed="*").problems()
    assert [] == Audience.from_contacts([{"id": 1, "subscribed": True}]).problems()


@each_kind
def test_problems(kind: Kind, tmp_path: Path) -> None:
    """`problems()` names the look-alike that would stop a run, and warns of an audience without a column."""
    audience = kind(tmp_path, people("opt_out"))
    if kind is not as_python:  # which can be read only once
        [problem] = audience.problems()
        assert ("error", "subscribed") == (problem.severity, problem.field)
        assert ["warning"] == [p.severity for p in kind(tmp_path, people("plan")).problems()]
    assert [] == kind(tmp_path, people("opt_out"), unsubscribed="opt_out").problems()


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"subscribed": "*", "unsubscribed": "x"}, "subscribed"),
        ({"unsubscribed": "*"}, "unsubscribed"),
        ({"subscribed": "ok", "unsubscribed": " OK"}, "unsubscribed"),
    ],
)
def test_names_that_contradict(fields: dict[str, str], field: str) -> None:
    """Names that cannot both be meant are a problem of the Block."""
    assert [("error", field)] == [(p.severity, p.field) for p in Audience(path="a.csv", **fields).problems()]


@each_kind
def test_a_named_column_that_is_not_there(
    kind: Kind, acme: Workspace, api: RawServer, tmp_path: Path
) -> None:
    """A name that no column has is no reason to ask everybody."""
    for named in ({"subscribed": "ok"}, {"unsubscribed": "stop"}):
        audience = kind(tmp_path, people("plan"), **named)
        refusal = campaign(api, acme)(audience).result(raise_on_failure=False)
        assert isinstance(refusal, AudienceInvalid)
        assert "which is named for consent" in str(refusal)
    assert asked(api) == set()


def test_none_and_yet_one(acme: Workspace, api: RawServer) -> None:
    """An audience that says that it has no column, and has the very one, is refused."""
    audience = Audience.from_contacts([{"id": 1, "subscribed": False}], subscribed="*")
    assert isinstance(campaign(api, acme)(audience).result(raise_on_failure=False), AudienceInvalid)
    assert asked(api) == set()


@pytest.mark.parametrize(
    ("kind", "where"),
    [(as_jsonl, 0), (as_leadpush, 1), (as_python, 1_500), (as_jsonl, 2_499), (as_leadpush, 1_000)],
)
def test_some_rows_have_it(
    kind: Kind, where: int, acme: Workspace, api: RawServer, tmp_path: Path, database: Engine
) -> None:
    """As soon as one row has the column, those without it are not subscribed, those before it too."""
    rows: list[Row] = [{"id": n, "price": 1.5} for n in range(2_500)]
    rows[where]["subscribed"] = True
    summary = campaign(api, acme, run_id="r")(kind(tmp_path, rows)).result()
    assert asked(api) == {str(where)}
    assert (summary.unsubscribed, summary.no_answer, summary.completed) == (2_499, 2_499, 1)
    with database.connect() as connection:
        stored = {row.number: row for row in connection.execute(contacts.select())}
    assert {where} == {number for number, row in stored.items() if row.subscribed}
    for number, row in stored.items():
        assert json.loads(row.data)["subscribed"] == (number == where)
        assert json.loads(row.data)["attributes"]["price"] == 1.5


def test_the_one_with_it_is_invalid(acme: Workspace, api: RawServer) -> None:
    """A row with the column counts although it is left out."""
    for wrong in ({"id": 3, "subscribed": "perhaps"}, {"subscribed": False}):
        rows: list[Row] = [{"id": 1}, {"id": 2}, wrong]
        summary = campaign(api, acme)(Audience.from_contacts(rows), skip_invalid=True).result()
        assert (summary.contacts, summary.no_answer, summary.invalid) == (2, 2, 1)
    unclear = Audience.from_contacts([{"id": 1}, {"opt_out": True}])
    state = campaign(api, acme)(unclear, skip_invalid=True)
    assert isinstance(state.result(raise_on_failure=False), AudienceInvalid)
    assert asked(api) == set()


@pytest.mark.parametrize("kind", [as_jsonl, as_leadpush, lambda _, rows: Audience.from_contacts(rows)])
def test_beyond_the_limit(kind: Kind, acme: Workspace, api: RawServer, tmp_path: Path) -> None:
    """A first try of a few looks at the others for whether they say who may be asked; an iterator may have no end."""
    rows: list[Row] = [*({"id": n, "plan": "pro"} for n in range(10)), {"id": 10, "subscribed": True}]
    assert campaign(api, acme, limit=5)(kind(tmp_path, rows)).result().no_answer == 5
    assert asked(api) == set()
    endless = Audience.from_contacts({"id": n} for n in itertools.count())
    assert campaign(api, acme, limit=5)(endless).result().completed == 5


@pytest.mark.parametrize(("own", "attribute"), [(True, False), (False, True), (True, ""), (None, True)])
def test_the_stricter_wins(own: Any, attribute: Any, acme: Workspace, api: RawServer) -> None:
    """Where a contact and its attributes both say it, the stricter one counts."""
    rows = [
        {"_id": "both", "subscribed": own, "attributes": {"Subscribed": attribute}},
        {"_id": "yes", "subscribed": True, "attributes": {"subscribed": "yes"}},
    ]
    campaign(api, acme)(Audience.from_contacts(rows))
    assert asked(api) == {"yes"}


def test_named_beside_a_look_alike(acme: Workspace, api: RawServer, caplog: pytest.LogCaptureFixture) -> None:
    """Where the audience names a column, another that looks like consent is left alone, and the log says so."""
    rows = [{"id": 1, "email_ok": "y", "sms_consent": "n"}]
    campaign(api, acme)(Audience.from_contacts(rows, subscribed="email_ok"))
    assert asked(api) == {"1"}
    assert "sms_consent" in "".join(record.getMessage() for record in caplog.records)


def test_everybody_on_purpose(acme: Workspace, api: RawServer) -> None:
    """A run that includes the unsubscribed asks everybody, whatever looks like consent."""
    rows: list[Row] = [*people("subscribed"), {"id": 8, "opt_out": True}]
    state = campaign(api, acme, include_unsubscribed=True)(Audience.from_contacts(rows))
    assert state.is_completed()
    assert asked(api) == set(map(str, range(9)))


# A later execution.


def age(database: Engine, hours: float) -> str:
    """Have the run's consent be so old."""
    then = datetime.now(UTC) - timedelta(hours=hours)
    with writing(database) as connection:
        connection.execute(update(runs).values(consent_at=then.isoformat()))
    return f"{then.day} {then:%b %H:%M}"


def half_done(api: RawServer, acme: Workspace, rows: list[Row]) -> Callable[..., State[Any]]:
    """A run whose first step is done, and that was left by an exception."""
    run = campaign(api, acme, run_id="r")
    assert run(Audience.from_contacts(rows), stop=True).is_failed()
    api.requests.clear()
    return run


ALL: list[Row] = [{"id": n, "subscribed": True} for n in range(5)]
LATER: list[Row] = [
    {"id": 0, "subscribed": True},
    {"id": 1, "subscribed": "no"},
    {"id": 2, "subscribed": None},
    {"id": 4, "subscribed": 1},
]
"""Of the five, 1 has opted out, 2 gives no answer, and 3 is gone."""


def test_a_day_later(
    acme: Workspace, api: RawServer, database: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    """Who has opted out since, or is gone, is skipped at the steps still to come, and counted; totals stay."""
    run = half_done(api, acme, ALL)
    age(database, 25)
    with caplog.at_level(logging.INFO):
        summary = run(Audience.from_contacts(LATER)).result()
    assert (summary.contacts, summary.unsubscribed, summary.withdrawn) == (5, 0, 3)
    profile, message = summary.steps
    assert (profile.fetched, profile.skipped) == (5, 0)
    assert (message.fetched, message.skipped, message.not_reached) == (2, 3, 0)
    assert (summary.completed, summary.stopped) == (2, 0), "nobody is to the end who got no message"
    record = find_run(database, "r")
    assert record
    outcomes = contact_outcomes(database, record, "3") or []
    assert [(None, "profile"), (Reason.NOT_SUBSCRIBED, "message")] == [(o.code, node) for node, o in outcomes]
    assert "3 no longer subscribed" in caplog.text
    assert "consent as of" in caplog.text


def test_within_a_day(
    acme: Workspace, api: RawServer, database: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    """The snapshot's consent counts for a day, and the log says from when it is."""
    run = half_done(api, acme, ALL)
    since = age(database, 23)
    with caplog.at_level(logging.INFO):
        summary = run(Audience.from_contacts([])).result()
    assert (summary.withdrawn, summary.completed) == (0, 5)
    assert f"consent as of {since}" in caplog.text


def test_after_the_end(acme: Workspace, api: RawServer, database: Engine) -> None:
    """Who had been through all steps before is to the end all the same: each contact is counted once."""
    run = campaign(api, acme, run_id="r")
    run(Audience.from_contacts(ALL))
    summary = run(Audience.from_contacts(LATER), refresh_consent=True).result()
    assert (summary.completed, summary.stopped, summary.withdrawn) == (5, 0, 0)
    record = find_run(database, "r")
    assert record
    assert record.withdrawn == 3


def test_a_refresh_that_fails(acme: Workspace, api: RawServer, database: Engine) -> None:
    """An audience that breaks off changes nothing: who was no longer subscribed is not asked by the next execution."""
    run = half_done(api, acme, ALL)

    def broken() -> Iterator[Row]:
        yield from LATER[:1]
        raise OSError("gone")

    assert run(Audience.from_contacts(LATER), stop=True, refresh_consent=True).is_failed()
    assert run(Audience.from_contacts(broken()), refresh_consent=True).is_failed()
    record = find_run(database, "r")
    assert record
    assert (record.status, record.state) == ("stopped", "Could not start")
    summary = run(Audience.from_contacts(LATER)).result()
    assert (summary.withdrawn, summary.steps[1].fetched, summary.steps[1].skipped) == (3, 2, 3)


@pytest.mark.parametrize("later", [[], [{"id": n} for n in range(5)]])
def test_another_audience(later: list[Row], acme: Workspace, api: RawServer, database: Engine) -> None:
    """An audience that is empty now, or has lost its consent column, is refused: it says nothing of the contacts."""
    run = half_done(api, acme, ALL)
    age(database, 25)
    refusal = run(Audience.from_contacts(later)).result(raise_on_failure=False)
    assert isinstance(refusal, AudienceInvalid)
    assert "refresh_consent=False" in str(refusal)
    assert run(Audience.from_contacts(later), refresh_consent=False).result().completed == 5


def test_an_older_run_whose_audience_is_gone(acme: Workspace, api: RawServer, database: Engine) -> None:
    """What its stored contacts say counts, whatever becomes of reading the audience again."""
    run = half_done(api, acme, [{"id": n} for n in range(4)])
    as_older_version(database, [{"Subscribed": answer} for answer in (True, "no", "", True)])
    with writing(database) as connection:
        connection.execute(update(runs).values(started_at="2026-01-01T00:00:00+00:00"))
    gone = Audience.from_file("/nowhere/gone.csv")
    assert run(gone).is_failed()
    assert run(Audience.from_contacts({"id": n} for n in range(4))).is_failed()
    summary = run(gone, refresh_consent=False).result()
    assert (summary.withdrawn, summary.steps[1].fetched, summary.steps[1].skipped) == (2, 2, 2)


@pytest.mark.parametrize(("hours", "refresh", "withdrawn"), [(1, True, 3), (99, False, 0)])
def test_refresh_consent(
    hours: float, refresh: bool, withdrawn: int, acme: Workspace, api: RawServer, database: Engine
) -> None:
    """`refresh_consent` says otherwise."""
    run = half_done(api, acme, ALL)
    age(database, hours)
    assert run(Audience.from_contacts(LATER), refresh_consent=refresh).result().withdrawn == withdrawn


def test_nobody_new_is_asked(acme: Workspace, api: RawServer, database: Engine) -> None:
    """Those without an outcome are asked only if they are still subscribed; the whole audience is looked at, whatever
    the limit."""
    rows = [{"id": n, "subscribed": n != 3} for n in range(40)]
    run = campaign(api, acme, run_id="r", limit=20)
    with pytest.raises(ZeroDivisionError):
        flow(lambda: _snapshot_only(acme, rows))()
    age(database, 30)
    later = [{"id": n, "subscribed": n != 7} for n in reversed(range(40))]  # 3 has come back: too late
    summary = run(Audience.from_contacts(later)).result()
    assert asked(api) == set(map(str, range(20))) - {"3", "7"}
    assert (summary.contacts, summary.unsubscribed, summary.withdrawn) == (20, 1, 1)
    again = run(Audience.from_contacts(later)).result()
    assert again.steps == summary.steps
    assert asked(api) == set(map(str, range(20))) - {"3", "7"}


def _snapshot_only(acme: Workspace, rows: list[Row]) -> None:
    audience = Audience.from_contacts(rows)
    with CampaignRun.start("c", workspace=acme, audience=audience, run_id="r", limit=20):
        raise ZeroDivisionError


def test_tasks_of_ones_own(acme: Workspace, api: RawServer, database: Engine) -> None:
    """A task of the flow's own does not see who is no longer subscribed, and they count as skipped there."""
    run = half_done(api, acme, ALL)
    del run
    age(database, 25)
    seen: list[str] = []

    @task
    def score(batch: Batch) -> Batch:
        for context in batch.contexts():
            assert context.is_subscribed
            seen.append(context.contact_id)
            batch.store(context, "score", {"points": 1})
        return batch

    def body() -> Any:
        audience = Audience.from_contacts(LATER)
        with CampaignRun.start("c", workspace=acme, audience=audience, run_id="r") as run:
            return run.finish([score.submit(batch) for batch in run.batches()])

    summary = run_flow(body).result()
    assert seen == ["0", "4"]
    assert (summary.steps[-1].fetched, summary.steps[-1].skipped) == (2, 3)


def test_snapshot_of_an_older_version(acme: Workspace, api: RawServer, database: Engine) -> None:
    """A half-done run of a version that looked at `subscribed` alone is judged again from what it stored."""
    rows: list[Row] = [{"id": n} for n in range(6)]
    run = half_done(api, acme, rows)
    answers = [True, "no", "", "maybe", "YES", None]
    as_older_version(database, [{"Subscribed": answer} for answer in answers])
    summary = run(Audience.from_contacts([])).result()
    assert (summary.withdrawn, summary.steps[1].fetched, summary.steps[1].skipped) == (4, 2, 4)


def test_look_alike_in_an_older_snapshot(acme: Workspace, api: RawServer, database: Engine) -> None:
    """There, too, a look-alike must be named before anybody else is asked."""
    run = half_done(api, acme, [{"id": n} for n in range(3)])
    as_older_version(database, [{"opt_out": n == 1} for n in range(3)])
    assert isinstance(run(Audience.from_contacts([])).result(raise_on_failure=False), AudienceInvalid)
    summary = run(Audience.from_contacts([], unsubscribed="opt_out")).result()
    assert (summary.withdrawn, summary.steps[1].fetched) == (1, 2)


def as_older_version(database: Engine, attributes: list[Row]) -> None:
    """Have the run's snapshot be as a version took it that knew `subscribed` alone."""
    with writing(database) as connection:
        connection.execute(update(runs).values(consent="", consent_at=""))
        for number, found in enumerate(attributes):
            data = json.dumps(
                {"_id": str(number), "uuid": str(number), "subscribed": True, "attributes": found}
            )
            connection.execute(update(contacts).where(contacts.c.number == number).values(data=data))


# One contact.

NOT_SUBSCRIBED = [
    {"id": 1, "subscribed": False},
    {"id": 1, "Subscribed": "no"},
    {"_id": 1, "subscribed": True, "attributes": {"subscribed": None}},
]


@pytest.mark.parametrize("person", NOT_SUBSCRIBED)
@pytest.mark.parametrize("on_failure", ["stop", "continue"])
async def test_one_contact(person: Row, on_failure: Any, acme: Workspace, api: RawServer) -> None:
    """The tasks refuse a contact that is not subscribed, whatever they do with failures, before they look at anything."""
    context = CampaignContext(workspace=acme, campaign="c", contact=person)
    assert not context.is_subscribed
    calls: list[Callable[[], Any]] = [
        lambda: fetch_api_data.fn(context, "no-such-endpoint", output_key="a", on_failure=on_failure),
        lambda: render_template.fn(context, "Hi", on_failure=on_failure),
    ]
    for call in calls:
        with pytest.raises(FetchFailed, match="not_subscribed.*for contact 1") as refused:
            call()
        assert refused.value.reason is Reason.NOT_SUBSCRIBED
    with pytest.raises(FetchFailed, match="not_subscribed at endpoint no-such-endpoint"):
        await afetch_api_data.fn(context, "no-such-endpoint", output_key="a", on_failure=on_failure)
    assert not api.requests


def test_one_contact_on_purpose(acme: Workspace, api: RawServer) -> None:
    """A context that includes the unsubscribed is asked, also after it was pickled; an endpoint's own call never asks."""
    endpoint = ApiEndpoint(url=api.url + "/{{ contact._id }}")
    one = {"id": 1, "subscribed": False}
    context = CampaignContext(workspace=acme, campaign="c", contact=one, include_unsubscribed=True)
    context = pickle.loads(pickle.dumps(context))
    assert {"plan": "pro"} == fetch_api_data.fn(context, endpoint, output_key="a").workflow["a"]
    assert "1" == render_template.fn(context, "{{ contact._id }}")
    assert {"plan": "pro"} == endpoint.call(CampaignContext(workspace=acme, campaign="c", contact=one))


@pytest.mark.parametrize("person", [{"id": 1, "opt_out": False}, {"id": 1, "status": "unsubscribed"}])
def test_one_contact_that_is_unclear(person: Row) -> None:
    """A contact that has a look-alike alone is refused; `subscribed` beside it, or include_unsubscribed, decides."""
    with pytest.raises(AudienceInvalid, match=r"not clear whether contact 1 is subscribed.*`subscribed`"):
        CampaignContext(workspace="acme", campaign="c", contact=person)
    assert CampaignContext(workspace="acme", campaign="c", contact={**person, "subscribed": 1}).is_subscribed
    CampaignContext(workspace="acme", campaign="c", contact=person, include_unsubscribed=True)


def test_find() -> None:
    """A contact that is looked up is judged as the audience is: also by rows that come after it."""
    named = Audience.from_contacts([{"id": 1, "stop": "yes"}, {"id": 2, "stop": "no"}], unsubscribed="stop")
    assert [False, True] == [named.find(id)["subscribed"] for id in "12"]
    late = Audience.from_contacts([{"id": 1}, {"id": 2}, {"id": 3, "subscribed": True}])
    assert [False, False, True] == [late.find(id)["subscribed"] for id in "123"]
    with pytest.raises(AudienceInvalid, match="looks like consent"):
        Audience.from_contacts([{"id": 1, "opt_in": 1}]).find("1")
    with pytest.raises(AudienceInvalid, match="1 row cannot be used: item 1: Its subscribed"):
        Audience.from_contacts([{"id": 1, "subscribed": "maybe"}]).find("1")


def test_welcome_of_one_who_opted_out() -> None:
    """The event-started campaign ends in a state that says why nobody was greeted."""
    audience = Audience.from_contacts([{"id": 1, "subscribed": False}])
    state = welcome("1", audience, return_state=True)
    assert ("Not subscribed", True) == (state.name, state.is_completed())


def test_a_runs_contexts(acme: Workspace, api: RawServer) -> None:
    """Contexts of a run carry whether it includes the unsubscribed."""
    found: list[tuple[bool, bool]] = []

    @task
    def look(batch: Batch) -> None:
        for context in batch.contexts():
            found.append((context.is_subscribed, context.include_unsubscribed))
            render_template.fn(context, "Hi")

    def body() -> Any:
        audience = Audience.from_contacts([{"id": 1, "subscribed": False}])
        with CampaignRun.start("c", workspace=acme, audience=audience, include_unsubscribed=True) as run:
            return run.finish([look.submit(batch) for batch in run.batches()])

    run_flow(body)
    assert found == [(False, True)]


def test_summary_is_a_run_summary(acme: Workspace, api: RawServer) -> None:
    """What an earlier version pickled of a summary has the defaults."""
    summary = campaign(api, acme)(Audience.from_contacts([{"id": 1}])).result()
    assert isinstance(summary, RunSummary)
    assert pickle.loads(pickle.dumps(summary)) == summary

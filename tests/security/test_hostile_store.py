"""A database that somebody else has written to: a sentence, whatever it holds, and nothing of it is run."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect.settings import PREFECT_HOME, temporary_settings
from sqlalchemy import Engine, create_engine, inspect, text
from sqlalchemy.exc import DBAPIError

from leadpush_prefect import Audience, CampaignRun, Workspace
from leadpush_prefect.cli import main
from leadpush_prefect.errors import LeadpushError
from leadpush_prefect.model.consent import Consent
from leadpush_prefect.model.contact import ContactRow
from leadpush_prefect.model.outcome import Outcome, Status
from leadpush_prefect.runs import lease as run_lease
from leadpush_prefect.store.database import open_database
from leadpush_prefect.store.outcomes import write_outcomes
from leadpush_prefect.store.progress import count_outcomes
from leadpush_prefect.store.runs import find_run, list_runs
from leadpush_prefect.store.schema import metadata
from leadpush_prefect.store.snapshot import snapshot
from leadpush_prefect.system.process_identity import describe_process, has_ended
from tests.support.databases import forget_engines
from tests.support.depth import catalogue
from tests.support.store import FAILED, begin, declare

Run = Callable[..., tuple[int, str]]

# What a terminal would obey, as markup, as a sequence, and as C1.
OBEYED = "\x1b[31m\x1b]8;;https://evil.example\x07\x9b31m\u202e[red][link=https://evil.example]x[/]"


on_sqlite = pytest.mark.parametrize("url", ["sqlite"], indirect=True)


@pytest.fixture(autouse=True)
def home(tmp_path: Path) -> Iterator[Path]:
    """Prefect's, and so that of the embedded database."""
    with temporary_settings({PREFECT_HOME: tmp_path}):
        yield tmp_path


@pytest.fixture
def workspace(request: pytest.FixtureRequest, url: str) -> str:
    """The name of a saved workspace of this database; none for the embedded one, which needs no Prefect server."""
    if url.startswith("sqlite"):
        return ""
    Workspace(database=request.getfixturevalue("block")).save("hostile-store", overwrite=True)
    return "hostile-store"


@pytest.fixture
def database(url: str) -> Engine:
    """A run with two contacts: one with an output, one that failed."""
    database = open_database(url)
    contacts = [
        ContactRow(name, Consent.SUBSCRIBED, json.dumps({"_id": name, "attributes": {}}), name)
        for name in "ab"
    ]
    run = snapshot(database, begin(database), contacts)
    step = declare(database, run, "profile")
    outcomes = [Outcome(Status.FETCHED, '{"plan":"pro"}', None, 0.1, 1, 14), FAILED]
    write_outcomes(database, run.key, step, list(enumerate(outcomes)))
    return database


@pytest.fixture
def run(
    home: Path, workspace: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """Run a command; an exception that is none of ours, and so a traceback, fails the test."""
    monkeypatch.chdir(home)
    monkeypatch.setenv("COLUMNS", "200")

    def command(*arguments: str) -> tuple[int, str]:
        where = ["--workspace", workspace] if workspace else []
        monkeypatch.setattr("sys.argv", ["leadpush", *arguments, *where])
        with pytest.raises(SystemExit) as ended:
            main()
        assert isinstance(ended.value.code, int)
        return ended.value.code, "".join(capsys.readouterr())

    return command


def spoil(url: str, statement: str, *values: Any) -> bool:
    """Write to the database as somebody else would.

    Returns:
        Whether it took it. SQLite takes any value in any column. PostgreSQL's columns are typed: no text for a number, no
        number or bytes for a text, and not too many digits; and its text holds no NUL, and nothing that is not UTF-8.
    """
    others = create_engine(url)
    try:
        with others.begin() as connection:
            connection.exec_driver_sql(statement.replace("?", MARK[connection.dialect.name]), values)
        return True
    except DBAPIError:
        return False
    finally:
        others.dispose()


MARK = {"sqlite": "?", "postgresql": "%s"}


COMMANDS = [
    ("runs",),
    ("runs", "--json"),
    ("runs", "show", "r1"),
    ("runs", "show", "r1", "--json"),
    ("runs", "show", "r1", "--contact", "a"),
    ("runs", "show", "r1", "--contact", "b"),
    ("runs", "show", "r1", "--contact", "b", "--json"),
    ("runs", "export", "r1", "--to", "out.csv", "--attributes"),
    ("runs", "export", "r1", "--to", "out.jsonl", "--attributes"),
    ("runs", "delete", "r1", "--unfinished"),
]

# Of those, enough to read each column.
EACH = [COMMANDS[number] for number in (0, 2, 5, 7)]

DEEP = "[" * 100_000 + "]" * 100_000
FAILURE = {"reason": "timeout", "message": "x"}


def stored(value: Any) -> Any:
    return value if value is None or isinstance(value, bytes) else json.dumps(value)


DETAILS: list[Any] = [
    None, b"{}", [], 7, "x", {}, {"reason": "timeout"}, FAILURE | {"reason": "no_such"},
    FAILURE | {"reason": ["timeout"]}, FAILURE | {"reason": OBEYED}, FAILURE | {"message": ["x"]},
    FAILURE | {"message": OBEYED, "excerpt": OBEYED, "request": OBEYED}, FAILURE | {"unknown": 1},
    FAILURE | {"http_status": "404"}, FAILURE | {"http_status": 10**30}, FAILURE | {"__class__": "x"},
]  # fmt: skip

SPOILED: list[tuple[str, Any]] = [
    *[
        (f"UPDATE leadpush_run SET {column} = ?", value)
        for column in ("campaign", "workspace", "status", "started_at", "state", "source", "finished_at")
        for value in (b"\xff", 5, OBEYED, "", "a\0b", "x" * 100_000)
    ],
    *[
        (f"UPDATE leadpush_run SET {column} = ?", value)
        for column in ("contacts", "unsubscribed", "invalid", "batches", "batch_size", "execution")
        for value in ("many", -1, 2**62, b"", 0, 1.5)
    ],
    *[("UPDATE leadpush_run SET holder = ?", value) for value in ("{", DEEP, "[]", '{"pid":"../../x"}', 7)],
    *[
        (f"UPDATE leadpush_step SET {column} = ?", value)
        for column in ("node", "output_key", "kind", "endpoint", "condition", "on_failure", "definition")
        for value in (b"\xff", 5, OBEYED, "../../x", "{{ 7*7 }}", "'); DROP TABLE leadpush_run; --", "x" * 100_000)
    ],
    *[("UPDATE leadpush_step SET step = ?", value) for value in (7, "x", -1)],
    *[
        ("UPDATE leadpush_contact SET data = ?", value)
        for value in ("", "{", "[]", "7", DEEP, b"{}", '{"_id":7}', '{"_id":"a","attributes":[]}', '{"_id":"a"}')
    ],
    *[("UPDATE leadpush_contact SET contact_id = ? WHERE number = 1", value) for value in (b"\xff", 5, OBEYED)],
    ("DELETE FROM leadpush_contact WHERE number <> ?", 7),
    ("DELETE FROM leadpush_step WHERE run <> ?", 77),
    *[("UPDATE leadpush_outcome SET status = ?", value) for value in (0, 4, 99, -1, "fetched", b"\x01")],
    *[("UPDATE leadpush_outcome SET number = number + ?", value) for value in (1_000, -50)],
    *[("UPDATE leadpush_outcome SET output = ?", value) for value in ("", "{", DEEP, b"{}", 7, f'"{OBEYED}"')],
    *[("UPDATE leadpush_outcome SET code = ?", value) for value in ("no_such", OBEYED, b"x", "http_status_x", 7)],
    *[
        (f"UPDATE leadpush_outcome SET {column} = ?", value)
        for column in ("microseconds", "attempts", "bytes")
        for value in ("x", b"", 2**62, -1, 1.5)
    ],
    *[("UPDATE leadpush_outcome SET detail = ?", stored(value)) for value in DETAILS],
    *[  # text that is not UTF-8
        (f"UPDATE leadpush_{table} SET {column} = CAST(? AS TEXT)", b"\xff")
        for table, column in (("run", "campaign"), ("contact", "data"), ("outcome", "output"), ("outcome", "detail"))
    ],
    ("UPDATE leadpush_outcome SET detail = ?", DEEP),
    ("UPDATE leadpush_outcome SET detail = ?", '{"reason":'),
]  # fmt: skip


@pytest.mark.parametrize("part", catalogue(range(8)))
def test_each_command_says_a_sentence(
    part: int, database: Engine, url: str, workspace: str, run: Run
) -> None:
    """Whatever one value is: it is shown, or a sentence says that it is none of ours; the terminal obeys nothing."""
    before = contents(database)
    taken = 0
    for statement, value in SPOILED[part::8]:
        if not spoil(url, statement, value):
            continue
        taken += 1
        # One of them in turn where each has Blocks to load: what is read is the same code.
        for arguments in EACH[taken % 4 :: 4] if workspace else EACH:
            code, printed = run(*arguments)
            where = f"{arguments} after {statement} with {str(value)[:40]!r}: {printed[:200]}"
            assert code in (0, 2), where
            assert printed.strip(), where
            assert len(printed) < 20_000, where
            assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", printed), where
        assert before.keys() <= set(inspect(database).get_table_names())
        restore(database, before)
    assert taken == len(SPOILED[part::8]) or (taken > 5 and database.dialect.name == "postgresql")


Contents = dict[str, list[tuple[Any, ...]]]


def contents(database: Engine) -> Contents:
    """All rows of the tables."""
    with database.connect() as connection:
        return {
            table.name: [tuple(row) for row in connection.execute(text(f"SELECT * FROM {table.name}"))]
            for table in metadata.sorted_tables
        }


def restore(database: Engine, before: Contents) -> None:
    """Have the tables hold what they did."""
    with database.begin() as connection:
        for table in metadata.sorted_tables:
            connection.execute(table.delete())
            for row in before[table.name]:
                connection.execute(table.insert().values(row))


def test_markup_is_shown_as_it_is(database: Engine, url: str, run: Run) -> None:
    """A campaign's name is text, not Rich's markup."""
    spoil(
        url, "UPDATE leadpush_run SET campaign = ?", "[red]a[/red] [/] :smile: [link=https://evil.example]b"
    )
    for arguments in (COMMANDS[2], COMMANDS[-1]):
        assert "[red]a[/red] [/] :smile: [link=https://evil.example]b" in " ".join(run(*arguments)[1].split())


@on_sqlite
@pytest.mark.parametrize("content", [b"", b"no database" * 100, b"SQLite format 3\0" + b"\xff" * 5_000])
def test_a_file_that_is_no_database(content: bytes, home: Path, run: Run) -> None:
    """An empty one is made one; of another a sentence says that it is none."""
    path = home / "leadpush" / "outputs.db"
    path.parent.mkdir()
    path.write_bytes(content)
    code, printed = run("runs")
    assert (2 if content else 0) == code
    assert content == b"" or "database" in printed


def test_a_newer_database_is_left(database: Engine, url: str) -> None:
    """One of another version is neither read nor changed."""
    before = contents(database)
    spoil(url, "UPDATE leadpush_schema SET version = ?", 10**6)
    forget_engines()
    with pytest.raises(LeadpushError, match="newer"):
        open_database(url)
    assert before | {"leadpush_schema": [(10**6,)]} == contents(database)
    database.dispose()


@on_sqlite
def test_a_schema_is_not_trusted(database: Engine) -> None:
    """A view or trigger that somebody has put there may call no function with side effects."""
    with database.connect() as connection:
        assert 0 == connection.exec_driver_sql("PRAGMA trusted_schema").scalar()


@pytest.mark.parametrize(
    "name", ["'; DROP TABLE leadpush_run; --", '" OR 1=1 --', "%", "_", "\\", "r1' OR '1'='1"]
)
def test_a_name_is_no_sql(name: str, database: Engine) -> None:
    """Stored names and those that are asked for are values, never part of a statement."""
    assert find_run(database, name) is None
    record = begin(database, name, campaign=name, workspace=name)
    declare(database, record, "a", endpoint=name, condition=name, definition=name)
    assert ["r1", name] == [run.run_id for run in reversed(list_runs(database))]
    assert name == list_runs(database, before=None)[0].campaign


@pytest.mark.parametrize(
    ("statement", "value"),
    [
        ("UPDATE leadpush_contact SET data = ?", "{"),
        ("UPDATE leadpush_contact SET data = ?", DEEP),
        ("UPDATE leadpush_contact SET data = ?", "[]"),
        ("UPDATE leadpush_outcome SET output = ? WHERE number = 0", "{"),
    ],
)
def test_a_campaign_goes_on_with_a_sentence(statement: str, value: str, url: str, workspace: str) -> None:
    """A second execution does not take what it finds for a contact or an output."""
    audience = Audience.from_contacts([{"id": "a"}, {"id": "b"}])
    campaign = CampaignRun.start(
        "spoiled", workspace=workspace or Workspace(), audience=audience, report=False
    )
    with pytest.raises(LeadpushError, match="has not written"), campaign:
        [batch] = campaign.batches()
        for context in batch.contexts():
            batch.store(context, "score", {"points": 1})
        spoil(url, statement, value)
        list(campaign.outputs())
        list(batch.contexts())


def test_a_template_in_the_store_is_text(workspace: str) -> None:
    """What a contact or an output holds is printed, not rendered again."""
    from leadpush_prefect import render_template

    hostile = "{{ 7*7 }}{% for x in [1] %}x{% endfor %}{{ contact.__class__ }}"
    audience = Audience.from_contacts([{"id": "a", "name": hostile}])
    with CampaignRun.start(
        "text", workspace=workspace or Workspace(), audience=audience, report=False
    ) as campaign:
        [batch] = campaign.batches()
        render_template.fn(batch, "{{ contact.attributes.name }}", output_key="text")
        assert [("a", {"text": hostile})] == list(campaign.outputs())
        campaign.finish()


@pytest.mark.parametrize(
    "identity",
    ["{", "[]", "null", DEEP, "{}", '{"pid":1}']
    + [
        json.dumps({"id": "x", "host": OBEYED, "pid": pid, "space": "x", "started": "1", "since": "2026"})
        for pid in (0, -1, 10**30, "1", [1], None, True, 1.5)
    ],
)
def test_a_holder_that_is_none(
    identity: str, database: Engine, url: str, workspace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No process is looked at by what it says, and a run that it holds is taken over as from a dead one."""
    assert not has_ended(identity)
    assert "\x1b" not in describe_process(identity)
    monkeypatch.setenv("PREFECT_INTEGRATIONS_LEADPUSH_HEARTBEAT_SECONDS", "0.02")
    monkeypatch.setattr(run_lease, "LOOK_SECONDS", 0.05)
    spoil(url, "UPDATE leadpush_run SET holder = ?, campaign = 'c', workspace = ?", identity, workspace)
    audience = Audience.from_contacts([])
    where = workspace or Workspace()
    with CampaignRun.start("c", workspace=where, audience=audience, run_id="r1", report=False) as campaign:
        assert 2 == campaign._run.record.execution
        campaign.finish()


def test_progress_of_steps_that_are_not_there(database: Engine, url: str) -> None:
    """An outcome of an unknown step is not counted."""
    spoil(url, "DELETE FROM leadpush_step WHERE run <> ?", 77)
    record = find_run(database, "r1")
    assert record
    assert ({}, {}) == count_outcomes(database, record)

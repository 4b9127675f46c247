"""Many rows at once: all that they hold comes back, whatever way the driver has to write them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import URL, Engine, event, make_url, select, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from leadpush_prefect.store.bulk_insert import insert_rows
from leadpush_prefect.store.database import open_database, reading, writing
from leadpush_prefect.store.schema import contact, outcome
from tests.support.databases import POSTGRESQL, empty_database

Row = tuple[Any, ...]
on_postgresql = pytest.mark.parametrize("url", [POSTGRESQL], indirect=True)
# PostgreSQL's text holds no NUL, and UTF-8 no half of a surrogate pair.
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
ESCAPES = st.text(st.sampled_from("\\\t\n\r\"'NnbxE.,{}0ß€😀\x01\x7f"))


@pytest.fixture(
    params=["sqlite", *(pytest.param(name, marks=pytest.mark.postgres) for name in ("psycopg", "psycopg2"))]
)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """SQLite, and PostgreSQL by drivers with COPY and without."""
    kind = "sqlite" if request.param == "sqlite" else "postgresql"
    for url in empty_database(kind, request, tmp_path):
        address: URL = make_url(url)
        if kind == "postgresql":
            address = address.set(drivername=f"postgresql+{request.param}")
        yield open_database(address)


def write(engine: Engine, rows: Sequence[Row], *, overwrite: bool = False) -> None:
    with writing(engine) as connection:
        insert_rows(connection, outcome, rows, overwrite=overwrite)


def outcomes(engine: Engine, run: int = 1) -> list[Row]:
    with reading(engine) as connection:
        these = select(outcome).where(outcome.c.run == run).order_by(outcome.c.number)
        return [tuple(row) for row in connection.execute(these)]


def row(number: int, output: str | None = "1") -> Row:
    return 1, 0, number, 1, output, None, None, 0, 1, 2, None, None, None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(texts=st.lists(st.tuples(TEXTS | ESCAPES, st.booleans(), TEXTS, ESCAPES), min_size=1))
def test_any_text(engine: Engine, texts: list[tuple[str, bool, str, str]]) -> None:
    """Any text comes back as it was."""
    rows: list[Row] = [(1, number, *values) for number, values in enumerate(texts)]
    with writing(engine) as connection:
        connection.execute(contact.delete())
        insert_rows(connection, contact, rows)
    with reading(engine) as connection:
        assert rows == [tuple(row) for row in connection.execute(select(contact).order_by("number"))]


def test_any_number(engine: Engine) -> None:
    """The largest numbers, nothing, and the empty text come back as they were."""
    largest = (
        2**31 - 1,
        2**15 - 1,
        2**31 - 1,
        3,
        "",
        "c",
        None,
        2**63 - 1,
        2**31 - 1,
        -(2**63),
        2,
        2**63 - 1,
        "",
    )
    write(engine, [largest])

    assert [largest] == outcomes(engine, 2**31 - 1)


def test_overwrite(engine: Engine) -> None:
    """Rows that are there are replaced, new ones are added, the last of two of one key counts, and no other is
    touched."""
    write(engine, [row(number) for number in range(5)])
    write(engine, [row(3, "new"), row(7, "new"), row(1, "twice"), row(1, None)], overwrite=True)

    assert [row(0), row(1, None), row(2), row(3, "new"), row(4), row(7, "new")] == outcomes(engine)


def test_refused_as_a_whole(engine: Engine) -> None:
    """A row that is there already, without overwrite, is an error, and none of them is written."""
    write(engine, [row(1)])
    with pytest.raises(DBAPIError):
        write(engine, [row(0), row(1, "secret")])

    assert [row(1)] == outcomes(engine)


@on_postgresql
def test_copy(url: str) -> None:
    """New rows are written by COPY: no INSERT is sent for them, also where others would be replaced."""
    engine = open_database(url)
    sent: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *arguments: sent.append(arguments[2]))
    write(engine, [row(number) for number in range(100, 200)], overwrite=True)
    with writing(engine) as connection:
        insert_rows(connection, contact, [(1, number, "c", True, "{}", "here") for number in range(100)])

    assert [] == [statement for statement in sent if "INSERT" in statement]


@on_postgresql
def test_nul(url: str) -> None:
    """PostgreSQL refuses a NUL in a text, in a sentence that does not show the text. In JSON it is escaped."""
    engine = open_database(url)
    write(engine, [row(0, r'"a\u0000b"')], overwrite=True)
    with pytest.raises((SQLAlchemyError, ValueError), match="NUL") as caught:
        write(engine, [row(1, "secret\0")])

    assert "secret" not in str(caught.value)
    assert [row(0, r'"a\u0000b"')] == outcomes(engine)


@on_postgresql
def test_a_lost_connection(url: str) -> None:
    """It is an error of SQLAlchemy, and the next transaction has another connection."""
    engine = open_database(url)
    with pytest.raises(SQLAlchemyError), writing(engine) as connection:
        backend = connection.scalar(text("SELECT pg_backend_pid()"))
        with reading(engine) as other:
            other.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": backend})
        insert_rows(connection, outcome, [row(7)])
    write(engine, [row(7)])

    assert [row(7)] == outcomes(engine)

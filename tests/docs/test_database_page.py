"""What docs/database.md shows: its code and SQL run, and its tables name the columns that there are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from prefect import flow
from prefect.settings import PREFECT_HOME, temporary_settings
from prefect_sqlalchemy import SqlAlchemyConnector
from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import DBAPIError

from leadpush_prefect import ApiEndpoint, Audience, CampaignRun, Workspace, fetch_api_data
from leadpush_prefect.model.outcome import Outcome, Status
from leadpush_prefect.store.database import open_database, reading, writing
from leadpush_prefect.store.outcomes import write_outcomes
from leadpush_prefect.store.runs import RunRecord
from leadpush_prefect.store.schema import metadata
from leadpush_prefect.store.upgrade import VERSION_TABLE
from tests.support.databases import POSTGRESQL
from tests.support.store import FAILED, declare, started

PAGE = (Path(__file__).parents[2] / "docs/database.md").read_text("utf-8")
GRANT, *QUERIES = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)
CONNECT, FRAME = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
VIEWS = re.findall(r"### `(\w+)`", PAGE)
on_postgresql = pytest.mark.parametrize("url", [POSTGRESQL], indirect=True)


@pytest.fixture
def database(url: str) -> Engine:
    return open_database(url)


@pytest.fixture
def run(database: Engine) -> RunRecord:
    """Two customers with a plan, one of whom the API did not know."""
    run = started(database, 3, campaign="renewal-reminder")
    step = declare(database, run, "profile", output_key="customer_profile", endpoint="customer-profile")
    known = [
        (number, Outcome(Status.FETCHED, f'{{"plan":"{plan}","price":1.10}}', None, seconds, 1, 25))
        for number, plan, seconds in [(0, "pro", 0.25), (2, "free", 0.75)]
    ]
    write_outcomes(database, run.key, step, [*known, (1, FAILED)])
    return run


def columns(view: str) -> list[str]:
    """Those that the page describes."""
    table = PAGE.partition(f"### `{view}`")[2].partition("#")[0]
    return re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)


def test_columns(database: Engine) -> None:
    """Each view and each of its columns is described, in its order; so is each table."""
    there = inspect(database)
    assert sorted(there.get_view_names()) == sorted(VIEWS)
    for view in VIEWS:
        assert columns(view) == [column["name"] for column in there.get_columns(view)]
    tables = PAGE.partition("## What is where")[2].partition("##")[0]
    assert {*metadata.tables, VERSION_TABLE} == set(re.findall(r"`(leadpush_\w+)`", tables))


def test_queries(database: Engine, run: RunRecord) -> None:
    """The queries answer what they say, on both databases."""
    with reading(database) as connection:
        why, days, speed = ([tuple(row) for row in connection.execute(text(query))] for query in QUERIES)
    assert [("profile", "http_status_404", 1)] == why
    assert [(run.started_at[:10], "renewal-reminder", "profile", 2, 0, 1)] == days
    assert [("customer-profile", 3, 4, 500.0, 750.0)] == speed


def test_a_value_in_an_output(database: Engine, run: RunRecord) -> None:
    """The expression of each database reads it."""
    [on_postgresql, on_sqlite] = re.findall(r"`(output::jsonb[^`]*|json_extract[^`]*)`", PAGE)
    value = on_sqlite if database.dialect.name == "sqlite" else on_postgresql
    query = f"SELECT {value} FROM leadpush_outcomes WHERE status = 'fetched' ORDER BY contact_id"
    with reading(database) as connection:
        assert ["pro", "free"] == list(connection.scalars(text(query)))


@on_postgresql
def test_a_reader_of_the_views(database: Engine, run: RunRecord) -> None:
    """Who may read the views needs no access to the tables, and has none to people's attributes."""
    with writing(database) as connection:
        connection.exec_driver_sql("CREATE ROLE reporting")
    try:
        with writing(database) as connection:
            [(schema,)] = connection.exec_driver_sql("SELECT current_schema()")
            connection.exec_driver_sql(f"GRANT USAGE ON SCHEMA {schema} TO reporting")
            connection.exec_driver_sql(GRANT)
        for view in VIEWS:
            assert read_as_reporting(database, view)
        with pytest.raises(DBAPIError, match="permission denied"):
            read_as_reporting(database, "leadpush_contact")
    finally:
        with writing(database) as connection:
            connection.exec_driver_sql("DROP OWNED BY reporting")
            connection.exec_driver_sql("DROP ROLE reporting")


def read_as_reporting(database: Engine, name: str) -> list[Any]:
    connection: Connection
    with reading(database) as connection:
        connection.exec_driver_sql("SET LOCAL ROLE reporting")
        return list(connection.exec_driver_sql(f"SELECT * FROM {name}"))


def test_pandas(prefect_server: None, tmp_path: Path) -> None:
    """A run's outputs are a frame, one column for each value."""
    names: dict[str, Any] = {}

    @flow
    def campaign() -> Any:
        profile = ApiEndpoint(url="https://api.example.com/{{ contact._id }}")
        audience = Audience.from_contacts({"id": n} for n in range(2))
        with CampaignRun.start("c", workspace=Workspace(), audience=audience, simulate=True) as run:
            fetch_api_data(
                run.batches()[0], profile, output_key="customer_profile", mock_response={"plan": "pro"}
            )
            names["run"] = run
            exec(FRAME, names)
            return run.finish()

    with temporary_settings({PREFECT_HOME: tmp_path}):
        campaign()
    assert [
        {"contact_id": "0", "customer_profile.plan": "pro"},
        {"contact_id": "1", "customer_profile.plan": "pro"},
    ] == names["profiles"].to_dict("records")


def test_connector(prefect_server: None) -> None:
    """The Blocks are saved, and show no password."""
    exec(CONNECT, {})
    connector: Any = SqlAlchemyConnector.load("campaigns")
    workspace: Any = Workspace.load("acme")
    assert "pa55-w0rd" not in repr(connector)
    assert "pa55-w0rd" in connector.get_engine().url.render_as_string(hide_password=False)
    assert workspace.database == "campaigns"

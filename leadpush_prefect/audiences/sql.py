"""An audience from a query, through a `SqlAlchemyConnector`: streamed, whatever its size."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

from prefect_sqlalchemy import SqlAlchemyConnector
from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ResourceClosedError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from leadpush_prefect.audiences.readers import read_rows
from leadpush_prefect.errors import AudienceInvalid
from leadpush_prefect.model.consent_columns import ConsentColumns
from leadpush_prefect.model.contact import ContactRow, InvalidRow
from leadpush_prefect.system.sql_privacy import QUIET

__all__ = ["read_query"]

PIECE = 1000
"""How many rows are fetched from the database at once."""


def read_query(
    connector: SqlAlchemyConnector, query: str, *, id: str = "", consent: ConsentColumns | None = None
) -> Iterator[ContactRow | InvalidRow]:
    """The contacts that a query gives; see `read_rows`.

    Args:
        connector: Where the database is; with a synchronous driver.
        query: The SQL, as the database takes it: `:` and `%` mean nothing to us.
        id: The column of the ids; empty for the first of `_id`, `uuid` and `id` that is there.
        consent: Which columns say who may be asked, and which of them were met.

    Raises:
        AudienceInvalid: when the first row is asked for, if the query cannot be run.
    """
    # In functions of their own: the connector's repr, which a traceback with locals shows, holds the password.
    return _rows(_engine(connector), query, id, consent)


def _rows(
    database: Engine, query: str, id: str, consent: ConsentColumns | None
) -> Iterator[ContactRow | InvalidRow]:
    if database.dialect.is_async:
        raise AudienceInvalid(
            f"An audience needs a synchronous driver, which {database.url.drivername} is not."
        )
    refusal = ""
    try:
        with database.connect() as connection:
            options = {"stream_results": True, "max_row_buffer": PIECE, "no_parameters": True}
            with closing(connection.execution_options(**options).exec_driver_sql(query)) as result:
                yield from read_rows(list(result.keys()), result, id=id, consent=consent)
    except ResourceClosedError:
        refusal = "The audience's query gives no rows: it is no SELECT."
    except SQLAlchemyError as error:
        refusal = f"The audience's query cannot be run: {_why(error)}."
    if refusal:  # raised here, so that no error of the driver comes along, which may quote a row
        raise AudienceInvalid(refusal)


def _engine(connector: SqlAlchemyConnector) -> Engine:
    # An database of our own: the connector's is cached with the arguments of its first use. NullPool, since it
    # is used once.
    url = connector.get_engine().url
    return create_engine(url, connect_args=dict(connector.connect_args or {}), poolclass=NullPool, **QUIET)


def _why(error: SQLAlchemyError) -> str:
    """What the database says, in a line: it names columns and hosts, but of a value in a row only its kind."""
    text: Any = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(error, (DataError, IntegrityError)) or _sqlstate(text).startswith("P0"):
        return f"a value in a row is not as the query needs it ({type(text).__name__})"
    return (str(text).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def _sqlstate(error: Any) -> str:
    """The SQLSTATE of PostgreSQL's drivers; of P0 are the errors that functions raise, in words of their own."""
    return str(getattr(error, "sqlstate", None) or getattr(error, "pgcode", None) or "")

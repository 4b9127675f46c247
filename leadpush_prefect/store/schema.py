"""The tables. All are named `leadpush_...`, since the database may be shared.

There are no foreign keys: they would cost a lookup per contact, and every row is written by a function of
this package under a run that exists.

A change here is a migration in `migrations/versions` too, of the number SCHEMA_VERSION: tests compare them.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Integer,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
)

__all__ = ["SCHEMA_VERSION", "claim", "contact", "metadata", "outcome", "run", "schema", "step"]

SCHEMA_VERSION = 2

metadata = MetaData()

schema = Table("leadpush_schema", metadata, Column("version", Integer, nullable=False))

run = Table(
    "leadpush_run",
    metadata,
    Column("run", Integer, primary_key=True, autoincrement=True),
    Column("run_id", Text, nullable=False, unique=True),
    Column("campaign", Text, nullable=False),
    Column("workspace", Text, nullable=False),
    Column("status", Text, nullable=False),  # snapshotting, running, finished, stopped
    Column("started_at", Text, nullable=False),  # of the first execution
    Column("finished_at", Text),
    Column("state", Text),  # the name of the final state
    Column("simulate", Boolean, nullable=False),
    Column("include_unsubscribed", Boolean, nullable=False),
    Column("execution", Integer, nullable=False),  # 1 for the first
    Column("contacts", Integer, nullable=False),
    Column("unsubscribed", Integer, nullable=False),
    Column("invalid", Integer, nullable=False),  # malformed rows that were left out
    Column("batches", Integer, nullable=False),  # 0 until the snapshot is whole
    Column("batch_size", Integer, nullable=False),
    Column("source", Text, nullable=False),
    Column("holder", Text, nullable=False, server_default=""),  # who executes it now: a random id, or nobody
    # A counter that the holder moves. A newcomer watches whether it moves: no two clocks are compared.
    Column("heartbeat", BigInteger, nullable=False, server_default="0"),
    sqlite_autoincrement=True,  # the key of a deleted run is not given to another
)

# Contacts are numbered from 0 in each run: integer keys are ten times as fast as ids (facts/engine.md). That
# no id comes twice is asked once, at the end of the snapshot: an index on it would make a large one 2.5 times
# as slow.
contact = Table(
    "leadpush_contact",
    metadata,
    Column("run", Integer, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("contact_id", Text, nullable=False),
    Column("subscribed", Boolean, nullable=False),
    Column("data", Text, nullable=False),  # the contact as JSON
    Column("place", Text, nullable=False),  # where it stood in the audience
    sqlite_with_rowid=False,
)

step = Table(
    "leadpush_step",
    metadata,
    Column("run", Integer, primary_key=True),
    Column("step", SmallInteger, primary_key=True),
    Column("node", Text, nullable=False),
    Column("output_key", Text, nullable=False),
    Column("kind", Text, nullable=False),  # fetch, render, store
    Column("endpoint", Text, nullable=False),
    Column("condition", Text, nullable=False),
    Column("on_failure", Text, nullable=False),  # stop, continue
    Column("definition", Text, nullable=False),  # a fingerprint: has the flow two steps for one node?
    Column("execution", Integer, nullable=False),  # the last that declared the step
    UniqueConstraint("run", "node", name="leadpush_step_node"),
)

claim = Table(
    "leadpush_claim",
    metadata,
    Column("run", Integer, primary_key=True),
    Column("step", SmallInteger, primary_key=True),
    Column("batch", Integer, primary_key=True),
    Column("execution", Integer, nullable=False),
    Column("owner", Text, nullable=False),
)

outcome = Table(
    "leadpush_outcome",
    metadata,
    Column("run", Integer, primary_key=True),
    Column("step", SmallInteger, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("status", SmallInteger, nullable=False),  # outcomes.FETCHED, SKIPPED, FAILED
    Column("output", Text),  # the JSON text as received
    Column("code", Text),  # Failure.code, such as http_status_404
    Column("detail", Text),  # the Failure as JSON
    Column("microseconds", BigInteger, nullable=False),  # the last attempt's
    Column("attempts", Integer, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

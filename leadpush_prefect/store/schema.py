"""The tables. All are named `leadpush_...`, since the database may be shared.

There are no foreign keys: they would cost a lookup per contact, and every row is written by a function of
this package under a run that exists.

A change here is a migration in `migrations/versions` too, of the number SCHEMA_VERSION: tests compare them.
"""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Integer, MetaData, Table, UniqueConstraint, false

from leadpush_prefect.store.column_types import (
    StoredBigInteger,
    StoredInteger,
    StoredSmallInteger,
    StoredText,
)

__all__ = [
    "SCHEMA_VERSION",
    "claim",
    "contact",
    "intent",
    "metadata",
    "outcome",
    "run",
    "schema",
    "step",
    "withdrawal",
]

SCHEMA_VERSION = 4

metadata = MetaData()

schema = Table("leadpush_schema", metadata, Column("version", StoredInteger, nullable=False))

run = Table(
    "leadpush_run",
    metadata,
    Column("run", Integer, primary_key=True, autoincrement=True),
    Column("run_id", StoredText, nullable=False, unique=True),
    Column("campaign", StoredText, nullable=False),
    Column("workspace", StoredText, nullable=False),
    Column("status", StoredText, nullable=False),  # snapshotting, running, finished, stopped
    Column("started_at", StoredText, nullable=False),  # of the first execution
    Column("finished_at", StoredText),
    Column("state", StoredText),  # the name of the final state
    Column("simulate", Boolean, nullable=False),
    Column("include_unsubscribed", Boolean, nullable=False),
    Column("execution", StoredInteger, nullable=False),  # 1 for the first
    Column("contacts", StoredInteger, nullable=False),
    Column("unsubscribed", StoredInteger, nullable=False),
    Column("invalid", StoredInteger, nullable=False),  # malformed rows that were left out
    Column("batches", StoredInteger, nullable=False),  # 0 until the snapshot is whole
    Column("batch_size", StoredInteger, nullable=False),
    Column("source", StoredText, nullable=False),
    Column(
        "holder", StoredText, nullable=False, server_default=""
    ),  # who executes it now: a random id, or nobody
    # A counter that the holder moves. A newcomer watches whether it moves: no two clocks are compared.
    Column("heartbeat", StoredBigInteger, nullable=False, server_default="0"),
    Column(
        "consent", StoredText, nullable=False, server_default=""
    ),  # which columns said it; empty: not judged
    Column("consent_at", StoredText, nullable=False, server_default=""),  # when it was last read
    Column("no_answer", StoredInteger, nullable=False, server_default="0"),  # of the unsubscribed
    Column(
        "withdrawn", StoredInteger, nullable=False, server_default="0"
    ),  # subscribed in the snapshot, and no more
    # When it was last moved, in seconds by the database's clock: so that people see since when nothing was heard.
    Column("heartbeat_at", StoredBigInteger, nullable=False, server_default="0"),
    Column("canary", StoredInteger, nullable=False, server_default="0"),  # so many contacts go first
    Column("is_open", Boolean, nullable=False, server_default=false()),  # whether batches may send
    Column(
        "selection", StoredText, nullable=False, server_default=""
    ),  # of whom it is made, where not of all
    Column("deployment", StoredText, nullable=False, server_default=""),
    sqlite_autoincrement=True,  # the key of a deleted run is not given to another
)

# Contacts are numbered from 0 in each run: integer keys are ten times as fast as ids (facts/engine.md). That
# no id comes twice is asked once, at the end of the snapshot: an index on it would make a large one 2.5 times
# as slow.
contact = Table(
    "leadpush_contact",
    metadata,
    Column("run", StoredInteger, primary_key=True),
    Column("number", StoredInteger, primary_key=True),
    Column("contact_id", StoredText, nullable=False),
    Column("subscribed", Boolean, nullable=False),
    Column("data", StoredText, nullable=False),  # the contact as JSON
    Column("place", StoredText, nullable=False),  # where it stood in the audience
    sqlite_with_rowid=False,
)

# Who was subscribed when the snapshot was taken, and is no longer: the snapshot's own word stays.
withdrawal = Table(
    "leadpush_withdrawal",
    metadata,
    Column("run", StoredInteger, primary_key=True),
    Column("number", StoredInteger, primary_key=True),
    sqlite_with_rowid=False,
)

step = Table(
    "leadpush_step",
    metadata,
    Column("run", StoredInteger, primary_key=True),
    Column("step", StoredSmallInteger, primary_key=True),
    Column("node", StoredText, nullable=False),
    Column("output_key", StoredText, nullable=False),
    Column("kind", StoredText, nullable=False),  # fetch, render, store
    Column("endpoint", StoredText, nullable=False),
    Column("condition", StoredText, nullable=False),
    Column("on_failure", StoredText, nullable=False),  # stop, continue
    Column("definition", StoredText, nullable=False),  # a fingerprint: has the flow two steps for one node?
    Column("execution", StoredInteger, nullable=False),  # the last that declared the step
    # Requests that no outcome counts: of outcomes that were replaced, and of calls that were cut off.
    Column("other_requests", StoredBigInteger, nullable=False, server_default="0"),
    # Whether an earlier version wrote its failures, and so did not decide who may send them again.
    Column("undecided", Boolean, nullable=False, server_default=false()),
    # Whether an execution sent its requests under a key, so that what failed may be open.
    Column("keyed", Boolean, nullable=False, server_default=false()),
    UniqueConstraint("run", "node", name="leadpush_step_node"),
)

claim = Table(
    "leadpush_claim",
    metadata,
    Column("run", StoredInteger, primary_key=True),
    Column("step", StoredSmallInteger, primary_key=True),
    Column("batch", StoredInteger, primary_key=True),
    Column("execution", StoredInteger, nullable=False),
    Column("owner", StoredText, nullable=False),
)

outcome = Table(
    "leadpush_outcome",
    metadata,
    Column("run", StoredInteger, primary_key=True),
    Column("step", StoredSmallInteger, primary_key=True),
    Column("number", StoredInteger, primary_key=True),
    Column("status", StoredSmallInteger, nullable=False),  # outcomes.FETCHED, SKIPPED, FAILED; 4: absent
    Column("output", StoredText),  # the JSON text as received
    Column("code", StoredText),  # Failure.code, such as http_status_404
    Column("detail", StoredText),  # the Failure as JSON
    Column("microseconds", StoredBigInteger, nullable=False),  # the last attempt's
    Column("attempts", StoredInteger, nullable=False),
    Column("bytes", StoredBigInteger, nullable=False),
    Column(
        "resend", StoredSmallInteger
    ),  # of a failure: model.outcome.Resend; NULL where an earlier version wrote it
    Column(
        "intent_at", StoredBigInteger
    ),  # of a write under a key whose effect is open: when it was first sent
    Column("digest", StoredText),  # and of what templates
    sqlite_with_rowid=False,
)

# The contacts of a batch that were handed over to be written to an API, and whose outcomes are not stored yet.
intent = Table(
    "leadpush_intent",
    metadata,
    Column("run", StoredInteger, primary_key=True),
    Column("step", StoredSmallInteger, primary_key=True),
    Column("batch", StoredInteger, primary_key=True),
    Column("execution", StoredInteger, nullable=False),  # that wrote it
    Column("numbers", StoredText, nullable=False),  # as store.intents writes them
    sqlite_with_rowid=False,
)

"""The tables of leadpush-prefect 0.1.0."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table("leadpush_schema", sa.Column("version", sa.Integer, nullable=False))
    op.create_table(
        "leadpush_run",
        sa.Column("run", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("run_id", sa.Text, nullable=False, unique=True),
        sa.Column("campaign", sa.Text, nullable=False),
        sa.Column("workspace", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("started_at", sa.Text, nullable=False),
        sa.Column("finished_at", sa.Text),
        sa.Column("state", sa.Text),
        sa.Column("simulate", sa.Boolean, nullable=False),
        sa.Column("include_unsubscribed", sa.Boolean, nullable=False),
        sa.Column("execution", sa.Integer, nullable=False),
        sa.Column("contacts", sa.Integer, nullable=False),
        sa.Column("unsubscribed", sa.Integer, nullable=False),
        sa.Column("invalid", sa.Integer, nullable=False),
        sa.Column("batches", sa.Integer, nullable=False),
        sa.Column("batch_size", sa.Integer, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "leadpush_contact",
        sa.Column("run", sa.Integer, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("contact_id", sa.Text, nullable=False),
        sa.Column("subscribed", sa.Boolean, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
        sa.Column("place", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "leadpush_step",
        sa.Column("run", sa.Integer, primary_key=True),
        sa.Column("step", sa.SmallInteger, primary_key=True),
        sa.Column("node", sa.Text, nullable=False),
        sa.Column("output_key", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("endpoint", sa.Text, nullable=False),
        sa.Column("condition", sa.Text, nullable=False),
        sa.Column("on_failure", sa.Text, nullable=False),
        sa.Column("definition", sa.Text, nullable=False),
        sa.Column("execution", sa.Integer, nullable=False),
        sa.UniqueConstraint("run", "node", name="leadpush_step_node"),
    )
    op.create_table(
        "leadpush_claim",
        sa.Column("run", sa.Integer, primary_key=True),
        sa.Column("step", sa.SmallInteger, primary_key=True),
        sa.Column("batch", sa.Integer, primary_key=True),
        sa.Column("execution", sa.Integer, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
    )
    op.create_table(
        "leadpush_outcome",
        sa.Column("run", sa.Integer, primary_key=True),
        sa.Column("step", sa.SmallInteger, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("status", sa.SmallInteger, nullable=False),
        sa.Column("output", sa.Text),
        sa.Column("code", sa.Text),
        sa.Column("detail", sa.Text),
        sa.Column("microseconds", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )

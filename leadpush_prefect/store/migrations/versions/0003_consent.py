"""Consent: what said who may be asked, when it was read, and who is no longer subscribed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

# The columns of 0002 in their order, and new ones last: so PostgreSQL replaces the view, and keeps who may read it.
RUNS = """
VIEW leadpush_runs AS
SELECT
    run_id, campaign, workspace, status, state, started_at, finished_at, simulate, include_unsubscribed,
    execution, contacts, unsubscribed, invalid, batches, source, consent, consent_at, no_answer, withdrawn
FROM leadpush_run
"""


def upgrade() -> None:
    for name in ("consent", "consent_at"):
        op.add_column("leadpush_run", sa.Column(name, sa.Text, nullable=False, server_default=""))
    for name in ("no_answer", "withdrawn"):
        op.add_column("leadpush_run", sa.Column(name, sa.Integer, nullable=False, server_default="0"))
    op.create_table(
        "leadpush_withdrawal",
        sa.Column("run", sa.Integer, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sqlite_with_rowid=False,
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"CREATE OR REPLACE {RUNS}")
    else:
        op.execute("DROP VIEW leadpush_runs")
        op.execute(f"CREATE {RUNS}")

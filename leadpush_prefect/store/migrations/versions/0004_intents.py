"""What may have reached an API: intents of writes, whether an outcome may be sent again, and requests that no outcome
counts. And what runs are about to know of themselves: whether they are open, their canary, selection and deployment.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

# The columns of 0002 in their order: so PostgreSQL replaces the views, and keeps who may read them.
STEPS = """
VIEW leadpush_steps AS
SELECT
    run.run_id, run.campaign, run.workspace, step.step, step.node, step.output_key, step.kind, step.endpoint,
    step.condition, step.on_failure,
    count(CASE outcome.status WHEN 1 THEN 1 END) AS fetched,
    count(CASE outcome.status WHEN 2 THEN 1 END) AS skipped,
    count(CASE outcome.status WHEN 3 THEN 1 END) AS failed,
    CAST(coalesce(sum(outcome.attempts), 0) + step.other_requests AS BIGINT) AS requests,
    CAST(coalesce(sum(outcome.bytes), 0) AS BIGINT) AS bytes
FROM leadpush_run AS run
JOIN leadpush_step AS step ON step.run = run.run
LEFT JOIN leadpush_outcome AS outcome ON outcome.run = step.run AND outcome.step = step.step
GROUP BY
    run.run_id, run.campaign, run.workspace, step.step, step.node, step.output_key, step.kind, step.endpoint,
    step.condition, step.on_failure, step.other_requests
"""

OUTCOMES = """
VIEW leadpush_outcomes AS
SELECT
    run.run_id, run.campaign, run.workspace,
    (
        SELECT contact.contact_id FROM leadpush_contact AS contact
        WHERE contact.run = outcome.run AND contact.number = outcome.number
    ) AS contact_id,
    step.node, step.output_key, step.endpoint,
    CASE outcome.status WHEN 1 THEN 'fetched' WHEN 2 THEN 'skipped' WHEN 4 THEN 'absent' ELSE 'failed' END AS status,
    outcome.code, outcome.output, CAST(outcome.microseconds AS DOUBLE PRECISION) / 1000 AS milliseconds,
    outcome.attempts, outcome.bytes
FROM leadpush_run AS run
JOIN leadpush_step AS step ON step.run = run.run
JOIN leadpush_outcome AS outcome ON outcome.run = step.run AND outcome.step = step.step
"""


def upgrade() -> None:
    op.add_column("leadpush_outcome", sa.Column("resend", sa.SmallInteger))
    op.add_column("leadpush_outcome", sa.Column("intent_at", sa.BigInteger))
    op.add_column("leadpush_outcome", sa.Column("digest", sa.Text))
    op.add_column(
        "leadpush_step", sa.Column("other_requests", sa.BigInteger, nullable=False, server_default="0")
    )
    # True of the steps that are there: an earlier version wrote their failures.
    op.add_column(
        "leadpush_step", sa.Column("undecided", sa.Boolean, nullable=False, server_default=sa.false())
    )
    op.add_column("leadpush_step", sa.Column("keyed", sa.Boolean, nullable=False, server_default=sa.false()))
    op.execute("UPDATE leadpush_step SET undecided = (1 = 1)")
    op.add_column(
        "leadpush_run", sa.Column("heartbeat_at", sa.BigInteger, nullable=False, server_default="0")
    )
    op.add_column("leadpush_run", sa.Column("canary", sa.Integer, nullable=False, server_default="0"))
    op.add_column("leadpush_run", sa.Column("is_open", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("leadpush_run", sa.Column("selection", sa.Text, nullable=False, server_default=""))
    op.add_column("leadpush_run", sa.Column("deployment", sa.Text, nullable=False, server_default=""))
    op.create_table(
        "leadpush_intent",
        sa.Column("run", sa.Integer, primary_key=True),
        sa.Column("step", sa.SmallInteger, primary_key=True),
        sa.Column("batch", sa.Integer, primary_key=True),
        sa.Column("execution", sa.Integer, nullable=False),
        sa.Column("numbers", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    for name, view in (("leadpush_steps", STEPS), ("leadpush_outcomes", OUTCOMES)):
        if op.get_bind().dialect.name == "postgresql":
            op.execute(f"CREATE OR REPLACE {view}")
        else:
            op.execute(f"DROP VIEW {name}")
            op.execute(f"CREATE {view}")

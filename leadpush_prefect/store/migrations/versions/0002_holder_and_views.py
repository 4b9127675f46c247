"""Who executes a run, and the views for reports.

The views are SQL that SQLite and PostgreSQL both take. A contact's id is asked for by the primary key, not
joined: so no planner can choose to read all contacts, and a count that does not name it does not look it up.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

RUNS = """
CREATE VIEW leadpush_runs AS
SELECT
    run_id, campaign, workspace, status, state, started_at, finished_at, simulate, include_unsubscribed,
    execution, contacts, unsubscribed, invalid, batches, source
FROM leadpush_run
"""

# Grouped by the run's id too: so a condition on it is one on the rows, before they are counted.
STEPS = """
CREATE VIEW leadpush_steps AS
SELECT
    run.run_id, run.campaign, run.workspace, step.step, step.node, step.output_key, step.kind, step.endpoint,
    step.condition, step.on_failure,
    count(CASE outcome.status WHEN 1 THEN 1 END) AS fetched,
    count(CASE outcome.status WHEN 2 THEN 1 END) AS skipped,
    count(CASE outcome.status WHEN 3 THEN 1 END) AS failed,
    CAST(coalesce(sum(outcome.attempts), 0) AS BIGINT) AS requests,
    CAST(coalesce(sum(outcome.bytes), 0) AS BIGINT) AS bytes
FROM leadpush_run AS run
JOIN leadpush_step AS step ON step.run = run.run
LEFT JOIN leadpush_outcome AS outcome ON outcome.run = step.run AND outcome.step = step.step
GROUP BY
    run.run_id, run.campaign, run.workspace, step.step, step.node, step.output_key, step.kind, step.endpoint,
    step.condition, step.on_failure
"""

OUTCOMES = """
CREATE VIEW leadpush_outcomes AS
SELECT
    run.run_id, run.campaign, run.workspace,
    (
        SELECT contact.contact_id FROM leadpush_contact AS contact
        WHERE contact.run = outcome.run AND contact.number = outcome.number
    ) AS contact_id,
    step.node, step.output_key, step.endpoint,
    CASE outcome.status WHEN 1 THEN 'fetched' WHEN 2 THEN 'skipped' ELSE 'failed' END AS status,
    outcome.code, outcome.output, CAST(outcome.microseconds AS DOUBLE PRECISION) / 1000 AS milliseconds,
    outcome.attempts, outcome.bytes
FROM leadpush_run AS run
JOIN leadpush_step AS step ON step.run = run.run
JOIN leadpush_outcome AS outcome ON outcome.run = step.run AND outcome.step = step.step
"""

FAILURES = """
CREATE VIEW leadpush_failures AS
SELECT
    run.run_id, run.campaign, run.workspace,
    (
        SELECT contact.contact_id FROM leadpush_contact AS contact
        WHERE contact.run = outcome.run AND contact.number = outcome.number
    ) AS contact_id,
    step.node, step.endpoint, step.on_failure,
    outcome.code, CAST(outcome.microseconds AS DOUBLE PRECISION) / 1000 AS milliseconds, outcome.attempts
FROM leadpush_run AS run
JOIN leadpush_step AS step ON step.run = run.run
JOIN leadpush_outcome AS outcome ON outcome.run = step.run AND outcome.step = step.step
WHERE outcome.status = 3
"""


def upgrade() -> None:
    op.add_column("leadpush_run", sa.Column("holder", sa.Text, nullable=False, server_default=""))
    op.add_column("leadpush_run", sa.Column("heartbeat", sa.BigInteger, nullable=False, server_default="0"))
    for view in (RUNS, STEPS, OUTCOMES, FAILURES):
        op.execute(view)

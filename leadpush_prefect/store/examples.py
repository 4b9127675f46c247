"""One failure of each kind, for a report."""

from __future__ import annotations

from sqlalchemy import Engine, func, select

from leadpush_prefect.model.outcome import Failure
from leadpush_prefect.store.database import reading
from leadpush_prefect.store.outcomes import FAILED, read_failure
from leadpush_prefect.store.runs import RunRecord
from leadpush_prefect.store.schema import contact, outcome
from leadpush_prefect.store.steps import list_steps

__all__ = ["first_failures"]


def first_failures(database: Engine, run: RunRecord) -> dict[tuple[str, str], tuple[str, Failure]]:
    """Of each step and code, the first contact that failed: node and code, to contact id and failure."""
    found: dict[tuple[str, str], tuple[str, Failure]] = {}
    o = outcome.c
    with reading(database) as connection:
        for step in list_steps(database, run):
            here = o.run == run.key, o.step == step.step, o.status == FAILED
            first = select(o.code, func.min(o.number)).where(*here).group_by(o.code)
            for code, number in connection.execute(first).all():
                this = contact.c.run == run.key, contact.c.number == number
                contact_id = connection.scalar(select(contact.c.contact_id).where(*this))
                detail = connection.scalar(select(o.detail).where(*here, o.number == number))
                if contact_id is not None and detail is not None:  # of a run that goes on it may be gone
                    found[step.node, code] = contact_id, read_failure(detail)
    return found

"""Consent at a later execution of a run: what its snapshot says is judged again, or the audience is asked again."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine

from leadpush_prefect.blocks import Audience
from leadpush_prefect.model.consent import Consent
from leadpush_prefect.model.consent_columns import SUBSCRIBED, ConsentColumns, UnclearAnswer
from leadpush_prefect.model.contact import ContactRow
from leadpush_prefect.store.contacts import iter_contacts
from leadpush_prefect.store.patience import Patience
from leadpush_prefect.store.runs import RunRecord
from leadpush_prefect.store.stored_values import stored_contact
from leadpush_prefect.store.withdrawals import withdraw, withdraw_unconfirmed

__all__ = ["recheck_consent"]

OLD = timedelta(hours=24)
"""A snapshot's consent counts for so long; then a later execution reads the audience's again."""

_OWN_KEYS = {"_id", "uuid", SUBSCRIBED, "attributes"}


def recheck_consent(
    database: Engine,
    record: RunRecord,
    audience: Audience,
    contacts: Iterable[ContactRow],
    columns: ConsentColumns,
    refresh: bool | None,
    patience: Patience,
) -> RunRecord:
    """See who of a snapshot may still be asked.

    Args:
        database: The database.
        record: The run, at a later execution.
        audience: Its audience.
        contacts: The audience's contacts, which are read only if need be.
        columns: What says of them whether they are subscribed.
        refresh: Whether they are read; None: if their consent is older than a day.
        patience: How what is found is written.

    Raises:
        AudienceInvalid, RunBusy: if a column looks like consent and is not named, or by the audience's reader.
    """
    if not record.consent:
        columns_now = audience.consent_columns()
        record = patience(lambda: _judge_snapshot(database, record, columns_now))
    if refresh is None:
        refresh = _is_old(record, datetime.now(UTC))
    if not refresh:
        return record
    return withdraw_unconfirmed(database, record, contacts, columns, patience)


def _is_old(run: RunRecord, now: datetime) -> bool:
    """Whether a run's consent is older than a day."""
    return now - run.consent_read_at > OLD


def _judge_snapshot(database: Engine, run: RunRecord, columns: ConsentColumns) -> RunRecord:
    """Judge the contacts of a snapshot by columns that the version which took it did not look at.

    It stored them as attributes, and took everybody for subscribed whose column had another name than `subscribed`.

    Raises:
        AudienceInvalid: if a column looks like consent and the audience does not name it.
        RunBusy: if another execution of the run has begun.
    """
    denied, before = [], []
    for number, was_subscribed, data in iter_contacts(database, run.key):
        consent = _consent_of(data, columns)
        if was_subscribed and consent is Consent.NO_COLUMN:
            before.append(number)
        elif was_subscribed and not consent.is_subscribed:
            denied.append(number)
    if run.contacts:
        columns.refuse_missing()
    if columns.found:  # those that came before the first row with a column, and were subscribed
        denied = before + denied
    return withdraw(database, run, denied, columns.describe())


def _consent_of(data: str, columns: ConsentColumns) -> Consent:
    contact = stored_contact(data)
    own = {name: value for name, value in contact.items() if name not in _OWN_KEYS}
    if columns.names(SUBSCRIBED):  # that one was looked at
        own[SUBSCRIBED] = contact.get(SUBSCRIBED, True)
    try:
        return columns.of_keys(own, contact.get("attributes", {}))
    except UnclearAnswer:
        return Consent.NO_ANSWER

"""How a run begins: its arguments are checked, and its audience's contacts are taken into the database."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from uuid import uuid4

from prefect.runtime import flow_run
from sqlalchemy import Engine

from leadpush_prefect.audiences.readers import usable
from leadpush_prefect.blocks import Audience
from leadpush_prefect.campaigns.consent_recheck import recheck_consent
from leadpush_prefect.errors import BlockInvalid, LeadpushError, Reason
from leadpush_prefect.model.config import WorkspaceConfig
from leadpush_prefect.model.consent_columns import ConsentColumns
from leadpush_prefect.model.contact import ContactRow, InvalidRow
from leadpush_prefect.model.names import check_name
from leadpush_prefect.model.tunables import Tunables
from leadpush_prefect.reports.sentences import consent_text
from leadpush_prefect.runs.databases import database_of
from leadpush_prefect.runs.lease import RunLease, watch_holder
from leadpush_prefect.runs.log import run_logger, warn
from leadpush_prefect.runs.open_runs import OpenRun, beginning, refuse_if_open
from leadpush_prefect.runs.task_runner import check_task_runner, works_in_threads
from leadpush_prefect.settings import read_tunables
from leadpush_prefect.store.database import trying_once
from leadpush_prefect.store.holder import Holder
from leadpush_prefect.store.intents import settle_intents
from leadpush_prefect.store.patience import Patience
from leadpush_prefect.store.runs import RunRecord, begin_run, finish_run
from leadpush_prefect.store.snapshot import IN_PROCESSES, IN_THREADS, snapshot
from leadpush_prefect.system.recent import Recent
from leadpush_prefect.text.display import shortened, visible

__all__ = ["RunOptions", "begin"]

SHOWN_INVALID_ROWS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What `CampaignRun.start` was asked for, which describes it."""

    campaign: str
    workspace: WorkspaceConfig
    audience: Audience
    run_id: str
    limit: int
    batches: int
    skip_invalid: bool
    include_unsubscribed: bool
    simulate: bool
    report: bool
    refresh_consent: bool | None

    def check(self) -> None:
        """See that a run can begin with them.

        Raises:
            TypeError, BlockInvalid, ValueError: as `CampaignRun.start` says.
        """
        _refuse_problems(self.audience)
        if self.limit < 0 or self.batches < 0:
            raise ValueError("limit and batches are 0 or more.")
        names = {"campaign": self.campaign, "workspace": self.workspace.name, "run_id": self.run_id}
        for what, name in names.items():
            check_name(what, name)


def begin(options: RunOptions) -> tuple[OpenRun, RunLease]:
    """Begin a run, or its next execution: it is this process's, and its contacts are in the database."""
    options.check()
    check_task_runner(options.workspace.name)
    run_id = options.run_id or _id_of_flow_run()
    refuse_if_open(run_id)
    database, tunables = database_of(options.workspace), read_tunables()
    patience = Patience(database, tunables.database_wait_seconds, say=warn)
    dead = patience(lambda: watch_holder(database, run_id, tunables.watch_seconds, run_logger()))
    lease = RunLease(database, run_id, tunables.heartbeat_seconds)
    try:
        record = patience(lambda: _begun(database, run_id, options, lease, dead))
        if record.execution > 1 and (unknown := patience(lambda: settle_intents(database, record))):
            _log_unknown(unknown)
        record = _with_contacts(database, record, options, tunables, patience)
    except BaseException:
        lease.release()
        raise
    run = OpenRun(record, database, options.workspace, report=options.report, tunables=tunables)
    return run, lease


def _begun(
    database: Engine, run_id: str, options: RunOptions, lease: RunLease, dead: Holder | None
) -> RunRecord:
    return begin_run(
        database,
        run_id=run_id,
        campaign=options.campaign,
        workspace=options.workspace.name,
        simulate=options.simulate,
        include_unsubscribed=options.include_unsubscribed,
        source=options.audience.describe() + (f", the first {options.limit}" if options.limit else ""),
        holder=lease.identity,
        dead=dead,
    )


def _with_contacts(
    database: Engine, record: RunRecord, options: RunOptions, tunables: Tunables, patience: Patience
) -> RunRecord:
    """Take the contacts; where that fails, nobody shall take the run for one that works."""
    invalid = _Invalid()
    try:
        columns = options.audience.consent_columns(refuse=not options.include_unsubscribed)
        with beginning(tunables):
            record = _taken(database, record, options, columns, invalid, patience)
        _log_beginning(record)
        _log_ignored(columns)
        invalid.log()
    except BaseException:
        with suppress(Exception), trying_once():  # what is wrong is raised
            finish_run(database, record.key, "stopped", "Could not start", record.execution)
        raise
    return record


def _taken(
    database: Engine,
    record: RunRecord,
    options: RunOptions,
    columns: ConsentColumns,
    invalid: _Invalid,
    patience: Patience,
) -> RunRecord:
    """The run with its contacts: taken at its first execution, their consent looked at again at a later one."""
    rows = options.audience.rows(columns)
    contacts = usable(rows, skip_invalid=options.skip_invalid, on_invalid=invalid)
    if record.batches:
        if options.include_unsubscribed:
            return record
        return recheck_consent(
            database, record, options.audience, contacts, columns, options.refresh_consent, patience
        )
    if options.limit:
        rest = () if options.audience.is_read_once else rows
        contacts = _first(contacts, options.limit, rest, columns)
    return snapshot(
        database,
        record,
        contacts,
        batches=options.batches,
        most=IN_THREADS if works_in_threads() else IN_PROCESSES,
        invalid=lambda: invalid.count,
        consent=columns,
        patience=patience,
    )


def _refuse_problems(audience: Audience) -> None:
    if not isinstance(audience, Audience):
        raise TypeError(
            f"audience is a {type(audience).__name__}, and must be an Audience, such as "
            "Audience.from_file(path) or Audience.from_contacts(contacts)."
        )
    errors = [problem for problem in audience.field_problems() if problem.severity == "error"]
    if errors:
        raise BlockInvalid(f"Audience {audience.name}".strip(), errors)


def _log_beginning(record: RunRecord) -> None:
    word = "simulated run" if record.simulate else "run"
    again = f", execution {record.execution}" if record.execution > 1 else ""
    run_logger().info(
        "Campaign %s, %s %s%s: %s contacts, %s to a batch; %s.",
        visible(record.campaign), word, visible(record.run_id), again, f"{record.contacts:,}", f"{record.batch_size:,}",
        consent_text(record),
    )  # fmt: skip


def _log_unknown(count: int) -> None:
    run_logger().warning(
        "%s writes (POST, PATCH) were under way when the process of the last execution ended: %s. They are not sent "
        "again by themselves.",
        f"{count:,}", Reason.OUTCOME_UNKNOWN,
    )  # fmt: skip


def _log_ignored(columns: ConsentColumns) -> None:
    if columns.ignored:
        shown = ", ".join(shortened(name) for name in islice(columns.ignored, SHOWN_INVALID_ROWS))
        run_logger().warning("Not read for consent, though it looks like it: %s.", shown)


class _Invalid:
    """Counts malformed rows, and keeps the first ones for the log."""

    def __init__(self) -> None:
        self.count = 0
        self.first: list[InvalidRow] = []

    def __call__(self, row: InvalidRow) -> None:
        self.count += 1
        if len(self.first) < SHOWN_INVALID_ROWS:
            self.first.append(row)

    def log(self) -> None:
        if self.count:
            shown = " ".join(f"{row.place}: {row.sentence}" for row in self.first)
            run_logger().warning("%s rows of the audience were left out. %s", f"{self.count:,}", shown)


def _first(
    contacts: Iterable[ContactRow],
    limit: int,
    rest: Iterable[ContactRow | InvalidRow],
    columns: ConsentColumns,
) -> Iterator[ContactRow]:
    """The first contacts; where none of them says whether it is subscribed, the rest is looked at until one does."""
    yield from islice(contacts, limit)
    if not (columns.is_table or columns.has_none):
        any(columns.found for _ in rest)


_id_given_to = Recent[tuple[str, int], None](256)


def _id_of_flow_run() -> str:
    """The flow run's id as a run's, for one run: a second one would go on with the contacts of the first."""
    flow_run_id = flow_run.get_id()
    if not flow_run_id:
        return str(uuid4())
    attempt = str(flow_run_id), flow_run.get_run_count()
    if attempt in _id_given_to:
        raise LeadpushError(
            "This flow run has started a run already. Give the second one a run_id of its own, such as "
            f"{flow_run_id}-2, so that they are two."
        )
    _id_given_to[attempt] = None
    return str(flow_run_id)

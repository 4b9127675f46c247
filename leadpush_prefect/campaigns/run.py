"""A CampaignRun: one execution of one campaign over one audience."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from contextvars import ContextVar, Token
from datetime import UTC, datetime
from itertools import islice
from types import TracebackType
from typing import Any, Self
from uuid import UUID, uuid4

from prefect.client.schemas.objects import State
from prefect.exceptions import MissingContextError
from prefect.futures import PrefectFuture
from prefect.logging import get_logger, get_run_logger
from prefect.runtime import flow_run
from prefect.states import Completed
from sqlalchemy import Engine

from leadpush_prefect.audiences.readers import usable
from leadpush_prefect.blocks import Audience, Workspace
from leadpush_prefect.blocks.workspace import workspace_config
from leadpush_prefect.campaigns.batch import Batch
from leadpush_prefect.campaigns.consent_again import is_old, judge_snapshot
from leadpush_prefect.campaigns.outputs import skip_unstored
from leadpush_prefect.campaigns.signals import leave_on_sigterm, restore_sigterm, wait_for
from leadpush_prefect.errors import BlockInvalid, LeadpushError, RunBusy, RunIncomplete
from leadpush_prefect.model.config import WorkspaceConfig
from leadpush_prefect.model.consent_columns import ConsentColumns
from leadpush_prefect.model.contact import ContactRow, InvalidRow
from leadpush_prefect.model.names import check_name
from leadpush_prefect.model.outcome import Failure
from leadpush_prefect.reports.reporter import RunReporter
from leadpush_prefect.reports.sentences import consent_text, unsubscribed_text
from leadpush_prefect.runs.databases import database_of
from leadpush_prefect.runs.lease import RunLease, watch_holder
from leadpush_prefect.runs.open_runs import OpenRun, add_run, beginning, forget_run, refuse_if_open
from leadpush_prefect.runs.task_runner import check_task_runner, works_in_threads
from leadpush_prefect.sending.dispatcher import dispatcher
from leadpush_prefect.store.exports import iter_failures, iter_outputs
from leadpush_prefect.store.runs import RunRecord, batch_range, begin_run, finish_run
from leadpush_prefect.store.snapshot import IN_PROCESSES, IN_THREADS, snapshot
from leadpush_prefect.store.stored_values import stored_json
from leadpush_prefect.store.summary import RunSummary, is_complete, summarize, unreached
from leadpush_prefect.store.withdrawals import withdraw_unconfirmed
from leadpush_prefect.text.display import shortened, visible

__all__ = ["CampaignRun", "current_run"]

SHOWN_INVALID_ROWS = 10

SETTLE_SECONDS = 3.0
"""So long the report of a run that was stopped waits for its batches to store what has come."""

_current: ContextVar[CampaignRun | None] = ContextVar("leadpush_campaign_run", default=None)


def current_run() -> CampaignRun | None:
    """The run in whose `with` the flow is."""
    return _current.get()


class CampaignRun:
    """One execution of a campaign over an audience, with an id that survives a retry of the flow run.

    Made by `start`, used in a `with`, and ended by `finish`. Leaving the `with` otherwise stops the run's
    requests, and what has arrived is stored; the same run id goes on from there.

    Attributes:
        id: The run's id.

    Example:
        ```python
        with CampaignRun.start("renewal-reminder", workspace="acme", audience=audience) as run:
            for batch in run.batches():
                fetch_api_data.submit(batch, "customer-profile", output_key="customer_profile")
            return run.finish()
        ```
    """

    def __init__(self, run: OpenRun, lease: RunLease) -> None:
        self._run = run
        self._lease = lease
        self._reporter = RunReporter(run, _logger()) if run.report else None
        self._futures: list[PrefectFuture[Any]] = []
        self._what: dict[UUID, str] = {}
        self._batch: dict[UUID, int] = {}
        self._finished = False
        self._token: Token[CampaignRun | None] | None = None
        self._sigterm: Any = None

    @property
    def id(self) -> str:
        """The run's id."""
        return self._run.record.run_id

    @classmethod
    def start(
        cls,
        campaign: str,
        *,
        workspace: Workspace | WorkspaceConfig | str,
        audience: Audience,
        run_id: str = "",
        limit: int = 0,
        batches: int = 0,
        skip_invalid: bool = False,
        include_unsubscribed: bool = False,
        simulate: bool = False,
        report: bool = True,
        refresh_consent: bool | None = None,
    ) -> Self:
        """Begin a run, or its next execution: take the audience's contacts into the database.

        They are taken whole or not at all.

        A second execution (a retry of the flow run, or the same run id) goes on with the contacts of the
        first. It tries those without outcome, and those that failed where the workflow stops; never those
        that were fetched, skipped, or failed at a step with `on_failure="continue"`. Whoever is no longer subscribed,
        or gone from the audience, is skipped (`not_subscribed`) at the steps still to come.

        Args:
            campaign: The campaign's name.
            workspace: A `Workspace`, or the name of a saved one.
            audience: Whom it is for.
            run_id: The run's id; by default the flow run's.
            limit: How many contacts at most, such as 20 for a first try; 0 for all. Where none of them in JSON or Python
                says whether it is subscribed, the others are looked at until one does.
            batches: How many batches; 0 for one per 2,000 contacts: at most 8, or 24 where the flow's tasks run
                in other processes.
            skip_invalid: Whether malformed rows of the audience are left out (and counted); by default the
                run refuses to start.
            include_unsubscribed: Whether contacts that are not subscribed take part; by default they are
                skipped.
            simulate: Whether no request is ever sent, and each step answers with its `mock_response`.
            report: Whether the run writes a report, says in the log how far it is, and emits events.
            refresh_consent: Whether a second execution reads the audience again to see who is still subscribed; by
                default where consent was last read more than 24 hours ago.

        Raises:
            BlockInvalid: if the workspace or the audience has problems.
            AudienceInvalid: naming the rows that cannot be used, or two with one id; or a column that looks like
                consent, with the lines to choose from.
            RunBusy: if the run is being executed, here or elsewhere. One whose process has crashed is taken
                over, after up to 10 s of watching where it cannot be seen at once.
            LeadpushError: if the run id belongs to another campaign, or the flow's tasks run in other processes
                that could not find the run.
            TypeError: if the audience is not an Audience.
            ValueError: if limit or batches is negative, or a name is too long or holds control characters.
        """
        config = workspace_config(workspace)
        _refuse_problems(audience)
        if limit < 0 or batches < 0:
            raise ValueError("limit and batches are 0 or more.")
        for what, name in {"campaign": campaign, "workspace": config.name, "run_id": run_id}.items():
            check_name(what, name)
        check_task_runner(config.name)
        run_id = run_id or _id_of_flow_run()
        refuse_if_open(run_id)
        database = database_of(config)
        dead = watch_holder(database, run_id, _logger())
        lease = RunLease(database, run_id)
        record = None
        try:
            record = begin_run(
                database,
                run_id=run_id,
                campaign=campaign,
                workspace=config.name,
                simulate=simulate,
                include_unsubscribed=include_unsubscribed,
                source=audience.describe() + (f", the first {limit}" if limit else ""),
                holder=lease.identity,
                dead=dead,
            )
            invalid, columns = _Invalid(), audience.consent_columns(refuse=not include_unsubscribed)
            rows = audience.rows(columns)
            contacts = usable(rows, skip_invalid=skip_invalid, on_invalid=invalid)
            with beginning():
                if not record.batches:
                    most = IN_THREADS if works_in_threads() else IN_PROCESSES
                    if limit:
                        contacts = _first(contacts, limit, () if audience.is_read_once else rows, columns)
                    record = snapshot(
                        database,
                        record,
                        contacts,
                        batches=batches,
                        most=most,
                        invalid=lambda: invalid.count,
                        consent=columns,
                    )
                elif not include_unsubscribed:
                    record = _consent_again(database, record, audience, contacts, columns, refresh_consent)
            _log_beginning(record)
            _log_ignored(columns)
            invalid.log()
        except BaseException:
            if record is not None:
                with suppress(
                    Exception
                ):  # what is wrong is raised; nobody shall take the run for one that works
                    finish_run(database, record.key, "stopped", "Could not start", record.execution)
            lease.release()
            raise
        return cls(OpenRun(record, database, config, report=report), lease)

    def batches(self) -> list[Batch]:
        """The run's contacts, in batches to give to tasks: at least one, also for an empty audience."""
        record, workspace = self._run.record, self._run.workspace.name
        return [
            Batch(record.run_id, number, len(batch_range(record, number)), workspace, self._run.report)
            for number in range(record.batches)
        ]

    def add_future(
        self, what: str, future: PrefectFuture[Any], *, batch: Batch | PrefectFuture[Any] | None = None
    ) -> None:
        """Have `finish` wait for a task; the tasks of this package do so themselves.

        Args:
            what: What the task is, for a message.
            future: Its future.
            batch: The batch that it is for, or the future of the task that gives it.
        """
        self._futures.append(future)
        self._finished = False
        number = batch.number if isinstance(batch, Batch) else None
        if isinstance(batch, PrefectFuture):
            number = self._batch.get(batch.task_run_id)
            if (
                batch.task_run_id not in self._what
            ):  # a task of the flow's own: if it fails, that is what to say
                self._futures.insert(-1, batch)
                self._what[batch.task_run_id] = "a task of the flow"
        if number is not None:
            self._batch[future.task_run_id] = number
            what = f"{what}, batch {number}"
        self._what[future.task_run_id] = what

    def finish(self, futures: Iterable[PrefectFuture[Any]] = ()) -> State[RunSummary]:
        """Wait for all that was submitted, see that each contact reached the end of its workflow, and sum up.

        Args:
            futures: Of the flow's own tasks; those of this package's tasks are known.

        Returns:
            A completed State to return from the flow. Its name says how it went (`Completed`,
            `Completed with failures`, `Simulated`, `Simulated with failures`), its message gives the counts,
            and its data is the `RunSummary`.

        Raises:
            RunIncomplete: naming the steps and batches that did not complete, or contacts that no step has
                touched.
            RunBusy: if the run goes on in a later execution.
        """
        for future in futures:
            if future.task_run_id not in self._what:
                self.add_future("a task of the flow", future)
        self._wait()
        skip_unstored(self._run)
        summary = self.summary()
        if not is_complete(self._run.record, summary):
            self._refuse_unreached()
        state = _state(summary)
        record = self._run.record
        finish_run(self._run.database, record.key, "finished", state.name or "", record.execution)
        self._finished = True
        self._lease.release()
        _logger().info("Campaign %s: %s", visible(summary.campaign), state.message)
        if self._reporter:
            self._reporter.finished(summary, state.name or "")
        return state

    def _wait(self) -> None:
        waited = 0
        while waited < len(self._futures):  # a task of the flow's may submit more
            wait_for(self._futures[waited])
            waited += 1
        bad = [future for future in self._futures if not future.state.is_completed()]
        if bad:
            bad.sort(key=lambda future: future.state.is_pending())  # last those that only waited for another
            shown = " | ".join(self._complaint(future) for future in bad[:5])
            raise RunIncomplete(
                f"{len(bad)} of {waited} tasks did not complete: {shown}{_and_more(len(bad) - 5)}. "
                f"Mend that, and run {self.id} again: it goes on where it stopped."
            )

    def _complaint(self, future: PrefectFuture[Any]) -> str:
        state = future.state
        what = self._what[future.task_run_id]
        return f"{what}: {state.name}: {_public(state.message or '', what).rstrip('.')}"

    def _refuse_unreached(self) -> None:
        missing = unreached(self._run.database, self._run.record)
        if missing:
            shown = "; ".join(
                f"{count:,} contacts of batch {batch}" + (f" at step {node}" if node else "")
                for node, batch, count in missing[:5]
            )
            raise RunIncomplete(
                f"Not every contact reached the end of its workflow: {shown}{_and_more(len(missing) - 5)}. "
                "Submit each step for every batch, and run it again."
            )

    def summary(self) -> RunSummary:
        """How the run stands: counts, latencies (in seconds) and failures by step. Counted in the database."""
        return summarize(self._run.database, self._run.record)

    def outputs(self, output_keys: Sequence[str] | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
        """The outputs, streamed: contact id, and output by key.

        Args:
            output_keys: Which outputs; all by default.

        Example:
            ```python
            for contact_id, outputs in run.outputs(["customer_profile"]):
                print(contact_id, outputs["customer_profile"]["plan"])
            ```
        """
        for contact_id, outputs in iter_outputs(self._run.database, self._run.record, output_keys):
            yield contact_id, {key: stored_json(text) for key, text in outputs.items()}

    def failures(self) -> Iterator[tuple[str, str, Failure]]:
        """The failures, streamed: contact id, node, and why.

        Example:
            ```python
            by_code = Counter(failure.code for _, _, failure in run.failures())
            ```
        """
        return iter_failures(self._run.database, self._run.record)

    def __enter__(self) -> Self:
        add_run(self._run)
        self._token = _current.set(self)
        self._sigterm = leave_on_sigterm()
        if self._reporter:
            self._reporter.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        restore_sigterm(self._sigterm)
        if self._token is not None:
            _current.reset(self._token)
        try:
            if not self._finished:
                self._stop(kind)
        finally:
            self._lease.release()
            forget_run(self._run)
            if self._reporter:
                self._reporter.end()
        if not self._finished and kind is None:
            raise RunIncomplete(
                f"Run {self.id} was left without finish(), which waits for its tasks. End the `with` by "
                "`return run.finish()`."
            )

    def _stop(self, kind: type[BaseException] | None) -> None:
        self._run.stopped = True
        dispatcher().stop_group(self.id)
        database, record = self._run.database, self._run.record
        why = kind.__name__ if kind else "left"
        with suppress(RunBusy):  # it goes on in a later execution
            finish_run(database, record.key, "stopped", why, record.execution)
            if self._reporter:
                self._run.wait_until_idle(SETTLE_SECONDS)
                self._reporter.stopped(kind)


_id_given_to: OrderedDict[tuple[str, int], None] = OrderedDict()


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
    while len(_id_given_to) > 256:
        _id_given_to.popitem(last=False)
    return str(flow_run_id)


_OURS = frozenset(kind.__name__ for kind in LeadpushError.__subclasses__())
_EXCEPTION = re.compile(r"(.*exception:? )([\w.]+):", re.DOTALL)


def _public(message: str, what: str) -> str:
    """A state's message, but for the text of an exception that a task of the flow's own raised: it may tell anything."""
    found = _EXCEPTION.match(message)
    if what.startswith("step ") or found is None or found[2].rsplit(".", 1)[-1] in _OURS:
        return message
    return f"{found[1]}{found[2]}"


def _and_more(count: int) -> str:
    return f" (and {count} more)" if count > 0 else ""


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
            _logger().warning("%s rows of the audience were left out. %s", f"{self.count:,}", shown)


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


def _consent_again(
    database: Engine,
    record: RunRecord,
    audience: Audience,
    contacts: Iterable[ContactRow],
    columns: ConsentColumns,
    refresh: bool | None,
) -> RunRecord:
    """Who of the snapshot may still be asked, at a later execution."""
    if not record.consent:
        record = judge_snapshot(database, record, audience.consent_columns())
    if refresh is None:
        refresh = is_old(record, datetime.now(UTC))
    return withdraw_unconfirmed(database, record, contacts, columns) if refresh else record


def _log_beginning(record: RunRecord) -> None:
    word = "simulated run" if record.simulate else "run"
    again = f", execution {record.execution}" if record.execution > 1 else ""
    _logger().info(
        "Campaign %s, %s %s%s: %s contacts, %s to a batch; %s.",
        visible(record.campaign), word, visible(record.run_id), again, f"{record.contacts:,}", f"{record.batch_size:,}",
        consent_text(record),
    )  # fmt: skip


def _log_ignored(columns: ConsentColumns) -> None:
    if columns.ignored:
        shown = ", ".join(shortened(name) for name in islice(columns.ignored, SHOWN_INVALID_ROWS))
        _logger().warning("Not read for consent, though it looks like it: %s.", shown)


def _refuse_problems(audience: Audience) -> None:
    if not isinstance(audience, Audience):
        raise TypeError(
            f"audience is a {type(audience).__name__}, and must be an Audience, such as "
            "Audience.from_file(path) or Audience.from_contacts(contacts)."
        )
    errors = [problem for problem in audience.field_problems() if problem.severity == "error"]
    if errors:
        raise BlockInvalid(f"Audience {audience.name}".strip(), errors)


def _state(summary: RunSummary) -> State[RunSummary]:
    failed = sum(sum(step.failed.values()) for step in summary.steps)
    name = "Simulated" if summary.simulate else "Completed"
    contacts = "1 contact" if summary.contacts == 1 else f"{summary.contacts:,} contacts"
    parts = [contacts, unsubscribed_text(summary, "unsubscribed")]
    parts += [f"{summary.withdrawn:,} no longer subscribed"] if summary.withdrawn else []
    for step in summary.steps:
        parts.append(
            f"{step.node}: {step.fetched:,} done, {step.skipped:,} skipped, "
            f"{sum(step.failed.values()):,} failed"
        )
    return Completed(
        name=f"{name} with failures" if failed else name, message="; ".join(parts) + ".", data=summary
    )


def _logger() -> Any:
    try:
        return get_run_logger()
    except MissingContextError:
        return get_logger("leadpush")

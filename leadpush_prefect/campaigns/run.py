"""A CampaignRun: one execution of one campaign over one audience."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Any, Literal, Self

from prefect.client.schemas.objects import State
from prefect.futures import PrefectFuture
from prefect.states import Completed

from leadpush_prefect.blocks import Audience, Workspace
from leadpush_prefect.blocks.workspace import workspace_config
from leadpush_prefect.campaigns.batch import Batch
from leadpush_prefect.campaigns.outputs import skip_unstored
from leadpush_prefect.campaigns.signals import leave_on_sigterm, restore_sigterm
from leadpush_prefect.campaigns.starting import RunOptions, begin
from leadpush_prefect.campaigns.submitted import Submitted, and_more
from leadpush_prefect.errors import RunBusy, RunIncomplete, StoreFailed
from leadpush_prefect.model.config import WorkspaceConfig
from leadpush_prefect.model.outcome import Failure
from leadpush_prefect.reports.reporter import RunReporter
from leadpush_prefect.reports.sentences import unsubscribed_text
from leadpush_prefect.runs.lease import RunLease
from leadpush_prefect.runs.log import run_logger, warn
from leadpush_prefect.runs.open_runs import OpenRun, add_run, forget_run
from leadpush_prefect.sending.dispatcher import dispatcher
from leadpush_prefect.store.exports import iter_failures, iter_outputs
from leadpush_prefect.store.runs import batch_range, finish_run
from leadpush_prefect.store.stored_values import stored_json
from leadpush_prefect.store.summary import RunSummary, is_complete, summarize, unreached
from leadpush_prefect.text.display import shortened, visible

__all__ = ["CampaignRun", "current_run"]

SETTLE_SECONDS = 3.0
"""So long a run that was stopped waits for its batches to store what has come, after all that may still come has."""

_current: ContextVar[CampaignRun | None] = ContextVar("leadpush_campaign_run", default=None)


def current_run() -> CampaignRun | None:
    """The run in whose `with` the flow is."""
    return _current.get()


class CampaignRun:
    """One execution of a campaign over an audience, with an id that survives a retry of the flow run.

    Made by `start`, used in a `with`, and ended by `finish`. Leaving the `with` otherwise sends nothing any more:
    what is in flight has some seconds to come (`stop_seconds`), what has arrived is stored, and the same run id goes
    on from there.

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
        self._reporter = RunReporter(run, run_logger()) if run.report else None
        self._submitted = Submitted()
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
        options = RunOptions(
            campaign=campaign,
            workspace=workspace_config(workspace),
            audience=audience,
            run_id=run_id,
            limit=limit,
            batches=batches,
            skip_invalid=skip_invalid,
            include_unsubscribed=include_unsubscribed,
            simulate=simulate,
            report=report,
            refresh_consent=refresh_consent,
        )
        return cls(*begin(options))

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
        self._submitted.add(what, future, batch=batch)
        self._finished = False

    def add_step(
        self, node: str, future: PrefectFuture[Any], *, batch: Batch | PrefectFuture[Any] | None
    ) -> None:
        """Have `finish` wait for a task of this package, whose errors show in full."""
        self._submitted.add(shortened(f"step {node}"), future, batch=batch, is_ours=True)
        self._finished = False

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
            StoreFailed: if the database stays away, or its file was deleted.
        """
        for future in futures:
            self._submitted.add_unknown(future)
        incomplete = self._submitted.wait()
        if incomplete:
            raise RunIncomplete(
                f"{incomplete} Mend that, and run {self.id} again: it goes on where it stopped."
            )
        skip_unstored(self._run)
        summary = self.summary()
        if not is_complete(self._run.record, summary):
            self._refuse_unreached()
        state = _state(summary)
        self._note_end("finished", state.name or "")
        self._finished = True
        self._lease.release()
        run_logger().info("Campaign %s: %s", visible(summary.campaign), state.message)
        if self._reporter:
            self._reporter.finished(summary, state.name or "")
        return state

    def _refuse_unreached(self) -> None:
        missing = self._run.patience(lambda: unreached(self._run.database, self._run.record))
        if missing:
            shown = "; ".join(
                f"{count:,} contacts of batch {batch}" + (f" at step {node}" if node else "")
                for node, batch, count in missing[:5]
            )
            raise RunIncomplete(
                f"Not every contact reached the end of its workflow: {shown}{and_more(len(missing) - 5)}. "
                "Submit each step for every batch, and run it again."
            )

    def summary(self) -> RunSummary:
        """How the run stands: counts, latencies (in seconds) and failures by step. Counted in the database."""
        return self._run.patience(lambda: summarize(self._run.database, self._run.record))

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
        self._drain()
        try:
            self._note_end("stopped", kind.__name__ if kind else "left")
        except RunBusy:  # it goes on in a later execution
            return
        except StoreFailed as failed:
            # Why the run is left is raised; the next execution sees that nobody holds it.
            warn(f"The end of run {self.id} could not be written. {failed}")
        if self._reporter:
            self._reporter.stopped(kind)

    def _note_end(self, status: Literal["finished", "stopped"], state: str) -> None:
        database, record = self._run.database, self._run.record
        self._run.patience(lambda: finish_run(database, record.key, status, state, record.execution))

    def _drain(self) -> None:
        """Let what is in flight come, so that the next execution need not ask again; who asks once more cuts it."""
        seconds = self._run.tunables.stop_seconds
        dispatcher().stop_group(self.id, seconds)
        try:
            self._run.wait_until_idle(seconds + SETTLE_SECONDS)
        except BaseException:  # a second Ctrl-C: what leaves the `with` is the first
            dispatcher().stop_group(self.id, 0)
            self._run.wait_until_idle(SETTLE_SECONDS)


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

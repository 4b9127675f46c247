"""Work on a database that may be away for a while: it is tried again, and what has to wait for it waits."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import inf
from random import uniform
from time import monotonic, sleep
from typing import Any, Protocol, TypeVar

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from leadpush_prefect.errors import StoreFailed
from leadpush_prefect.store.database import database_name, trying_once
from leadpush_prefect.store.embedded_file import refuse_another_file
from leadpush_prefect.store.trouble import Trouble, trouble_of

__all__ = ["Patience", "Tries", "at_once", "never"]

FIRST_PAUSE, LAST_PAUSE = 0.05, 2.0
STOPPED_SECONDS = 2.0
"""So long it is tried again for a run that was stopped: whoever pressed Ctrl-C waits."""

CONTENTION_SECONDS = 5.0
"""Nothing is said of others that write at the same time, before they have done so for so long."""

LOOK_SECONDS = 0.1
"""So often it is looked, in a pause, whether the run was stopped."""

T = TypeVar("T")


def never() -> bool:
    """What is never over."""
    return False


class Tries(Protocol):
    """How work is done that a database may refuse: `at_once`, or a `Patience`."""

    def __call__(self, work: Callable[[], T]) -> T:
        """Do the work, a transaction that may be repeated."""


def at_once(work: Callable[[], T]) -> T:
    """Once, with the error as it comes."""
    return work()


@dataclass(slots=True)
class _Trial:
    """One piece of work that has failed: since when, and by when it is to be done where it was stopped."""

    is_over: Callable[[], bool]
    began: float = field(default_factory=monotonic)
    over_by: float = inf


class Patience:
    """Tries again what a database refuses because it is away; shared by all threads of a run, and says so once for all.

    Each work is a transaction that may be repeated: that its answer was lost does not mean that it was not done.

    Args:
        database: The database.
        seconds: For how long.
        say: Takes what is to be logged.
        is_over: Whether the run was stopped, so that nothing is waited for much longer.
    """

    def __init__(
        self,
        database: Engine,
        seconds: float,
        *,
        say: Callable[[str], None],
        is_over: Callable[[], bool] = never,
    ) -> None:
        self._database = database
        self._seconds = seconds
        self._say = say
        self._is_over = is_over
        self._lock = threading.Lock()
        self._away_since: float | None = None
        self._is_said = False
        self._over_by = inf
        self._errors: tuple[type[BaseException], ...] = (SQLAlchemyError, _driver_error(database))

    def __call__(self, work: Callable[[], T], is_over: Callable[[], bool] = never) -> T:
        """Do the work, again and again if need be.

        Args:
            work: A transaction, or several, that may be repeated.
            is_over: Whether this work is no longer wanted, beside the run.

        Raises:
            StoreFailed: if the database stays away, or says something else than that.
        """
        trial, pauses = None, _pauses()
        while True:
            refuse_another_file(self._database)
            try:
                with trying_once():
                    done = work()
            except self._errors as error:
                trouble = trouble_of(error)
            else:
                if trial:
                    self._note_back()
                return done
            # Outside of `except`, so that no error of the driver comes along, which holds what was to be written.
            trial = trial or _Trial(is_over)
            self._wait(trouble, trial, next(pauses))

    def _wait(self, trouble: Trouble, trial: _Trial, pause: float) -> None:
        """Wait for the next try, if there is to be one."""
        if not trouble.is_away:
            raise self._refused(trouble)
        since = self._note_away(trouble, trial.began)
        until = monotonic() + pause
        while (now := monotonic()) < until:
            if now >= min(since, trial.began) + self._seconds or now >= self._stopped_by(trial, now):
                raise self._given_up(trouble, now - since)
            sleep(min(LOOK_SECONDS, until - now))

    def _note_away(self, trouble: Trouble, began: float) -> float:
        """Since when the database is away; the first to find out says so."""
        with self._lock:
            since = self._away_since = began if self._away_since is None else self._away_since
            wait_seconds = CONTENTION_SECONDS if trouble.is_contention else 0.0
            is_news = not self._is_said and monotonic() - since >= wait_seconds
            self._is_said |= is_news
        if is_news:
            self._say(
                f"The database {self._name} is away: {trouble.why}. It is tried again for {self._seconds:.0f} s at most; "
                "nothing new is sent meanwhile."
            )
        return since

    def _note_back(self) -> None:
        with self._lock:
            since, self._away_since = self._away_since, None
            was_said, self._is_said = self._is_said, False
        if since is not None and was_said:
            self._say(f"The database {self._name} is back after {monotonic() - since:.1f} s.")

    def _stopped_by(self, trial: _Trial, now: float) -> float:
        """By when a try must have been made: later than ever if nothing was stopped."""
        if self._over_by == inf and self._is_over():
            self._over_by = now + STOPPED_SECONDS
        if trial.over_by == inf and trial.is_over():
            trial.over_by = now + STOPPED_SECONDS
        return min(self._over_by, trial.over_by)

    @property
    def _name(self) -> str:
        return database_name(self._database.url)

    def _given_up(self, trouble: Trouble, seconds: float) -> StoreFailed:
        return StoreFailed(
            f"The database {self._name} has been away for {seconds:.0f} s: {trouble.why}. See to it that it is back, and "
            "run the campaign again with the same run id: it goes on where it stopped."
        )

    def _refused(self, trouble: Trouble) -> StoreFailed:
        return StoreFailed(
            f"The database {self._name} refuses what it is asked: {trouble.why}. See what has become of its tables and "
            "its user's rights, and run the campaign again with the same run id: it goes on where it stopped."
        )


def _pauses() -> Iterator[float]:
    """Each twice as long as the last one, and not the same in all threads."""
    pause = FIRST_PAUSE
    while True:
        yield pause * uniform(0.75, 1.0)
        pause = min(2 * pause, LAST_PAUSE)


def _driver_error(database: Engine) -> Any:
    return database.dialect.loaded_dbapi.Error

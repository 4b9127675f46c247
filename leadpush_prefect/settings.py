"""What an operator sets, where Prefect's own settings are set: the environment, `.env`, `prefect.toml`, `pyproject.toml`,
or a profile.

Read anew for each run, so that a process needs no restart for a file that was changed; a run keeps what it began with.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from prefect.settings.base import PrefectBaseSettings, build_settings_config
from pydantic import Field, ValidationError, field_validator
from pydantic_settings import SettingsConfigDict

from leadpush_prefect.errors import LeadpushError
from leadpush_prefect.model.tunables import Tunables

__all__ = ["LeadpushSettings", "read_tunables"]

_DEFAULT = Tunables()


class LeadpushSettings(PrefectBaseSettings):
    """The settings of this package; the environment's names begin with `PREFECT_INTEGRATIONS_LEADPUSH_`."""

    model_config: ClassVar[SettingsConfigDict] = build_settings_config(("integrations", "leadpush"))

    database: Path | None = Field(
        default=_DEFAULT.database,
        description="The SQLite file of workspaces that name no database: an absolute path; `~` is the user's home.",
    )
    flush_seconds: float = Field(
        default=_DEFAULT.flush_seconds,
        gt=0,
        le=60,
        description="An outcome is written at the latest this long after it came; seconds.",
    )
    chunk_size: int = Field(
        default=_DEFAULT.chunk_size,
        ge=1,
        le=10_000,
        description="How many contacts of a batch are read, and outcomes written, at once; contacts.",
    )
    heartbeat_seconds: float = Field(
        default=_DEFAULT.heartbeat_seconds,
        gt=0,
        le=60,
        description="How often a run's process says in the database that it is alive; seconds.",
    )
    freeze_gc: bool = Field(
        default=_DEFAULT.freeze_gc,
        description="Whether Python's full garbage collections leave out what was there before a run while one is open.",
    )

    database_wait_seconds: float = Field(
        default=_DEFAULT.database_wait_seconds,
        ge=0,
        le=86_400,
        description="How long a run waits for a database that is away, before it stops; seconds.",
    )
    stop_seconds: float = Field(
        default=_DEFAULT.stop_seconds,
        ge=0,
        le=600,
        description="How long what is in flight may still be answered when a run is stopped; seconds.",
    )
    durable_intents: bool = Field(
        default=_DEFAULT.durable_intents,
        description="Whether SQLite has it on the disk that a POST or PATCH will be sent, before it is.",
    )

    @field_validator("database")
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        """See that a path means the same file in each process, whatever folder it was started in."""
        if path is None:
            return None
        if not (path := path.expanduser()).is_absolute():
            raise ValueError("must be an absolute path")
        return path


def read_tunables() -> Tunables:
    """Read the settings as they are now.

    Raises:
        LeadpushError: if one of them has a value that it cannot have.
    """
    try:
        settings = LeadpushSettings()
    except ValidationError as error:
        raise LeadpushError(_what_is_wrong(error)) from None
    return Tunables(**settings.model_dump())


def _what_is_wrong(error: ValidationError) -> str:
    prefix = LeadpushSettings.model_config["env_prefix"]
    wrong = [
        f"{prefix}{'_'.join(map(str, each['loc'])).upper()} is {each['input']!r}: {each['msg']}"
        for each in error.errors(include_url=False)
    ]
    return f"A setting is wrong. {'; '.join(wrong)}. What each may be is in docs/settings.md."

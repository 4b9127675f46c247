"""The deployments of a `prefect.yaml`, all from one process, for a team without workers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from prefect.client.schemas.objects import ConcurrencyLimitConfig
from prefect.deployments.runner import RunnerDeployment
from prefect.schedules import Cron, Interval, RRule, Schedule
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from leadpush_prefect.errors import LeadpushError

__all__ = ["read_deployments"]

_KEPT = ("description", "tags", "version", "parameters", "enforce_parameter_schema")


def read_deployments(file: Path) -> list[RunnerDeployment]:
    """The deployments that a file defines. What is only for work pools (`work_pool`, `pull`) is left out.

    Args:
        file: A `prefect.yaml`; its entrypoints are relative to the current folder.

    Raises:
        LeadpushError: if it cannot be read, or defines none.
    """
    yaml = YAML(typ="safe", pure=True)
    yaml.version = (1, 1)  # as Prefect reads it
    try:
        data = yaml.load(file.read_text("utf-8"))
    except (OSError, YAMLError, UnicodeDecodeError):
        raise LeadpushError(f"{file} is not there, or not YAML in UTF-8.") from None
    found = data.get("deployments") if isinstance(data, dict) else None
    if not found:
        raise LeadpushError(f"{file} defines no deployments.")
    return [_deployment(entry, file) for entry in found]


def _deployment(entry: Mapping[str, Any], file: Path) -> RunnerDeployment:
    for needed in ("name", "entrypoint"):
        if not entry.get(needed):
            raise LeadpushError(f"{file}: the deployment {entry.get('name', '')} has no {needed}.")
    limit = entry.get("concurrency_limit")
    return RunnerDeployment.from_entrypoint(
        entry["entrypoint"],
        name=entry["name"],
        schedules=list(_schedules(entry, file)),
        concurrency_limit=ConcurrencyLimitConfig(**limit) if isinstance(limit, dict) else limit,
        **{name: entry[name] for name in _KEPT if name in entry},
    )


def _schedules(entry: Mapping[str, Any], file: Path) -> Iterator[Schedule]:
    for schedule in entry.get("schedules") or []:
        options = {
            name: schedule[name] for name in ("timezone", "slug", "active", "parameters") if name in schedule
        }
        match schedule:
            case {"cron": str(cron)}:
                yield Cron(cron, **options)
            case {"rrule": str(rrule)}:
                yield RRule(rrule, **options)
            case {"interval": int(seconds) | float(seconds)}:
                yield Interval(seconds, **options)
            case _:
                raise LeadpushError(
                    f"{file}: a schedule of {entry['name']} has neither cron, rrule nor interval (in seconds)."
                )

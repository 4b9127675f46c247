"""The keys of all that scripts read: `--json`, events, exported files. docs/json.md says what they mean.

`[]` stands for each element of a list, `*` for keys that are data, such as names of steps.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

__all__ = ["KEYS", "key_paths"]

_RUN = """
    run_id campaign workspace status started_at finished_at state simulate include_unsubscribed execution contacts
    unsubscribed invalid batches batch_size source consent consent_at no_answer withdrawn
""".split()

_COUNTS = """
    run_id campaign simulate contacts unsubscribed invalid completed stopped consent no_answer withdrawn
""".split()

_STEP = """
    node kind endpoint fetched skipped failed.* not_reached requests bytes p50_milliseconds p95_milliseconds
    p99_milliseconds no_body
""".split()

_SUMMARY = [*_COUNTS, "workspace", *(f"steps[].{key}" for key in _STEP)]

_PROBLEM = ["severity", "field", "sentence", "remedy"]

KEYS: dict[str, set[str]] = {
    "leadpush runs": {f"[].{key}" for key in _RUN},
    "leadpush runs show": {
        *(f"run.{key}" for key in _RUN),
        *(f"summary.{key}" for key in _SUMMARY),
        *(f"first_failures[].{key}" for key in ("contact_id", "node", "reason", "message")),
    },
    "leadpush runs show --contact": {
        f"*.{key}" for key in ("status", "output", "reason", "message", "request", "excerpt", "attempts")
    },
    "leadpush runs export": {"file", "contacts"},
    "leadpush runs delete": {"deleted", "run_ids[]"},
    "leadpush endpoints": {
        "[].workspace",
        *(f"[].limits.{key}" for key in ("max_timeout_seconds", "max_response_bytes")),
        *(f"[].limits.{key}[]" for key in ("allowed_hosts", "allowed_networks")),
        *(f"[].problems[].{key}" for key in _PROBLEM),
        *(f"[].endpoints[].{key}" for key in ("name", "method", "url", "timeout_seconds", "enabled")),
        *(f"[].endpoints[].problems[].{key}" for key in _PROBLEM),
        *(f"[].endpoints[].last_test.{key}" for key in ("at", "ok", "reason")),
    },
    "leadpush endpoints test": set(
        """
        ok http_status milliseconds phases_milliseconds.* failed_in bytes bytes_read request curl output reason
        message field remedy excerpt campaign_would_retry retry_milliseconds_at_most
        """.split()
    ),
    "leadpush endpoints enable, disable": {"name", "enabled", "changed"},
    "leadpush blocks plan, apply": {
        *(f"blocks[].{key}" for key in ("kind", "name", "file", "state")),
        *(f"blocks[].changes[].{key}" for key in ("field", "change", "old", "new", "diff[]", "source")),
        *(f"blocks[].problems[].{key}" for key in _PROBLEM),
        "not_in_files[].kind",
        "not_in_files[].name",
    },
    "leadpush blocks export": {
        *(f"[].{key}" for key in ("kind", "name", "file", "written", "secrets[].env", "secrets[].secret")),
        *(f"[].problems[].{key}" for key in _PROBLEM),
    },
    "leadpush blocks migrate": {
        *(f"[].{key}" for key in ("kind", "name", "state")),
        *(f"[].problems[].{key}" for key in _PROBLEM),
    },
    "leadpush automations pause-when-failing": {"automation"},
    "leadpush demo": {
        *(f"summary.{key}" for key in _SUMMARY),
        *("milliseconds", "contacts_per_second", "differences[]"),
    },
    "leadpush.campaign.completed, leadpush.campaign.failed": {
        *_COUNTS,
        "state",
        *(f"steps[].{key}" for key in ("node", "fetched", "skipped", "failed.*")),
    },
    "leadpush.endpoint.failing, leadpush.endpoint.recovered": {
        *("campaign", "last_calls", "failed_calls", "reason"),
    },
    "Exported files": {"contact_id", "attributes", "*", "failures.*"},
}


def key_paths(value: Any, *, data: Collection[str] = (), whole: Collection[str] = ()) -> set[str]:
    """The paths of all values in a document; where it is sometimes null or empty, of the fullest.

    Args:
        value: The document.
        data: The paths of objects whose keys are data.
        whole: The paths of values that are data, whatever is in them.
    """
    found = set(_paths(value, "", data, whole))
    return {path for path in found if not any(other.startswith((f"{path}.", f"{path}[]")) for other in found)}


def _paths(value: Any, at: str, data: Collection[str], whole: Collection[str]) -> Iterator[str]:
    if at in whole or not value or not isinstance(value, (dict, list)):
        empty = "[]" if value == [] else ".*" if value == {} and at in data else ""
        yield at if at in whole else f"{at}{empty}"
    elif isinstance(value, list):
        for each in value:
            yield from _paths(each, f"{at}[]", data, whole)
    else:
        for key, each in value.items():
            name = "*" if at in data else key
            yield from _paths(each, f"{at}.{name}" if at else name, data, whole)

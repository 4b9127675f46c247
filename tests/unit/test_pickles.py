"""What was pickled before the package had rooms is still loaded: results, and what travels to a task runner."""

from __future__ import annotations

import json
import pickle
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest

from leadpush_prefect import (
    Batch,
    CampaignContext,
    FetchFailed,
    Reason,
    RunStopped,
    RunSummary,
    StepRefused,
    StepSummary,
)

PICKLED: dict[str, str] = json.loads(Path(__file__).with_name("pickled.json").read_text())


def loaded(name: str) -> Any:
    return pickle.loads(b64decode(PICKLED[name]))


@pytest.mark.parametrize("name", PICKLED)
def test_is_loaded(name: str) -> None:
    """It is the same kind of thing, and can be pickled and loaded by this version too."""
    kinds = {
        "batch": Batch, "context": CampaignContext, "fetch_failed": FetchFailed, "step_refused": StepRefused,
        "run_stopped": RunStopped, "summary": RunSummary,
    }  # fmt: skip
    again = pickle.loads(pickle.dumps(loaded(name)))
    assert type(loaded(name)) is type(again) is kinds[name]


def test_what_is_in_it() -> None:
    """Nothing of it is lost, and what it did not know of has its default."""
    assert loaded("batch") == Batch("r1", 3, 500, "acme", True)
    context = loaded("context")
    assert (context.contact_id, context.include_unsubscribed) == ("7", False)
    assert str(context.workflow["profile"]["price"]) == "1.10"
    assert (loaded("fetch_failed").code, loaded("fetch_failed").contact_id) == ("http_status_404", "7")
    assert loaded("step_refused").reason is Reason.OUTPUT_KEY_TAKEN
    summary = loaded("summary")
    step = StepSummary("profile", "fetch", "crm", fetched=2, requests=2, bytes=20, p50=0.1)
    assert summary == RunSummary("r1", "c", "acme", False, 3, 1, 0, 2, 0, (step,))
    assert (summary.consent, summary.no_answer, summary.withdrawn) == ("", 0, 0)
    assert summary.steps[0].no_body == 0


@pytest.mark.parametrize("kind", [Batch, CampaignContext])
def test_is_known_by_the_package_alone(kind: type) -> None:
    """What travels between processes names no module, so that the next move is free."""
    assert kind.__module__ == "leadpush_prefect"

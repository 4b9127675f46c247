"""Call APIs from Prefect campaign flows: endpoints as Blocks, Fetch API Data as a task, outputs for later steps.

The names below are imported when they are first used, so that `import leadpush_prefect` costs nothing that is not.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from leadpush_prefect.blocks import ApiEndpoint, Audience, Workspace
    from leadpush_prefect.campaigns.batch import Batch
    from leadpush_prefect.campaigns.run import CampaignRun
    from leadpush_prefect.errors import (
        AudienceInvalid,
        BlockInvalid,
        FetchFailed,
        LeadpushError,
        Problem,
        Reason,
        RunBusy,
        RunIncomplete,
        RunStopped,
        StepRefused,
    )
    from leadpush_prefect.model.context import CampaignContext
    from leadpush_prefect.model.outcome import Failure
    from leadpush_prefect.store.summary import RunSummary, StepSummary
    from leadpush_prefect.tasks import afetch_api_data, fetch_api_data, render_template

__all__ = [
    "ApiEndpoint",
    "Audience",
    "AudienceInvalid",
    "Batch",
    "BlockInvalid",
    "CampaignContext",
    "CampaignRun",
    "Failure",
    "FetchFailed",
    "LeadpushError",
    "Problem",
    "Reason",
    "RunBusy",
    "RunIncomplete",
    "RunStopped",
    "RunSummary",
    "StepRefused",
    "StepSummary",
    "Workspace",
    "afetch_api_data",
    "fetch_api_data",
    "render_template",
]

_HOMES = {
    "campaigns.batch": ["Batch"],
    "blocks": ["ApiEndpoint", "Audience", "Workspace"],
    "campaigns.run": ["CampaignRun"],
    "model.context": ["CampaignContext"],
    "errors": [
        "AudienceInvalid",
        "BlockInvalid",
        "FetchFailed",
        "LeadpushError",
        "Problem",
        "Reason",
        "RunBusy",
        "RunIncomplete",
        "RunStopped",
        "StepRefused",
    ],
    "model.outcome": ["Failure"],
    "store.summary": ["RunSummary", "StepSummary"],
    "tasks": ["afetch_api_data", "fetch_api_data", "render_template"],
}
_HOME_OF = {name: f"leadpush_prefect.{module}" for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return version("leadpush-prefect")
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOME_OF[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])

"""`leadpush serve`: all campaigns of a `prefect.yaml` from one process."""

from __future__ import annotations

import os
import sys
from pathlib import Path

__all__ = ["serve"]


def serve(*, file: Path = Path("prefect.yaml")) -> int:
    """Run all campaigns that a prefect.yaml deploys from this process, on their schedules, until it is ended.

    Parameters
    ----------
    file:
        The file; its entrypoints are relative to its folder.
    """
    from leadpush_prefect.errors import LeadpushError

    if not file.is_file():
        raise LeadpushError(f"There is no file {file}. Give the prefect.yaml that defines the deployments.")
    file = file.resolve()
    os.chdir(file.parent)
    sys.path.insert(0, str(file.parent))

    from prefect import serve as serve_all

    from leadpush_prefect.deployments.serving import read_deployments

    serve_all(*read_deployments(file))
    return 0

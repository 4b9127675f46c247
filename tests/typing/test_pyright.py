"""The public surface under pyright; mypy reads `api.py` with all the other files."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def test_pyright() -> None:
    """Pyright finds in `api.py` what mypy finds there: the types that it says, and the errors that it expects."""
    checked = subprocess.run(
        [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--project", Path(__file__).parent],
        env=os.environ | {"PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"},  # that there is a newer one
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr

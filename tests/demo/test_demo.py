"""`leadpush demo`, run as a user would: a new home, and a Prefect that is logged into elsewhere and stays untouched."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.demo import DEMO

pytestmark = pytest.mark.demo

REPOSITORY = Path(__file__).parents[2]


def run_demo(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    environment |= {
        "HOME": str(home),
        "PREFECT_API_URL": "http://127.0.0.1:9/api",  # a port where nobody answers
        "COLUMNS": "100",
    }
    command = [str(Path(sys.executable).parent / "leadpush"), "demo", *arguments]
    return subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.mark.timeout(400)
def test_demo(tmp_path: Path) -> None:
    """Exactly the awkward contacts fail, each message is right to the character, and the API counted the same."""
    ended = run_demo(tmp_path)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    expected = json.loads((DEMO / "expected.json").read_text("utf-8"))
    assert "As expected: every failure, every message and the API's own count of requests." in ended.stdout
    for code in {*expected["failed"].values()}:
        assert code in ended.stdout
    shown = ended.stdout.partition("Message to u000007\n")[2]
    assert shown.startswith(expected["messages"]["u000007"])
    assert "1,000 contacts: 994 to the end, 5 stopped by a failure, 1 not subscribed" in ended.stdout
    assert "p99" in ended.stdout
    assert "contacts per second" in ended.stdout
    assert "Traceback" not in ended.stderr

    home = tmp_path / ".leadpush" / "demo"
    assert f"Prefect's home, profile and database: {home}" in ended.stdout
    assert not (tmp_path / ".prefect").exists()

    show = ended.stdout.partition("Look on\n")[2].splitlines()[0].split("leadpush ")[1].split()
    environment = {**os.environ, "PREFECT_HOME": str(home)}
    command = [str(Path(sys.executable).parent / "leadpush"), *show, "--json"]
    shown_run = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    steps = {step["node"]: step for step in json.loads(shown_run.stdout)["summary"]["steps"]}
    for node, wanted in expected["steps"].items():
        assert wanted == {name: steps[node][name] for name in wanted}


@pytest.mark.timeout(400)
def test_demo_of_a_generated_audience(tmp_path: Path) -> None:
    """Another number of contacts gives what it must as well."""
    ended = run_demo(tmp_path, "--contacts", "3000", "--json")

    assert ended.returncode == 0, ended.stdout + ended.stderr
    result = json.loads(ended.stdout)
    assert [] == result["differences"]
    assert 3000 == result["summary"]["contacts"]


def test_the_comparison_can_fail() -> None:
    """What differs from the expectation is named."""
    from leadpush_prefect.cli.demo.comparison import difference

    assert "1 differ: b is 3, not 2" == difference({"a": 1, "b": 2}, {"a": 1, "b": 3})

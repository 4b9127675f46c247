"""What `pip install leadpush-prefect` brings: the built wheel, alone, in a new virtual environment and a new home."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.demo import API_KEY

pytestmark = [pytest.mark.demo, pytest.mark.timeout(600)]

REPOSITORY = Path(__file__).parents[2]

CAMPAIGN = """\
import sys
from prefect import flow
from leadpush_prefect import ApiEndpoint, Audience, CampaignRun, Workspace, fetch_api_data

Workspace(variables={"api": sys.argv[1]}, allowed_networks=["127.0.0.0/8"]).save("shop")
url = "{{ workspace.variables.api }}/v1/customers/{{ contact.attributes.email }}/profile"
headers = {"Authorization": "Bearer {{ secrets.key }}"}
ApiEndpoint(workspace="shop", url=url, headers=headers, secrets={"key": sys.argv[2]}).save("profile")

@flow
def campaign(audience: Audience):
    with CampaignRun.start("first", workspace="shop", audience=audience) as run:
        for batch in run.batches():
            fetch_api_data.submit(batch, "profile", output_key="profile")
        return run.finish()

summary = campaign(Audience.from_file("people.csv"))
print(f"{summary.contacts} contacts, {summary.completed} to the end, {summary.unsubscribed} not subscribed")
"""

PEOPLE = (
    "id,email,subscribed\n1,user000001@example.com,yes\n2,user000002@example.com,yes\n3,c@example.com,no\n"
)


def run(*command: object, cwd: Path, environment: dict[str, str] | None = None) -> str:
    """What a command prints; it must succeed."""
    ended = subprocess.run(
        [*map(str, command)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a virtual environment that holds the wheel, and nothing of this repository."""
    uv = shutil.which("uv") or os.environ["UV"]
    folder = tmp_path_factory.mktemp("wheel")
    # In the repository: the versions that pyproject.toml sets hold here too.
    run(uv, "build", "-q", "--wheel", "--out-dir", folder, cwd=REPOSITORY)
    run(uv, "venv", "-q", "--python", sys.executable, folder / "venv", cwd=REPOSITORY)
    [wheel] = folder.glob("*.whl")
    python = folder / "venv" / "bin" / "python"
    run(uv, "pip", "install", "-q", "--compile-bytecode", "--python", python, wheel, cwd=REPOSITORY)
    return python.parent


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Of a user who has never run Prefect."""
    theirs = ("PREFECT_", "PYTHON", "UV_", "VIRTUAL_ENV")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(theirs)}
    quiet = {"PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1"}
    patient = {"PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120"}  # the machine may be busy
    return kept | quiet | patient | {"HOME": str(tmp_path)}


@pytest.fixture
def api(installed: Path, environment: dict[str, str], tmp_path: Path) -> Iterator[str]:
    """The demo's API, of the wheel."""
    command = [str(installed / "python"), "-m", "leadpush_prefect.cli.demo.api", "--port", "0"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        yield process.stdout.readline().strip()
        process.terminate()


def test_the_demo(installed: Path, environment: dict[str, str], tmp_path: Path) -> None:
    """The demo runs from the wheel as from a clone, and what it says to look on with is there."""
    printed = run(installed / "leadpush", "demo", cwd=tmp_path, environment=environment)

    assert "As expected: every failure, every message and the API's own count of requests." in printed
    assert f"PREFECT_HOME={tmp_path / '.leadpush' / 'demo'} leadpush runs show" in printed
    assert str(REPOSITORY) not in printed


def test_blocks_are_registered(installed: Path, environment: dict[str, str], tmp_path: Path) -> None:
    """`prefect block register -m leadpush_prefect` registers the three Blocks."""
    printed = run(
        installed / "prefect", "block", "register", "-m", "leadpush_prefect",
        cwd=tmp_path, environment=environment,
    )  # fmt: skip

    assert "Successfully registered 3 blocks" in printed
    for name in ("Leadpush Workspace", "Leadpush API Endpoint", "Leadpush Audience"):
        assert name in printed


def test_a_campaign(installed: Path, environment: dict[str, str], api: str, tmp_path: Path) -> None:
    """A campaign of ten lines runs on a Prefect that nobody has configured."""
    (tmp_path / "people.csv").write_text(PEOPLE)
    (tmp_path / "campaign.py").write_text(CAMPAIGN)
    printed = run(installed / "python", "campaign.py", api, API_KEY, cwd=tmp_path, environment=environment)

    assert "3 contacts, 2 to the end, 1 not subscribed" in printed

"""The README's examples run, taken from the file, in its order."""

import re
from pathlib import Path

import httpx
import pytest

from leadpush_prefect.testing import use_transport

README = Path(__file__).parents[2] / "README.md"
CUSTOMERS = "id,email,first_name\n1,ana@example.com,Ana\n2,bo@example.com,Bo\n3,cy@example.com,Cy\n"


def customer_profile(request: httpx.Request) -> httpx.Response:
    """The API that the README's endpoint calls."""
    assert request.headers["Authorization"] == "Bearer s3cr3t-k3y"
    plans = {"ana%40": "pro", "bo%40": "free", "ana%2B": "pro"}
    name = request.url.raw_path.decode().removeprefix("/customers/")
    plan = next((plan for start, plan in plans.items() if name.startswith(start)), None)
    return httpx.Response(200, json={"plan": plan}) if plan else httpx.Response(404)


def test_python_examples(
    prefect_server: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The Blocks, the campaign and the one-contact flow give what a reader would expect."""
    monkeypatch.chdir(tmp_path)
    Path("customers.csv").write_text(CUSTOMERS)
    examples = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    names: dict[str, object] = {"__name__": "readme"}
    with use_transport(httpx.MockTransport(customer_profile)):
        for example in examples:
            exec(compile(example, README.name, "exec"), names)

    printed = capsys.readouterr().out
    assert "3 contacts, 2 to the end, 1 stopped by a failure" in printed
    assert "Hi Ana, your pro plan renews soon." in printed


def test_the_campaign_is_short() -> None:
    """The campaign takes 15 lines or less."""
    [campaign] = [
        e for e in re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL) if "CampaignRun" in e
    ]
    assert 15 >= len([line for line in campaign.partition("\nsummary")[0].splitlines() if line.strip()])


def test_links_lead_somewhere() -> None:
    """Each relative link of the README is a file or folder of the repository."""
    for target in re.findall(r"\]\(([^)#]+)\)", README.read_text()):
        if not target.startswith("http"):
            assert (README.parent / target).exists(), target


def test_each_dependency_has_its_reason() -> None:
    """The README's table names each dependency of the package."""
    import tomllib

    project = tomllib.loads((README.parent / "pyproject.toml").read_text())["project"]
    table = README.read_text().partition("## What it stands on")[2].partition("\n## ")[0]
    for dependency in project["dependencies"]:
        name = re.match(r"[a-z0-9-]+", dependency)
        assert name and name[0] in table


def test_each_command_is_in_the_readme() -> None:
    """The README names each command of the command line."""
    from leadpush_prefect.cli import app

    text = README.read_text()
    for command in app:
        if not command.startswith("-"):
            assert f"`leadpush {command}" in text

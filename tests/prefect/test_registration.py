"""The package is light to import, and Prefect finds its Blocks."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from prefect.blocks.core import Block
from prefect.client.orchestration import get_client
from prefect.context import get_settings_context
from prefect.settings import get_current_settings

from leadpush_prefect import ApiEndpoint, Audience, Workspace

REPOSITORY = Path(__file__).parents[2]

HEAVY = {
    "aiohttp",
    "sqlalchemy",
    "jinja2",
    "uvloop",
    "orjson",
    "prefect_sqlalchemy",
    "rich",
    "cyclopts",
    "yaml",
}


def python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("module", ["leadpush_prefect", "leadpush_prefect.blocks"])
def test_register_command(module: str) -> None:
    """`prefect block register -m` with the package or its module of Blocks registers the three, and nothing else of
    ours."""
    settings = get_current_settings().to_environment_variables(exclude_unset=True)
    command = [sys.executable, "-m", "prefect", "block", "register", "-m", module]
    ended = subprocess.run(
        command, check=True, capture_output=True, text=True, env={**_environ(), **settings}
    )
    assert "Successfully registered 3 blocks" in ended.stdout
    with get_client(sync_client=True) as client:
        slugs = {kind["slug"] for kind in client._client.post("/block_types/filter", json={}).json()}
    assert {slug for slug in slugs if slug.startswith("leadpush")} == {
        "leadpush-workspace",
        "leadpush-api-endpoint",
        "leadpush-audience",
    }


@pytest.mark.parametrize("kind", [Workspace, ApiEndpoint, Audience])
def test_logo(kind: type[Block]) -> None:
    """Prefect's UI shows the logo of this repository: a square PNG."""
    kind.register_type_and_schema()
    with get_client(sync_client=True) as client:
        url = str(client.read_block_type_by_slug(kind.get_block_type_slug()).logo_url)
    assert url == "https://raw.githubusercontent.com/leadpush/leadpush-prefect/main/docs/logo.png"
    header = (REPOSITORY / "docs" / "logo.png").read_bytes()[:24]
    assert header.startswith(b"\x89PNG\r\n\x1a\n")
    assert header[16:20] == header[20:24], "as wide as high"


def _environ() -> dict[str, str]:
    import os

    assert get_settings_context() is not None
    return dict(os.environ)


def test_entry_point() -> None:
    """The entry point `prefect.collections` loads the module of the Blocks."""
    [ours] = [
        point for point in entry_points(group="prefect.collections") if point.name == "leadpush_prefect"
    ]
    assert set(ours.load().__all__) == {"ApiEndpoint", "Audience", "Workspace"}


def test_what_an_import_brings() -> None:
    """`import leadpush_prefect`, and its Blocks, load no library for HTTP, SQL or templates that Prefect did
    not."""
    program = """
import json, sys, prefect, prefect.blocks.core, prefect.types
before = set(sys.modules)
import leadpush_prefect
light = set(sys.modules) - before
import leadpush_prefect.blocks
print(json.dumps([sorted(light), sorted(set(sys.modules) - before)]))
"""
    package, blocks = json.loads(python(program))
    assert package == ["leadpush_prefect"]
    assert HEAVY.isdisjoint(name.split(".")[0] for name in blocks) or _only_what_prefect_has(blocks)


def _only_what_prefect_has(modules: list[str]) -> bool:
    return {name.split(".")[0] for name in modules} & HEAVY <= {"orjson"}


def test_the_time_of_an_import() -> None:
    """`import leadpush_prefect` takes at most 150 ms of the processor more than `import prefect`, in the best of
    two."""
    program = """
from time import process_time
import prefect
start = process_time()
import leadpush_prefect
print(process_time() - start)
"""
    seconds = min(float(python(program)) for _ in range(2))
    print(f"import leadpush_prefect: {seconds * 1000:.1f} ms")
    assert seconds < 0.15


def test_every_public_name_is_there() -> None:
    """The lazy names exist, and `dir` shows them."""
    import leadpush_prefect

    for name in leadpush_prefect.__all__:
        assert getattr(leadpush_prefect, name) is not None
        assert name in dir(leadpush_prefect)
    assert leadpush_prefect.__version__

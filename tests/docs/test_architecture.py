"""docs/architecture.md, the contracts of the linter and the tree name the same rooms, in the same order."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]
PACKAGE = REPOSITORY / "leadpush_prefect"
PAGE = (REPOSITORY / "docs" / "architecture.md").read_text("utf-8")


def contracts() -> list[dict[str, Any]]:
    """The linter's, of pyproject.toml."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))
    found: list[dict[str, Any]] = project["tool"]["importlinter"]["contracts"]
    return found


def layers() -> dict[str, Any]:
    """The contract that says who may import whom."""
    [contract] = [contract for contract in contracts() if contract["type"] == "layers"]
    return contract


def rooms_of_the_contract() -> list[str]:
    """From the top; an optional room stands in parentheses there."""
    return [room.strip() for layer in layers()["layers"] for room in layer.split("|")]


def rooms_of_the_page() -> list[str]:
    """In the order of its table."""
    return re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)


def rooms_of_the_tree() -> set[str]:
    """Packages and modules right under the package."""
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    modules = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__", "__main__"}
    return packages | modules


def test_the_page_lists_the_layers() -> None:
    """The table names the rooms of the contract, from the top."""
    assert [room.strip("()") for room in rooms_of_the_contract()] == rooms_of_the_page()


def test_each_room_is_on_the_page() -> None:
    """No room of the tree is missing, and none is listed that does not exist, but for an optional one."""
    tree = rooms_of_the_tree() - {*layers()["exhaustive_ignores"]}
    optional = {room.strip("()") for room in rooms_of_the_contract() if room.startswith("(")}
    assert tree - {*rooms_of_the_page()} == set()
    assert {*rooms_of_the_page()} - tree - optional == set()


def test_names_for_older_pickles_are_explained() -> None:
    """What the contract leaves out is said on the page."""
    for name in layers()["exhaustive_ignores"]:
        assert f"`{name}`" in PAGE


def test_what_a_contract_names_exists() -> None:
    """A contract about a module that is gone holds nothing."""
    named = {name for contract in contracts() for name in contract.get("source_modules", [])}
    for name in named:
        path = REPOSITORY.joinpath(*name.split("."))
        assert path.is_dir() or path.with_suffix(".py").is_file(), name


def test_links_lead_somewhere() -> None:
    """Each relative link is a file or folder of the repository."""
    for page in (REPOSITORY / "docs" / "architecture.md", REPOSITORY / "CONTRIBUTING.md"):
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text("utf-8")):
            if not target.startswith("http"):
                assert (page.parent / target).exists(), f"{page.name}: {target}"

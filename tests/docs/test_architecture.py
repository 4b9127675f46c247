"""docs/architecture.md, the contracts of the linter and the tree name the same packages, in the same order."""

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


def packages_of_the_contract() -> list[str]:
    """From the top; an optional package stands in parentheses there."""
    return [package.strip() for layer in layers()["layers"] for package in layer.split("|")]


def packages_of_the_page() -> list[str]:
    """In the order of its table."""
    return re.findall(r"^\| \d+ \| `(\w+)` \|", PAGE, re.MULTILINE)


def packages_of_the_tree() -> set[str]:
    """Packages and modules right under the package."""
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    modules = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__", "__main__"}
    return packages | modules


def test_the_page_lists_the_layers() -> None:
    """The table names the packages of the contract, from the top."""
    assert [package.strip("()") for package in packages_of_the_contract()] == packages_of_the_page()


def test_the_page_numbers_the_layers() -> None:
    """Packages of one layer have one number, and a layer above has a higher one."""
    of_page = {
        name: int(number) for number, name in re.findall(r"^\| (\d+) \| `(\w+)` \|", PAGE, re.MULTILINE)
    }
    layers_up = enumerate(reversed(layers()["layers"]), 1)
    of_contract = {
        package.strip(" ()"): number for number, layer in layers_up for package in layer.split("|")
    }
    assert of_contract == of_page


def test_each_package_is_on_the_page() -> None:
    """No package of the tree is missing, and none is listed that does not exist, but for an optional one."""
    tree = packages_of_the_tree() - {*layers()["exhaustive_ignores"]}
    optional = {package.strip("()") for package in packages_of_the_contract() if package.startswith("(")}
    assert tree - {*packages_of_the_page()} == set()
    assert {*packages_of_the_page()} - tree - optional == set()


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

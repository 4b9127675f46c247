"""Imports point one way: data flows from the audience to the store, and so do they."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "leadpush_prefect"

# What a part must not know of. A module of the package, or a library.
APART = {
    "errors": {"leadpush_prefect"},
    "templates": {
        "leadpush_prefect.network", "leadpush_prefect.store", "leadpush_prefect.blocks",
        "aiohttp", "httpx", "prefect", "sqlalchemy",
    },
    "network": {"leadpush_prefect.templates", "leadpush_prefect.store", "prefect", "sqlalchemy"},
    "sending.dispatcher": {"leadpush_prefect.store", "prefect", "sqlalchemy"},
    "store": {"leadpush_prefect.network", "leadpush_prefect.templates", "aiohttp", "httpx", "jinja2", "prefect"},
    "model.contact": {"prefect", "sqlalchemy"},
}  # fmt: skip


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in PACKAGE.rglob("*.py")}


def imports(module: str) -> Iterator[str]:
    """All that a module imports, wherever it stands, but for what only the type checker sees."""
    tree = ast.parse(MODULES[module].read_text())
    for_types = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.unparse(block.test)
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_no_circle() -> None:
    """No module imports, by whatever way, one that imports it."""
    edges = {module: {name for name in imports(module) if name in MODULES} - {module} for module in MODULES}

    def reach(module: str, seen: set[str]) -> set[str]:
        for other in edges[module] - seen:
            seen.add(other)
            reach(other, seen)
        return seen

    assert [] == [module for module in MODULES if module in reach(module, set())]


@pytest.mark.parametrize("part", APART)
def test_parts_stay_apart(part: str) -> None:
    """Templates know nothing of HTTP, the HTTP part nothing of Prefect or SQL, the store nothing of HTTP."""
    prefix = f"leadpush_prefect.{part}"
    ours = [module for module in MODULES if module == prefix or module.startswith(f"{prefix}.")]
    assert ours
    for module in ours:
        foreign = [
            name
            for name in imports(module)
            for other in APART[part]
            if name == other or name.startswith(f"{other}.")
        ]
        assert [] == foreign, module

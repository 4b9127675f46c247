"""What is used of other libraries although it is private: all of it, by name, so that a new version is looked at here."""

from __future__ import annotations

import ast
import asyncio
import inspect
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import jinja2
import pytest
from aiohttp.client_proto import ResponseHandler
from jinja2.compiler import CodeGenerator
from prefect.blocks.core import Block
from prefect.utilities import asyncutils

import leadpush_prefect

PACKAGE = Path(leadpush_prefect.__file__).parent
# Parsed before any test runs: in a process that once went to the end of its stack, Python 3.11 parses nothing more.
TREES = {path.relative_to(PACKAGE): ast.parse(path.read_text("utf-8")) for path in PACKAGE.rglob("*.py")}

AIOHTTP = {"_factory", "_loop", "_parser", "_payload", "_reading_paused"}
PREFECT = {"_block_document_id", "_block_document_name", "_block_schema_id"}
PREFECTS_CLASS_VARIABLES = {"_block_type_name", "_block_type_slug", "_logo_url"}
PYTHON = {"_value_"}  # of an Enum: its documentation names it
OVERRIDDEN_OF_JINJA = [
    (CodeGenerator, "_output_child_to_const"),
    (jinja2.Environment, "_tokenize"),
    (jinja2.Environment, "_filter_test_common"),
    (jinja2.Undefined, "_undefined_message"),
]


def foreign_names() -> dict[str, set[str]]:
    """The private attributes that the package uses and does not define, each with the files that use it."""
    ours = {name for tree in TREES.values() for node in ast.walk(tree) for name in _defined(node)}
    found: dict[str, set[str]] = {}
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and _is_private(node.attr) and node.attr not in ours:
                found.setdefault(node.attr, set()).add(path.as_posix())
    return found


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def _defined(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.Name(id=name, ctx=ast.Store()):
            yield name
        case ast.Attribute(value=ast.Name(id="self"), attr=name, ctx=ast.Store()):
            yield name


def test_all_private_names_are_listed() -> None:
    """The package uses no other; `_loop` is also a name of its own."""
    assert (AIOHTTP | PREFECT | PYTHON) - {"_loop"} == foreign_names().keys() - {"_loop"}


def test_aiohttps_are_in_its_files() -> None:
    """Who uses the network has nothing to do with them."""
    files = {file for name, files in foreign_names().items() if name in AIOHTTP for file in files}
    assert files
    assert all(file.startswith("network/aiohttp_") for file in files)


def test_nothing_private_is_imported() -> None:
    """Neither a module nor a name of one."""
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            assert not [name for name in _imported(node) if any(map(_is_private, name.split(".")))], path


def _imported(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Import(names=names):
            yield from (alias.name for alias in names)
        case ast.ImportFrom(module=module, names=names) if not (module or "").startswith("leadpush_prefect"):
            yield from (f"{module}.{alias.name}" for alias in names)


async def test_aiohttp_has_them() -> None:
    """A pool makes what reads a connection by its `_factory`, and that reads by a parser and into a payload."""
    connector = aiohttp.TCPConnector()
    try:
        assert isinstance(connector._factory(), ResponseHandler)
        assert connector._loop is asyncio.get_running_loop()
    finally:
        await connector.close()
    handler = ResponseHandler(asyncio.get_running_loop())
    assert [] == [name for name in AIOHTTP - {"_factory"} if not hasattr(handler, name)]


@pytest.mark.parametrize(
    ("owner", "name"), OVERRIDDEN_OF_JINJA, ids=lambda value: getattr(value, "__name__", value)
)
def test_jinja_has_them(owner: type, name: str) -> None:
    """What is overridden is there to be overridden."""
    assert name in vars(owner)


def test_prefect_has_them() -> None:
    """A Block knows its document and schema, and its type's names; a call may be told to be synchronous."""
    names = PREFECT | PREFECTS_CLASS_VARIABLES
    assert [] == [
        name for name in names if not hasattr(Block, name) and name not in Block.__private_attributes__
    ]
    assert "_sync" in inspect.getsource(asyncutils.sync_compatible)

"""The examples in docstrings run."""

import doctest
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from typing import Any

import pytest

import leadpush_prefect


def modules() -> Iterator[str]:
    """All modules of the package."""
    for module in pkgutil.walk_packages(leadpush_prefect.__path__, "leadpush_prefect."):
        yield module.name


class Finder(doctest.DocTestFinder):
    """Finds what a file defines, whatever module its classes name."""

    def _from_module(self, module: Any, object: Any) -> bool:
        if inspect.isclass(object) and object.__module__ == "leadpush_prefect":
            return inspect.getsourcefile(module) == _source_of(object)
        return bool(super()._from_module(module, object))  # type: ignore[misc]


def _source_of(kind: type) -> str | None:
    function = next(found for found in vars(kind).values() if inspect.isfunction(found))
    return inspect.getsourcefile(inspect.unwrap(function))


@pytest.mark.parametrize("name", modules())
def test_examples(name: str, prefect_server: None) -> None:
    """What an example shows is what it gives."""
    module = importlib.import_module(name)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    for example in Finder().find(module):
        runner.run(example)
    assert runner.summarize(verbose=False).failed == 0


def test_classes_that_name_no_module() -> None:
    """The examples of a class that says it is the package's are found where it is written."""
    module = importlib.import_module("leadpush_prefect.model.context")
    assert "leadpush_prefect.model.context.CampaignContext" in {
        test.name for test in Finder().find(module) if test.examples
    }


def test_public_names() -> None:
    """`__all__` is sorted, and each name can be imported and has a docstring."""
    assert leadpush_prefect.__all__ == sorted(leadpush_prefect.__all__)
    for name in leadpush_prefect.__all__:
        assert getattr(leadpush_prefect, name).__doc__

"""The examples in docstrings run."""

import doctest
import importlib
import pkgutil
from collections.abc import Iterator

import pytest

import leadpush_prefect


def modules() -> Iterator[str]:
    """All modules of the package."""
    for module in pkgutil.walk_packages(leadpush_prefect.__path__, "leadpush_prefect."):
        yield module.name


@pytest.mark.parametrize("name", modules())
def test_examples(name: str, prefect_server: None) -> None:
    """What an example shows is what it gives."""
    module = importlib.import_module(name)
    failed, _ = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert failed == 0


def test_public_names() -> None:
    """`__all__` is sorted, and each name can be imported and has a docstring."""
    assert leadpush_prefect.__all__ == sorted(leadpush_prefect.__all__)
    for name in leadpush_prefect.__all__:
        assert getattr(leadpush_prefect, name).__doc__

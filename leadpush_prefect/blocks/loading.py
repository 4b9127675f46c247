"""Blocks by name: loaded once per flow run and process, so that an edit counts from the next run."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from typing import Any, TypeVar, cast

from prefect.blocks.core import Block
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import BlockDocument
from prefect.exceptions import PrefectHTTPStatusError
from prefect.runtime import flow_run
from pydantic import ValidationError

from leadpush_prefect.blocks.patience import patiently
from leadpush_prefect.errors import BlockInvalid, Problem, Reason
from leadpush_prefect.system.recent import Recent
from leadpush_prefect.text.display import shortened

__all__ = ["load_block", "saved_blocks", "saved_documents"]

BlockT = TypeVar("BlockT", bound=Block)

KEPT = 256
"""How many Blocks are kept, over all flow runs of the process."""

_Key = tuple[str, type[Block], str]

_loaded = Recent[_Key, Block](KEPT)
_loading: dict[_Key, threading.Lock] = {}
_lock = threading.Lock()


def load_block(kind: type[BlockT], name: str, *, field: str) -> BlockT:
    """A Block by its document's name.

    Within a flow run it is loaded once; outside of one (a notebook), each time.

    Args:
        kind: The Block's class.
        name: The document's name.
        field: Where the name was given, for the message.

    Raises:
        BlockInvalid: if there is none of that name, or it does not load.
        PrefectAway: within a flow run, if Prefect's server does not answer for long.
    """
    run = flow_run.get_id()
    if not run:
        return _load(kind, name, field)
    key = (str(run), kind, name)
    with _lock:
        if key in _loaded:
            return cast(BlockT, _loaded[key])
        loading = _loading.setdefault(key, threading.Lock())
    with loading:  # a lock for each: a step does not wait for the next one's endpoint
        try:
            return _load_once(key, kind, name, field)
        finally:
            with _lock:
                _loading.pop(key, None)


def _load_once(key: _Key, kind: type[BlockT], name: str, field: str) -> BlockT:
    with _lock:
        if key in _loaded:  # another thread was quicker
            return cast(BlockT, _loaded[key])
    # A flow run has heard of Prefect's server: what is wrong now will pass.
    block = patiently(lambda: _load(kind, name, field), f"the block {name!r} was not read")
    with _lock:
        _loaded[key] = block
    return block


_NAME = re.compile(r"[A-Za-z0-9_-]{1,500}")  # no URL takes one of any length


def _load(kind: type[BlockT], name: str, field: str) -> BlockT:
    title = kind.get_block_type_name()
    if not _NAME.fullmatch(name):  # Prefect saves none such, and the name becomes part of a URL of its API
        raise _unknown(kind, title, name, field)
    try:
        # On a running loop `load` would give a coroutine; this way it loads in either world.
        return cast(BlockT, cast(Any, kind).load(name, _sync=True))
    except ValueError:
        refusal = _unknown(kind, title, name, field)
    except RuntimeError as error:
        if not isinstance(error.__cause__, ValidationError):
            raise  # such as that Prefect's API cannot be reached
        refusal = _not_loaded(title, name, field, error.__cause__)
    raise refusal  # here, so that no error of Pydantic's comes along, which quotes the values


def _not_loaded(title: str, name: str, field: str, error: ValidationError) -> BlockInvalid:
    wrong = sorted({str(part["loc"][0]) for part in error.errors(include_input=False) if part["loc"]})
    why = f": {', '.join(wrong)} cannot be used as saved" if wrong else ""
    sentence = f"The {title} block {name!r} does not load{why}."
    return BlockInvalid(f"{title} {name}", [Problem("error", field, sentence, "Edit and save it again.")])


def _unknown(kind: type[Block], title: str, name: str, field: str) -> BlockInvalid:
    name = shortened(name)
    sentence = f"There is no {title} block named {name!r}." if name else f"No {title} block is named."
    remedy = (
        "Create it in Prefect's UI under Blocks, or save it from Python: "
        f"{kind.__name__}(...).save({name!r})."
    )
    reason = Reason.ENDPOINT_INVALID if field == "endpoint" else None
    return BlockInvalid(f"{title} {name}".strip(), [Problem("error", field, sentence, remedy)], reason)


def saved_blocks(kind: type[BlockT]) -> Iterator[BlockT]:
    """All saved Blocks of a kind, by name."""
    names = [document.name for document in saved_documents(kind, secrets=False)]
    yield from (load_block(kind, name, field="name") for name in names if name)


def saved_documents(kind: type[Block], *, secrets: bool) -> list[BlockDocument]:
    """The documents of all saved Blocks of a kind, by name: what is stored, whether it can be used or not.

    Args:
        kind: The Block's class.
        secrets: Whether secrets are in clear.
    """
    with get_client(sync_client=True) as client:  # this response has no pages: it is all of them
        try:
            documents = client.read_block_documents_by_type(
                kind.get_block_type_slug(), include_secrets=secrets
            )
        except PrefectHTTPStatusError as error:
            if error.response.status_code != 404:
                raise
            return []  # of this kind none was ever saved, and the server does not know it
    named = [document for document in documents if document.name]
    return sorted(named, key=lambda document: document.name or "")

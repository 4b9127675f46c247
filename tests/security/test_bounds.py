"""Answers made to be costly: each is an output or a reason, in bounded time and memory, at ten times the usual size."""

from __future__ import annotations

import time
import tracemalloc

import pytest

from leadpush_prefect import ApiEndpoint, CampaignContext, FetchFailed, Reason, Workspace
from leadpush_prefect.sending.client import fetch_one
from leadpush_prefect.text.json_text import from_json, to_json
from leadpush_prefect.text.projection import keep_paths, kept
from tests.support.raw_server import RawServer, respond

SIZE = 10_000_000


def filled(opening: str, piece: str, closing: str) -> bytes:
    """A text of the size, full of one piece."""
    return (opening + piece * ((SIZE - 100) // len(piece)) + closing).encode()


OUTPUTS = {
    "digits": filled('{"n":', "9", "}"),
    "digits of a fraction": filled('{"n":0.', "9", "}"),
    "digits of an exponent": filled('{"n":1e', "9", "}"),
    "space": filled("[", " ", "1.10]"),
    "escapes": filled('["', r"\u00e9", '"]'),
    "what looks like numbers": filled('["', ":000000000000001e5", '"]'),
    "one key": filled('{"a":1', ',"a":1', "}"),
    "objects": filled("[{}", ",{}", "]"),
}
REFUSED = {
    "open": filled("", "[", ""),
    "closed": filled("", "]", ""),
    "deep": filled("", "[", "")[: SIZE // 2 - 50] + b"]" * (SIZE // 2 - 50),
    "open objects": filled("", '{"a":', ""),
    "digits after zero": filled("[0", "9", "]"),
    "minus": filled("[", "-", "]"),
    "quotes": filled("[", '"', "]"),
    "backslashes": filled('["', "\\", ""),
    "commas": filled("[", ",", "]"),
    "no UTF-8": b'["' + b"\xff" * (SIZE - 100) + b'"]',
    "zeros": b"\0" * (SIZE - 100),
    "infinite, then no JSON": filled("[1e400", ",12", ",]"),
}


@pytest.mark.parametrize("name", [*OUTPUTS, *REFUSED])
def test_costly_answers(name: str) -> None:
    """Ten million bytes take seconds of the processor at most, whatever they are."""
    workspace = Workspace(allowed_networks=["127.0.0.0/8"], max_response_bytes=SIZE)
    context = CampaignContext(workspace=workspace, campaign="c", contact={"id": 1})
    text = OUTPUTS.get(name) or REFUSED[name]
    with RawServer(respond(text)) as server:
        endpoint = ApiEndpoint(url=server.url, max_attempts=1, timeout_seconds=30)
        started = time.process_time()
        outcome = fetch_one(endpoint.prepare(workspace), context)
        assert time.process_time() - started < 20
    assert outcome.output == (text.decode() if name in OUTPUTS else None)
    if name in REFUSED:
        assert outcome.failure is not None
        assert outcome.failure.reason is Reason.RESPONSE_NOT_JSON
        return
    started = time.process_time()
    limited = kept(text.decode(), keep_paths(["n", "a"]))
    assert time.process_time() - started < 20
    if name.startswith("digits"):
        assert limited == text.decode()


def test_memory() -> None:
    """A number of ten million digits takes no more than some times its size, read and written again."""
    text = OUTPUTS["digits"]
    tracemalloc.start()
    try:
        assert to_json(from_json(text)) == text.decode()
        assert tracemalloc.get_traced_memory()[1] < 30 * SIZE
    finally:
        tracemalloc.stop()


def test_no_more_than_the_limit() -> None:
    """One byte over the workspace's limit is too large, before anything is read as JSON."""
    workspace = Workspace(allowed_networks=["127.0.0.0/8"])
    context = CampaignContext(workspace=workspace, campaign="c", contact={"id": 1})
    with (
        RawServer(respond(OUTPUTS["digits"])) as server,
        pytest.raises(FetchFailed, match="response_too_large"),
    ):
        ApiEndpoint(url=server.url, max_attempts=1).call(context)

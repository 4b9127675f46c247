"""Each text of the catalogue as the response of a real server: an output as received, or the right reason."""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from typing import Any

import pytest

from leadpush_prefect import ApiEndpoint, CampaignContext, FetchFailed, Workspace
from leadpush_prefect.text.json_text import MAX_DEPTH, from_json, to_json
from leadpush_prefect.text.pretty_json import pretty_json
from tests.security.json_catalogue import CATALOGUE, DEPTH, Verdict
from tests.support.raw_server import RawServer, Request, each, respond

SECTIONS = sorted({section for section, _, _ in CATALOGUE})


def shown(text: bytes) -> str:
    return f"{text[:60]!r} ({len(text)} bytes)"


def numbered(request: Request) -> bytes:
    """The text whose number stands in the path."""
    return respond(CATALOGUE[int(request.target[1:])][1])


@pytest.mark.parametrize("section", SECTIONS)
def test_catalogue(section: str) -> None:
    """The verdict is the grammar's, for each text of the section."""
    wrong = []
    workspace = Workspace(allowed_networks=["127.0.0.0/8"])
    with RawServer(each(numbered)) as server:
        endpoint = ApiEndpoint(url=server.url + "/{{ contact._id }}", max_attempts=1)
        for number, (of, text, verdict) in enumerate(CATALOGUE):
            if of == section and (found := _verdict(endpoint, workspace, number)) != _code(verdict):
                wrong.append(f"{shown(text)}: {found}, and not {verdict.value}")
    assert not wrong, "\n".join(wrong)


def _code(verdict: Verdict) -> str:
    same = {Verdict.LIMIT: Verdict.NO_JSON, Verdict.MARKED: Verdict.OUTPUT}
    return same.get(verdict, verdict).value


def _verdict(endpoint: ApiEndpoint, workspace: Workspace, number: int) -> str:
    context = CampaignContext(workspace=workspace, campaign="c", contact={"id": number})
    try:
        value = endpoint.call(context)
    except FetchFailed as failed:
        return failed.code
    is_same = _texts(to_json(value)) == _texts(CATALOGUE[number][1])
    return Verdict.OUTPUT.value if is_same else f"another value: {value!r:.80}"


def _texts(text: str | bytes) -> Any:
    """The value, with its numbers as texts."""
    return json.loads(text, parse_constant=_refuse, parse_int=str, parse_float=str)


def test_outputs_are_read_and_written_again() -> None:
    """What is an output can be read, written inside something else, and shown, and stays the same JSON."""
    for _, text, verdict in CATALOGUE:
        if verdict is Verdict.OUTPUT:
            value = from_json(text)
            for written in (
                to_json({"a": [{"b": value}]}),
                f'{{"a":[{{"b":{pretty_json(text.decode(), str)}}}]}}',
            ):
                assert to_json(from_json(written)["a"][0]["b"]) == to_json(value), shown(text)


def test_the_catalogue_is_the_grammar() -> None:
    """Another reader of JSON agrees, but for what it does not check; and no text has two verdicts."""
    for _, text, verdict in CATALOGUE:
        if verdict is not Verdict.LIMIT:
            is_json = verdict not in (Verdict.NO_JSON, Verdict.EMPTY)
            assert _is_json(text.removeprefix(BOM_UTF8)) == is_json, shown(text)
    verdicts = {text: verdict for _, text, verdict in CATALOGUE}
    assert [shown(text) for _, text, verdict in CATALOGUE if verdicts[text] is not verdict] == []
    assert len(verdicts) > 300
    assert DEPTH == MAX_DEPTH


def _is_json(text: bytes) -> bool:
    try:
        _texts(text.decode())
    except (ValueError, RecursionError):
        return False
    return True


def _refuse(name: str) -> None:
    raise ValueError(name)

"""Any text in any place arrives as exactly that text, as `build_request` says, or is refused with a reason.

One server answers all examples, with what it got. One request carries a text of its own in each place.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
from base64 import b64decode
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote

import pytest
from hypothesis import strategies as st

from leadpush_prefect import ApiEndpoint, CampaignContext, FetchFailed, Workspace
from leadpush_prefect.errors import Reason
from tests.support.depth import at_two_depths, explored
from tests.support.raw_server import RawServer

SEED = int(os.environ.get("LEADPUSH_SEED", random.randrange(10**9)))
MOST_REFUSED = 0.01

URL = "/s/{{ a.segment }}/p-{{ a.part }}-q?v={{ a.value }}&{{ a.name }}=1"
QUERY = {"q": "{{ a.query }}", "l": ["{{ a.first }}", "x{{ a.second }}&"]}
HEADERS = {"X-Alone": "{{ a.alone }}", "X-Around": "<{{ a.around }}>"}
PLACES = ["segment", "part", "value", "name", "query", "first", "second", "alone", "around"]

# For each kind of body: its media type, its template, the places in it, and how it is read again.
BODIES: Mapping[str, tuple[str, str, list[str], Callable[[str], list[str]]]] = {
    "json": (
        "application/json",
        '["{{ a.leaf }}", "<{{ a.inside }}>", {"{{ a.key }}": 1}]',
        ["leaf", "inside", "key"],
        lambda body: [(read := json.loads(body))[0], read[1][1:-1], *read[2]],
    ),
    "json by position": (
        "application/json",
        '[{% for i in [1] %}{{ a.bare }}, "<{{ a.quoted }}>", {"{{ a.member }}": {{ i }}}{% endfor %}]',
        ["bare", "quoted", "member"],
        lambda body: [(read := json.loads(body))[0], read[1][1:-1], *read[2]],
    ),
    "form": (
        "application/x-www-form-urlencoded",
        "a={{ a.field }}&{{ a.parameter }}=1",
        ["field", "parameter"],
        lambda body: [(pairs := parse_qsl(body, keep_blank_values=True))[0][1], pairs[1][0]],
    ),
    "text": ("text/plain", "<{{ a.text }}>", ["text"], lambda body: [body[1:-1]]),
}

NASTY = [
    *(
        "../x",
        "..;/",
        "a/../b",
        "/",
        "//",
        "\\",
        "?",
        "#",
        "&",
        "=",
        "+",
        "%",
        "%2F",
        "%00",
        "%zz",
        "%2e",
        ";",
        ":",
    ),
    *(
        "@",
        "~",
        "a b",
        "a\tb",
        'O"Brien',
        "'",
        "`",
        "<script>",
        "{{ 7 * 7 }}",
        "{% raw %}",
        "${x}",
        "{}",
        "[]",
        "[0]",
    ),
    *(
        "|",
        "^",
        "é",
        "e\u0301",
        "ß",
        "\u00a0x",
        "x\u200b",
        "x\u202ey",
        "\u05d0\u05d1",
        "\u4f60\u597d",
        "\u2028x",
        "\x80x",
    ),
    *(
        "\U0001f469\u200d\U0001f4bb",
        "x\ufeffx",
        "\ufffd",
        "\ufdd0",
        "\uffff",
        "\U0010ffff",
        "x\ty",
        "\x85x",
        "null",
    ),
    *(
        "true",
        "0",
        "http://other.example/",
        "@other.example",
        "x" * 300,
        "\\u0000",
        "\\r\\n",
        "...",
        "-",
        "_",
        "1e3",
    ),
]
"""What nothing in HTTP refuses."""

REFUSED = [
    "\r",
    "\n",
    "a\r\nX-Injected: 1",
    "\0",
    "a\0b",
    " a",
    "a ",
    "\ta",
    ".",
    "..",
    "",
    "\r\n\r\nGET / HTTP/1.1",
    "\x01",
    "\x7f",
]
"""What cannot stand in some place."""

CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

texts = st.sampled_from(NASTY + REFUSED) | st.text(st.characters(exclude_categories=["Cs"]))


@pytest.fixture(scope="module")
def server() -> Iterator[RawServer]:
    with RawServer() as server:
        yield server


@pytest.fixture(scope="module")
def endpoints(server: RawServer) -> dict[tuple[str, str], ApiEndpoint]:
    """An endpoint per kind of body and way with missing values."""

    def templates(value: Any) -> Any:
        return json.loads(json.dumps(value).replace("a.", "contact.attributes."))

    return {
        (kind, missing): ApiEndpoint(
            method="POST",
            url=server.url + templates(URL),
            query=templates(QUERY),
            headers=templates(HEADERS) | {"Content-Type": content_type},
            body=templates(body),
            missing_variables=missing,
            max_concurrency=64,
        )
        for kind, (content_type, body, _, _) in BODIES.items()
        for missing in ("error", "empty")
    }


WORKSPACE = Workspace(allowed_networks=["127.0.0.0/8"])


def context(values: Mapping[str, str]) -> CampaignContext:
    return CampaignContext(workspace=WORKSPACE, campaign="exact", contact={"id": 1, "attributes": values})


def check_said(endpoint: ApiEndpoint, given: CampaignContext, got: Mapping[str, Any]) -> None:
    """What the server got is what `build_request` says, to the last byte."""
    said = endpoint.build_request(given)
    assert said.method == got["method"]
    assert said.url.raw_path.decode() == got["target"]
    assert said.content == b64decode(got["body"])
    headers = [(name.lower().decode(), value.strip().decode()) for name, value in said.headers.raw]
    assert Counter(headers) == Counter((name.lower(), value) for name, value in got["headers"])


def check_texts(kind: str, values: Mapping[str, str], got: Mapping[str, Any]) -> None:
    """What the server got holds exactly these texts."""
    path, _, query = got["target"].partition("?")
    _, first, segment, part = path.split("/")
    pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True)
    assert [first, unquote(segment), unquote(part)] == ["s", values["segment"], f"p-{values['part']}-q"]
    assert pairs == [
        ("v", values["value"]),
        (values["name"], "1"),
        ("q", values["query"]),
        ("l", values["first"]),
        ("l", f"x{values['second']}&"),
    ]
    headers = dict(got["headers"])
    assert headers["X-Around"] == f"<{values['around']}>"
    assert (
        headers["X-Alone"] == values["alone"].encode().strip().decode()
    )  # the server strips more than HTTP does
    _, _, names, read = BODIES[kind]
    assert read(b64decode(got["body"]).decode()) == [values[name] for name in names]


def names_of(kind: str) -> list[str]:
    return PLACES + BODIES[kind][2]


@pytest.mark.parametrize("missing", ["error", "empty"])
@pytest.mark.parametrize("kind", BODIES)
@pytest.mark.parametrize("text", NASTY)
def test_nasty(endpoints: Any, kind: str, missing: str, text: str) -> None:
    """A text that means something to somebody on the way is only text, in all places at once."""
    values = dict.fromkeys(names_of(kind), text)
    given = context(values)
    got = endpoints[kind, missing].call(given)
    check_texts(kind, values, got)
    check_said(endpoints[kind, missing], given, got)


@explored(st.data(), examples=300)
def test_any(endpoints: Any, data: st.DataObject) -> None:
    """Any text in any one place arrives, or is refused as what cannot be sent; the failure says where."""
    kind = data.draw(st.sampled_from(list(BODIES)))
    missing = data.draw(st.sampled_from(["error", "empty"]))
    place, text = data.draw(st.sampled_from(names_of(kind))), data.draw(texts)
    values = dict.fromkeys(names_of(kind), "ok") | {place: text}
    given = context(values)
    try:
        got = endpoints[kind, missing].call(given)
    except FetchFailed as failed:
        check_refused(failed, place, text)
        return
    check_texts(kind, values, got)
    check_said(endpoints[kind, missing], given, got)


def check_refused(failed: FetchFailed, place: str, text: str) -> None:
    assert failed.reason in (Reason.TEMPLATE_INVALID, Reason.TEMPLATE_MISSING)
    assert may_be_refused(place, text), str(failed)
    assert refused_field(failed) == ("url" if place in ("segment", "part") else f"headers.X-{place.title()}")


def refused_field(failed: FetchFailed) -> str:
    return str(failed).partition("(in ")[2].partition(")")[0]


def may_be_refused(place: str, text: str) -> bool:
    match place:
        case "segment":
            return text in ("", ".", "..")
        case "part":
            return text == ""
        case "alone":
            return CONTROL.search(text) is not None or text != text.strip(" \t")
        case "around":
            return CONTROL.search(text) is not None
    return False


def random_text(dice: random.Random) -> str:
    """A text of characters from all planes, of which a tenth are ASCII."""
    return "".join(
        chr(dice.randrange(32, 127)) if dice.random() < 0.1 else any_character(dice)
        for _ in range(dice.randint(1, 20))
    )


def any_character(dice: random.Random) -> str:
    code = dice.randrange(0, 0x110000 - 0x800)
    return chr(code if code < 0xD800 else code + 0x800)  # all but the surrogates


@at_two_depths(2_000, sample=1_000)
@pytest.mark.parametrize("kind", BODIES)
async def test_hardly_any_is_refused(endpoints: Any, kind: str, examples: int) -> None:
    """Of thousands of random texts in each place, fewer than 1 % are refused; all others arrive exactly."""
    print(f"LEADPUSH_SEED={SEED}")
    dice = random.Random(SEED)
    refused: Counter[tuple[Reason, str]] = Counter()

    async def one(number: int) -> None:
        endpoint = endpoints[kind, ("error", "empty")[number % 2]]
        values = {name: random_text(dice) for name in names_of(kind)}
        given = context(values)
        try:
            got = await endpoint.acall(given)
        except FetchFailed as failed:
            refused[failed.reason, refused_field(failed)] += 1
            return
        check_texts(kind, values, got)
        check_said(endpoint, given, got)

    for begin in range(0, examples, 100):
        await asyncio.gather(*(one(number) for number in range(begin, begin + 100)))
    assert {reason for reason, _ in refused} <= {Reason.TEMPLATE_INVALID}
    assert all(count < examples * MOST_REFUSED for count in refused.values()), refused

"""Where a value lands, and how it is escaped there.

A `Place` reads the literal text of a template from left to right, keeps in which state it is (in a URL: host,
path or query; in JSON: inside a string or not), and says how a value that is printed in that state is
escaped. Branches and loops may leave several states possible; a place then escapes for the strictest, or
refuses.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any
from urllib.parse import quote_plus

from leadpush_prefect.errors import Reason
from leadpush_prefect.templates.percent import percent_encoded
from leadpush_prefect.templates.values import Missing, Nothing, TemplateFailed
from leadpush_prefect.text.json_text import to_json, to_text

__all__ = [
    "BOUNDED_URL",
    "CONDITION",
    "ESCAPES",
    "FORM",
    "HEADER",
    "JSON_LEAF",
    "JSON_STRING",
    "JSON_TEXT",
    "QUERY_VALUE",
    "TEXT",
    "URL",
    "Place",
]

State = str

VARIABLE = "workspace.variables."
"""What alone may stand in the host of a URL, and only as a plain path."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a template's text lands.

    Attributes:
        name: In words.
        start: The state before the first character.
        feed: The state after some literal text; raises `TemplateFailed` where that text cannot stand.
        escape: The name of the escape for a value in one of these states, given the expression's path if it
            is one. literal: What becomes of the literal text itself in one of these states. printed: The
            state after a value, where it is another than before. unwrapped: The filter that gives what is
            escaped already, and so is left out. blocks: Whether macros and blocks, whose output is text that
            is printed again, may be used. keeps_filters: Whether `urlencode` and `tojson` are ordinary
            filters, because nothing is escaped here.
    """

    name: str
    start: State
    feed: Callable[[State, str], State]
    escape: Callable[[frozenset[State], str], str]
    literal: Callable[[frozenset[State], str], str] = lambda states, text: text
    printed: Mapping[State, State] = field(default_factory=dict)
    unwrapped: str = ""
    blocks: bool = True
    keeps_filters: bool = False


# The escapes: a value and its path in, text out


def _text(value: Any, _path: str = "") -> str:
    if isinstance(value, Nothing):
        return str(value)  # raises for one that may not be used
    return to_text(value)


def _host(value: Any, path: str) -> str:
    if isinstance(value, Missing) or not isinstance(value, str):
        _must_be_there(value, path, "the host of a URL")
    return _literal_of(to_text(value))


# With a whole host, or with its beginning: what follows it in the template is then never the beginning of one.
_ORIGIN_BEGINS = re.compile(r"https?://[^/?#]", re.IGNORECASE | re.ASCII)


def _origin(value: Any, path: str) -> str:
    text = _host(value, path)
    if not _ORIGIN_BEGINS.match(text):
        raise TemplateFailed(
            Reason.TEMPLATE_INVALID,
            f"{path} begins the URL, and does not hold http:// or https:// and a host.",
        )
    return text


@lru_cache(maxsize=256)  # it is a variable of the workspace, and so the same for each contact
def _literal_of(text: str) -> str:
    return _url_literal(frozenset({"start"}), text.strip())  # the workspace's author wrote it


_HOST_LABELS = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")


def _host_name(value: Any, path: str) -> str:
    _must_be_there(value, path, "the host of a URL")
    text = to_text(value)
    if not _HOST_LABELS.fullmatch(text):  # nothing that would end the host, or be read as another one
        raise TemplateFailed(
            Reason.TEMPLATE_INVALID,
            f"{path} stands in the host of a URL, and is not letters, digits, dashes and single dots.",
        )
    return text


def _path_segment(value: Any, path: str) -> str:
    if type(value) is not str:
        _must_be_there(value, path, "the path of a URL")
        if isinstance(value, (Mapping, list, tuple)):
            raise TemplateFailed(
                Reason.TEMPLATE_INVALID,
                f"{path} is a list or an object, which has no place in the path of a URL.",
            )
        value = to_text(value)
    if not value:
        raise TemplateFailed(Reason.TEMPLATE_MISSING, f"{path} is empty, and it stands in the path of a URL.")
    return percent_encoded(value)


def _must_be_there(value: Any, path: str, place: str) -> None:
    if isinstance(value, Missing):
        value.raise_missing()
    if value is None or isinstance(value, Nothing):
        what = "null" if value is None else "not there"
        raise TemplateFailed(Reason.TEMPLATE_MISSING, f"{path} is {what}, and it stands in {place}.")


def _query(value: Any, _path: str) -> str:
    return percent_encoded(value if type(value) is str else _text(value))


def _form(value: Any, _path: str) -> str:
    return quote_plus(_text(value))


def _json_string(value: Any, _path: str) -> str:
    return json.dumps(_text(value), ensure_ascii=False)[1:-1]


def _json_value(value: Any, _path: str = "") -> str:
    if isinstance(value, Missing):
        value.raise_missing()
    return "null" if isinstance(value, Nothing) else to_json(value)


def _json_leaf(value: Any, _path: str = "") -> str:
    """The whole of a string leaf: it keeps its type, and a missing one is the empty text."""
    if isinstance(value, Missing):
        value.raise_missing()
    return '""' if isinstance(value, Nothing) else to_json(value)


def _truth(value: Any, _path: str = "") -> str:
    return "1" if value else ""


ESCAPES: Mapping[str, Callable[[Any, str], str]] = {
    "text": _text,
    "origin": _origin,
    "host": _host,
    "host name": _host_name,
    "path segment": _path_segment,
    "query value": _query,
    "form value": _form,
    "json string": _json_string,
    "json value": _json_value,
    "json leaf": _json_leaf,
    "truth": _truth,
}


# Places with a single state


def _same(state: State, _text: str) -> State:
    return state


def _always(name: str) -> Callable[[frozenset[State], str], str]:
    return lambda states, path: name


TEXT = Place("text", "", _same, _always("text"), keeps_filters=True)
HEADER = Place("a header", "", _same, _always("text"))
QUERY_VALUE = Place(
    "a query value",
    "",
    _same,
    _always("query value"),
    literal=lambda states, text: percent_encoded(text),
    unwrapped="urlencode",
    blocks=False,
)
OTHER_BODY = Place("a body that is neither JSON nor a form", "", _same, _always("text"))
FORM = Place("a form", "", _same, _always("form value"), unwrapped="urlencode", blocks=False)
CONDITION = Place("a condition", "", _same, _always("truth"))


# A URL: host, then path, then query (RFC 3986, section 3)

_BEFORE_PATH = frozenset({"start", "variable", "host", "port"})
_SCHEME = re.compile(r"\s*https?://", re.IGNORECASE | re.ASCII)
_PATH_BEGINS = re.compile(r"[/?#]")
_NOT_IN_URL = re.compile(r"%(?![0-9A-Fa-f]{2})|[^A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]")


def _feed_url(state: State, text: str) -> State:
    if state == "start" and text:
        if not _SCHEME.match(text):
            raise TemplateFailed(Reason.TEMPLATE_INVALID, "The URL does not begin with http:// or https://.")
        return _feed_url("host", text.split("://", 1)[1])
    if state == "variable" and text:
        state = "host"
    if state in ("host", "port") and (at := _PATH_BEGINS.search(text)):
        return _feed_url("path", text[at.start() :])
    if state == "host" and ":" in text.rpartition("]")[2]:
        return "port"
    if state == "path" and (at := re.search(r"[?#]", text)):
        return _feed_url("query" if at[0] == "?" else "fragment", text[at.end() :])
    if ("#" in text and state == "query") or state == "fragment":
        raise TemplateFailed(
            Reason.TEMPLATE_INVALID, "A fragment (#...) is never sent. Leave it out, or write %23 for a #."
        )
    return state


def _escape_url(states: frozenset[State], path: str) -> str:
    if states & _BEFORE_PATH:
        if not path.startswith(VARIABLE) or " | " in path:
            raise TemplateFailed(
                Reason.TEMPLATE_INVALID,
                f"{path} stands in the scheme, host or port. Only the workspace's own variables may stand "
                "there: begin with https://, or with {{ workspace.variables.NAME }}. Other values may stand in "
                "the host only where the workspace's allowed_hosts bounds it.",
            )
        return "origin" if "start" in states else "host"
    return "path segment" if "path" in states else "query value"


def _escape_bounded_url(states: frozenset[State], path: str) -> str:
    if states == {"host"} and not path.startswith(VARIABLE):
        return "host name"
    return _escape_url(states, path)


def _url_literal(states: frozenset[State], text: str) -> str:
    """Literal URL text, with what cannot stand in a URL percent-encoded (RFC 3986, section 2.1)."""
    if states <= _BEFORE_PATH:
        begin = text.find("://") + 3 if _SCHEME.match(text) else 0
        path = _PATH_BEGINS.search(text, begin)
        end = path.start() if path else len(text)
        return text[:end] + percent_encoded(text[end:], _NOT_IN_URL)
    return percent_encoded(text, _NOT_IN_URL)


URL = Place(
    "a URL",
    "start",
    _feed_url,
    _escape_url,
    literal=_url_literal,
    printed={"start": "variable"},
    unwrapped="urlencode",
    blocks=False,
)

BOUNDED_URL = replace(URL, escape=_escape_bounded_url)
"""A URL of which the host is compared with a list before it is called, so that any value may stand in it."""


# JSON that is only JSON when it is rendered: a value is escaped by whether it stands inside a string

_JSON_MARK = re.compile(r'\\.?|"', re.DOTALL)


def _feed_json(state: State, text: str) -> State:
    for mark in _JSON_MARK.findall(text):
        if mark == '"':
            state = "value" if state == "string" else "string"
        elif mark == "\\" and state == "string":
            raise TemplateFailed(
                Reason.TEMPLATE_INVALID, "A backslash stands right before a value in a JSON string."
            )
    return state


def _escape_json(states: frozenset[State], _path: str) -> str:
    if len(states) > 1:
        raise TemplateFailed(
            Reason.TEMPLATE_INVALID,
            "It cannot be told whether a value stands inside a JSON string. "
            "Close each quote in the branch that opens it.",
        )
    return "json string" if "string" in states else "json value"


JSON_TEXT = Place("JSON", "value", _feed_json, _escape_json, unwrapped="tojson", blocks=False)
JSON_LEAF = Place("a JSON body", "", _same, _always("json leaf"), unwrapped="tojson")
JSON_STRING = Place(
    "a JSON body",
    "",
    _same,
    _always("json string"),
    literal=lambda states, text: json.dumps(text, ensure_ascii=False)[1:-1],
    unwrapped="tojson",
    blocks=False,
)

"""JSON text to values and back: strict, and no digit is lost."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadpush_prefect.text.json_text import (
    MAX_DEPTH,
    JsonNumber,
    NestedTooDeeply,
    check_json,
    from_json,
    to_json,
    to_text,
)

NUMBERS = [
    *("0", "-0", "-0.0", "1", "-17", "1.10", "1.0", "0.10", "10.00", "1e3", "1E5", "1.5e-7", "0.00001"),
    *("9007199254740993", "123456789012345678", "18446744073709551616", "-9223372036854775809"),
    *("0.1234567890123456789", "100000000000000000000000", "1e400", "-1e400", "1e-400", "5e-324"),
    *("1234567.12345678", "0.0001", "1.7976931348623157e308", "2.50", "9" * 4300, "9" * 5000),
]

DEEP: Any = 2**70
for _ in range(1500):
    DEEP = [DEEP]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
number_texts = st.from_regex(r"-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,3})?", fullmatch=True)


@pytest.mark.parametrize("text", NUMBERS)
def test_digits(text: str) -> None:
    """A number prints as it was received, whatever its length and form."""
    assert text == to_json(from_json(text))
    assert f'{{"a":[{text}]}}' == to_json(from_json(f'{{"a":[{text}]}}'))
    assert text == to_text(from_json(text))


@given(number_texts)
def test_digits_of_any_number(text: str) -> None:
    """The same for any number of RFC 8259, section 6."""
    assert text == to_json(from_json(text))


def as_object(items: list[str]) -> str:
    return "{" + ",".join(f'"k{n}":{item}' for n, item in enumerate(items)) + "}"


shapes = st.recursive(
    st.sampled_from(["NUMBER", '"a"', "true", "false", "null"]),
    lambda inner: (
        st.lists(inner, max_size=3).map(as_object)
        | st.lists(inner, max_size=3).map(lambda items: f"[{','.join(items)}]")
    ),
    max_leaves=6,
)


@given(shapes, st.sampled_from(NUMBERS))
def test_digits_wherever_they_stand(shape: str, number: str) -> None:
    """The same in objects and arrays, among text, at any level."""
    text = shape.replace("NUMBER", number)
    assert text == to_json(from_json(text))


@given(number_texts)
def test_value(text: str) -> None:
    """A number that keeps its text is the number that it says, and survives pickling."""
    value = from_json(text)
    assert float(text) == float(value)
    assert to_json(pickle.loads(pickle.dumps(value))) == text


@given(json_values)
def test_round_trip(value: Any) -> None:
    """What is written as JSON is read as the same value."""
    assert value == from_json(to_json(value))
    assert value == from_json(json.dumps(value))
    assert value == json.loads(to_json(value))


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "nul", "NaN", "[NaN]", "Infinity", "-Infinity", "[1e400, NaN]", "01", "1.", ".5", "+1"),
        *("[1,]", '{"a":1,}', "{a:1}", "'a'", '"\t"', "[1] x", "[1]]", "\ufeff{}", '"\\ud800"', "[1e400"),
        '[1e400, "\\ud800"]',
        '[1e400, "\t"]',
        "[" * 2000 + "]" * 2000,
        "[" * 100_000,
        "[" * 2000 + "1.10" + "]" * 2000,
        b"\xff",
        b'"\xed\xa0\x80"',
        b"[1e400, \xff]",
    ],
)
def test_not_json(text: str | bytes) -> None:
    """What RFC 8259 does not allow, or is nested too deeply, is a ValueError and nothing else."""
    with pytest.raises(ValueError):
        from_json(text)


def test_nesting() -> None:
    """1,000 levels are read, and 250 are printed, digits kept."""
    from_json("[" * 1000 + "1.10" + "]" * 1000)
    text = "[" * 250 + "1.10" + "]" * 250
    assert text == to_json(from_json(text))


@pytest.mark.parametrize("number", ["1", "1.10", "1e400", "9" * 30, "9" * 5000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_depth_of_what_comes_from_others(opening: str, closing: str, number: str) -> None:
    """As much as passes can also be written inside something else; brackets in texts, or side by side, are no depth."""
    text = opening * MAX_DEPTH + number + closing * MAX_DEPTH
    check_json(text.encode())
    held = f'{{"a":[{{"b":{text}}}]}}'
    assert to_json(from_json(held)) == held
    with pytest.raises(NestedTooDeeply):
        check_json(f"[{text}]".encode())
    flat = ",".join([f'{opening}"[[{{"{closing}'] * MAX_DEPTH)
    check_json(f"[{flat},{number}]".encode())


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (MappingProxyType({"a": MappingProxyType({})}), '{"a":{}}'),
        (MappingProxyType({"a": 2**70}), '{"a":1180591620717411303424}'),
        ((1, [2**64]), "[1,[18446744073709551616]]"),
        (Decimal("1.10"), "1.10"),
        (Decimal("1E+3"), "1000"),
        (date(2026, 3, 1), '"2026-03-01"'),
        (datetime(2026, 3, 1, 12, tzinfo=UTC), '"2026-03-01T12:00:00+00:00"'),
        (UUID(int=7), '"00000000-0000-0000-0000-000000000007"'),
        ("\u2028é\U0001f600", '"\u2028é\U0001f600"'),
    ],
)
def test_other_types(value: Any, text: str) -> None:
    """What databases and read-only views give has a JSON form too."""
    assert text == to_json(value)
    assert isinstance(value, (tuple, Mapping)) or to_text(value) == text.strip('"')


@pytest.mark.parametrize(
    "value", [object(), {1}, b"bytes", {"a": object()}, Decimal("NaN"), {1: 2}, "\ud800", [10**5000], DEEP]
)
def test_no_json(value: Any) -> None:
    """What has no JSON form is a TypeError."""
    with pytest.raises(TypeError):
        to_json(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "true"), (False, "false"), (None, ""), ([], "[]"), ({"a": None}, '{"a":null}'), ("true", "true")],
)
def test_to_text(value: Any, text: str) -> None:
    """Text prints as it is, null as nothing, anything else as compact JSON."""
    assert text == to_text(value)


def test_number_of_received_text() -> None:
    """A number that keeps its text is a float in every other way."""
    price = from_json("1.10")
    assert isinstance(price, JsonNumber)
    assert price == 1.1
    assert price * 2 == 2.2
    assert f"{price}" == str(price) == repr(price) == "1.10"

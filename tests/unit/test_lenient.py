"""A Block of any JSON loads: what can be used is used, what cannot is a problem with a sentence."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadpush_prefect import ApiEndpoint, Audience, CampaignContext, Workspace
from leadpush_prefect.errors import BlockInvalid, FetchFailed

BLOCKS: list[type[Any]] = [ApiEndpoint, Audience, Workspace]
FIELDS = [(block, field) for block in BLOCKS for field in block.model_fields]
VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 1.5, 10**400, -(10**400), 1e308, float("inf"), float("nan")),
    *(
        "",
        " ",
        "text",
        "{}",
        "[]",
        "null",
        "true",
        "1",
        "nan",
        "inf",
        "1e999",
        "\ud800",
        "{{ contact.a",
        "9" * 5000,
    ),
    *([], [None], [1, "a"], [[]], [{}], {}, {"a": None}, {"a": 1}, {"a": []}, {"a": [None]}, {"a": {"b": 1}}),
    *({"": ""}, {"\ud800": "a"}, {"a": "\ud800"}, {"a": ["\ud800"]}, ["\ud800"], {"{{": "{{"}),
]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=[])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=[])), inner),
    max_leaves=10,
)


def check(block: type[Any], data: dict[str, Any]) -> None:
    """Load a Block, ask for its problems, and use it."""
    loaded = block(**data)
    problems: list[Any] = []
    if isinstance(loaded, ApiEndpoint):
        problems += loaded.problems(Workspace())
        try:
            loaded.build_request(CampaignContext(workspace=Workspace(), campaign="c", contact={"id": 1}))
        except BlockInvalid as refused:
            problems += refused.problems
        except FetchFailed:
            pass
    else:
        problems += loaded.problems()
    for problem in problems:
        assert problem.sentence
        assert problem.remedy
        assert problem.severity in ("error", "warning")


@pytest.mark.parametrize(("block", "field"), FIELDS)
def test_each_value(block: type[Any], field: str) -> None:
    """Any JSON in any field loads, and a Block is either used or refused with its problems."""
    for value in VALUES:
        check(block, {"url": "https://h.example/", field: value} if block is ApiEndpoint else {field: value})


@given(st.sampled_from(FIELDS), json_values)
def test_any_value(block_and_field: tuple[type[Any], str], value: Any) -> None:
    """The same for JSON that nobody thought of."""
    block, field = block_and_field
    check(block, {"url": "https://h.example/", field: value} if block is ApiEndpoint else {field: value})


@pytest.mark.parametrize(("block", "field"), FIELDS)
def test_null(block: type[Any], field: str) -> None:
    """null is the default."""
    assert getattr(block(**{field: None}), field) == getattr(block(), field)


@pytest.mark.parametrize(
    ("field", "value", "read"),
    [
        ("headers", {"a": 1, "b": True, "c": "d"}, {"a": 1, "b": True, "c": "d"}),
        ("headers", '{"a": "b"}', {"a": "b"}),
        ("headers", "", {}),
        ("headers", " ", {}),
        ("query", {"a": [1, "b", True]}, {"a": [1, "b", True]}),
        ("body", {"a": [1, None]}, '{"a":[1,null]}'),
        ("body", [1], "[1]"),
        ("url", 7, "7"),
        ("timeout_seconds", "2.5", 2.5),
        ("timeout_seconds", 3, 3.0),
        ("max_attempts", "3", 3),
        ("max_attempts", 3.0, 3),
        ("enabled", "false", False),
        ("enabled", "True", True),
        ("enabled", 0, False),
        ("enabled", 1, True),
    ],
)
def test_read_kindly(field: str, value: Any, read: Any) -> None:
    """What can be meant by a value is read so."""
    endpoint = ApiEndpoint(**{"url": "https://h.example/", field: value})
    assert getattr(endpoint, field) == read
    assert all("must be" not in problem.sentence for problem in endpoint.problems())


@pytest.mark.parametrize(
    ("block", "field", "value", "sentence"),
    [
        (ApiEndpoint, "url", ["a"], "It is a list, and must be text."),
        (ApiEndpoint, "url", {"a": 1}, "It is an object, and must be text."),
        (ApiEndpoint, "headers", "text", "It is text, and must be an object."),
        (ApiEndpoint, "headers", [1], "It is a list, and must be an object."),
        (ApiEndpoint, "timeout_seconds", "soon", "It is text, and must be a number."),
        (ApiEndpoint, "timeout_seconds", True, "It is true or false, and must be a number."),
        (ApiEndpoint, "timeout_seconds", "inf", "It is text, and must be a finite number."),
        (ApiEndpoint, "timeout_seconds", float("nan"), "It is a number, and must be a finite number."),
        (ApiEndpoint, "max_attempts", 1.5, "It is a number, and must be a whole number."),
        (ApiEndpoint, "enabled", "maybe", "It is text, and must be true or false."),
        (ApiEndpoint, "enabled", [], "It is a list, and must be true or false."),
        (ApiEndpoint, "enabled", 1.5, "It is a number, and must be true or false."),
        (Workspace, "allowed_hosts", {"a": 1}, "It is an object, and must be a list of texts."),
        (Workspace, "allowed_hosts", [None], "It is a list, and must be a list of texts."),
        (Audience, "path", [], "It is a list, and must be text."),
    ],
)
def test_unusable(block: type[Any], field: str, value: Any, sentence: str) -> None:
    """What cannot be used is a problem that says what it is and what it must be."""
    found = [problem for problem in block(**{field: value}).problems() if problem.field == field]
    assert found[0].sentence == sentence


def test_bad_entry() -> None:
    """A bad entry of an object does not spoil the others."""
    endpoint = ApiEndpoint(
        url="https://h.example/", headers={"A": "b", "C": [1], "D": None}, query={"e": [{}]}
    )
    assert endpoint.headers == {"A": "b"}
    assert {problem.field: problem.sentence for problem in endpoint.problems()} == {
        "headers.C": "It is a list, and must be text.",
        "headers.D": "It is null, and must be text.",
        "query.e": "It is a list, and must be a list of texts, numbers or booleans.",
    }


def test_secrets() -> None:
    """No problem tells the value of a secret."""
    secrets: Any = {"key": "s3cret", "bad": ["s3cret"]}
    endpoint = ApiEndpoint(url="https://h.example/", secrets=secrets)
    assert endpoint.secrets.get_secret_value() == {"key": "s3cret"}
    assert "s3cret" not in "".join(map(str, endpoint.problems()))
    assert "secrets.bad" in [problem.field for problem in endpoint.problems()]


@pytest.mark.parametrize(
    ("block", "field", "nearest"),
    [
        (ApiEndpoint, "header", "headers"),
        (ApiEndpoint, "timeout", "timeout_seconds"),
        (ApiEndpoint, "name", None),
        (Workspace, "variable", "variables"),
        (Audience, "sql", None),
        (Audience, "id_colum", "id_column"),
    ],
)
def test_unknown_field(block: type[Any], field: str, nearest: str | None) -> None:
    """An unknown field is a problem with the nearest name."""
    [problem] = [problem for problem in block(**{field: "x"}).problems() if problem.field == field]
    assert problem.severity == "error"
    assert problem.sentence == "There is no such field."
    assert (f"The nearest name is {nearest}." if nearest else "There are ") in problem.remedy

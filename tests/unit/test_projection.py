"""What `keep=` leaves of a response, and which paths it takes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadpush_prefect.text.json_text import MAX_DEPTH, from_json, to_json
from leadpush_prefect.text.projection import keep_paths, kept


@pytest.mark.parametrize(
    ("text", "keep", "left"),
    [
        ('{"a": 1, "b": 2}', ["a"], '{"a":1}'),
        ('{"a": {"b": 1, "c": 2}, "d": 3}', ["a.b", "d"], '{"a":{"b":1},"d":3}'),
        ('{"a": {"b": {"c": {"d": 1, "e": 2}}}}', ["a.b.c.e"], '{"a":{"b":{"c":{"e":2}}}}'),
        # What is not there stays so, at any depth.
        ('{"a": 1}', ["b"], "{}"),
        ('{"a": {"b": 1}}', ["a.c"], '{"a":{}}'),
        ('{"a": {"b": 1}}', ["c.b", "a.b.d"], '{"a":{"b":null}}'),
        ("{}", ["a"], "{}"),
        ("[]", ["a"], "[]"),
        ('{"a": null, "b": 1}', ["a"], '{"a":null}'),
        ('{"a": null}', ["a.b"], '{"a":null}'),
        ('{"a": false, "b": 0, "c": ""}', ["a", "c"], '{"a":false,"c":""}'),
        # A path that ends where another goes on, keeps all that is there, in either order.
        ('{"a": {"b": 1, "c": 2}}', ["a", "a.b"], '{"a":{"b":1,"c":2}}'),
        ('{"a": {"b": 1, "c": 2}}', ["a.b", "a"], '{"a":{"b":1,"c":2}}'),
        ('{"a": {"b": {"c": 1, "d": 2}, "e": 3}}', ["a.b.c", "a.b", "a.b"], '{"a":{"b":{"c":1,"d":2}}}'),
        # Of arrays, each element.
        ('[{"a": 1, "b": 2}, {"b": 3}, 4, null]', ["a"], '[{"a":1},{},null,null]'),
        ('[[{"a": 1, "b": 2}], [], [[{"a": 3}]]]', ["a"], '[[{"a":1}],[],[[{"a":3}]]]'),
        ('{"a": [{"b": [{"c": 1, "d": 2}]}, {}]}', ["a.b.c"], '{"a":[{"b":[{"c":1}]},{}]}'),
        ('{"a": [1, 2]}', ["a"], '{"a":[1,2]}'),
        ('{"a": [1, "x"]}', ["a.b"], '{"a":[null,null]}'),
        # A number names one element, as in `workflow.profile.orders.0.id`; or a member.
        ('{"a": [{"b": 1, "c": 2}, {"b": 3}, 4]}', ["a.0.b"], '{"a":[{"b":1},{},null]}'),
        ('{"a": [[1, 2], [3, 4], 5]}', ["a.0"], '{"a":[[1,2],null,null]}'),
        ('{"a": [[1, 2], [3, 4], 5]}', ["a.1.0"], '{"a":[null,[3,null],null]}'),
        ('[{"b": 1, "c": 2}, {"b": 3, "c": 4}]', ["b", "0.c"], '[{"b":1,"c":2},{"b":3}]'),
        ('[{"b": 1, "c": 2}, {"b": 3, "c": 4}]', ["b", "1"], '[{"b":1},{"b":3,"c":4}]'),
        ('{"a": {"0": 1, "1": 2}}', ["a.0"], '{"a":{"0":1}}'),
        ('[{"2026": 1, "2025": 2}, {"2026": 3}]', ["2026"], '[{"2026":1},{"2026":3}]'),
        ("[1, 2]", ["7", "9" * 5000], "[null,null]"),
        # Whatever a name is but empty.
        ('{"é": 1, "a b": 2, "__class__": 3, "c": 4}', ["é", "a b", "__class__"], None),
        ('{"a": 1, "a": {"b": 2, "c": 3}}', ["a.b"], '{"a":{"b":2}}'),  # the last of two counts
    ],
)
def test_kept(text: str, keep: list[str], left: str | None) -> None:
    """Only what the paths name is left, each thing in its place."""
    limited = from_json(kept(text, keep_paths(keep)))
    assert limited == (from_json(left) if left else {"é": 1, "a b": 2, "__class__": 3})


@pytest.mark.parametrize(
    "number",
    ["1.10", "-0", "1e3", "1e400", "12345678901234567890123", "9" * 4300, "-" + "9" * 5000, "0.0000"],
)
def test_digits(number: str) -> None:
    """A number that is kept stands as it was received."""
    text = f'{{"a": {{"b": {number}, "c": 1}}, "d": [{number}, {{"e": {number}}}]}}'
    left = f'{{"a":{{"b":{number}}},"d":[{number},{{"e":{number}}}]}}'
    assert kept(text, keep_paths(["d", "a.b"])) == left


def test_nothing_named() -> None:
    """Without paths a response stays as it was received."""
    text = ' {"a" : 1,\n"a": 2} '
    assert kept(text, keep_paths([])) == text


@pytest.mark.parametrize(
    "deep", ['{"a":' * MAX_DEPTH + "1.10" + "}" * MAX_DEPTH, "[" * MAX_DEPTH + "]" * MAX_DEPTH]
)
def test_as_deep_as_an_answer_may_be(deep: str) -> None:
    """A response as deep as one may be is limited like another."""
    assert kept(deep, keep_paths(["a"])) == deep
    assert kept(deep, keep_paths([".".join("a" * MAX_DEPTH)])) == deep


names = st.sampled_from(["a", "b", "0", "1"])
values = st.recursive(
    st.none() | st.integers() | names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=12,
)
paths = st.lists(st.lists(names, min_size=1, max_size=3).map(".".join), min_size=1, max_size=4)


@given(st.lists(values, max_size=3) | st.dictionaries(names, values, max_size=4), paths)
def test_what_a_template_reads_is_there(value: Any, keep: list[str]) -> None:
    """Whatever a path reads of a response, it reads of what is kept; and nothing is there that was not."""
    limited = from_json(kept(to_json(value), keep_paths(keep)))
    for path in keep:
        assert _at(limited, path.split(".")) == _at(value, path.split("."))
    assert _is_part(limited, value)
    assert keep_paths(keep) == keep_paths([*reversed(keep), *keep])


def _at(value: Any, path: list[str]) -> Any:
    for name in path:
        if isinstance(value, dict) and name in value:
            value = value[name]
        elif isinstance(value, list) and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        else:
            return None
    return value


def _is_part(part: Any, whole: Any) -> bool:
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(
            name in whole and _is_part(value, whole[name]) for name, value in part.items()
        )
    if isinstance(part, list):
        return (
            isinstance(whole, list)
            and len(part) == len(whole)
            and all(_is_part(one, other) for one, other in zip(part, whole, strict=True))
        )
    return part is None or bool(part == whole)


@pytest.mark.parametrize(
    ("keep", "error", "sentence"),
    [
        ("plan", TypeError, "keep is 'plan', and must be a list of paths"),
        (None, TypeError, "keep is None, and must be a list"),
        (5, TypeError, "keep is 5, and must be a list"),
        ({"plan": True}, TypeError, "must be a list"),
        (iter(["plan"]), TypeError, "must be a list"),
        ([5], TypeError, "keep has 5, and must have paths"),
        ([["account", "id"]], TypeError, "keep has .'account', 'id'., and must have paths"),
        ([None], TypeError, "keep has None"),
        ([""], ValueError, "keep has the path '', and must name members"),
        (["plan", "."], ValueError, "keep has the path '.', and"),
        (["account..id"], ValueError, "'account..id'"),
        ([".id"], ValueError, "'.id'"),
        (["id."], ValueError, "'id.'"),
        ([" "], ValueError, "' '"),
        (["plan, account"], None, ""),
        (["account. id"], ValueError, "'account. id'"),
        (["plan\n"], ValueError, "and must name members"),
    ],
)
def test_wrong_paths(keep: Any, error: type[Exception] | None, sentence: str) -> None:
    """What is no list of paths is refused in a sentence; not so a name with a comma, which is one."""
    if error is None:
        assert keep_paths(keep) == ((keep[0],),)
        return
    with pytest.raises(error, match=sentence):
        keep_paths(keep)


@pytest.mark.parametrize("kind", [list, tuple, set, frozenset])
def test_kinds_of_lists(kind: type) -> None:
    """Whatever keeps what it holds, in any order: the same paths."""
    assert keep_paths(kind(["plan", "account.id", "plan"])) == (("account", "id"), ("plan",))

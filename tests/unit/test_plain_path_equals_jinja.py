"""Texts and plain paths are rendered without Jinja, with the same result to the last character."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Any

from hypothesis import strategies as st

from leadpush_prefect.templates import (
    FORM,
    HEADER,
    QUERY_VALUE,
    TEXT,
    URL,
    TemplateFailed,
    compile_json,
    compile_template,
)
from leadpush_prefect.templates.places import OTHER_BODY, Place
from leadpush_prefect.text.json_text import from_json
from tests.support.depth import explored

KEYS = ["a", "b", "items", "é x", "0", "1"]
ROOTS = ["contact", "workflow"]
BY_JINJA = "{% if true %}{% endif %}"
"""After this a template is more than texts and paths."""

any_text = st.text(st.characters(exclude_categories=[]), max_size=6)  # halves of surrogate pairs too
leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | any_text
    | st.sampled_from([from_json("1.10"), from_json("1e400"), 2**90, "", ".", "..", "\r\n", '"', "\\", "&<>"])
)
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)
        | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3).map(MappingProxyType)
    ),
    max_leaves=8,
)
namespaces = st.fixed_dictionaries({}, optional=dict.fromkeys(ROOTS, values))
literals = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters='{}#%"\\'), max_size=5
) | st.sampled_from(["\r\n", "\r", "/", "?", "&a=", "%41", "<b>", "é"])
paths = st.builds(
    lambda root, keys: "".join(
        [root, *(f"['{key}']" if isinstance(key, str) else f"[{key}]" for key in keys)]
    ),
    st.sampled_from(ROOTS),
    st.lists(st.sampled_from(KEYS) | st.integers(-2, 2), max_size=3),
)
sources = st.lists(literals | paths.map("{{{{ {} }}}}".format), max_size=6).map("".join)
missing_values = st.sampled_from(["error", "empty"])


def result(render: Callable[[Any], str], namespace: dict[str, Any]) -> tuple[Any, ...]:
    try:
        return (render(namespace),)
    except TemplateFailed as failed:
        return failed.args


@explored(
    sources,
    namespaces,
    missing_values,
    st.sampled_from([TEXT, HEADER, QUERY_VALUE, FORM, OTHER_BODY, URL]),
    examples=600,
)
def test_text(source: str, namespace: dict[str, Any], missing: str, place: Place) -> None:
    """In each place, for any data: the same text, or the same error."""
    prefix = "https://h.example/" if place is URL else ""
    source = prefix + (source.replace("#", "") if place is URL else source)
    plain, jinja = (
        compile_template(text, place, field="field", roots=ROOTS, missing=missing).render
        for text in (source, source + BY_JINJA)
    )
    assert result(plain, namespace) == result(jinja, namespace)


@explored(
    st.lists(sources, max_size=3),
    st.lists(paths, max_size=3),
    namespaces,
    missing_values,
    examples=300,
)
def test_json(around: list[str], alone: list[str], namespace: dict[str, Any], missing: str) -> None:
    """And in a JSON body, with text around a value and without."""
    leaves = [*around, *(f"{{{{ {path} }}}}" for path in alone)]
    strings = [leaf.replace("\r", "\\r").replace("\n", "\\n").replace("\t", "\\t") for leaf in leaves]
    strings = ["".join(c if ord(c) >= 32 else f"\\u{ord(c):04x}" for c in string) for string in strings]
    body = "[{}]".format(", ".join(f'"{string}"' for string in strings))
    with_jinja = body[:-1] + (", " if leaves else "") + f'"{BY_JINJA}"]'
    plain, jinja = (
        compile_json(text, field="body", roots=ROOTS, missing=missing).render for text in (body, with_jinja)
    )
    expected = result(jinja, namespace)
    if len(expected) == 1:
        expected = (expected[0].removesuffix('""]').removesuffix(", ") + "]",)
    assert result(plain, namespace) == expected

"""How a template reads data: keys only, numeric paths, and what a missing path may and may not do."""

from __future__ import annotations

from typing import Any

import pytest

from leadpush_prefect.templates import FORM, HEADER, QUERY_VALUE, TEXT, compile_template
from leadpush_prefect.templates.places import Place
from tests.support.rendering import DATA, failure, lacks, refused, render, render_json


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ contact.attributes.items }}", "a key"),
        ("{{ contact['attributes']['email'] }}", "a+b/c@example.com"),
        ("{{ workflow.profile.items.0.name }}", "Tea"),
        ("{{ workflow.profile.items[1].name }}", "Salt"),
        ("{{ workflow.profile.grid.1.0 }}", "c"),
        ("{{ workflow.profile.grid.0.1 }}", "b"),
        ("{{ workflow.profile.grid[-1][-1] }}", "d"),
        ("{{ workflow.profile.0 }}", "zero"),
        ("{{ workflow.profile.grid[0:1] }}", '[["a","b"]]'),
        ("{{ workflow['pro' ~ 'file'].plan }}", "pro"),
        ("{% set k = 'plan' %}{{ workflow.profile[k] }}", "pro"),
        ("{{ (workflow.profile.items | last).name }}", "Salt"),
        ("{{ workflow.profile.items | map(attribute='name') | join(', ') }}", "Tea, Salt"),
        (
            "{% for name, value in workflow.profile.items.0 | items %}{{ name }}={{ value }}{% endfor %}",
            "name=Tea",
        ),
        (
            "{% for i in workflow.profile.items %}{{ loop.index }}{{ loop.cycle('a', 'b') }}{% endfor %}",
            "1a2b",
        ),
        ("{% for i in [1, 1, 2] %}{{ loop.changed(i) }} {% endfor %}", "true false true "),
        (
            "{% for g in workflow.profile.items | groupby('name') %}{{ g.grouper }}{{ g.0 }}{% endfor %}",
            "SaltSaltTeaTea",
        ),
        ("{% set n = namespace(x=1) %}{% set n.x = n.x + 1 %}{{ n.x }}", "2"),
        ("{{ contact.attributes.first_name.0 }}", "A"),
        ("{% macro hi(n) %}Hi {{ n }}{% endmacro %}{{ hi(contact.attributes.first_name) }}", "Hi Ana"),
    ],
)
def test_paths(source: str, text: str) -> None:
    """A dot is a key of an object or an index of a list."""
    assert text == render(source)


@pytest.mark.parametrize(
    "path",
    [
        *(
            "contact.__class__",
            "contact.attributes.email.upper",
            "contact.attributes.items.append",
            "contact.keys",
        ),
        *("workflow.profile.items.append", "contact.attributes.age.real", "contact.get", "node.name.join"),
        *("workflow.profile.items.9", "workflow.profile.items.name", "contact.attributes.first_name.9"),
    ],
)
def test_no_attribute(path: str) -> None:
    """No attribute of Python is there to be read."""
    assert lacks(f"{{{{ {path} }}}}").startswith(f"{path} is not there")
    assert render(f"{{{{ {path} is defined }}}}") == "false"


@pytest.mark.parametrize(
    ("call", "instead"),
    [
        ("contact.attributes.items()", "| items"),
        ("contact.keys()", "| list"),
        ("contact.get('x')", "a dot and the key"),
        ("contact.attributes.first_name.upper()", "| upper"),
    ],
)
def test_methods(call: str, instead: str) -> None:
    """A method is refused when the template is compiled, with what to write instead."""
    assert instead in refused(f"{{{{ {call} }}}}")


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ contact.nope is defined }}", "false"),
        ("{{ contact.nope.a.b[0].c is defined }}", "false"),
        ("{{ contact.attributes.nothing.a.b is defined }}", "false"),
        ("{{ contact.nope.a.b | default('x') }}", "x"),
        ("{{ contact.nope | d('x') }}", "x"),
        ("{{ contact.attributes.nothing | default('x') }}", ""),
        ("{{ contact.attributes.empty | default('x', true) }}", "x"),
        ("{{ contact.attributes.first_name is defined }}", "true"),
        ("{% set x = contact.nope %}{{ x is undefined }}", "true"),
        ("{% if contact.nope is defined and contact.nope > 1 %}a{% else %}b{% endif %}", "b"),
        ("{{ contact.attributes.nothing is defined }}", "true"),
    ],
)
def test_missing_may_be_walked(source: str, text: str) -> None:
    """A missing path may be walked further, asked for, and given a default; null is not missing."""
    assert text == render(source)


USES = [
    "{{ contact.nope }}",
    "{{ contact.nope.further.0 }}",
    "{% if contact.nope %}{% endif %}",
    "{% if not contact.nope %}{% endif %}",
    "{{ contact.nope and 1 }}",
    "{{ contact.nope or 1 }}",
    "{{ 1 if contact.nope }}",
    "{{ contact.nope == 1 }}",
    "{{ 1 != contact.nope }}",
    "{{ 1 < contact.nope }}",
    "{{ 1 in contact.nope }}",
    "{{ contact.nope in [1] }}",
    "{{ contact.nope + 1 }}",
    "{{ 1 * contact.nope }}",
    "{{ -contact.nope }}",
    "{{ 'a' ~ contact.nope }}",
    "{% for x in contact.nope %}{% endfor %}",
    "{{ contact.nope | upper }}",
    "{{ contact.nope | length }}",
    "{{ contact.nope | tojson }}",
    "{{ contact.nope | list }}",
    "{{ 'a' | replace('a', contact.nope) }}",
    "{{ 'a' | replace(old='a', new=contact.nope) }}",
    "{{ [1] | join(contact.nope) }}",
    "{{ '%s' | format(contact.nope) }}",
    "{{ contact.nope is none }}",
    "{{ 1 is eq contact.nope }}",
    "{{ [contact.nope] }}",
    "{{ (contact.nope, 1) }}",
    "{{ {'a': contact.nope} }}",
    "{{ contact.nope[0:1] }}",
    "{{ workflow.profile[contact.nope] }}",
    "{% set x = contact.nope %}{{ x }}",
    "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(contact.nope) }}",
    "{% with x = contact.nope %}{{ x }}{% endwith %}",
]


@pytest.mark.parametrize("source", USES)
def test_missing_may_not_be_used(source: str) -> None:
    """Any other use of a missing path is `template_missing`, which names the path."""
    assert lacks(source).startswith("contact.nope is not there")


@pytest.mark.parametrize("source", [use for use in USES if "tojson" not in use])
def test_used_with_a_near_name(source: str) -> None:
    """The nearest name that exists is named too."""
    near = source.replace("contact.nope", "contact.attributes.frist_name")
    assert "the nearest name is contact.attributes.first_name" in lacks(near)


def test_first_missing() -> None:
    """The first name that is not there is the one to report."""
    assert lacks("{{ workflow.profil.a.b.c }}") == (
        "workflow.profil is not there; the nearest name is workflow.profile."
    )


def test_no_value_in_a_message() -> None:
    """A key that is a value is not told."""
    data = DATA | {"contact": {"attributes": {"email": "ana@example.com"}}}
    assert "ana@" not in failure("{{ workflow[contact.attributes.email] }}", data=data).message


EMPTY = [
    ("{{ contact.nope }}", ""),
    ("a{{ contact.nope.b.c }}b", "ab"),
    ("{% if contact.nope %}a{% else %}b{% endif %}", "b"),
    ("{% for x in contact.nope %}a{% endfor %}", ""),
    ("{{ 'a' ~ contact.nope }}", "a"),
    ("{{ contact.nope | upper }}", ""),
    ("{{ contact.nope | default('x') }}", "x"),
    ("{{ contact.nope is defined }}", None),
]


@pytest.mark.parametrize("place", [TEXT, HEADER, QUERY_VALUE, FORM])
@pytest.mark.parametrize(("source", "text"), EMPTY)
def test_empty(place: Place, source: str, text: str | None) -> None:
    """With `missing_variables="empty"` a missing value renders as nothing."""
    assert ("false" if text is None else text) == render(source, place, missing="empty")


def test_empty_json() -> None:
    """In a JSON body it is an empty string, and null where there are no quotes."""
    assert render_json('{"a": "{{ contact.nope }}", "b": "x{{ contact.nope.c }}"}', missing="empty") == (
        '{"a": "", "b": "x"}'
    )
    assert render_json('{"a": {{ contact.nope }}}', missing="empty") == '{"a": null}'
    assert render_json('{"a": "{{ [contact.nope] }}"}', missing="empty") == '{"a": [null]}'


@pytest.mark.parametrize(
    ("name", "words"),
    [("contcat", "The nearest name is contact."), ("secrets", "it can read campaign"), ("self", "no `self`")],
)
def test_unknown_root(name: str, words: str) -> None:
    """A first name that is not there is a problem of the template, not of a contact."""
    assert words in refused(f"{{{{ {name}.a }}}}")


@pytest.mark.parametrize(
    "source",
    [
        "{% set contact = 1 %}",
        "{% for workflow in [1] %}{% endfor %}",
        "{% macro contact() %}{% endmacro %}",
        "{% macro m(contact) %}{% endmacro %}",
        "{% with contact = 1 %}{% endwith %}",
        "{% set contact %}a{% endset %}",
    ],
)
def test_roots_keep_their_meaning(source: str) -> None:
    """The names that a campaign gives cannot be given another meaning."""
    assert "has a meaning already" in refused(source)


@pytest.mark.parametrize(
    ("source", "paths"),
    [
        ("{{ contact.attributes.email }}", {("contact", "attributes", "email")}),
        ("{{ workflow.a.0.b | upper }}", {("workflow", "a", 0, "b")}),
        ("{{ workflow[contact._id].b }}", {("workflow",), ("contact", "_id")}),
        ("{% if node.name == 'a' %}{{ workflow }}{% endif %}", {("node", "name"), ("workflow",)}),
        ("text", set()),
    ],
)
def test_paths_are_known(source: str, paths: set[Any]) -> None:
    """A template tells which paths it reads, as far as they are literal."""
    assert paths == compile_template(source, TEXT, field="f", roots=DATA).paths

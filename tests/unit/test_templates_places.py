"""Where a value lands: escaped for that place, and what the author wrote literally as it is written."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadpush_prefect.errors import Reason
from leadpush_prefect.templates import FORM, HEADER, QUERY_VALUE, TEXT, URL
from leadpush_prefect.templates.places import OTHER_BODY, Place
from tests.support.rendering import DATA, failure, lacks, refused, render, render_json

NASTY = [
    *(
        'O"Brien',
        "a/b",
        "../..",
        "?a=b",
        "#x",
        "a&b=c",
        "%2e%2e",
        "%",
        "%zz",
        "+",
        "a b",
        "\\",
        "\r\n",
        "\0",
        "@h:1",
    ),
    *(
        "{{ x }}",
        "{% x %}",
        "</script>",
        "é",
        "\u2028",
        "\U0001f600",
        "\u202e",
        "'",
        "[]",
        "\t",
        "\ufeff",
        "\ud7ff",
    ),
]
texts = st.sampled_from(NASTY) | st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


def data(value: Any) -> dict[str, Any]:
    return DATA | {"contact": {"x": value}}


# URL


@given(texts)
def test_url_path(value: str) -> None:
    """A value in a path is the text of one segment, or of a part of it."""
    parts = urlsplit(render("https://h.example/a/{{ contact.x }}-/b?c=d", URL, data=data(value)))
    assert (parts.scheme, parts.netloc, parts.query, parts.fragment) == ("https", "h.example", "c=d", "")
    assert ["", "a", f"{value}-", "b"] == [unquote(segment) for segment in parts.path.split("/")]


@given(texts)
def test_url_query(value: str) -> None:
    """A value in a URL's query is one value, or a part of one, or a name."""
    url = render("https://h.example/?{{ contact.x }}={{ contact.x }}!&c=d", URL, data=data(value))
    assert [(value, f"{value}!"), ("c", "d")] == parse_qsl(urlsplit(url).query, keep_blank_values=True)


@pytest.mark.parametrize(
    "text",
    [
        "https://h.example/a%20b/%2F?c=%26&d[]=1&d[]=2",
        "https://h.example/a//b/?c",
        "https://h.example:8080/!$&'()*+,;=:@-._~",
        "HTTPS://H.example/a?",
        "https://h.example/?a=b?c/d",
    ],
)
def test_url_literal(text: str) -> None:
    """Literal URL text stays as written."""
    assert text == render(text, URL)
    assert f"{text}x" == render(text + "{% if true %}x{% endif %}", URL)


@pytest.mark.parametrize(
    ("source", "url"),
    [
        ("https://h.example/ä b?c=d e", "https://h.example/%C3%A4%20b?c=d%20e"),
        ("https://h.example/100%/%zz", "https://h.example/100%25/%25zz"),
        ("https://h.example/%{{ contact.x }}", "https://h.example/%252e"),
        ("https://h.example/%2{{ contact.x }}", "https://h.example/%2522e"),
        ("https://h.example/{% if true %}a{% endif %} b", "https://h.example/a%20b"),
        ('https://h.example/"<>\\^`{|}', "https://h.example/%22%3C%3E%5C%5E%60%7B%7C%7D"),
    ],
)
def test_url_literal_that_must_be_encoded(source: str, url: str) -> None:
    """What cannot stand in a URL is percent-encoded, and a value completes no literal `%`."""
    assert url == render(source, URL, data=data("2e"))


@pytest.mark.parametrize(
    ("source", "url"),
    [
        ("{{ workspace.variables.api }}/a", "https://api.example.com/a"),
        ("{{ workspace['variables']['api'] }}/a", "https://api.example.com/a"),
        (
            "https://{{ workspace.variables.host }}:{{ workspace.variables.port }}/a",
            "https://h.example:8080/a",
        ),
        (
            "{% if node.name %}https://a.example{% else %}https://b.example{% endif %}/c",
            "https://a.example/c",
        ),
    ],
)
def test_url_host(source: str, url: str) -> None:
    """The workspace's own variables may be the beginning, the host or the port."""
    assert url == render(source, URL)


@pytest.mark.parametrize(
    "source",
    [
        "{{ contact.attributes.email }}",
        "https://{{ contact._id }}/",
        "https://h.example{{ contact._id }}/",
        "https://h.example:{{ workflow.profile.plan }}/",
        "{{ workspace.variables.api }}{{ contact._id }}",
        "{{ workspace.variables.api | default(contact._id) }}/",
        "{{ workspace.variables.api | replace('h', contact._id) }}/",
        "{{ workspace.variables[contact._id] }}/",
        "{{ workspace.variables.api if contact._id else contact._id }}/",
        "{{ 'https://' ~ contact._id }}/",
        "{{ workspace.name }}/",
        "{% set h = contact._id %}https://{{ h }}/",
        "https://h.example{% if contact._id %}/{% endif %}{{ contact._id }}",
        "https://h.example{% for i in [1, 2] %}{{ i }}/{% endfor %}",
    ],
)
def test_url_host_of_others(source: str) -> None:
    """Nothing else may stand in scheme, host or port."""
    assert "stands in the scheme, host or port" in refused(source, URL)


@pytest.mark.parametrize("source", ["ftp://h/", "h.example/a", "/a", "{% if true %}https://a{% endif %}/b"])
def test_url_scheme(source: str) -> None:
    """A URL begins with http:// or https://."""
    assert "does not begin with http:// or https://" in refused(source, URL)


@pytest.mark.parametrize(
    "source",
    ["https://h/#a", "https://h/a?b#c", "https://h/{{ contact._id }}#{{ contact._id }}", "https://h#a"],
)
def test_url_fragment(source: str) -> None:
    """A fragment is refused: it is never sent."""
    assert "write %23 for a #" in refused(source, URL)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("contact.nope", "is not there"),
        ("contact.attributes.nothing", "is null"),
        ("contact.attributes.empty", "is empty"),
        ("''", "is empty"),
    ],
)
@pytest.mark.parametrize("missing", ["error", "empty"])
def test_nothing_in_a_path(value: str, words: str, missing: str) -> None:
    """A missing, null or empty value in a URL's path is always an error."""
    assert words in lacks(f"https://h.example/{{{{ {value} }}}}/profile", URL, missing=missing)


def test_nothing_in_a_host() -> None:
    """Nor is there nothing in a host."""
    for missing in ("error", "empty"):
        assert lacks("{{ workspace.variables.nope }}/a", URL, missing=missing)


@pytest.mark.parametrize("value", [[1], {"a": 1}, []])
def test_list_in_a_path(value: Any) -> None:
    """A list or an object has no place in a path."""
    assert failure("https://h/{{ contact.x }}", URL, data=data(value)).reason is Reason.TEMPLATE_INVALID


# Not text

PRINTED = [
    (True, "true"),
    (False, "false"),
    (0, "0"),
    (-1.5, "-1.5"),
    (None, ""),
    ([1, "a", None], '[1,"a",null]'),
    ({"a": [True]}, '{"a":[true]}'),
    (2**70, "1180591620717411303424"),
]


@pytest.mark.parametrize("place", [TEXT, HEADER, OTHER_BODY])
@pytest.mark.parametrize(("value", "text"), PRINTED)
def test_printed(place: Place, value: Any, text: str) -> None:
    """A value that is not text prints as JSON would, null as nothing."""
    assert text == render("{{ contact.x }}", place, data=data(value))
    assert f"{text}-{text}" == render("{{ contact.x ~ '-' ~ contact.x }}", place, data=data(value))
    assert f"{text}" == render("{{ [contact.x] | join }}", place, data=data(value))
    assert f"<{text}>" == render("{{ '<%s>' | format(contact.x) }}", place, data=data(value))


@pytest.mark.parametrize(("value", "text"), PRINTED)
def test_printed_in_query_and_form(value: Any, text: str) -> None:
    """And is then encoded for its place."""
    for place in (QUERY_VALUE, FORM):
        [(_, printed)] = parse_qsl(
            "x=" + render("{{ contact.x }}", place, data=data(value)), keep_blank_values=True
        )
        assert text == printed


# Query value, header, form, other text


@given(texts, texts)
def test_query_value(literal: str, value: str) -> None:
    """All the text of a parameter, literal or not, is one percent-encoded value."""
    source = literal.replace("{", "(") + "{{ contact.x }}&"
    encoded = render(source, QUERY_VALUE, data=data(value))
    assert set(encoded).isdisjoint("&=#+ ?/")
    assert source.replace("{{ contact.x }}", value) == unquote(encoded)


@given(texts)
def test_form(value: str) -> None:
    """A value in a form is one value of it."""
    text = render("a={{ contact.x }}&b=c+d%20&b[]={{ contact.x }}", FORM, data=data(value))
    assert [("a", value), ("b", "c d "), ("b[]", value)] == parse_qsl(text, keep_blank_values=True)


@given(texts)
def test_text(value: str) -> None:
    """In text and in headers nothing is escaped."""
    for place in (TEXT, HEADER, OTHER_BODY):
        assert f"<a>{value}" == render("<a>{{ contact.x }}", place, data=data(value))


@pytest.mark.parametrize(
    "text",
    [
        "a\r\nb",
        "\r",
        "\n",
        "\r\n\r\n",
        "a\rb\r\nc\nd",
        "%41",
        '<&">',
        "a } }} %} #}",
        "\x1c\r",
        " a ",
        "\ta\x0b\r\x0c",
        '["a"]',
        "\u2028\r\n\u0085",
    ],
)
def test_literal_text(text: str) -> None:
    """Literal text stays as written, line ends and all."""
    assert text == render(text)
    assert f"{text}Ana{text}" == render(f"{text}{{{{ contact.attributes.first_name }}}}{text}")
    assert text == render(f"{{% raw %}}{text}{{% endraw %}}")
    assert text == render("{{ '" + text.replace("\\", "") + "' }}")


def test_line_ends_in_expressions() -> None:
    """CR LF between the words of an expression is space, and whitespace control takes it away."""
    assert "Ana" == render("{{\r\n contact.attributes.first_name\r\n}}")
    assert "a\r\nb" == render("{% if contact._id\r\n== '7' %}a\r\n{% endif %}b")
    assert "ab" == render("a\r\n{%- if true -%}\r\nb{% endif %}")


# JSON, structure first


@given(texts, texts)
def test_json_leaves(value: str, key: str) -> None:
    """No value can break a JSON body: not alone in a string, nor with text around it, nor in a key."""
    body = '{"a": "{{ contact.x }}", "b": ["<{{ contact.x }}>"], "{{ contact.k }}-": "\\"é\\n", "n": 1.10}'
    text = render_json(body, data=DATA | {"contact": {"x": value, "k": key}})
    assert json.loads(text) == {"a": value, "b": [f"<{value}>"], f"{key}-": '"é\n', "n": 1.1}
    assert text.endswith('"\\"é\\n", "n": 1.10}')


@pytest.mark.parametrize("value", [True, None, 0, 1.5, [1, {"a": "b"}], {"a": []}, "", 2**70])
def test_json_type(value: Any) -> None:
    """A leaf that is one single expression keeps the value's type."""
    for leaf in ("{{ contact.x }}", "{{contact.x}}", "{{- contact.x -}}", "{{ contact.x | tojson }}"):
        assert json.loads(render_json(f'{{"a": "{leaf}"}}', data=data(value))) == {"a": value}
    assert json.loads(render_json('["{{ contact.x if true else 1 }}"]', data=data(value))) == [value]


def test_json_text_around() -> None:
    """With anything around it, a leaf is text."""
    assert render_json('["{{ contact.attributes.age }} years", " {{ contact.attributes.age }}"]') == (
        '["41 years", " 41"]'
    )
    assert render_json('["{% if true %}{{ contact.attributes.age }}{% endif %}"]') == '["41"]'
    assert render_json('{"{{ contact.attributes.age }}": 1}') == '{"41": 1}'


def test_json_digits() -> None:
    """Literal numbers of any length stay as written."""
    body = '{"id": 12345678901234567890123, "price": 1.10, "x": "{{ contact._id }}" }'
    assert body.replace("{{ contact._id }}", "7") == render_json(body)


def test_json_escaped_quotes() -> None:
    """Quotes of an expression are escaped in JSON."""
    assert render_json(r'["{{ contact[\"attributes\"].first_name }}"]') == '["Ana"]'


# JSON, by position


@given(texts)
def test_json_by_position(value: str) -> None:
    """In JSON that is only JSON when rendered, a value is escaped by whether it stands in a string."""
    body = (
        '[{% for i in [1, 2] %}{"a": {{ contact.x }}, "b{{ contact.x }}": "\\"{{ contact.x }}\\\\"}'
        "{% if not loop.last %},{% endif %}{% endfor %}]"
    )
    one = {"a": value, f"b{value}": f'"{value}\\'}
    assert json.loads(render_json(body, data=data(value))) == [one, one]


@pytest.mark.parametrize(
    ("value", "text"), [(True, "true"), (None, "null"), ([1], "[1]"), ("a", '"a"'), (1.5, "1.5")]
)
def test_json_value_by_position(value: Any, text: str) -> None:
    """Outside a string a value is its JSON."""
    assert f'{{"a": {text}}}' == render_json('{"a": {{ contact.x }}}', data=data(value))
    assert f'{{"a": {text}}}' == render_json('{"a": {{ contact.x | tojson }}}', data=data(value))


@pytest.mark.parametrize(
    "body", ["[{{ contact._id }}", "hello", "[{{ 1 }},]", '{"a": {{ 1 }} "b"}', "{% if false %}1{% endif %}"]
)
def test_json_must_parse(body: str) -> None:
    """What it renders to must be JSON."""
    assert "is not JSON" in refused(body, None)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('[{% if contact._id %}"{% endif %}{{ contact._id }}]', "cannot be told"),
        ('[{{ 1 }}, "\\{{ contact._id }}"]', "backslash"),
    ],
)
def test_json_position_unknown(body: str, words: str) -> None:
    """Where it cannot be told whether a value stands in a string, the template is refused."""
    assert words in refused(body, None)


# The filters of authors


@pytest.mark.parametrize(
    ("source", "place", "text"),
    [
        ("https://h/{{ contact.attributes.email | urlencode }}", URL, "https://h/a%2Bb%2Fc%40example.com"),
        (
            "https://h/?a={{ contact.attributes.email | urlencode }}",
            URL,
            "https://h/?a=a%2Bb%2Fc%40example.com",
        ),
        ("{{ contact.attributes.email | urlencode }}", QUERY_VALUE, "a%2Bb%2Fc%40example.com"),
        ("a={{ contact.attributes.email | urlencode }}", FORM, "a=a%2Bb%2Fc%40example.com"),
        ('{"a": "{{ contact.attributes.email | tojson }}"}', None, '{"a": "a+b/c@example.com"}'),
        ('{"a": "x{{ contact.attributes.email | tojson }}"}', None, '{"a": "xa+b/c@example.com"}'),
        ("[{{ contact.attributes.email | tojson }}]", None, '["a+b/c@example.com"]'),
        (
            "https://h/{{ contact.attributes.email | urlencode if true }}",
            URL,
            "https://h/a%2Bb%2Fc%40example.com",
        ),
        ("{{ contact.attributes.email | urlencode }}", TEXT, "a%2Bb%2Fc%40example.com"),
        ("{{ workflow.profile.items.0 | tojson }}", TEXT, '{"name":"Tea"}'),
    ],
)
def test_not_escaped_twice(source: str, place: Place | None, text: str) -> None:
    """`urlencode` in a URL and `tojson` in JSON give what is escaped already; in text they are filters."""
    assert text == (render_json(source) if place is None else render(source, place))


@pytest.mark.parametrize(
    ("source", "place", "name"),
    [
        ("https://h/{{ contact._id | tojson }}", URL, "tojson"),
        ("https://h/{{ contact._id | urlencode | upper }}", URL, "urlencode"),
        ("https://h/{{ contact._id | urlencode ~ 'x' }}", URL, "urlencode"),
        ("https://h/{{ [contact._id] | map('urlencode') | join }}", URL, "urlencode"),
        ("https://h/{{ contact._id | urlencode | urlencode }}", URL, "urlencode"),
        ("{{ contact._id | tojson }}", QUERY_VALUE, "tojson"),
        ("{{ contact._id | urlencode }}", HEADER, "urlencode"),
        ("{{ contact._id | tojson }}", HEADER, "tojson"),
        ("{{ contact._id | urlencode }}", OTHER_BODY, "urlencode"),
        ("a={{ contact._id | tojson }}", FORM, "tojson"),
        ('["{{ contact._id | urlencode }}"]', None, "urlencode"),
        ('["a{{ contact._id | urlencode }}"]', None, "urlencode"),
        ("[{{ contact._id | urlencode }}]", None, "urlencode"),
        ('["{{ contact._id | tojson | upper }}"]', None, "tojson"),
    ],
)
def test_filter_to_drop(source: str, place: Place | None, name: str) -> None:
    """Elsewhere they are a problem that says which filter to drop."""
    assert f"Drop `| {name}`" in refused(source, place)


@pytest.mark.parametrize("place", [URL, QUERY_VALUE, HEADER, FORM, OTHER_BODY, TEXT])
@pytest.mark.parametrize("name", ["safe", "forceescape"])
def test_safe(place: Place, name: str) -> None:
    """`| safe` is refused everywhere."""
    source = ("https://h/" if place is URL else "") + f"{{{{ contact._id | {name} }}}}"
    assert f"`| {name}` is refused" in refused(source, place)
    assert f"`| {name}` is refused" in refused(f'["{{{{ contact._id | {name} }}}}"]', None)


def test_autoescape() -> None:
    """`autoescape` is refused: it would escape for HTML."""
    assert "autoescape" in refused("{% autoescape true %}{{ contact._id }}{% endautoescape %}")


@pytest.mark.parametrize("place", [URL, QUERY_VALUE, FORM, None])
@pytest.mark.parametrize(
    "block",
    [
        "{% macro m() %}{{ contact._id }}{% endmacro %}{{ m() }}",
        "{% set x %}{{ contact._id }}{% endset %}{{ x }}",
        "{% filter upper %}{{ contact._id }}{% endfilter %}",
    ],
)
def test_blocks(place: Place | None, block: str) -> None:
    """Where values are escaped, what prints into a value is refused: it would be escaped twice."""
    source = f"[{block}]" if place is None else f"{'https://h/' if place is URL else ''}{block}"
    assert "escaped twice" in refused(source, place)


@given(st.lists(texts, max_size=3), st.booleans())
def test_control_flow(values: list[str], wide: bool) -> None:
    """Values in loops and branches are escaped for where they land."""
    source = (
        "https://h.example/a"
        "{% for x in contact.x %}/{% if contact.wide %}w/{{ x }}{% else %}{{ x }}{% endif %}{% endfor %}"
        "?n={% for x in contact.x %}{{ x }}&n={% endfor %}"
    )
    url = urlsplit(render(source, URL, data=DATA | {"contact": {"x": values, "wide": wide}}))
    segments = [part for value in values for part in (["w", value] if wide else [value])]
    assert ["", "a", *segments] == [unquote(segment) for segment in url.path.split("/")]
    assert [("n", value) for value in [*values, ""]] == parse_qsl(url.query, keep_blank_values=True)

"""What a contact or an API says is data, wherever it lands: it is never read as a template, nor as Python."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

import pytest

from leadpush_prefect.campaigns.steps import decide, message_template, render_values
from leadpush_prefect.endpoints.compiled import compile_endpoint
from leadpush_prefect.endpoints.mock import Mock
from leadpush_prefect.endpoints.prepared import prepare
from leadpush_prefect.model.config import EndpointConfig, WorkspaceConfig
from leadpush_prefect.model.step import Step
from leadpush_prefect.templates import TEXT, TemplateFailed, compile_condition
from leadpush_prefect.text.json_text import from_json, to_json
from tests.support.rendering import DATA, render

SECRET = "the-secret"

VALUES = [
    "{{ secrets.key }}",
    "{{ 7 * 191 }}",
    "{% raw %}{{ 7 * 191 }}",
    "{% endraw %}{{ 7 * 191 }}",
    "{% for a in [7] %}{{ a * 191 }}{% endfor %}",
    "{# {{ 7 * 191 }} #}",
    "}}{{ 7 * 191 }}{{",
    "%}{{ 7 * 191 }}{%",
    "{{ ''.__class__.__mro__ }}",
    "${7*191}",
    "#{7*191}",
    "<%= 7*191 %>",
    "{0.__class__}",
    "%(key)s %s %d %1000000000d %n %",
    "{secrets[key]}",
    "\\x7b\\x7b 7 * 191 \\x7d\\x7d",
    "\\u007b\\u007b 7 * 191 }}",
    "' ~ secrets.key ~ '",
    "'] + [secrets.key] + ['",
    "x' or '1' == '1",
    "__class__",
    "own turns",
    "$(id) `id` ; id",
]
KEYS = [
    "__class__",
    "__html__",
    "__init__",
    "mro",
    "items",
    "keys",
    "get",
    "format",
    "_fields",
    "gi_frame",
    "{{ a }}",
]


def data(value: Any) -> dict[str, Any]:
    return DATA | {"contact": {"_id": "7", "x": value}, "workflow": {"api": {"x": value, "list": [value]}}}


TEMPLATES = [
    "{{ contact.x }}",
    "{{ workflow.api.x }}",
    "{{ contact.nope | default(contact.x) }}",
    "{{ contact.nope | default(workflow.api.list | first) }}",
    "{{ contact.x | string }}",
    "{{ contact.x ~ '' }}",
    "{{ [contact.x] | join }}",
    "{{ '%s' | format(contact.x) }}",
    "{{ 'a' | replace('a', contact.x) }}",
    "{% for a in workflow.api.list %}{{ a }}{% endfor %}",
    "{% set a = contact.x %}{% if a %}{{ a }}{% endif %}",
    "{% set a %}{{ contact.x }}{% endset %}{{ a }}",
    "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(contact.x) }}",
    "{% filter string %}{{ contact.x }}{% endfilter %}",
    "{{ contact.x if contact.x else '' }}",
    "{{ workflow.api.list | map('default', 'a') | join }}",
]


@pytest.mark.parametrize("source", TEMPLATES)
@pytest.mark.parametrize("value", VALUES)
def test_text(source: str, value: str) -> None:
    """A text prints it to the letter, by whatever way it comes."""
    assert render(source, TEXT, data=data(value)) == value


@pytest.mark.parametrize("value", VALUES)
def test_request(value: str) -> None:
    """In the URL, the query, a header and a body of any kind it is what it was, escaped for its place."""
    endpoint = EndpointConfig(
        url="https://h.example/{{ contact.x }}?a={{ workflow.api.x }}",
        headers={"X-A": "{{ contact.x }}", "X-B": "{% if true %}{{ contact.x }}{% endif %}"},
        query={"b": "{{ contact.nope | default(contact.x) }}"},
        body='{"a": "{{ contact.x }}", "b": "-{{ workflow.api.x }}-", "c": "{{ workflow.api.list }}"}',
        secrets={"key": SECRET},
        method="POST",
    )
    request = compile_endpoint(endpoint).render(data(value))
    path, _, query = request.url.removeprefix("https://h.example/").partition("?")
    assert unquote(path) == value
    assert [unquote(pair) for pair in query.split("&")] == [f"a={value}", f"b={value}"]
    headers = dict(request.headers)
    assert headers["X-A"] == headers["X-B"] == value
    assert json.loads(request.body or b"") == {"a": value, "b": f"-{value}-", "c": [value]}
    assert SECRET not in repr(request)


@pytest.mark.parametrize("value", VALUES)
def test_message_of_an_object(value: str) -> None:
    """A message that is an object or a list holds it as it is, in values and in keys."""
    step = Step("n", "", "render", "", "", "stop")
    for message, expected in (
        ({"a": "{{ contact.x }}", "b": ["-{{ contact.x }}"]}, {"a": value, "b": [f"-{value}"]}),
        ({"{{ contact.x }}": "{{ workflow.api.list }}"}, {value: [value]}),
    ):
        template, is_text = message_template(message, step)
        outcome = render_values(template, is_text, data(value))
        assert json.loads(outcome.output or "") == expected


@pytest.mark.parametrize("value", VALUES)
def test_condition(value: str) -> None:
    """A condition compares it, and evaluates nothing of it."""
    for source in (
        "contact.x == workflow.api.x",
        "contact.x in workflow.api.list",
        "workflow.api.list | select('eq', contact.x) | list | length == 1",
        f"(contact.x | length) == {len(value)}",
    ):
        condition = compile_condition(source, roots=DATA)
        assert condition.holds(data(value))
        assert decide(Step("n", "", "render", "", source, "stop"), condition, data(value)) is None


@pytest.mark.parametrize(
    "source", ["[contact._id] | map(contact.x) | list", "[1] | select(contact.x) | list"]
)
@pytest.mark.parametrize(
    "value", ["own turns", "own walk", "escape host", "own made", "attr", "safe", "__class__"]
)
def test_data_that_names_a_filter(source: str, value: str) -> None:
    """An author may let data name a filter; it can name none that the author could not."""
    with pytest.raises(TemplateFailed):
        render(f"{{{{ {source} }}}}", data=data(value))


@pytest.mark.parametrize("key", KEYS)
def test_keys_that_are_names_of_python(key: str) -> None:
    """A key with the name of an attribute is that key, with a value or without one."""
    value = {key: f"value of {key}"}
    assert render(f"{{{{ contact.x['{key}'] }}}}", data=data(value)) == f"value of {key}"
    assert json.loads(render("{{ contact.x | tojson }}", data=data(value))) == value
    assert render("{{ contact.x | e }}", data=data({key: "1"})) == to_json({key: "1"}).replace('"', "&#34;")
    with pytest.raises(TemplateFailed):
        render(f"{{{{ contact.x['{key}'] }}}}", data=data({"other": 1}))


def test_numbers_as_they_were_received() -> None:
    """A number that remembers its text is a number, and its text is no template."""
    value = from_json('{"a": 1.10, "b": 1e400, "c": -0}')
    assert (
        render("{{ contact.x.a }} {{ contact.x.b }} {{ contact.x.c }}", data=data(value)) == "1.10 1e400 -0"
    )
    for name in ("text", "__class__", "hex", "fromhex", "real", "as_integer_ratio"):
        with pytest.raises(TemplateFailed):
            render(f"{{{{ contact.x.a.{name} }}}}", data=data(value))


@pytest.mark.parametrize("value", VALUES)
def test_mock_response(value: str) -> None:
    """A simulated answer is data as well."""
    endpoint = EndpointConfig(url="https://h.example/", secrets={"key": SECRET})
    target = prepare(endpoint, WorkspaceConfig(), [])
    values = data("a")
    for response in ({"a": value}, to_json({"a": value})):
        outcome = Mock(response).outcome(target, values)
        assert json.loads(outcome.output or "") == {"a": value}
    deep: Any = "x"
    for _ in range(5_000):
        deep = [deep]
    failure = Mock(deep).outcome(target, values).failure
    assert failure is not None
    assert failure.reason == "response_not_json"

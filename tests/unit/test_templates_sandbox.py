"""Hostile templates: nothing of Python is reached, and what would take all time or memory ends early."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from leadpush_prefect.errors import Reason
from leadpush_prefect.templates import TEXT, URL, TemplateFailed, compile_condition
from tests.support.rendering import DATA, failure, render

QUICKLY = 3.0
"""Seconds of the processor; most take a fraction of one."""

# Collected from advisories of Jinja and lists of template injections.
ESCAPES = [
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ ''['__class__']['__mro__'] }}",
    "{{ ''|attr('__class__') }}",
    "{{ ''|attr('\\x5f\\x5fclass\\x5f\\x5f') }}",
    "{{ ['']|map('attr', '__class__')|list }}",
    "{{ [contact]|map(attribute='__class__')|list }}",
    "{{ [contact]|map(attribute='__class__.__mro__')|join }}",
    "{{ [contact]|sum(attribute='__class__') }}",
    "{{ [contact]|groupby('__class__') }}",
    "{{ [contact, contact]|sort(attribute='__class__') }}",
    "{{ [contact]|join(attribute='__class__') }}",
    "{{ [contact]|selectattr('__class__')|list }}",
    "{{ self.__init__.__globals__ }}",
    "{{ self._TemplateReference__context }}",
    "{{ namespace.__init__.__globals__ }}",
    "{{ namespace(a=1).__class__ }}",
    "{{ namespace(a=1)._Namespace__attrs }}",
    "{% set n = namespace() %}{% set n.__class__ = 1 %}{{ n.__class__ }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ joiner.__init__.__globals__ }}",
    "{{ lipsum.__globals__ }}",
    "{{ range.__class__ }}",
    "{{ dict.__base__ }}",
    "{{ dict.mro() }}",
    "{{ loop.__class__ }}",
    "{% for x in [1] %}{{ loop.__class__ }}{% endfor %}",
    "{% for x in [1] %}{{ loop._iterable }}{% endfor %}",
    "{% for x in [1] %}{{ loop.cycle.__func__ }}{% endfor %}",
    "{% macro m() %}{{ caller.__class__ }}{% endmacro %}{% call m() %}{% endcall %}",
    "{% macro m() %}{% endmacro %}{{ m._func.__globals__ }}",
    "{% macro m() %}{% endmacro %}{{ m.__init__ }}",
    "{{ '%s'.format(contact) }}",
    "{{ '{0.__class__}'.format(contact) }}",
    "{{ '{0.__class__}'|format(contact) is eq '' and contact.x }}",
    "{{ '{0.__class__}'.format_map({'0': 1}) }}",
    "{{ ''.join.__self__ }}",
    "{{ ('%s' * 1)['format'](contact) }}",
    "{{ (''|upper)['__class__'] }}",
    "{{ contact['__init__'] }}",
    "{{ contact.__init__.__globals__ }}",
    "{{ [].append.__self__ }}",
    "{% set l = [] %}{{ l.append(1) }}",
    "{% set l = [] %}{% set x = l['append'](1) %}",
    "{{ (1).__class__ }}",
    "{{ 1 .real.__class__ }}",
    "{{ (''|e).__html__ }}",
    "{{ (''|e).__class__ }}",
    "{{ undefined_name.__init__ }}",
    "{{ contact.nope.__init__.__globals__ }}",
    "{{ contact.nope._fail_with_undefined_error }}",
    "{{ contact.nope() }}",
    "{{ contact() }}",
    "{{ [1]|map('pprint')|list }}",
    "{{ ([contact]|groupby('_id'))[0].__class__ }}",
    "{{ ([contact]|groupby('_id'))[0]._asdict }}",
    "{{ {'a': 1}|xmlattr }}",
    "{% include '/etc/passwd' %}",
    "{% import 'os' as os %}",
    "{% from 'os' import path %}",
    "{% extends 'x' %}",
    "{% block x %}{% endblock %}{{ self.x() }}",
    "{{ super() }}",
    "{% do contact %}",
    "{% debug %}",
    "{{ contact|random }}",
    "{{ environment }}",
    "{{ config }}",
    "{{ __builtins__ }}",
    "{{ _missing }}",
    "{{ dict(a=contact).a.__class__ }}",
    "{{ range(1).__class__ }}",
]


@pytest.mark.parametrize("source", ESCAPES)
def test_escapes(source: str) -> None:
    """No way leads from data to Python: it is refused, or the name is not there."""
    assert failure(source).reason in (Reason.TEMPLATE_INVALID, Reason.TEMPLATE_MISSING)


LOOP, END = "{% for a in range(10000) %}", "{% endfor %}"

BOMBS = {
    "times": "{{ 'a' * 1000000000 }}",
    "times times": "{{ 'a' * 1000000 * 1000000 }}",
    "list times": "{{ [1] * 1000000000 }}",
    "list of lists": "{% set a = [1] * 1000 %}{% set b = [a] * 1000 %}{% set c = [b] * 1000 %}{{ c }}",
    "laughs": "{% set a = ['ha'] %}" + "{% set a = [a, a, a, a, a, a, a, a, a, a] %}" * 30 + "{{ a }}",
    "tuples": "{% set a = ('ha', 1) %}" + "{% set a = (a, a, a, a, a, a, a, a, a, a) %}" * 30 + "{{ a }}",
    "objects": "{% set a = {'a': 1} %}" + "{% set a = {'a': a, 'b': a, 'c': a, 'd': a} %}" * 30 + "{{ a }}",
    "dicts": "{% set a = 1 %}" + "{% set a = dict(a=a, b=a, c=a, d=a) %}" * 30 + "{{ a }}",
    "equal": "{% set a = 1 %}{% set b = 1 %}"
    + "{% set a = [a, a] %}{% set b = [b, b] %}" * 60
    + "{{ a == b }}",
    "texts": "{% set a = 'ha' %}" + "{% set a = a ~ a ~ a ~ a ~ a ~ a ~ a ~ a %}" * 30 + "{{ a }}",
    "sums": "{% set a = 'ha' %}" + "{% set a = a + a %}" * 60 + "{{ a }}",
    "loops": "{% for a in range(10000) %}{% for b in range(10000) %}{% endfor %}{% endfor %}",
    "deep loops": "".join(f"{{% for a{n} in range(10000) %}}" for n in range(9)) + "{% endfor %}" * 9,
    "loops of text": f"{LOOP}{LOOP}xxxxxxxxxx{END}{END}",
    "loops into a value": f"{{% set x %}}{LOOP}{LOOP}x{END}{END}{{% endset %}}",
    "many loops": "".join(f"{{% for a{n} in [1] %}}" for n in range(25)) + "{% endfor %}" * 25,
    "filtered loop": "{% for a in range(10000) if range(10000) | list | sort | length == 0 %}{% endfor %}",
    "recursive loop": "{% for a in [[], []] recursive %}{{ loop([[1, 2, 3], [1, 2, 3]]) }}{% endfor %}",
    "macros": "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) }}",
    "endless macro": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "macro's arguments": "{% macro m(n) %}{% if n %}{{ m(n - 1, varargs, varargs, varargs) }}"
    "{% else %}{{ varargs }}{% endif %}{% endmacro %}{{ m(40, 1) }}",
    "caller": "{% macro m() %}{{ caller() }}{{ caller() }}{% endmacro %}"
    + "{% call m() %}" * 40
    + "x"
    + "{% endcall %}" * 40,
    "range": "{{ range(1000000000) | list }}",
    "long range": "{{ range(10 ** 300) | list }}",
    "power": "{{ 9 ** (9 ** (9 ** 9)) }}",
    "power of 2": "{{ 2 ** 1000000000 }}",
    "negative power": "{{ 2 ** -1000000000 }}",
    "product": "{% set n = 9 ** 900 %}{{ n * n * n * n * n }}",
    "center": "{{ 'a' | center(1000000000) }}",
    "indent": "{{ 'a\n' * 100000 | indent(1000000) }}",
    "indent lines": "{{ ('a\n' * 100000) | indent(1000) }}",
    "format": "{{ '%1000000000d' | format(1) }}",
    "format precision": "{{ '%.1000000000f' | format(1) }}",
    "format star": "{{ '%*d' | format(1000000000, 1) }}",
    "format names": "{{ ('%(a)s' * 100000) | format(a='x' * 1000000) }}",
    "format width": "{{ ('%(a)999d' * 100000) | format(a=1) }}",
    "percent": "{{ '%1000000000d' % 1 }}",
    "join": "{{ range(10000) | join('x' * 1000000) }}",
    "replace": "{{ ('a' * 100000) | replace('a', 'b' * 100000) }}",
    "replace nothing": "{{ ('a' * 100000) | replace('', 'b' * 100000) }}",
    "wordwrap": "{{ ('a ' * 100000) | wordwrap(1, wrapstring='b' * 100000) }}",
    "batch": "{{ [1] | batch(1000000000, 0) | list }}",
    "batches": "{% set a = [1] %}" + "{% set a = a | batch(1000, a) | list %}" * 20 + "{{ a }}",
    "slice": "{{ [1] | slice(1000000000) | list }}",
    "round": "{{ 1 | round(1000000000, 'ceil') }}",
    "round down": "{{ 1 | round(-1000000000) }}",
    "sum": "{{ (range(10000) | map('default', [1] * 10000) | list) | sum(start=[]) }}",
    "map": "{{ range(10000) | map('replace', '0', 'x' * 1000000) | list }}",
    "maps": "{{ range(10000) | map('string') | map('center', 1000) | map('center', 1000) | list | length }}",
    "truncate": "{{ ('a' * 1000000) | truncate(1, end='b' * 1000000) ~ ('a' * 1000000) }}",
    "escape": "{{ ('&' * 1000000) | e | e | e | e | e }}",
    "slices": "{% set a = [1] * 1000000 %}{% for i in range(10000) %}{% set b = a[1:] %}{% endfor %}",
    "in": "{% set a = [1] * 1000000 %}{% for i in range(10000) %}{{ 2 in a }}{% endfor %}",
    "long number": "{{ " + "9" * 5000 + " }}",
    "parentheses": "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "lists": "{{ " + "[" * 5000 + "1" + "]" * 5000 + " }}",
    "pluses": "{{ 1" + "+ 1" * 20000 + " }}",
    "ifs": "{% if 1 %}" * 500 + "{% endif %}" * 500,
}


@pytest.fixture
def quickly() -> Iterator[None]:
    started = time.process_time()
    yield
    assert time.process_time() - started < QUICKLY


@pytest.mark.parametrize("source", BOMBS.values(), ids=BOMBS)
def test_bombs(source: str, quickly: None) -> None:
    """What would take all time or memory ends early, as `template_too_large` or `template_invalid`."""
    assert failure(source).reason in (Reason.TEMPLATE_TOO_LARGE, Reason.TEMPLATE_INVALID)


@pytest.mark.parametrize("depth", [3, 12, 25])
def test_loops_in_a_url(depth: int, quickly: None) -> None:
    """Where a value stands in a URL is found in time, however deep the loops are."""
    loops = "".join(f"{{% for a{n} in [1] %}}/{{{{ a{n} }}}}?" for n in range(depth))
    source = f"https://h.example{loops}{'{% endfor %}' * depth}"
    with suppress(TemplateFailed):
        render(source, URL)


def test_bomb_in_a_condition(quickly: None) -> None:
    """A condition is bounded too."""
    condition = compile_condition("('a' * 1000000) ~ ('a' * 1000000) * 10000 == ''", roots=DATA)
    with pytest.raises(TemplateFailed) as caught:
        condition.holds(DATA)
    assert caught.value.reason is Reason.TEMPLATE_TOO_LARGE


def test_data_too_large() -> None:
    """Data alone can be too large as well, in a plain template and in any other."""
    data = DATA | {"contact": {"x": "a" * 600_000}}
    for source in (
        "{{ contact.x }}{{ contact.x }}",
        "{% if true %}{{ contact.x }}{{ contact.x }}{% endif %}",
    ):
        assert failure(source, data=data).reason is Reason.TEMPLATE_TOO_LARGE


def test_each_rendering_has_a_budget_of_its_own() -> None:
    """What one rendering spent, the next one has again."""
    source = "{% set a = 'a' * 1000000 %}{% set b = a | upper | lower | trim %}{{ b | length }}"
    for _ in range(5):
        assert render(source) == "1000000"
    assert failure(BOMBS["loops"], TEXT).reason is Reason.TEMPLATE_TOO_LARGE
    assert render(source) == "1000000"


@pytest.mark.parametrize(
    "source",
    [
        "{% for a in range(10000) %}{% if a % 100 == 0 %}{{ a }},{% endif %}{% endfor %}",
        "{% for i in workflow.big if i.id in contact.seen %}{{ i.name | upper | truncate(20) }}{% endfor %}",
        "{{ workflow.big | selectattr('id', 'in', contact.seen) | map(attribute='name') | sort | join }}",
        "{{ workflow.big | tojson }}",
    ],
)
def test_honest_work(source: str) -> None:
    """A thousand items with filters and lookups are well within the budget."""
    big = [{"id": n, "name": f"Item {n} " + "x" * 50} for n in range(1000)]
    assert render(
        source, data=DATA | {"workflow": {"big": big}, "contact": {"seen": list(range(0, 1000, 5))}}
    )


@pytest.mark.parametrize(
    "value", [987654321, -987654321, 987654321.0, "sekret", [987654321], {"sekret": 987654321}]
)
@pytest.mark.parametrize(
    "expression",
    [
        "'x' | center(V)", "'x' | truncate(V)", "'x' | indent(V)", "'x' | wordwrap(V)", "range(V)", "'%s' | format(V)",
        "'%d' | format(V)", "[1] | batch(V) | list", "[1] | slice(V) | list", "'x' * V", "1 / V", "V + 'a'", "V - 1",
        "2 | round(V)", "[3, 1] | sort(attribute=V)", "[{}] | map(attribute=V) | list", "[{}] | groupby(V)", "'a'[V]",
        "'a' | replace('a', V)", "V | float + 'x'", "V | tojson(indent=V)", "V.foo.bar", "V | dictsort", "V | sum",
        "V | join(V)", "V ** V", "V is divisibleby(V)", "'{}'.format(V)", "V | default(V) | first",
    ],
)  # fmt: skip
def test_no_message_names_a_value(expression: str, value: Any) -> None:
    """It may be a contact's; the message is logged."""
    source = f"{{{{ {expression} }}}}".replace("V", "contact.attributes.pin")
    message = ""
    try:
        render(source, data={"contact": {"attributes": {"pin": value}}})
    except TemplateFailed as failed:
        message = failed.message
    assert "987654321" not in message
    assert "sekret" not in message

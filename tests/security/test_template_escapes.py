"""Ways out of Jinja's sandbox, each in every place of a request and in a condition: none reaches Python.

The cases follow the classes of published advisories and of lists of template injections, in words of our own.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from leadpush_prefect.campaigns.steps import condition_of, message_template
from leadpush_prefect.endpoints.validation import endpoint_problems
from leadpush_prefect.errors import Reason, StepRefused
from leadpush_prefect.model.config import EndpointConfig
from leadpush_prefect.model.step import Step
from leadpush_prefect.templates import HEADER, TEXT, URL, TemplateFailed
from leadpush_prefect.text.json_text import to_json
from tests.support.rendering import holds, render, render_json

INSIDE = re.compile(
    r"<(class|function|module|built-in|bound|unbound|method|code|frame|generator|coroutine|async|property|slot|"
    r"jinja2|Template|TemplateReference|Context|Macro|LoopContext|Joiner|Namespace|Cycler)|0x[0-9a-f]{6,}|"
    r"site-packages|uid=\d|leadpush_prefect\.|Markup\("
)
"""What only the inside of Python or Jinja looks like."""

REFUSED = (
    Reason.TEMPLATE_INVALID,
    Reason.TEMPLATE_MISSING,
    Reason.TEMPLATE_TOO_LARGE,
    Reason.CONDITION_MISSING,
)

DUNDERS = (
    "__class__ __base__ __bases__ __mro__ __subclasses__ __init__ __new__ __globals__ __builtins__ __dict__ "
    "__doc__ __module__ __name__ __qualname__ __code__ __closure__ __func__ __self__ __wrapped__ __call__ __get__ "
    "__getattribute__ __getitem__ __reduce__ __reduce_ex__ __format__ __html__ __html_format__ __str__ __repr__ "
    "__import__ __loader__ __spec__ __file__ __annotations__ __defaults__ __kwdefaults__ __weakref__ __slots__"
).split()

METHODS = (
    "mro format format_map join copy items pop update setdefault popitem fromkeys clear append extend".split()
)

FRAMES = (
    "gi_frame gi_code gi_yieldfrom ag_frame ag_code ag_await cr_frame cr_code cr_await cr_origin f_back f_globals "
    "f_builtins f_locals f_code tb_frame tb_next co_code co_consts func_globals func_code im_func im_self"
).split()

GLOBALS = (
    "lipsum cycler request g session config url_for get_flashed_messages self super context environment app "
    "current_app os sys builtins __builtins__ open eval exec getattr type object str int print vars globals "
    "locals resolve undefined missing Markup escape Namespace LoopContext Undefined concat identity caller varargs "
    "kwargs loop _ gettext ngettext debug exit help settings handler application import_module subprocess popen "
    "l_0_contact t_1 template_rendered root blocks name parent_template"
).split()

EXPRESSIONS: list[str] = [
    *(f"''.{name}" for name in DUNDERS),
    *(f"contact['{name}']" for name in DUNDERS),
    *(f"contact.attributes | map(attribute='{name}') | list" for name in DUNDERS[:12]),
    *(f"[1] | map('upper') | attr('{name}')" for name in FRAMES[:6]),
    *(f"([1] | map('upper')).{name}" for name in FRAMES),
    *(f"contact.{name}()" for name in METHODS),
    *(f"contact.{name}" for name in METHODS if name != "items"),
    *(f"'{{0.a}}'.{name}(contact)" for name in ("format", "format_map", "__format__", "__mod__")),
    *(f"{name}" for name in GLOBALS),
    *(f"{name}.__globals__" for name in GLOBALS[:12]),
    # Formatting that looks into objects, directly or by a reference to the method
    "'{0.__class__.__mro__}' | format(contact) is lt ''",
    "'%(__class__)s' | format(**contact)",
    "('{0.__class__}' | upper).format(contact)",
    "['{0.__class__}'] | map('format', contact) | map('attr', 'x') | list",
    "['{0.__class__}'] | map(attribute='format') | list",
    "['{0.__class__}'] | map(attribute='format') | map('call', contact) | list",
    "('{x.__class__}'.format_map)(contact)",
    "'{0.__class__}'['format'](contact)",
    "('{0.__class__}' | attr('format'))(contact)",
    "dict(f='{0.__class__}'.format).f(contact)",
    "namespace(f='{0.__class__}'.format).f(contact)",
    "(''.format if true else '')(contact)",
    "('' or ''.format)(contact)",
    "[''.format][0](contact)",
    "{'f': ''.format}['f'](contact)",
    # Names that are put together, encoded, or looked up by value
    "''['\\x5f\\x5fclass\\x5f\\x5f']",
    "''['\\u005f\\u005fclass\\u005f\\u005f']",
    "''['\\137\\137class\\137\\137']",
    "''['_' ~ '_class_' ~ '_']",
    "''['_' * 2 ~ 'class' ~ '_' * 2]",
    "''['%s%sclass%s%s' | format('_', '_', '_', '_')]",
    "''['%c%cclass%c%c' | format(95, 95, 95, 95)]",
    "''['__ssalc__' | reverse]",
    "''['__CLASS__' | lower]",
    "''[['_', '_', 'class', '_', '_'] | join]",
    "''['--class--' | replace('-', '_')]",
    "''['__class__' | trim | string]",
    "''[dict(__class__=1) | list | first]",
    "''[dict(__class__=1) | join]",
    "''[contact.attributes.first_name ~ '__class__']",
    "''|attr('__class__')",
    "''|attr('_' ~ '_class_' ~ '_')",
    "''|attr(['__class__'] | first)",
    "''|attr('\\u005f\\u005fclass\\u005f\\u005f')",
    "contact|attr('get')",
    "contact|attr('__init__')|attr('__globals__')",
    "(contact, '')|map('attr', '__class__')|list",
    "''.__clasſ__",
    "''.＿＿class＿＿",
    "''['＿＿class＿＿']",
    # Filters and tests that take the name of an attribute, a filter or a test
    "[contact, ''] | map(attribute='__class__.__base__') | list",
    "[contact, ''] | map(attribute='__class__', default=''.__class__) | list",
    "[contact, ''] | groupby('__class__.__name__') | list",
    "[contact, ''] | groupby(attribute='__class__', default='') | map(attribute='list.__class__') | list",
    "[contact, ''] | sort(attribute='__class__.__name__,__doc__')",
    "[contact, ''] | unique(attribute='__class__') | list",
    "[contact, ''] | min(attribute='__class__')",
    "[contact, ''] | max(attribute='__init__.__globals__')",
    "[contact, ''] | sum(attribute='__class__')",
    "[contact, ''] | sum('__class__', start='')",
    "[contact, ''] | join(', ', attribute='__class__')",
    "[contact, ''] | selectattr('__class__') | map('attr', 'x') | list",
    "[contact, ''] | map('selectattr', '__class__') | map('call') | list",
    "[contact, ''] | rejectattr('__class__', 'nope') | list",
    "[contact, ''] | select('callable') | list",
    "[contact, ''] | map('__class__') | list",
    "[contact, ''] | map('attr') | list",
    "[contact] | map('safe') | list",
    "[contact] | map('pprint') | list",
    "[contact] | map('xmlattr') | list",
    "[contact] | map('urlize') | list",
    "[contact] | map('forceescape') | list",
    "[contact] | map(''.__class__) | list",
    "[contact] | map(contact) | list",
    "[contact] | select('filter', 'attr') | map('attr') | list",
    "'attr' is filter",
    "contact is callable",
    "contact is escaped",
    "contact | xmlattr",
    "contact | pprint",
    "'http://a.example' | urlize(extra_schemes=[''.__class__])",
    "contact | random",
    "contact | safe",
    "contact | forceescape",
    "contact | attr",
    # Our own functions behind the tree, by the names that they have there
    "contact | walk('a', ['__class__'], ['x'])",
    "contact | made",
    "[1] | turns(-1000000000)",
    "[[1]] | map('turns', -1000000000) | list",
    "[[1]] | map('own turns', -1000000000) | list",
    "[contact] | map('own walk', 'a', ['__class__'], ['x']) | list",
    "[contact] | map('own escape host') | list",
    "[contact] | map('escape host') | list",
    "[contact] | select('own made') | list",
    # Calls of what is no function
    "contact()",
    "''()",
    "(1)()",
    "[]()",
    "none()",
    "contact.nope()",
    "contact['a']()",
    "(contact if true else 1)()",
    "dict()()",
    "range(1)()",
    "joiner()()",
    "namespace()()",
    "dict.fromkeys([1])",
    "dict.__subclasses__()",
    "range.__class__('a', [], {})",
    "joiner.__init__.__globals__",
    "joiner('a').used.__class__",
    "namespace.__class__.__mro__",
    "namespace(contact).__class__",
    "namespace(__class__=1)._Namespace__attrs",
    "namespace(a=1)['_Namespace__attrs']",
    "namespace(a=1)['__class__']",
    "namespace(a=1) | list",
    "namespace(a=1) | string",
    "namespace",
    "joiner('a')",
    "range",
    "dict",
    "'%s' | format(namespace)",
    "'%r' | format(joiner)",
    "'' ~ range",
    "[dict, range] | join",
    "[namespace] | map('string') | list",
    "{'a': joiner} | tojson",
    "(dict, range) | sort",
    "dict | first",
    # Missing values, which are objects of Jinja
    "contact.nope.__class__",
    "contact.nope._undefined_message",
    "contact.nope._undefined_exception",
    "contact.nope['_fail_with_undefined_error']",
    "contact.nope._path",
    "contact.nope._names",
    "contact.nope.raise_missing()",
    "(contact.nope | default(''.__class__)).__mro__",
    "contact.nope | default(contact.__class__)",
    "contact.nope | attr('_undefined_obj')",
    "[contact.nope] | map(attribute='_undefined_obj') | list",
    # Slices, exceptions and numbers
    "''[1:2].__class__",
    "contact[1:2]",
    "''[''.__class__:]",
    "(1).real.__class__",
    "(1.5).hex()",
    "(1).bit_length()",
    "1 .__add__(1)",
    "true.__class__.__base__",
    "none.__class__",
    "(1, 2).__class__.__base__",
    "(1, 2).count.__self__",
    "{}.__class__.__base__.__subclasses__()[1]",
    "[].__class__.__base__.__subclasses__() | length",
    "(contact | items).gi_frame.f_back",
    "(contact | items)['gi_frame']['f_back']",
    "[contact | items] | map(attribute='gi_frame.f_back') | list",
    "([contact] | groupby('_id') | first)['_asdict']()",
    "([contact] | groupby('_id') | first).__class__",
    "([contact] | groupby('_id') | first)._fields",
    "([contact] | groupby('_id') | first)._make([1, 2])",
    # Code that would run if a text of the template landed in the compiled source
    "x'.y",
    "contact | upper'",
    "contact | a'b",
    "contact is a'b",
    "contact | 'upper'",
    "contact.attributes | map('\\'] + __import__(\\'os\\').name') | list",
    "contact['\\n__import__(\"os\")']",
    "contact[\"']\\nraise SystemExit\\n['\"]",
    "contact.nope\n__import__('os')",
]

STATEMENTS: list[str] = [
    *(f"{{% set contact.{name} = 1 %}}" for name in DUNDERS[:6]),
    "{% set n = namespace() %}{% set n.__class__ = 1 %}{{ n.__class__ }}",
    "{% set n = namespace() %}{% set n._Namespace__attrs = contact %}{{ n._Namespace__attrs }}",
    "{% set n = namespace() %}{% set n.__init__ = range %}{{ n.__init__ }}",
    "{% set x.__class__ = 1 %}",
    "{% set cｏntact = 1 %}{{ contact }}",
    "{% for cｏntact in [1] %}{{ contact }}{% endfor %}",
    "{% with cｏntact = 1 %}{{ contact }}{% endwith %}",
    "{% macro cｏntact() %}{% endmacro %}{{ contact }}",
    "{% macro m(cｏntact) %}{{ contact }}{% endmacro %}{{ m(1) }}",
    "{% set workｓpace = {'variables': {'api': 'https://evil.example'}} %}{{ workspace.variables.api }}",
    "{% set self = 1 %}{{ self }}",
    "{% set f = ''.format %}{{ f(contact) }}",
    "{% set f = '{0.__class__}'['format'] %}{{ f(contact) }}",
    "{% set f = contact.get %}{{ f('_id') }}",
    "{% set f %}{0.__class__}{% endset %}{{ f.format(contact) }}",
    "{% set a = [] %}{{ a.append(contact) }}",
    "{% set a = [] %}{% if a.append(contact) %}{% endif %}",
    "{% set a = {} %}{{ a.update(contact) }}",
    "{% set a = [1] | map('upper') %}{{ a.gi_frame.f_back.f_globals }}",
    "{% set a = [1] | map('upper') %}{{ a }}",
    "{% set a = [1] | map('upper') %}{{ a.send(1) }}",
    "{% set a = [1] | map('upper') %}{{ a.throw(1) }}",
    "{% set a = joiner %}{{ a.__init__.__globals__ }}",
    "{% set a = joiner(', ') %}{{ a.sep.__class__ }}",
    "{% set a = joiner(contact) %}{{ a }}",
    "{% set a = range %}{{ a }}",
    "{% set a = dict %}{{ a.fromkeys }}",
    "{% for x in [1] %}{{ loop }}{% endfor %}",
    "{% for x in [1] %}{{ loop.cycle }}{% endfor %}",
    "{% for x in [1] %}{{ loop.changed }}{% endfor %}",
    "{% for x in [1] %}{{ loop.changed.__self__ }}{% endfor %}",
    "{% for x in [1] %}{{ loop['_iterator'] }}{% endfor %}",
    "{% for x in [1] %}{{ loop._undefined }}{% endfor %}",
    "{% for x in [1] %}{{ loop._recurse }}{% endfor %}",
    "{% for x in [1] %}{{ loop.__init__ }}{% endfor %}",
    "{% for x in [1] %}{{ loop | string }}{% endfor %}",
    "{% for x in [1] %}{{ loop.cycle | string }}{% endfor %}",
    "{% for x in [1] %}{{ '%s' | format(loop.cycle) }}{% endfor %}",
    "{% for x in [1] %}{{ [loop] | map(attribute='_iterable') | list }}{% endfor %}",
    "{% for x in [1] %}{{ loop | attr('cycle') }}{% endfor %}",
    "{% for x in [1] %}{{ (loop.cycle)['__func__'] }}{% endfor %}",
    "{% for x in [1] %}{{ loop() }}{% endfor %}",
    "{% for x in [1] recursive %}{{ loop }}{% endfor %}",
    "{% for x in [1] recursive %}{{ loop(contact.__class__) }}{% endfor %}",
    "{% for x in contact.__class__.__mro__ %}{{ x }}{% endfor %}",
    "{% for x in ''.__class__ %}{{ x }}{% endfor %}",
    "{% for x, y in contact.items() %}{{ x }}{% endfor %}",
    "{% for loop in [1] %}{{ loop.__class__ }}{% endfor %}",
    "{% macro m() %}{% endmacro %}{{ m }}",
    "{% macro m() %}{% endmacro %}{{ m.name }}{{ m.arguments }}{{ m._environment }}",
    "{% macro m() %}{% endmacro %}{{ m._func.__code__ }}",
    "{% macro m() %}{% endmacro %}{{ m | string }}",
    "{% macro m() %}{% endmacro %}{{ [m] | map(attribute='_func') | list }}",
    "{% macro m() %}{{ varargs.__class__ }}{% endmacro %}{{ m(1) }}",
    "{% macro m() %}{{ kwargs.__class__ }}{% endmacro %}{{ m(a=1) }}",
    "{% macro m() %}{{ caller }}{% endmacro %}{% call m() %}{% endcall %}",
    "{% macro m() %}{{ caller._func }}{% endmacro %}{% call m() %}{% endcall %}",
    "{% macro m(a=''.__class__) %}{{ a }}{% endmacro %}{{ m() }}",
    "{% macro m(a=contact.get) %}{{ a('_id') }}{% endmacro %}{{ m() }}",
    "{% macro m(f) %}{{ f(contact) }}{% endmacro %}{{ m(''.format) }}",
    "{% macro m(a, a) %}{% endmacro %}{{ m(1, 2) }}",
    "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(a=1, a=2) }}",
    "{% call contact() %}{% endcall %}",
    "{% call ''.format(contact) %}{% endcall %}",
    "{% call(x) range(1) %}{% endcall %}",
    "{% filter attr('__class__') %}a{% endfilter %}",
    "{% filter format(contact.__class__) %}%s{% endfilter %}",
    "{% filter walk('a', ['__class__'], []) %}a{% endfilter %}",
    "{% filter safe %}a{% endfilter %}",
    "{% filter upper() | attr('x') %}a{% endfilter %}",
    "{% filter xmlattr %}a{% endfilter %}",
    "{% if ''.__class__ %}a{% endif %}",
    "{% if contact.__class__.__mro__[1].__subclasses__() %}a{% endif %}",
    "{% if self %}a{% endif %}",
    "{% with a = ''.__class__ %}{{ a }}{% endwith %}",
    "{% with a = contact %}{{ a.__class__ }}{% endwith %}",
    "{% include 'a' %}",
    "{% include ['a', 'b'] ignore missing %}",
    "{% include contact._id %}",
    "{% import 'a' as a with context %}",
    "{% import contact._id as a %}",
    "{% from 'a' import b as c without context %}",
    "{% extends contact._id %}",
    "{% block a scoped required %}{% endblock %}",
    "{% block a %}{{ super() }}{% endblock %}",
    "{% block a %}{{ super.__class__ }}{% endblock %}",
    "{% block a %}{{ self.a.__globals__ }}{% endblock %}",
    "{% autoescape false %}{{ contact }}{% endautoescape %}",
    "{% autoescape true %}{{ ''.__html__ }}{% endautoescape %}",
    "{% do contact.__class__ %}",
    "{% debug %}",
    "{% trans %}{{ contact }}{% endtrans %}",
    "{% trans a=contact.__class__ %}{{ a }}{% pluralize %}{% endtrans %}",
    "{{ _('a') }}",
    "{{ gettext('%(a)s', a=contact.__class__) }}",
    "{% for x in [1] %}{% break %}{% endfor %}",
    "{% for x in [1] %}{% continue %}{% endfor %}",
    "{% python %}import os{% endpython %}",
    "{% load os %}",
    "{% raw %}{% endraw %}{{ ''.__class__ }}",
    "{# #}{{ ''.__class__ }}{# #}",
    "{{ '{{' }}{{ ''.__class__ }}",
    "{%- set a = ''.__class__ -%}{{- a -}}",
    "{%+ if ''.__class__ +%}a{% endif %}",
]

PLACES: dict[str, Callable[[str, str], str]] = {
    "text": lambda source, missing: render(source, TEXT, missing=missing),
    "header": lambda source, missing: render(source, HEADER, missing=missing),
    "query": lambda source, missing: render(f"https://h.example/?q={source}", URL, missing=missing),
    "json": lambda source, missing: render_json(to_json({"a": source}), missing=missing),
}

HARMLESS = re.compile(r"|, |\[\]|\{\{|\[\{\"_id\".*\]")
"""What a case may print where missing values are empty: nothing, or the data that it was given."""


def outcome(place: str, source: str, missing: str = "error") -> tuple[Reason | None, str]:
    """Why it fails and what it says, or None and what it renders to."""
    try:
        if place == "condition":
            return None, str(holds(source))
        return None, PLACES[place](source, missing)
    except TemplateFailed as failed:
        return failed.reason, failed.message


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_expressions(expression: str) -> None:
    """In a text, a header, a URL, a JSON body and a condition: refused, and told without what is inside."""
    sources = dict.fromkeys(PLACES, f"{{{{ {expression} }}}}")
    for place, source in (sources | {"condition": f"({expression}) | string == 'x'"}).items():
        reason, said = outcome(place, source)
        assert reason in REFUSED, (place, said)
        assert not INSIDE.search(said), (place, said)


@pytest.mark.parametrize("source", STATEMENTS)
def test_statements(source: str) -> None:
    """Statements as well, wherever they may stand."""
    for place in PLACES:
        reason, said = outcome(place, source)
        assert reason in REFUSED, (place, said)
        assert not INSIDE.search(said), (place, said)


@pytest.mark.parametrize("source", [*(f"{{{{ {expression} }}}}" for expression in EXPRESSIONS), *STATEMENTS])
def test_where_missing_values_are_empty(source: str) -> None:
    """What is not there renders as nothing, and nothing of the inside takes its place."""
    reason, said = outcome("text", source, "empty")
    assert reason in REFUSED or HARMLESS.fullmatch(said), said
    assert not INSIDE.search(said), said


def test_saving_an_endpoint_tells_of_it() -> None:
    """An endpoint made of them has problems, as a list and not as an exception."""
    for source in [*(f"{{{{ {expression} }}}}" for expression in EXPRESSIONS[::5]), *STATEMENTS[::2]]:
        endpoint = EndpointConfig(
            url=f"https://h.example/?q={source}", headers={"A": source}, query={"a": source}, body=source
        )
        assert not [problem for problem in endpoint_problems(endpoint) if INSIDE.search(str(problem))]


@pytest.mark.parametrize("source", STATEMENTS[:8])
def test_step_is_refused(source: str) -> None:
    """A condition that holds statements, and a message that cannot be compiled, are refused as steps."""
    step = Step(node="n", output_key="", kind="render", endpoint="", when=source, on_failure="stop")
    with pytest.raises(StepRefused) as caught:
        condition_of(step)
    assert caught.value.reason is Reason.TEMPLATE_INVALID


@pytest.mark.parametrize("message", [{1: "a"}, {"a": {1, 2}}, {"a": "\ud800"}, {"a": object()}])
def test_message_without_a_form_in_json(message: dict[Any, Any]) -> None:
    """A message of which no JSON can be made is refused too."""
    step = Step(node="n", output_key="", kind="render", endpoint="", when="", on_failure="stop")
    with pytest.raises(StepRefused) as caught:
        message_template(message, step)
    assert caught.value.reason is Reason.TEMPLATE_INVALID


def test_message_that_is_nested_too_deeply() -> None:
    """Nor can one be made of a list that holds itself, or of a thousand lists in each other."""
    step = Step(node="n", output_key="", kind="render", endpoint="", when="", on_failure="stop")
    endless: list[Any] = []
    endless.append(endless)
    deep: list[Any] = []
    for _ in range(1000):
        deep = [deep]
    for message in (endless, deep):
        with pytest.raises(StepRefused) as caught:
            message_template(message, step)
        assert caught.value.reason is Reason.TEMPLATE_INVALID

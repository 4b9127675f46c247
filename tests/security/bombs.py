"""Templates that would take all time or memory, and a process that tries them, each in a fork with limits.

Run as a module with a number from 0 to 3 it prints, for each case of that part, how it ended and what it took, as one
line of JSON.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
import traceback
from collections.abc import Callable
from functools import partial
from typing import Any

from leadpush_prefect.campaigns.steps import condition_of
from leadpush_prefect.endpoints.compiled import compile_endpoint
from leadpush_prefect.endpoints.validation import endpoint_problems
from leadpush_prefect.errors import StepRefused
from leadpush_prefect.model.config import EndpointConfig
from leadpush_prefect.model.step import Step
from leadpush_prefect.templates import HEADER, TEXT, URL, TemplateFailed
from tests.support.rendering import DATA, holds, render, render_json

PARTS = 4
SAMPLE = 8

SECONDS = 10
MEMORY = 1_000_000_000
"""Where a fork is ended, so that a failing case endangers nothing; far over what a case may take."""


def deep(levels: int) -> Any:
    value: Any = "x"
    for level in range(levels):
        value = [value] if level % 2 else {"a": value}
    return value


BIG: dict[str, Any] = DATA | {
    "contact": DATA["contact"]
    | {
        "big": "a" * 1_000_000,
        "wide": "é" * 1_000_000,
        "deep": deep(1_000),
        "deeper": deep(1_000),
        "list": list(range(100_000)),
        "texts": ["A" * 1_000] * 1_000,
        "object": {f"name_of_ke{n}": n for n in range(100_000)},
        "digits": "9" * 4_000,
        "number": int("9" * 4_000),
        "html": "<!-- <b> --><i" * 60_000,
        "tags": "<b>" * 300_000,
        "entity": "&#" + "9" * 500_000,
    }
}

BEGIN = "{% set a = 'a' * 1000000 %}"
MANY = "range(10000)"

TEXTS = {
    # What is large is asked for once for each of many items
    "sort by lower case": f"{{{{ {MANY} | map(attribute='x', default='A' * 1000000) | sort | length }}}}",
    "unique": f"{{{{ {MANY} | map(attribute='x', default='A' * 1000000) | unique | list | length }}}}",
    "min": f"{{{{ {MANY} | map(attribute='x', default='A' * 1000000) | min | length }}}}",
    "max": f"{{{{ {MANY} | map(attribute='x', default='A' * 1000000) | max | length }}}}",
    "groupby": f"{{{{ {MANY} | groupby('x', default='A' * 1000000) | length }}}}"
    + f"{{{{ {MANY} | map(attribute='x', default='A' * 1000000) | groupby('y', default=1) | length }}}}",
    "list of one": f"{{{{ {MANY} | map(attribute='x', default='A' * 1000000) | list | length }}}}",
    "sort data": f"{{{{ {MANY} | map(attribute='x', default=contact.texts) | sort | length }}}}",
    "long attribute": f"{{{{ {MANY} | map(attribute='a.' * 100000) | list | length }}}}",
    "long attributes": f"{{{{ {MANY} | sort(attribute='a,' * 20000) | length }}}}",
    "select in": f"{{{{ {MANY} | select('in', [0] * 100000) | list | length }}}}",
    "reject in data": f"{{{{ {MANY} | reject('in', contact.list) | list | length }}}}",
    "select equal": f"{{{{ {MANY} | map('default') | select('eq', contact.big) | list | length }}}}",
    "is in": f"{{% set l = [1] * 100000 %}}{{% for i in {MANY} %}}{{{{ 2 is in l }}}}{{% endfor %}}",
    "is eq": f"{{% set l = [1] * 100000 %}}{{% for i in {MANY} %}}{{{{ l is eq(l + [1]) }}}}{{% endfor %}}",
    "in a text": f"{{% for i in {MANY} %}}{{{{ 'b' in contact.big }}}}{{% endfor %}}",
    "in an object": f"{{% for i in {MANY} %}}{{{{ contact.object == contact.object }}}}{{% endfor %}}",
    "ternaries of lists": f"{{% for i in {MANY} %}}{{{{ contact.list if contact.list == 1 else 0 }}}}{{% endfor %}}",
    "map upper": f"{{{{ {MANY} | map(attribute='x', default=contact.big) | map('upper') | list | length }}}}",
    "map of maps": f"{{{{ {MANY} | map('string') | map('center', 999) | map('list') | map('sort') | list }}}}",
    "batches filled": "{{ [1] | batch(1000, contact.big) | list | length }}",
    "slices filled": "{{ [1] | slice(1000, contact.big) | list | length }}",
    # What is printed is held back: in macros, in blocks, in loops that call themselves
    "macro of texts": BEGIN + "{% macro m() %}" + "{{ a }}" * 1000 + "{% endmacro %}{{ m() | length }}",
    "macro of data": "{% macro m() %}" + "{{ contact.big }}" * 1000 + "{% endmacro %}{{ m() | length }}",
    "block of texts": BEGIN
    + f"{{% set b %}}{{% for i in {MANY} %}}{{{{ a }}}}{{% endfor %}}{{% endset %}}{{{{ b | length }}}}",
    "block of constants": f"{{% set b %}}{{% for i in {MANY} %}}{{{{ 'a' * 1000000 }}}}{{% endfor %}}{{% endset %}}",
    "filtered block": BEGIN
    + f"{{% filter upper %}}{{% for i in {MANY} %}}{{{{ a }}}}{{% endfor %}}{{% endfilter %}}",
    "called block": "{% macro m() %}{{ caller() | length }}{% endmacro %}"
    + f"{{% call m() %}}{{% for i in {MANY} %}}{{{{ contact.big }}}}{{% endfor %}}{{% endcall %}}",
    "block of joins": BEGIN
    + f"{{% set b %}}{{% for i in {MANY} %}}{{{{ a ~ i }}}}{{% endfor %}}{{% endset %}}{{{{ b | length }}}}",
    "loop that calls itself": "{% for x in [1] recursive %}"
    + "x" * 100_000
    + f"{{% if loop.depth == 1 %}}{{{{ loop({MANY}) }}}}{{% endif %}}{{% endfor %}}",
    "loop under another name": "{% for x in [1] recursive %}"
    + "x" * 100_000
    + f"{{% set l = loop %}}{{% if loop.depth == 1 %}}{{{{ l({MANY}) }}}}{{% endif %}}{{% endfor %}}",
    "loop given to a macro": "{% macro m(l) %}{{ l(range(10000)) }}{% endmacro %}{% for x in [1] recursive %}"
    + "x" * 100_000
    + "{% if loop.depth == 1 %}{{ m(loop) }}{% endif %}{% endfor %}",
    "loop without end": "{% for x in [1] recursive %}{{ loop([1, 2]) }}{% endfor %}",
    "many values": "{{ contact.big }}" * 3000,
    "many values in Jinja": "{% if true %}" + "{{ contact.big }}" * 3000 + "{% endif %}",
    # Filters that make much of little
    "format by a key with a space": "{{ '%(a b)999999999d' | format(**{'a b': 1}) | length }}",
    "format by an empty key": "{{ '%()999999999d' | format(**{'': 1}) | length }}",
    "format by a key in brackets": "{{ '%(a(b))999999999d' | format(**{'a(b)': 1}) | length }}",
    "format of zeros": "{{ ('%' ~ '0' * 100000) | format }}",
    "format of spaces": "{{ ('%' ~ ' ' * 100000) | format }}",
    "format of many zeros": "{{ ('%' ~ '0' * 1000) * 500 | format }}",
    "format of a list": "{{ ('%(a)s' * 100000) | format(a=['x' * 1000000]) | length }}",
    "format of an object": "{{ ('%(a)s' * 10000) | format(a=contact.object) | length }}",
    "format of a long number": "{{ ('%(a)d' * 200000) | format(a=contact.number) | length }}",
    "format of floats": "{{ ('%(a)f' * 200000) | format(a=1e308) | length }}",
    "format of a modifier": "{{ '%999999999ld' | format(1) | length }}",
    "format of a precision": "{{ '%.999999999s' | format('a') | length }}",
    "format of an unclosed key": "{{ ('%(' * 400000) | format }}",
    "join by a list": f"{{{{ {MANY} | join(['x' * 1000000]) | length }}}}",
    "join by an object": f"{{{{ {MANY} | join(contact.object) | length }}}}",
    "join of lists": f"{{{{ {MANY} | map(attribute='x', default=contact.texts) | join | length }}}}",
    "replace by a list": "{{ ('a' * 100000) | replace('a', contact.list) | length }}",
    "wordwrap of a long word": "{{ contact.big | wordwrap(1) | length }}",
    "wordwrap of long words": "{{ ('a' * 300000 ~ ' ') * 3 | wordwrap(2) | length }}{{ contact.big | wordwrap(3) }}",
    "divided": "{{ (('v' * 1000000) | int(base=32)) // (('v' * 500000) | int(base=32)) }}",
    "remainder": "{{ (('v' * 1000000) | int(base=32)) % (('v' * 500000) | int(base=32)) }}",
    "product of data": "{{ contact.number * contact.number * contact.number }}",
    "power of data": "{{ contact.number ** contact.number }}",
    "power of a float": "{{ 9.5 ** 99999 }}",
    "power of powers": "{{ 9 ** (9 ** 9) }}",
    "negative power of data": "{{ contact.number ** -contact.number }}",
    "power of a power": "{{ ((9 ** 99) ** 99) ** 99 }}",
    "float of digits": "{{ (contact.number * 1) | float | int | filesizeformat ~ contact.number ** 9 }}",
    "center by a number of data": "{{ 'a' | center(contact.number) }}",
    "indent by a float": "{{ 'a' | indent(1e300) }}",
    "slices by a huge step": "{{ contact.list[::contact.number - contact.number] }}",
    "endless range": "{{ range(0, contact.number) | list }}",
    "range backwards": "{{ range(contact.number, 0, -1) | list }}",
    "range of no step": "{{ range(0, 1, 0) | list }}",
    "texts of texts": BEGIN + "{% set b = [a, a, a, a, a, a, a, a, a] %}{{ b }}",
    "tilde": BEGIN + "{{ " + " ~ ".join(["a"] * 100) + " }}",
    "tildes": "{% set a = 'aa' %}" + "{% set a = a ~ a %}" * 40 + "{{ a | length }}",
    "escapes": "{{ ('&' * 1000000) | e | e | length }}",
    "wide letters": "{{ ('\\U000e0001' * 1000000) ~ ('\\U000e0001' * 1000000) }}",
    "wide letters folded": "{{ '\\U000e0001' * 1000000 }}" * 8,
    "namespaces": "{% set n = namespace(a='a' * 1000000) %}"
    + f"{{% for i in {MANY} %}}{{% set n.a = n.a ~ n.a %}}{{% endfor %}}",
    "arguments": "{% macro m() %}{{ m(*(varargs + varargs)) }}{% endmacro %}{{ m(1, 2) }}",
    "named arguments": f"{{% macro m() %}}{{{{ kwargs | length }}}}{{% endmacro %}}{{% for i in {MANY} %}}"
    "{{ m(**contact.object) }}{% endfor %}",
    "mutual macros": "{% macro a() %}{{ b() }}{{ b() }}{% endmacro %}"
    "{% macro b() %}{{ a() }}{{ a() }}{% endmacro %}{{ a() }}",
    "changed": f"{{% for i in {MANY} %}}{{{{ loop.changed(contact.list) }}}}{{% endfor %}}",
    "cycle": f"{{% for i in {MANY} %}}{{{{ loop.cycle(contact.list, contact.big) }}}}{{% endfor %}}",
    "joiner": f"{{% set j = joiner(contact.big) %}}{{% for i in {MANY} %}}{{{{ j() }}}}{{% endfor %}}",
    # Data that is deep
    "deep data as JSON": "{{ contact.deep | tojson }}",
    "deep data printed": "{{ contact.deep }}",
    "deep data sorted": "{{ [contact.deep, contact.deeper] | sort }}",
    "deep data joined": "{{ [contact.deep] | join ~ contact.deep }}",
    "deep data formatted": "{{ '%s' | format(contact.deep) }}",
    # The template itself
    "10 MB": "a" * 10_000_000,
    "10 MB of values": "{{ contact._id }}" * 600_000,
    "a million braces": "{" * 1_000_000,
    "closing braces": "{{ " + "}" * 1_000_000,
    "values": "{{ contact._id }}" * 10_000,
    "sets": "{% set a = contact._id %}" * 10_000,
    "sets of names": "".join(f"{{% set a{n} = 1 %}}" for n in range(10_000)),
    "macros": "".join(f"{{% macro m{n}() %}}{{% endmacro %}}" for n in range(10_000)),
    "conditions": "{% if contact._id %}a{% endif %}" * 10_000,
    "elifs": "{% if 0 %}" + "{% elif contact._id == 'a' %}" * 3_200 + "{% endif %}",
    "whitespace control": "{%- if 1 -%} {%- endif -%}" * 20_000,
    "filters": "{{ contact._id" + " | upper" * 10_000 + " }}",
    "ternaries": "{{ " + "1 if contact._id else " * 2_000 + "2 }}",
    "ternaries in brackets": "{{ " + "(1 if contact._id else " * 200 + "2" + ")" * 200 + " }}",
    "a list": "{{ [" + "1, " * 100_000 + "] }}",
    "an object": "{{ {" + "1: 1, " * 100_000 + "} }}",
    "nested objects": "{{ " + "{'a': " * 300 + "1" + "}" * 300 + " }}",
    "nested tuples": "{{ " + "(1, " * 300 + "1" + ")" * 300 + " }}",
    "nested calls": "{% macro m(a) %}{% endmacro %}{{ " + "m(" * 300 + "1" + ")" * 300 + " }}",
    "nested keys": "{{ " + "contact[" * 300 + "1" + "]" * 300 + " }}",
    "nested arguments": "{{ " + "1 | default(" * 300 + "1" + ")" * 300 + " }}",
    "nested loops": "{% for a in [1] %}" * 100 + "{% endfor %}" * 100,
    "nested blocks": "{% filter upper %}" * 300 + "{% endfilter %}" * 300,
    "nested withs": "{% with a = 1 %}" * 300 + "{% endwith %}" * 300,
    "nested sets": "{% set a %}" * 300 + "{% endset %}" * 300,
    "nested macros": "{% macro m() %}" * 300 + "{% endmacro %}" * 300,
    "nots": "{{ " + "not " * 10_000 + "1 }}",
    "signs": "{{ " + "-" * 20_000 + "1 }}",
    "powers": "{{ 1" + " ** 1" * 10_000 + " }}",
    "sums": "{{ 1" + " + contact._id" * 5_000 + " }}",
    "ands": "{{ contact._id" + " and contact._id" * 10_000 + " }}",
    "keys": "{{ contact" + "['a']" * 5_000 + " }}",
    "dots": "{{ contact" + ".a" * 10_000 + " }}",
    "slices": "{{ 'a'" + "[:]" * 5_000 + " }}",
    "comparisons": "{{ 1" + " < 2" * 20_000 + " }}",
    "a number": "{{ " + "9" * 1_000_000 + " }}",
    "a number in parts": "{{ " + "1_" * 400_000 + "1 }}",
    "a float": "{{ 1." + "9" * 900_000 + " }}",
    "a hexadecimal number": "{{ 0x" + "f" * 50_000 + " * 2 }}" + "{" * 2,
    "an open comment": "{#" * 400_000,
    "an open raw block": "{% raw %}" + "{% " * 300_000,
    "an open text": "{{ '" + "a" * 1_000_000,
}

BOUNDED = {
    "many filters": "{{ contact._id" + " | upper" * 190 + " }}",
    "round by digits": "{{ contact.number | round(999) }}",
    "batches of batches": f"{{{{ {MANY} | batch(1, contact.texts) | batch(1000, contact.texts) | list | length }}}}",
    "a long text": "a" * 1_000_000,
    "tags stripped": "{{ contact.tags | striptags | length }}",
    "comments stripped": "{{ contact.html | striptags | length }}",
    "entity stripped": "{{ contact.entity | striptags | length }}",
    "brackets stripped": "{{ ('<' * 900000) | striptags | length }}",
    "open comments stripped": "{{ ('<!--' * 200000) | striptags | length }}",
    "title": "{{ (' ab' * 330000) | title | length }}",
    "words": "{{ (' ab' * 330000) | wordcount }}",
    "trim": "{{ (' ' * 999999) | trim | length }}",
    "wordwrap of dashes": "{{ ('-' * 300000) | wordwrap(79) | length }}",
    "wordwrap of words": "{{ ('ab-c ' * 100000) | wordwrap(10) | length }}",
    "a nearest name": "{{ contact.object.name_of_key | default(1) }}",
    "letters": "{{ contact.wide | list | length }}",
    "reversed": "{{ contact.wide | reverse | length }}",
    "digits": "{{ ('9' * 1000000) | int }}",
    "digits of base 16": "{{ ('f' * 1000000) | int(base=16) }}",
    "digits of base 36": "{{ ('z' * 4000) | int(base=36) }}",
    "digits of a float": "{{ ('9' * 1000000) | float }}",
    "size of a number": "{{ contact.digits | filesizeformat }}",
    "deep data is equal": "{{ contact.deep == contact.deeper }}",
    "newlines": "\n" * 1_000_000,
    "carriage returns": "\r" * 500_000 + "{{ contact._id }}",
    "spaces in a tag": "{%" + " " * 500_000 + "if 1 %}{% endif %}",
    "comments": "{# a #}" * 6_000,
    "the most values": "{{contact._id}}" * 3_900,
    "the most values in Jinja": "{% if true %}" + "{{contact._id}}" * 3_900 + "{% endif %}",
    "the most sets": "{%set a=1%}" * 2_800,
    "the longest list": "{{[" + "1," * 9_900 + "]}}",
    "the most filters": "{{ contact._id" + "|upper" * 120 + " }}",
    "the longest sum": "{{ 0" + "+1" * 150 + " }}",
    "a sum of data": "{{ contact.list | sum }}",
    "a sort of data": "{{ contact.list | sort(reverse=true) | first }}",
}


def saved(field: str, text: str) -> None:
    """What saving an endpoint does, and then its first request. Raises `TemplateFailed` for a problem."""
    given: dict[str, dict[str, Any]] = {
        "url": {"url": f"https://h.example/{text}"},
        "whole url": {"url": text},
        "headers": {"headers": {"X-A": text}},
        "query": {"query": {"a": text}},
        "name": {"query": {text: "a"}},
        "body": {"body": text},
    }
    endpoint = EndpointConfig(**{"url": "https://h.example/"} | given[field])
    endpoint_problems(endpoint)
    compile_endpoint(endpoint).render(BIG)


OTHERS: dict[str, Callable[[], Any]] = {
    "missing, and the nearest of many": lambda: render("{{ contact.object.name_of_key }}", data=BIG),
    "JSON of values": lambda: render_json('["' + '{{ contact._id }}", "' * 10_000 + '"]'),
    "bounded: JSON of long texts": lambda: render_json('["' + "\\n" * 400_000 + '{{ contact._id }}"]'),
    "bounded: JSON of many texts": lambda: render_json("[" + '"a",' * 200_000 + '"{{ contact._id }}"]'),
    "bounded: JSON of keys": lambda: render_json("{" + '"{{ contact._id }}": 1,' * 1_500 + '"a": 1}'),
    "bounded: JSON that is deep": lambda: render_json("[" * 1_000 + '"{{ contact._id }}"' + "]" * 1_000),
    "JSON of quotes": lambda: render_json('"' * 900_000 + "{{ contact._id }}"),
    "JSON of 10 MB": lambda: render_json('["' + "a" * 10_000_000 + '"]'),
    "a query of data": lambda: render("https://h.example/?" + "a={{ contact.wide }}&" * 1000, URL, data=BIG),
    "a header of data": lambda: render("{{ contact.wide }}" * 3000, HEADER, data=BIG),
    "condition in brackets": lambda: holds("(" * 100_000 + "1" + ")" * 100_000),
    "condition of nots": lambda: holds("not " * 100_000 + "1"),
    "condition of ands": lambda: holds("contact._id" + " and contact._id" * 10_000),
    "condition of ors": lambda: holds("contact._id" + " or contact._id" * 400),
    "condition of a list": lambda: holds("contact._id in [" + "'a', " * 50_000 + "]"),
    "condition of texts": lambda: holds("('a' * 1000000) ~ ('a' * 1000000) * 100 == ''"),
    "condition of 10 MB": lambda: holds("1" + " " * 10_000_000),
    "condition of data": lambda: holds("range(10000) | select('in', contact.list) | list", BIG),
    "condition of a sort": lambda: holds("range(9999)|map(attribute='x',default='A'*1000000)|sort"),
    "condition of powers": lambda: holds("9 ** (9 ** 9) > 1"),
    "a step's condition": lambda: condition_of(Step("n", "", "render", "", "(" * 100_000, "stop")),
    "a long step's condition": lambda: condition_of(
        Step("n", "", "render", "", "1" + "+1" * 900_000, "stop")
    ),
    **{
        f"saving {field} of open {mark}": partial(saved, field, mark * 50_000)
        for field in ("url", "headers", "query", "body", "name")
        for mark in ("{{", "{%", "{#", "{{ a }}{", "}}")
    },
    "saving a URL of hosts": lambda: saved("whole url", "https://" + "é." * 200_000 + "com/"),
    "saving a URL of one host": lambda: saved("whole url", "https://" + "é" * 400_000 + ".com/"),
    "saving a URL of dots": lambda: saved("url", "/." * 300_000),
    "saving a URL of parameters": lambda: saved("url", "?" + "a=1&" * 200_000),
    "saving a URL of variables": lambda: saved("whole url", "{{ workspace.variables.a }}" * 5_000),
}


CASES: dict[str, Callable[[], Any]] = {
    **{f"text: {name}": partial(render, source, TEXT, data=BIG) for name, source in TEXTS.items()},
    **{f"bounded: {name}": partial(render, source, TEXT, data=BIG) for name, source in BOUNDED.items()},
    **OTHERS,
}


def try_case(name: str) -> dict[str, Any]:
    """How a case ends, and the seconds and bytes that it took."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    started = time.process_time()
    try:
        CASES[name]()
        ended = said = ""
    except TemplateFailed as failed:
        ended, said = str(failed.reason), failed.message
    except StepRefused as refused:
        ended, said = str(refused.reason), refused.message
    except BaseException:
        ended, said = "unmapped", traceback.format_exc()[-500:]
    after = resource.getrusage(resource.RUSAGE_SELF)
    unit = 1 if sys.platform == "darwin" else 1024
    return {
        "name": name,
        "ended": ended,
        "said": said,
        "seconds": time.process_time() - started,
        "bytes": (after.ru_maxrss - before.ru_maxrss) * unit,
    }


def main(first: int, step: int) -> None:
    """Try every so-many-th case in a fork."""
    for name in list(CASES)[first::step]:
        if child := os.fork():
            _, status = os.waitpid(child, 0)
            if status:
                print(
                    json.dumps(
                        {"name": name, "ended": f"status {status}", "said": "", "seconds": 0, "bytes": 0}
                    )
                )
            continue
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        print(json.dumps(try_case(name)), flush=True)
        os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))

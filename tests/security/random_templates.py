"""Random templates: assembled from what Jinja has, and from what it has not."""

from __future__ import annotations

from hypothesis import strategies as st

__all__ = ["expressions", "sources"]

names = st.sampled_from(
    """
    contact contact.a contact.b contact.list contact.deep contact.long contact.huge contact.inf contact.null
    contact.half contact.no contact.no.no contact.list.0 contact.list[1] contact['a'] contact.obj contact.obj.items
    contact.__class__ contact.true loop loop.index loop.cycle x y m range dict namespace joiner self secrets true none
    undefined_name
    """.split()
)
literals = st.sampled_from(
    [
        *("0", "1", "-1", "2.5", "10**9", "1e308", "9" * 30, "'x'", "'%s'", "'%1000d'", "''", "'é'"),
        *("[]", "{}", "[1,2]", "{'a': 1}", "(1, 2)", "'\\ud800'", '"it"'),
    ]
)
filters = st.sampled_from(
    """
    abs batch(2) batch(0) capitalize center(9) center(10**9) count d('x') default(1,true) dictsort e escape
    filesizeformat first float format(1,2) format(contact.huge) groupby('a') indent(3) int int(1,99) items join(',')
    join(contact.list) last length list lower map('upper') map(attribute='a') max min random reject('none')
    rejectattr('a') replace('a','b'*99) replace('','x') reverse round round(999) round(-3,'floor') safe select
    selectattr('a','eq',1) slice(2) slice(10**9) sort sort(attribute='a') string striptags sum sum('a') title tojson
    trim truncate(3) truncate(-1) unique upper urlencode urlize wordcount wordwrap(1) wordwrap(0) xmlattr pprint
    attr('a') map('nothing') nothing
    """.split()
)
operators = st.sampled_from(
    ["+", "-", "*", "/", "//", "%", "**", "~", "==", "!=", "<", ">=", "and", "or", "in", "not in"]
)
conditions = st.sampled_from(
    """
    defined undefined none number string mapping sequence iterable even odd lower callable divisibleby(0) eq(1) in([1])
    sameas(1) nothing
    """.split()
)
attributes = st.sampled_from(["a", "0", "items", "format", "__class__", "mro", "append"])


def _grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("({} {} {})".format, inner, operators, inner),
        st.builds("{} | {}".format, inner, filters),
        st.builds("({} is {})".format, inner, conditions),
        st.builds("({} if {} else {})".format, inner, inner, inner),
        st.builds("{}[{}]".format, inner, inner),
        st.builds("{}[{}:{}]".format, inner, inner, inner),
        st.builds("{}({})".format, inner, inner),
        st.builds("{}.{}".format, inner, attributes),
        st.builds("[{}, {}]".format, inner, inner),
        st.builds("{{{}: {}}}".format, inner, inner),
        st.builds("range({}, {})".format, inner, inner),
        st.builds("not {}".format, inner),
        st.builds("-{}".format, inner),
    )


expressions = st.recursive(names | literals, _grown, max_leaves=6)


def _block(text: str, *parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """A text with `$` for each of its parts."""
    first, *rest = text.split("$")
    return st.tuples(*parts).map(
        lambda drawn: first + "".join(part + after for part, after in zip(drawn, rest, strict=True))
    )


def _nested(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        _block(
            "{% if $ %}$$", expressions, inner, st.sampled_from(["{% else %}x{% endif %}", "{% endif %}"])
        ),
        _block("{% for x in $ %}$${% else %}$${% endfor %}", expressions, inner, inner, inner, inner),
        _block(
            "{% for x in $ if $ recursive %}$${{ loop($) }}{% endfor %}",
            *[expressions] * 2,
            *[inner] * 2,
            expressions,
        ),
        _block("{% for x in range(9999) %}$${% endfor %}", inner, inner),
        _block("{% set x = $ %}$", expressions, inner),
        _block("{% set x %}$${% endset %}{{ x }}", inner, inner),
        _block("{% with y = $ %}$${% endwith %}", expressions, inner, inner),
        _block("{% macro m(x) %}$${% endmacro %}{{ m($) }}", inner, inner, expressions),
        _block("{% macro m(x) %}{{ m(x) }}{{ m(x) }}$${% endmacro %}{{ m(1) }}", inner, inner),
        _block("{% call m() %}$${% endcall %}", inner, inner),
        _block("{% filter $ %}$${% endfilter %}", filters, inner, inner),
        _block(
            "{% set ns = namespace(x=$) %}$${% set ns.x = $ %}{{ ns.x }}",
            expressions,
            inner,
            inner,
            expressions,
        ),
        st.builds("{}{}".format, inner, inner),
    )


noise = st.sampled_from(
    [
        *(
            "{{",
            "}}",
            "{%",
            "%}",
            "{#",
            "#}",
            "{% raw %}{{ x }}{% endraw %}",
            "{% include 'x' %}",
            "{% extends 'x' %}",
        ),
        *("{% import 'x' as y %}", "{% autoescape true %}{% endautoescape %}", "{% block a %}{% endblock %}"),
        *(
            "{%- if 1 -%}",
            "{% endif %}",
            "{% do 1 %}",
            "{% break %}",
            "{% set contact = 1 %}",
            "\r\n",
            "\0",
            '"',
            "\\",
        ),
        *("\ud800", '{"a": ', "https://h.example/", "é", "}", ",", "\x1c\r"),
    ]
)
printed = expressions.map("{{{{ {} }}}}".format)
sources = st.recursive(printed | printed | noise | st.text(max_size=5), _nested, max_leaves=5)

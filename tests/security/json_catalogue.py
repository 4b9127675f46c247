"""JSON texts with their verdicts, derived from the grammar of RFC 8259, section by section.

A verdict is what becomes of the text as a response. `OUTPUT`: it is stored as received. `VALUE`: it is JSON, but
neither an object nor an array. `MARKED`: likewise an output, without its byte order mark. `NO_JSON`: the grammar does
not allow it. `EMPTY`: there is nothing. `LIMIT`: the grammar allows it, and this
package does not take it: the RFC lets a parser choose (sections 8.1, 8.2 and 9).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum

__all__ = ["CATALOGUE", "Verdict"]


class Verdict(Enum):
    """What becomes of a text."""

    OUTPUT = "an output"
    MARKED = "an output, without its byte order mark"
    VALUE = "response_not_object_or_array"
    NO_JSON = "response_not_json"
    EMPTY = "response_empty"
    LIMIT = "response_not_json, though it is JSON"


OUTPUT, MARKED, VALUE, NO_JSON, EMPTY, LIMIT = Verdict


def _lines(text: str) -> list[str]:
    return [line for line in text.split("\n") if line]


_NUMBERS = _lines("""
0
-0
1
-1
9
10
42
1234567890
0.0
-0.0
0.5
-0.5
1.10
10.00
3.14159265358979323846264338327950288
0e0
0E0
0e+0
0e-0
1e3
1E3
1e+3
1E-3
-1e3
1e03
1e00
0.1e1
1.5e-7
1e308
1e309
-1e309
1e400
1e-400
5e-324
123e99999999999999999999
9007199254740993
18446744073709551615
18446744073709551616
-9223372036854775809
123456789012345678901234567890
""")

_NO_NUMBERS = _lines("""
01
-01
00
-00
007
0.
1.
-1.
.5
-.5
.
-
--1
+1
+0
-+1
1+
1-
1e
1E
1e+
1e-
1e1.5
1e.5
1.e5
.e5
e5
1ee5
1e++5
1e5e5
0e
0.e1
1.2.3
1..2
1 2
1 .5
1. 5
- 1
1e 5
0x1F
0b11
0o17
1_000
1,000.5.
1f
1L
1n
NaN
-NaN
nan
Inf
Infinity
-Infinity
+Infinity
infinity
1/2
1٠
１
٣
½
""")

_OTHER_VALUES = ["true", "false", "null", '""', '"text"']

_NO_VALUES = _lines("""
True
TRUE
False
Null
NULL
None
nil
undefined
tru
truee
true1
nul
nulll
fals
t
yes
'text'
text
`text`
<a></a>
/* note */
// note
# note
;
\\
@
$
&
=
~
""")

# What may stand between the quotes of a string.
_STRINGS = [
    "",
    " ",
    "a",
    "'",
    "/",
    "// no comment",
    "[{]},:",
    "\x7f",
    "\x80\x9f",
    "é",
    "\u2028\u2029",
    "\ufeff",
    "\ufffe\uffff",
    "\ud7ff\ue000",
    "\U0001f600",
    "\U0010ffff",
    r"\"",
    r"\\",
    r"\/",
    r"\b\f\n\r\t",
    r"\u0000",
    r"\u001F",
    r"\u0022\u005c",
    r"\u00e9\u00E9",
    r"\uD83D\uDE00",
    r"\ud83d\ude00",
    r"\uDBFF\uDFFF",
    r"\uFFFE\uFFFF\uFDD0",
    r"\\u0041",
    r"\\\"",
    r"\\\\\\",
    "x" * 10_000,
    r"\u0061" * 1_000,
]

_LONE_SURROGATES = [
    r"\ud800",
    r"\uDBFF",
    r"\udc00",
    r"\uDFFF",
    r"a\ud800b",
    r"\ud800\ud800",
    r"\ud800\u0041",
    r"\ud800\n",
    r"\ud83d\\ude00",
    r"\ude00\ud83d",
    r"\ud83d\ude00\ud83d",
]

_NO_STRINGS = [
    *map(chr, range(0x20)),  # control characters as they are
    "\n\n",
    "a\tb",
    '"',
    "\\",
    r"\\\ ",
    r"\a",
    r"\v",
    r"\0",
    r"\x41",
    r"\'",
    r"\N",
    r"\U0041",
    r"\u",
    r"\u1",
    r"\u12",
    r"\u123",
    r"\u123g",
    r"\u 123",
    r"\u+123",
    r"\u-123",
    r"\u{41}",
    r"\uD83D\u",
    r"\uD83D\uDE0",
    "\\\n",
    "\\é",
    "\\\U0001f600",
    "\\u００４１",
]

_OBJECTS = [
    "{}",
    "{ }",
    '{"a":1}',
    '{"":1}',
    '{"a":1,"b":2}',
    '{"a":{"a":{"a":{}}}}',
    '{"a":1,"a":2}',
    '{"a":1,"\\u0061":2}',
    '{"a":null}',
    '{"a":[{},[],{"b":[]}]}',
    '{"\\u0000":1}',
    '{"__proto__":1}',
    '{"a" : 1 , "b" : 2 }',
    '{"\\ud83d\\ude00":"\U0001f600"}',
]

_NO_OBJECTS = _lines("""
{
}
{{}}
{"a"}
{"a":}
{:1}
{"a":1
{"a":1,
{"a":1,}
{,}
{,"a":1}
{"a":1,,"b":2}
{"a":1 "b":2}
{"a":1;"b":2}
{"a",1}
{"a"::1}
{"a"=1}
{"a"=>1}
{"a":1:2}
{a:1}
{'a':1}
{1:1}
{null:1}
{true:1}
{[]:1}
{{}:1}
{"a":1}}
{"a":1]
{"a":1}{"b":2}
{"a":1},
{"a" 1}
{"a":1 /* one */}
{"a":1} # one
{...}
{"a":b}
{"a":'b'}
{"a
{"a"
{"a":
{"a":"b
""")

_ARRAYS = [
    "[]",
    "[ ]",
    "[[]]",
    "[[],[]]",
    "[1]",
    "[1,2]",
    '[1,"a",null,true,false,{},[]]',
    "[ 1 , 2 ]",
    "[\n1\n]",
    "[null]",
    "[" + "1," * 10_000 + "1]",
]

_NO_ARRAYS = _lines("""
[
]
[[]
[]]
[1
[1,
[1,]
[,]
[,1]
[1,,2]
[1 2]
[1;2]
[1:2]
["a":1]
[1}
[1]]
[1][2]
[1],
[1] 2
[1]x
[a]
['a']
["a]
["a" "b"]
[1,/**/2]
[...]
[*]
(1)
<1>
[-]
[\\u005b]
""")

_SPACE = [" ", "\t", "\n", "\r", " \t\r\n" * 5]
_NO_SPACE = [
    "\x0b",
    "\x0c",
    "\0",
    "\x1f",
    "\x7f",
    "\x85",
    "\xa0",
    "\u1680",
    "\u2003",
    "\u2028",
    "\u3000",
    "\u200b",
]

_NO_UTF_8 = [
    b"\x80",  # a continuation alone
    b"\xbf",
    b"\xc3",  # a beginning alone
    b"\xc3\x28",
    b"\xc0\xaf",  # longer than it need be
    b"\xc1\xbf",
    b"\xe0\x80\xaf",
    b"\xe0\x9f\xbf",
    b"\xf0\x80\x80\xaf",
    b"\xe2\x82",
    b"\xf0\x9f\x98",
    b"\xed\xa0\x80",  # a surrogate
    b"\xed\xbf\xbf",
    b"\xf4\x90\x80\x80",  # over U+10FFFF
    b"\xf8\x88\x80\x80\x80",
    b"\xfe",
    b"\xff",
    b"\xe9",  # Latin-1
]

DEPTH = 200
"""As deep as a response may be nested."""


def _catalogue() -> Iterator[tuple[str, bytes, Verdict]]:
    yield from _section("2, white space", _white_space())
    yield from _section("3, values", _values())
    yield from _section(
        "4, objects", {**dict.fromkeys(_OBJECTS, OUTPUT), **dict.fromkeys(_NO_OBJECTS, NO_JSON)}
    )
    yield from _section("5, arrays", {**dict.fromkeys(_ARRAYS, OUTPUT), **dict.fromkeys(_NO_ARRAYS, NO_JSON)})
    yield from _section("6, numbers", _held(_NUMBERS, _NO_NUMBERS))
    yield from _section("7, strings", _strings())
    for text, verdict in _encodings().items():
        yield "8.1, encodings", text, verdict
    yield from _section("9, nesting", _nesting())


def _section(section: str, texts: Mapping[str, Verdict]) -> Iterator[tuple[str, bytes, Verdict]]:
    for text, verdict in texts.items():
        yield section, text.encode(), verdict


def _white_space() -> dict[str, Verdict]:
    places = ("{0}[1]", "[1]{0}", "[{0}1]", "[1{0}]", "[1{0},{0}2]", '{{{0}"a"{0}:{0}1{0}}}')
    found = {"": EMPTY}
    for space in _SPACE:
        found |= {space: EMPTY} | {place.format(space): OUTPUT for place in places}
    for space in _NO_SPACE:
        found |= {place.format(space): NO_JSON for place in places}
    return found


def _values() -> dict[str, Verdict]:
    return _held(_OTHER_VALUES, _NO_VALUES) | {
        "[true][false]": NO_JSON,
        "true false": NO_JSON,
        "null,": NO_JSON,
    }


def _held(values: list[str], no_values: list[str]) -> dict[str, Verdict]:
    """Each alone, in an array, and as a member."""
    found: dict[str, Verdict] = {}
    for text in values:
        found |= {
            text: VALUE,
            f" {text}\n": VALUE,
            f"[{text}]": OUTPUT,
            f'{{"a":{text},"b":[{text}]}}': OUTPUT,
        }
    for text in no_values:
        found |= {text: NO_JSON, f"[{text}]": NO_JSON, f'{{"a":{text}}}': NO_JSON}
    return found


def _strings() -> dict[str, Verdict]:
    found: dict[str, Verdict] = {}
    for text in _STRINGS:
        found |= {f'"{text}"': VALUE, f'["{text}"]': OUTPUT, f'{{"{text}":0}}': OUTPUT}
    for text in _LONE_SURROGATES:
        # Section 8.2: their meaning is unpredictable, and they have no form in UTF-8.
        found |= {f'["{text}"]': LIMIT, f'{{"{text}":1e400}}': LIMIT}
    for text in _NO_STRINGS:
        found |= {f'["{text}"]': NO_JSON, f'{{"{text}":0}}': NO_JSON, f'[1e400,"{text}"]': NO_JSON}
    return found


def _encodings() -> dict[bytes, Verdict]:
    found = {b"\xef\xbb\xbf" + text: MARKED for text in (b"{}", b"[]", b' {"a":"\xc3\xa9"}')}
    found |= {
        b"\xef\xbb\xbf": EMPTY,
        b"\xef\xbb\xbf1": VALUE,
        b"\xef\xbb\xbf\xef\xbb\xbf{}": NO_JSON,
        b"\xef\xbb{}": NO_JSON,
        b"{}\xef\xbb\xbf": NO_JSON,
        b"[\xef\xbb\xbf1]": NO_JSON,
    }
    for encoding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"):
        found |= {text.encode(encoding): NO_JSON for text in ("{}", "[1]", '{"a":"é"}')}
    found |= {'{"a":"é"}'.encode(encoding): NO_JSON for encoding in ("latin-1", "cp037")}
    for text in _NO_UTF_8:
        found |= {b'["' + text + b'"]': NO_JSON, b'{"' + text + b'":1}': NO_JSON, b"[" + text + b"]": NO_JSON}
        found |= {text: NO_JSON, b"[1]" + text: NO_JSON, b'[1e400,"' + text + b'"]': NO_JSON}
    return found


def _nesting() -> dict[str, Verdict]:
    found: dict[str, Verdict] = {}
    for opening, closing in (("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")):
        per_level = 2 if len(closing) == 2 else 1
        for number in ("1", "1.10", "1e400"):
            found[opening * (DEPTH // per_level) + number + closing * (DEPTH // per_level)] = OUTPUT
            found[opening * (DEPTH // per_level + 1) + number + closing * (DEPTH // per_level + 1)] = LIMIT
            found[opening * 50_000 + number + closing * 50_000] = LIMIT
        found |= {opening * 100_000: NO_JSON, closing * 100_000: NO_JSON}
        found[opening * DEPTH + "1" + closing * (DEPTH - 1)] = NO_JSON
    found['["' + "[" * 10_000 + '"]'] = OUTPUT
    found["[" + ",".join(["[]"] * 10_000) + "]"] = OUTPUT
    found["[" + "9" * 100_000 + "]"] = OUTPUT
    found["[0." + "9" * 100_000 + "]"] = OUTPUT
    found["[1e" + "9" * 100_000 + "]"] = OUTPUT
    found["[0" + "9" * 100_000 + "]"] = NO_JSON
    found["9" * 100_000] = VALUE
    return found


CATALOGUE: tuple[tuple[str, bytes, Verdict], ...] = tuple(_catalogue())
"""The section, the text, the verdict."""

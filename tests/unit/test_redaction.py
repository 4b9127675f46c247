"""Secrets are masked by value, in each form in which they travel."""

from __future__ import annotations

import base64
import html
import json
import struct
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadpush_prefect.text.redaction import MASK, Masker, is_maskable
from tests.support.depth import explored

texts = st.text(st.characters(exclude_categories=["Cs"]))
SECRETS = [
    "s3cret/key",
    "a+b c",
    'quo"te\\n',
    "pä ß",
    "\U0001f511key",
    "abcd",
    "p@ss:w/ord?&=",
    "line\nbreak",
    "x" * 500,
]


def _upper(secret: str) -> str:
    """In upper case, but for letters that may be more than one there, such as `ß`."""
    return "".join(letter.upper() if letter.isascii() else letter for letter in secret)


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize(
    "form",
    [
        lambda secret: secret,
        lambda secret: quote(secret, safe=""),
        lambda secret: quote(secret),
        quote_plus,
        lambda secret: quote(secret, safe="").lower(),
        lambda secret: json.dumps(secret)[1:-1],
        lambda secret: json.dumps(secret, ensure_ascii=False)[1:-1],
        _upper,
    ],
)
def test_forms(secret: str, form: object) -> None:
    """As it is, percent-encoded, form-encoded, in JSON, in another case: nothing of it is left."""
    assert callable(form)
    assert f"<{MASK}>" == Masker([secret])(f"<{form(secret)}>")


@pytest.mark.parametrize("user", ["", "u", "us", "use"])
@pytest.mark.parametrize("secret", ["s3cret/key", "pässword", "x" * 30])
def test_basic(user: str, secret: str) -> None:
    """In base64, wherever it begins, as in `Basic`: what is left is shared with its neighbours."""
    text = base64.b64encode(f"{user}:{secret}".encode()).decode()
    masked = Masker([secret])(f"Basic {text}")
    assert MASK in masked
    assert len(masked.replace("Basic ", "").replace(MASK, "").strip("=")) <= len(user) * 4 // 3 + 5


@given(texts, texts, texts.filter(is_maskable))
def test_anywhere(before: str, after: str, secret: str) -> None:
    """Wherever a secret stands, it is gone."""
    masked = Masker([secret])(before + secret + after)
    assert secret.strip() not in masked.replace(MASK, "\0") or "\0" in secret
    assert MASK in masked


ENCODERS: list[Callable[[str], str]] = [
    lambda letter: letter,
    lambda letter: "".join(f"%{byte:02x}" for byte in letter.encode()),
    lambda letter: "".join(f"%25{byte:02X}" for byte in letter.encode()),
    lambda letter: "".join(f"\\u{unit:04x}" for unit in _units(letter)),
    lambda letter: "".join(f"\\u{unit:04X}" for unit in _units(letter)),
    lambda letter: "".join(f"\\x{byte:02x}" for byte in letter.encode()),
    lambda letter: f"&#{ord(letter)};",
    lambda letter: f"&#x{ord(letter):X};",
    html.escape,
    lambda letter: html.escape(html.escape(letter)),
    lambda letter: json.dumps(letter)[1:-1],
    lambda letter: quote(json.dumps(letter)[1:-1]),
]


def _units(letter: str) -> tuple[int, ...]:
    """Of UTF-16, as JSON escapes them."""
    raw = letter.encode("utf-16-be")
    return struct.unpack(f">{len(raw) // 2}H", raw)


@pytest.mark.parametrize("secret", SECRETS)
@explored(data=st.data(), examples=100)
def test_any_mixture_of_escapes(secret: str, data: st.DataObject) -> None:
    """Each letter in an encoding of its own, as no server would write it."""
    letters = [data.draw(st.sampled_from(ENCODERS))(letter) for letter in secret]
    # A backslash as it is would make another escape of the one that comes after it.
    written = "".join("%5c" if letter == "\\" else letter for letter in letters)
    assert f"<{MASK}>" == Masker([secret])(f"<{written}>")


@pytest.mark.parametrize("secret", ["s3cret/key", "pä-ß?~+key", "x" * 30])
@pytest.mark.parametrize(
    "form",
    [
        lambda raw: raw.hex(),
        lambda raw: raw.hex().upper(),
        lambda raw: base64.urlsafe_b64encode(raw).decode().rstrip("="),
        lambda raw: quote(base64.b64encode(raw).decode()).rstrip("%3D"),
    ],
)
def test_digits_of_other_bases(secret: str, form: Callable[[bytes], str]) -> None:
    masked = Masker([secret])(f"<{form(secret.encode())}>")
    assert len(masked.replace(MASK, "")) <= len("<>") + 2, "what is left is shared with what came after"
    assert MASK in masked


def test_older_encodings() -> None:
    assert f"<{MASK}>" == Masker(["pässword"])("<p%E4ssword>")


def test_neighbours() -> None:
    """Two secrets side by side, or one within the other, or one that begins in another one."""
    mask = Masker(["first-1", "second-2", "cond", "t-1sec"])
    assert mask("(first-1second-2) u-first-1, econd") == f"({MASK}) u-{MASK}, e{MASK}"


@pytest.mark.parametrize(
    ("secret", "said"),
    [
        ("Bearer s3cr3t-k3y", "unknown token s3cr3t-k3y"),
        (base64.b64encode(b"api:s3cr3t-k3y").decode(), "wrong password s3cr3t-k3y"),
        ("Basic " + base64.b64encode(b"api:s3cr3t-k3y").decode(), "api:s3cr3t-k3y is unknown"),
        ("s3cr3t-k3y\n", "no such key: s3cr3t-k3y"),
    ],
)
def test_what_an_api_makes_of_a_secret(secret: str, said: str) -> None:
    """The key behind the scheme, the password in a Basic, and a key that was copied with its line's end."""
    assert "s3cr3t" not in Masker([secret])(said)


@pytest.mark.parametrize(
    "secret", ["true", "1", "GET", "abc", "https", "json", "api", "application", "Bearer", "", "  ab  "]
)
def test_words_that_hide_nothing(secret: str) -> None:
    """They would mask half a page; a saved endpoint is warned of them."""
    page = "GET https://api.example.com/1 Accept: application/json Bearer abc true ab"
    assert page == Masker([secret])(page)
    assert not is_maskable(secret)


def test_nothing_else_is_masked() -> None:
    page = 'GET /a%2Fb?c=%20+ "\\u00e4" &amp; &lt;b&gt; \\x41 YWJjZGVm %zz &nope; \\'
    assert page == Masker(["s3cret/key", "pä ß"])(page)


def test_repr() -> None:
    assert "s3cret" not in repr(Masker(["s3cret/key"]))


def test_longest_first() -> None:
    """Of two secrets of which one begins with the other, the longer one is masked whole."""
    mask = Masker(["secret", "secret-long"])
    assert mask("a secret-long b secret c") == f"a {MASK} b {MASK} c"


@pytest.mark.parametrize("secrets", [[], [""], ["a"], ["abc", ""]])
def test_short(secrets: list[str]) -> None:
    """A secret of less than four characters would mask half a page."""
    assert Masker(secrets)("a b abc") == "a b abc"


def test_no_pattern() -> None:
    """A secret is text and no pattern."""
    assert Masker(["a.c*"])("abc aac a.c*") == f"abc aac {MASK}"


@pytest.mark.parametrize("length", range(3, 10))
@pytest.mark.parametrize("form", ["s3cret/key", "s3cret%2Fkey", "S3CRET/KEY"])
def test_cut_off(form: str, length: int) -> None:
    """Where a text was cut off, the beginning of a secret is masked too."""
    assert Masker(["s3cret/key"]).beginning(f"You sent {form[:length]}") == f"You sent {MASK}"


@pytest.mark.parametrize(
    "end", ["s3cret%2", "s3cret%", "s3cr%65t%2f", "s3cret\\u002f", "s3cret\\u00", "s3c&#114;"]
)
def test_cut_off_in_an_escape(end: str) -> None:
    assert Masker(["s3cret/key"]).beginning(f"You sent {end}") == f"You sent {MASK}"


@given(texts)
def test_not_cut_off(text: str) -> None:
    """Where it ends with no such beginning, nothing else is."""
    assert Masker(["s3cret/key"]).beginning(f"{text}.") == f"{text}."

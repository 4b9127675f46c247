"""Secrets are masked by value, in each form in which they travel."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadpush_prefect.masking import MASK, Masker

texts = st.text(st.characters(exclude_categories=["Cs"]))
SECRETS = [
    "s3cret/key",
    "a+b c",
    'quo"te\\n',
    "pä ß",
    "\U0001f511key",
    "abc",
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


@given(texts, texts, st.text(st.characters(exclude_categories=["Cs"]), min_size=3))
def test_anywhere(before: str, after: str, secret: str) -> None:
    """Wherever a secret stands, it is gone."""
    masked = Masker([secret])(before + secret + after)
    assert secret not in masked.replace(MASK, "\0") or "\0" in secret
    assert MASK in masked


def test_longest_first() -> None:
    """Of two secrets of which one begins with the other, the longer one is masked whole."""
    mask = Masker(["secret", "secret-long"])
    assert mask("a secret-long b secret c") == f"a {MASK} b {MASK} c"


@pytest.mark.parametrize("secrets", [[], [""], ["a"], ["ab", ""]])
def test_short(secrets: list[str]) -> None:
    """A secret of less than three characters would mask half a page."""
    assert Masker(secrets)("a b ab") == "a b ab"


def test_no_pattern() -> None:
    """A secret is text and no pattern."""
    assert Masker(["a.c*"])("abc aac a.c*") == f"abc aac {MASK}"


@pytest.mark.parametrize("length", range(3, 10))
@pytest.mark.parametrize("form", ["s3cret/key", "s3cret%2Fkey", "S3CRET/KEY"])
def test_cut_off(form: str, length: int) -> None:
    """Where a text was cut off, the beginning of a secret is masked too."""
    assert Masker(["s3cret/key"]).beginning(f"You sent {form[:length]}") == f"You sent {MASK}"


@given(texts)
def test_not_cut_off(text: str) -> None:
    """Where it ends with no such beginning, nothing else is."""
    assert Masker(["s3cret/key"]).beginning(f"{text}.") == f"{text}."

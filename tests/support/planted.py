"""Secrets and people's data that the leak tests plant, and an API that repeats all of it in every encoding."""

from __future__ import annotations

import base64
import html
import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from tests.support.raw_server import Request, respond

SECRETS = {
    "bearer": "brr-5e1f'07a9c4",
    "header": 'hdr/"41d6<b2&e8+f',
    "second": "sec\\ond-93c0\\n7d",
    "query": "qry=6b?28&d1%2Fe4ä",
    "json": 'jsn{"8a3c}\t5f90',
    "form": "frm 72e9+d05b;1c",
    "basic": base64.b64encode(b"api-user:psw-c8'12f4e7b").decode(),
}
PASSWORD = {"password": "psw-c8'12f4e7b", "connector": "con-d7/4b9a61f0"}
PEOPLE = {
    f"{name} of c{number}": value
    for number in range(14)
    for name, value in {
        "email": f"eml{number}x7q@people.example",
        "name": f"Nom{number}x7q Ñandú",
        "plan": f"pln{number}x7q",
    }.items()
}
TOLD = {"Authorization", "X-Key", "X-Plan"}


def echoed(request: Request) -> str:
    """All of a request that is planted, secrets first: of a response the beginning is kept."""
    headers = [value.decode() for name, value in request.headers if name.decode() in TOLD]
    return "\n".join([*headers, request.target.decode().partition("?")[2], request.body.decode()])


ENCODINGS: list[Callable[[str], str]] = [
    lambda text: text,
    lambda text: quote(text),
    lambda text: quote(quote(text, safe="")).lower(),
    lambda text: "".join(f"%{byte:02x}" if n % 2 else chr(byte) for n, byte in enumerate(text.encode())),
    json.dumps,
    lambda text: json.dumps({"sent": json.dumps(text)}),
    lambda text: json.dumps(text, ensure_ascii=False),
    lambda text: "".join(f"\\u{ord(letter):04X}" for letter in text),
    lambda text: f"<pre>{html.escape(text)}</pre>",
    lambda text: html.escape(json.dumps(text)),
    lambda text: base64.b64encode(text.encode()).decode(),
    lambda text: base64.urlsafe_b64encode(b"ab" + text.encode()).decode(),
    lambda text: text.encode().hex(),
    lambda text: text.upper(),
]


def response(request: Request) -> bytes | None:
    _, kind, contact, *_ = request.target.decode().split("?")[0].split("/")
    number = int(contact[1:]) if contact[1:].isdecimal() else 0
    text = ENCODINGS[number % len(ENCODINGS)](echoed(request))
    match kind:
        case "success":
            return respond(json.dumps({"plan": "pro"}).encode())
        case "disconnect":
            return None
        case "redirect" | "followed":
            return respond(status=307, headers=[("Location", f"/error/{contact}/?{quote(text)}")])
        case "elsewhere":
            return respond(status=307, headers=[("Location", f"http://elsewhere.example/{quote(text)}")])
        case "text":
            return respond(text.encode("utf-16" if number % 2 else "utf-8"))
        case "output":
            return respond(json.dumps({"echo": text, "raw": echoed(request)}).encode())
    return respond(text.encode("latin-1", "replace") if number == 0 else text.encode(), status=400)


def database_text(path: Path) -> Iterator[tuple[str, bytes]]:
    """Each table of Prefect's database, as it reads."""
    with closing(sqlite3.connect(path)) as connection:
        tables = [
            name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        for table in tables:
            rows = connection.execute(f'SELECT * FROM "{table}"').fetchall()
            texts = [v if isinstance(v, bytes) else str(v).encode() for row in rows for v in row]
            yield f"Prefect's table {table}", b"\n".join(texts)

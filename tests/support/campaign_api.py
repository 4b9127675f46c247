"""The API that the browser's campaigns call: the test says whom it fails, and it counts who was asked for."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from tests.support.raw_server import RawServer, Request, each, respond

KEY = "browser-key-81c5"
CONTACTS = 30
COLUMNS = "id,email,first_name,locale,subscribed"


def email(number: int) -> str:
    return f"customer{number:02}@example.com"


def audience_csv() -> str:
    rows = (f"c{number:02},{email(number)},Customer {number},en-GB,true" for number in range(1, CONTACTS + 1))
    return "\n".join([COLUMNS, *rows, ""])


@dataclass
class CustomerApi:
    """Profiles by email, and offers for those on the pro plan, who are every third.

    Attributes:
        failing: The status with which a profile is answered, by the customer's number. Empty it to mend the API.
        slow_from: Customers of this number and above are not answered while it is so.
    """

    failing: dict[int, int] = field(default_factory=dict)
    slow_from: int = CONTACTS + 1

    def __post_init__(self) -> None:
        self._server = RawServer(each(self._response))

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.__exit__(kind, error, traceback)

    @property
    def url(self) -> str:
        return self._server.url

    def mend(self) -> None:
        """Answer everybody, and at once."""
        self.failing, self.slow_from = {}, CONTACTS + 1

    def wait_until_idle(self) -> None:
        """Block until all its connections are closed."""
        self._server.wait_until(lambda: self._server.open_now == 0, 30)

    def wait_until_asked(self, customers: int, since: int) -> None:
        """Block until so many requests have come."""
        self._server.wait_until(lambda: len(self._server.requests) >= since + customers, 60)

    def mark(self) -> int:
        """This moment, for `asked_since`."""
        return len(self._server.requests)

    def asked_since(self, mark: int = 0) -> Counter[int]:
        """How often each customer's profile was asked for, by number."""
        targets = (request.target.decode() for request in self._server.requests[mark:])
        return Counter(_number(target) for target in targets if target.endswith("/profile"))

    async def _response(self, request: Request) -> bytes:
        if request.header("authorization") != f"Bearer {KEY}".encode():
            return respond(b'{"error": "who are you?"}', status=401)
        number = _number(request.target.decode())
        while number >= self.slow_from:
            await asyncio.sleep(0.05)
        if request.method == b"POST":
            return respond(b'{"items": [{"name": "Annual plan", "price": 99.5}]}')
        if status := self.failing.get(number):
            return respond(b'{"error": "no such customer"}', status=status)
        plan = "pro" if number % 3 == 0 else "basic"
        profile = {"customer_id": f"k{number:02}", "plan": plan, "renews_at": "2027-03-01"}
        return respond(json.dumps(profile).encode())


def _number(target: str) -> int:
    """
    >>> _number("/customers/customer07%40example.com/profile"), _number("/customers/k12/offers?plan=pro")
    (7, 12)
    """
    return int("".join(letter for letter in target.split("/")[2].split("%40")[0] if letter.isdigit()))

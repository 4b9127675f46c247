"""The contacts of all sides."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path


def people(count: int) -> Iterator[dict[str, str]]:
    for number in range(count):
        yield {
            "id": f"c{number:07}",
            "email": f"user{number}@example.com",
            "first_name": "Ana",
            "city": "Berlin",
        }


def write_csv(path: Path, count: int) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write("id,email,first_name,city\n")
        file.writelines(",".join(person.values()) + "\n" for person in people(count))

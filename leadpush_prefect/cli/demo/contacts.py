"""The demo's audience: who is in it, as Leadpush knows them.

    python -m leadpush_prefect.cli.demo.contacts > leadpush_prefect/cli/demo/audience.csv      the committed 1,000
    python -m leadpush_prefect.cli.demo.contacts --count 100000 > big.csv                      as many as you like

Every contact is a pure function of its number, so that `api.py` knows each one without a database.
"""

from __future__ import annotations

import argparse
import csv
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TextIO, TypedDict, TypeVar
from zlib import crc32

__all__ = ["AWKWARD", "COLUMNS", "Contact", "audience", "find_contact", "generate", "pick", "write_csv"]

COLUMNS = ("id", "subscribed", "email", "first_name", "locale", "city")

T = TypeVar("T")


class Contact(TypedDict):
    """A flat contact, as Leadpush exports it."""

    id: str
    subscribed: bool
    email: str
    first_name: str
    locale: str
    city: str
    points_goal: int


# Locale, city, first names.
_PLACES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("de-DE", "Köln", ("Jürgen", "Lena", "Käthe", "Mehmet", "Anneliese")),
    ("en-GB", "Leeds", ("Amelia", "Oliver", "Siobhán", "Nia", "Mary-Jane")),
    ("fr-FR", "Besançon", ("Chloé", "Anaïs", "Jean-François", "Zoé", "Loïc")),
    ("es-ES", "Logroño", ("Íñigo", "María José", "Begoña", "Álvaro", "Lucía")),
    ("pt-BR", "São Paulo", ("João", "Thaís", "Conceição", "Antônio", "Luíza")),
    ("pl-PL", "Łódź", ("Łukasz", "Małgorzata", "Józef", "Agnieszka", "Błażej")),
    ("cs-CZ", "Plzeň", ("Jiří", "Růžena", "Zdeněk", "Kateřina", "Matěj")),
    ("tr-TR", "İzmir", ("Çağla", "İbrahim", "Özgür", "Şule", "Ilgın")),
    ("is-IS", "Ísafjörður", ("Þórdís", "Ævar", "Guðrún", "Björk", "Sæunn")),
    ("el-GR", "Θεσσαλονίκη", ("Ελένη", "Γιώργος", "Ζωή", "Νίκος", "Χριστίνα")),
    ("uk-UA", "Львів", ("Олена", "Ярослав", "Ївга", "Богдан", "Мар'яна")),
    ("vi-VN", "Đà Nẵng", ("Nguyệt", "Đức", "Phượng", "Hiếu", "Thảo")),
    ("hi-IN", "मुंबई", ("आरव", "दीपिका", "रोहित", "श्रेया", "कृष्ण")),
    ("ja-JP", "横浜", ("さくら", "健太", "美咲", "ハルカ", "蓮")),
    ("ko-KR", "부산", ("민준", "서연", "지우", "하은", "도윤")),
)

# Contacts that take the places of ordinary ones. All but the last six go through every step.
AWKWARD: dict[int, Contact] = {
    contact_number: {
        "id": f"u{contact_number:06d}",
        "subscribed": subscribed,
        "email": email,
        "first_name": first_name,
        "locale": locale,
        "city": city,
        "points_goal": 100,
    }
    for contact_number, subscribed, email, first_name, locale, city in (
        # The text of an email must be one path segment, whatever is in it.
        (3, True, "ana+vip/2026@example.com", "Ana", "pt-PT", "Évora"),
        (58, True, "50%25off#é?x=1&y@example.com", "Élodie", "fr-CA", "Trois-Rivières"),
        # Names must arrive in a JSON body, and in the message, as they are.
        (7, True, "conan@example.com", 'Conan "The O\'Brien"', "en-US", "Brookline, MA"),
        (19, True, "jean-luc@example.com", "Jean\nLuc", "fr-FR", "La Barre"),
        (101, True, "zoe@example.com", "Zoë 🎈👩‍👩‍👧", "nl-NL", "'s-Hertogenbosch"),
        (160, True, "muhammad@example.com", "محمد", "ar-EG", "القاهرة"),
        (161, True, "sarah@example.com", "שָׂרָה", "he-IL", "תל אביב"),
        (222, True, "braces@example.com", "{{ 7*7 }} 100 % {% raw %}", "en-AU", "Perth"),
        (305, True, "backslash@example.com", "Lee\\n, Jr.", "en-SG", "Singapore"),
        (399, True, "bond@example.com", "007", "en-GB", "London"),  # a text, and not the number 7
        (480, True, "markup@example.com", "<b>Bo & Mo</b>", "da-DK", "Ærøskøbing"),
        # What the API says of these two is awkward: see customers.py.
        (42, True, "ulrike@example.com", "Ulrike", "de-AT", "Gmünd"),
        (77, True, "digits@example.com", "Digna", "es-MX", "Cancún"),
        # These have no message.
        (11, False, "unsubscribed@example.com", "Ursula", "de-CH", "Zürich"),
        (28, True, "", "Noël", "fr-BE", "Liège"),  # no email: nothing to put into the URL
        (350, True, "gone@example.com", "Gonzalo", "es-AR", "Rosario"),
        (512, True, "broken@example.com", "Bronisława", "pl-PL", "Sopot"),
        (640, True, "html@example.com", "Hilde", "nb-NO", "Tromsø"),
        (777, True, "slow@example.com", "Slobodan", "sr-RS", "Niš"),
    )
}

_AWKWARD_BY_EMAIL = {contact["email"]: contact for contact in AWKWARD.values() if contact["email"]}
_ORDINARY_EMAIL = re.compile(r"user([0-9]{6,12})@example\.com")


def pick(number: int, what: str, choices: Sequence[T]) -> T:
    """One of the choices: always the same for this number, and independent of other picks."""
    return choices[crc32(f"{what}:{number}".encode()) % len(choices)]


def contact_of(number: int) -> Contact:
    """The ordinary contact with this number."""
    locale, city, names = pick(number, "place", _PLACES)
    return {
        "id": f"u{number:06d}",
        "subscribed": True,
        "email": f"user{number:06d}@example.com",
        "first_name": pick(number, "first_name", names),
        "locale": locale,
        "city": city,
        "points_goal": pick(number, "points_goal", range(50, 501, 50)),
    }


def generate(count: int) -> Iterator[Contact]:
    """Ordinary contacts, numbered from 1."""
    return (contact_of(number) for number in range(1, count + 1))


def audience(count: int) -> Iterator[Contact]:
    """The same, with the awkward contacts in their places."""
    return (AWKWARD.get(number) or contact_of(number) for number in range(1, count + 1))


def find_contact(email: str) -> Contact | None:
    """The contact with exactly this email, or None."""
    if email in _AWKWARD_BY_EMAIL:
        return _AWKWARD_BY_EMAIL[email]
    match = _ORDINARY_EMAIL.fullmatch(email)
    contact = contact_of(int(match[1])) if match else None
    return contact if contact and contact["email"] == email else None


def write_csv(contacts: Iterable[Contact], file: TextIO) -> None:
    """Write contacts as RFC 4180 has it; the file must be open with `newline=""`."""
    writer = csv.writer(file)
    writer.writerow(COLUMNS)
    for contact in contacts:
        subscribed = "true" if contact["subscribed"] else "false"
        writer.writerow({**contact, "subscribed": subscribed}[column] for column in COLUMNS)


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the demo's audience as CSV to standard output.")
    parser.add_argument("--count", type=int, default=1000)
    arguments = parser.parse_args()
    with open(sys.stdout.fileno(), "w", encoding="utf-8", newline="", closefd=False) as file:
        write_csv(audience(arguments.count), file)


if __name__ == "__main__":
    main()

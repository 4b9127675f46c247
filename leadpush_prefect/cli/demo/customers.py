"""What the demo's API knows of each customer: a pure function of the contact.

JSON is put together by hand: a number must keep its digits (`120.50`), and Python's `json` writes 120.5.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import date, timedelta

from leadpush_prefect.cli.demo.contacts import AWKWARD, Contact, find_contact, pick

__all__ = ["BEHAVIOUR", "Customer", "customer_of", "find_customer", "offers_json", "profile_json"]

VALID_UNTIL = "2026-12-31"

# How the profile route treats a few customers; whoever is not here gets a response.
BEHAVIOUR = {
    "gone@example.com": "missing",
    "broken@example.com": "broken",
    "html@example.com": "html",
    "slow@example.com": "slow",
}

# 35 of 100 are pro.
_PLANS = ("pro",) * 35 + ("team",) * 15 + ("free",) * 50
_TIERS = ("bronze", "silver", "gold")
_TAGS: tuple[tuple[str, ...], ...] = (
    (),
    ("newsletter",),
    ("early bird", "café"),
    ("50 % off", "a/b", "a,b"),
    ('said "yes"', "{{ tag }}"),
)
_OFFERS = (
    ("Pro Plus — 12 months", "119.90"),
    ("Pro Plus — 24 months", "199.00"),
    ("Pro & Friends", "1.10"),
    ("Pro Summer ☀", "79"),
)

_AWKWARD_IDS = {"ulrike@example.com": "c/42 ü?"}
_AWKWARD_POINTS = {"digits@example.com": "12345678901234567890.10"}


@dataclass(frozen=True, slots=True)
class Offer:
    """One thing that a customer may buy; `price` is the number's text."""

    name: str
    price: str
    currency: str
    code: str


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer; `points` is the number's text."""

    customer_id: str
    contact: Contact
    plan: str
    points: str
    tier: str
    tags: tuple[str, ...]
    renews_at: str
    offers: tuple[Offer, ...]


def customer_of(contact: Contact) -> Customer:
    """What the API knows of a contact."""
    number = int(contact["id"].removeprefix("u"))
    awkward = AWKWARD.get(number) == contact
    ordinary_id = f"vip-{number:06d}" if awkward else f"c-{number:06d}"
    return Customer(
        customer_id=_AWKWARD_IDS.get(contact["email"], ordinary_id),
        contact=contact,
        # Awkward contacts are pro, so that they go through every step.
        plan="pro" if awkward else pick(number, "plan", _PLANS),
        points=_AWKWARD_POINTS.get(contact["email"], _points(number)),
        tier=pick(number, "tier", _TIERS),
        tags=pick(number, "tags", _TAGS),
        renews_at=(date(2027, 1, 1) + timedelta(days=pick(number, "renews_at", range(365)))).isoformat(),
        offers=_offers(number),
    )


def _points(number: int) -> str:
    cents = pick(number, "points", range(50_000))
    return str(cents // 100) if cents % 5 == 1 else f"{cents // 100}.{cents % 100:02d}"


def _offers(number: int) -> tuple[Offer, ...]:
    start = pick(number, "offer", range(len(_OFFERS)))
    chosen = (_OFFERS + _OFFERS)[start : start + 2]
    return tuple(
        Offer(name, price, "EUR", f"{letter}-{number:06d}")
        for letter, (name, price) in zip("PQ", chosen, strict=True)
    )


def find_customer(customer_id: str) -> Customer | None:
    """The customer with exactly this id, or None."""
    if customer_id in _AWKWARD_CUSTOMERS:
        return _AWKWARD_CUSTOMERS[customer_id]
    match = re.fullmatch(r"c-([0-9]{6,12})", customer_id)
    contact = find_contact(f"user{match[1]}@example.com") if match else None
    return customer_of(contact) if contact else None


def profile_json(customer: Customer) -> str:
    """The response of the profile route."""
    return (
        f'{{"customer_id":{_json(customer.customer_id)},"email":{_json(customer.contact["email"])},'
        f'"plan":"{customer.plan}","loyalty":{{"points":{customer.points},"tier":"{customer.tier}"}},'
        f'"tags":{_json(customer.tags)},"renews_at":"{customer.renews_at}"}}'
    )


def offers_json(customer: Customer) -> str:
    """The response of the offers route."""
    items = ",".join(
        f'{{"name":{_json(offer.name)},"price":{offer.price},'
        f'"currency":"{offer.currency}","code":"{offer.code}"}}'
        for offer in customer.offers
    )
    return f'{{"items":[{items}],"valid_until":"{VALID_UNTIL}"}}'


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


_AWKWARD_CUSTOMERS = {customer.customer_id: customer for customer in map(customer_of, AWKWARD.values())}

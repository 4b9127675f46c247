"""What a run of the demo must give, worked out without the product.

    python -m leadpush_prefect.cli.demo.make_expected > leadpush_prefect/cli/demo/expected.json

Nothing of `leadpush_prefect` is imported here, and messages come from plain f-strings: if a run agrees with
what this writes, two independent ways have led to the same 1,000 results.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable
from typing import Any

from leadpush_prefect.cli.demo.contacts import Contact, audience
from leadpush_prefect.cli.demo.customers import BEHAVIOUR, Customer, customer_of

# The endpoint customer-profile asks at most 3 times; only a 500 and a timeout are worth asking again.
MAX_ATTEMPTS = 3
_CODES = {
    "missing": "http_status_404",
    "broken": "http_status_500",
    "html": "response_not_json",
    "slow": "timeout",
}
_RETRIED = {"http_status_500", "timeout"}


def failure_of(contact: Contact) -> str:
    """Why a subscribed contact gets no profile; empty if it gets one."""
    if not contact["email"]:
        return "template_missing"
    return _CODES.get(BEHAVIOUR.get(contact["email"], ""), "")


def profile_requests(contact: Contact) -> int:
    """How many requests the profile of a subscribed contact takes."""
    failure = failure_of(contact)
    if failure == "template_missing":
        return 0
    return MAX_ATTEMPTS if failure in _RETRIED else 1


def message_of(customer: Customer) -> str:
    """The text that flows/renewal_reminder.py must render for this customer."""
    lines = [
        f"Hi {customer.contact['first_name']},",
        "",
        f"your {customer.plan} plan renews on {customer.renews_at}.",
    ]
    if customer.plan == "pro":
        offer = customer.offers[0]
        lines += [f"Our offer for you: {offer.name} at {offer.currency} {offer.price}."]
    return "\n".join([*lines, "", "Your Acme team"])


def expected(contacts: Iterable[Contact]) -> dict[str, Any]:
    """The results of a campaign over these contacts."""
    everyone = list(contacts)
    subscribed = [contact for contact in everyone if contact["subscribed"]]
    failed = {contact["id"]: failure for contact in subscribed if (failure := failure_of(contact))}
    customers = [customer_of(contact) for contact in subscribed if contact["id"] not in failed]
    pro = sum(customer.plan == "pro" for customer in customers)
    return {
        "contacts": len(everyone),
        "unsubscribed": len(everyone) - len(subscribed),
        "steps": {
            "customer_profile": {"fetched": len(customers), "skipped": 0, "failed": _counts(failed.values())},
            "offer": {"fetched": pro, "skipped": len(customers) - pro, "failed": {}},
            "message": {"fetched": len(customers)},
        },
        "failed": failed,
        "requests": {"profile": sum(map(profile_requests, subscribed)), "offers": pro},
        "messages": {customer.contact["id"]: message_of(customer) for customer in customers},
    }


def _counts(codes: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(codes).items()))


def main() -> None:
    parser = argparse.ArgumentParser(description="Write what the demo must give, as JSON to standard output.")
    parser.add_argument("--count", type=int, default=1000)
    arguments = parser.parse_args()
    with open(sys.stdout.fileno(), "w", encoding="utf-8", newline="", closefd=False) as file:
        json.dump(expected(audience(arguments.count)), file, ensure_ascii=False, indent=2)
        file.write("\n")


if __name__ == "__main__":
    main()

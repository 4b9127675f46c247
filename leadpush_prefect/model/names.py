"""Names: of runs, campaigns, nodes and output keys, and what a template may read."""

from __future__ import annotations

import keyword

from leadpush_prefect.text.display import is_all_visible, shortened

__all__ = ["MAX_NAME_LENGTH", "ROOTS", "check_identifier", "check_name"]

MAX_NAME_LENGTH = 500  # as of a contact's id


def check_name(what: str, name: str) -> None:
    """See that a name can stand as it is in a database, an event and a line of the log.

    No text in UTF-8 holds half a surrogate pair, and none of PostgreSQL a NUL: neither the store's nor one of Prefect's
    events.

    Raises:
        ValueError: if it cannot.

    >>> check_name("campaign", "a\\nb")
    Traceback (most recent call last):
    ValueError: campaign 'a b' holds a control character, or another that cannot be seen. Use a name in one line.
    """
    if len(name) > MAX_NAME_LENGTH:
        raise ValueError(f"{what} {shortened(name, 40)!r} is longer than {MAX_NAME_LENGTH} characters.")
    if not is_all_visible(name):
        raise ValueError(
            f"{what} {shortened(name)!r} holds a control character, or another that cannot be seen. "
            "Use a name in one line."
        )


ROOTS = frozenset({"workspace", "contact", "campaign", "node", "workflow"})
"""The names that any template may read; an endpoint's headers, query and body may read `secrets` too."""


def check_identifier(what: str, name: str) -> None:
    """See that a template can read a name after a dot.

    Raises:
        ValueError: if it cannot.

    >>> check_identifier("output_key", "customer profile")
    Traceback (most recent call last):
    ValueError: output_key 'customer profile' is no identifier. Use letters, digits and _, such as customer_profile.
    """
    if isinstance(name, str):
        check_name(what, name)  # as long as one may be; it becomes part of a task run's name
    if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name):
        raise ValueError(
            f"{what} {name!r} is no identifier. Use letters, digits and _, such as customer_profile."
        )

"""Which hosts a workspace allows, by their names."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import ip_address

import idna

__all__ = ["host_allowed"]


def host_allowed(host: str, allowed_hosts: Sequence[str]) -> bool:
    """Say whether a host is among the allowed ones.

    Names are compared label by label, as DNS does: without case, without a trailing dot, international names
    in their ASCII form (RFC 5891, mapped as browsers do by UTS #46).

    Args:
        host: A name or an IP address, without port.
        allowed_hosts: Each a host, or `*.example.com` for all hosts below `example.com`, at any depth, but
            not `example.com` itself. None at all allows every host.

    >>> host_allowed("api.example.com", []), host_allowed("API.example.com.", ["api.example.com"])
    (True, True)
    >>> [host_allowed(host, ["*.example.com"]) for host in ("a.b.example.com", "example.com")]
    [True, False]
    >>> host_allowed("xn--mnchen-3ya.de", ["München.de"])
    True
    """
    if not allowed_hosts:
        return True
    folded = _fold(host)
    return any(_matches(folded, allowed) for allowed in allowed_hosts)


def _matches(host: str, allowed: str) -> bool:
    allowed = allowed.strip()
    if not allowed.startswith("*."):
        return host == _fold(allowed)
    parent = _fold(allowed[2:])
    return bool(parent) and host.endswith("." + parent) and host != "." + parent and not _is_address(host)


@lru_cache(maxsize=1024)  # asked for each contact, nearly always about the same host
def _fold(host: str) -> str:
    host = host.strip().strip("[]")
    try:
        return str(ip_address(host))
    except ValueError:
        pass
    # These are dots too (RFC 3490, section 3.1), also at the end.
    host = host.translate({0x3002: ".", 0xFF0E: ".", 0xFF61: "."}).removesuffix(".")
    try:
        return idna.encode(host, uts46=True).decode("ascii")
    except idna.IDNAError:  # such as a name with an underscore, which DNS takes and IDNA does not
        return host.casefold()


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True

"""Which IP addresses a request may be sent to: public unicast ones, and those the workspace allows.

Whoever writes an endpoint's URL, or the contact's attributes that it prints, must not be able to reach what
only the worker can reach: its own machine, its network, its cloud's metadata service (CWE-918, server-side
request forgery).

This module is pure: it judges the address that is about to be connected, and resolves nothing.

What it cannot know is where a network has put a NAT64 prefix of its own (RFC 6052): such an address looks like
any other. Whoever runs one lets it translate public addresses only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

__all__ = ["Network", "Verdict", "judge", "parse_networks"]

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be done with an address, and why.

    Attributes:
        allowed: Whether it may be connected.
        label: What kind of address it is, such as `loopback, RFC 1122`.
        address: The address as it was given.
    """

    allowed: bool
    label: str
    address: str


# The first that contains the address names it, so a cloud's single address stands before its network.
# https://www.iana.org/assignments/iana-ipv4-special-registry
BLOCKED_IPV4 = tuple(
    (IPv4Network(network), label)
    for network, label in (
        ("169.254.169.254/32", "cloud metadata, AWS, Azure, Google Cloud and others"),
        ("169.254.170.2/32", "cloud metadata, AWS ECS"),
        ("100.100.100.200/32", "cloud metadata, Alibaba Cloud"),
        # a public address, but only the machine's host answers
        ("168.63.129.16/32", "cloud metadata, Azure"),
        ("192.0.0.192/32", "cloud metadata, Oracle Cloud"),
        ("0.0.0.0/32", "unspecified, RFC 1122"),
        ("0.0.0.0/8", "this network, RFC 791"),
        ("10.0.0.0/8", "private, RFC 1918"),
        ("100.64.0.0/10", "carrier-grade NAT, RFC 6598"),
        ("127.0.0.0/8", "loopback, RFC 1122"),
        ("169.254.0.0/16", "link-local, RFC 3927"),
        ("172.16.0.0/12", "private, RFC 1918"),
        ("192.0.0.0/24", "IETF protocol assignments, RFC 6890"),
        ("192.0.2.0/24", "documentation, RFC 5737"),
        # IANA calls these three global. But they are anycast for DNS and multicast relays, where no API is: the
        # nearest network that has them answers, which may be the worker's own.
        ("192.31.196.0/24", "AS112 anycast, RFC 7535"),
        ("192.52.193.0/24", "multicast relay anycast, RFC 7450"),
        ("192.175.48.0/24", "AS112 anycast, RFC 7534"),
        ("192.88.99.0/24", "6to4 relay, RFC 7526"),
        ("192.168.0.0/16", "private, RFC 1918"),
        ("198.18.0.0/15", "benchmarking, RFC 2544"),
        ("198.51.100.0/24", "documentation, RFC 5737"),
        ("203.0.113.0/24", "documentation, RFC 5737"),
        ("224.0.0.0/4", "multicast, RFC 5771"),
        ("255.255.255.255/32", "broadcast, RFC 919"),
        ("240.0.0.0/4", "reserved, RFC 1112"),
    )
)

# https://www.iana.org/assignments/iana-ipv6-special-registry
BLOCKED_IPV6 = tuple(
    (IPv6Network(network), label)
    for network, label in (
        ("fd00:ec2::254/128", "cloud metadata, AWS"),
        ("fd20:ce::254/128", "cloud metadata, Google Cloud"),
        ("::/128", "unspecified, RFC 4291"),
        ("::1/128", "loopback, RFC 4291"),
        # a translator's own way to IPv4, never the internet's
        ("::ffff:0:0:0/96", "IPv4-translated, RFC 2765"),
        # where the IPv4 address stands is each network's own
        ("64:ff9b:1::/48", "local-use NAT64, RFC 8215"),
        ("100::/64", "discard-only, RFC 6666"),
        ("100:0:0:1::/64", "dummy prefix, RFC 9780"),
        ("2001:2::/48", "benchmarking, RFC 5180"),
        ("2001:10::/28", "ORCHID, RFC 4843"),
        ("2001:20::/28", "ORCHIDv2, RFC 7343"),
        # Some parts are global to IANA: anycast (PCP, TURN, DNS-SD, AMT, AS112) and identifiers of drones. As in
        # IPv4, no API is there.
        ("2001::/23", "IETF protocol assignments, RFC 2928"),
        ("2001:db8::/32", "documentation, RFC 3849"),
        ("2620:4f:8000::/48", "AS112 anycast, RFC 7534"),
        ("3ffe::/16", "6bone, RFC 3701"),
        ("3fff::/20", "documentation, RFC 9637"),
        ("5f00::/16", "segment routing, RFC 9602"),
        ("fc00::/7", "unique local, RFC 4193"),
        ("fe80::/10", "link-local, RFC 4291"),
        ("fec0::/10", "site-local, RFC 3879"),
        ("ff00::/8", "multicast, RFC 4291"),
    )
)

# Whatever IANA has not given out for this is reserved: https://www.iana.org/assignments/ipv6-address-space
GLOBAL_UNICAST_IPV6 = IPv6Network("2000::/3")

IPV4_MAPPED = IPv6Network("::ffff:0:0/96")  # RFC 4291
IPV4_COMPATIBLE = IPv6Network("::/96")  # RFC 4291, deprecated; `::` and `::1` are none
NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052
SIX_TO_FOUR = IPv6Network("2002::/16")  # RFC 3056
TEREDO = IPv6Network("2001::/32")  # RFC 4380

ISATAP = "ISATAP"  # RFC 5214: in any network, of which the site may be the worker's
ISATAP_BEGINS = 0x0000_5EFE  # the interface identifier, but for the bits u and g
UNIVERSAL_AND_GROUP = 0x0300_0000


def judge(address: str, allowed_networks: Sequence[Network] = ()) -> Verdict:
    """Say whether an address may be connected.

    An IPv4 address inside an IPv6 one (IPv4-mapped, IPv4-compatible, NAT64, 6to4, Teredo, ISATAP) is taken out
    and judged: the packet ends there. A public address has no zone (`%eth0`), which is for what is on the link.
    What is no address in the usual spelling is refused.

    Args:
        address: An address as in a socket's address, such as `127.0.0.1` or `fe80::1%eth0`.
        allowed_networks: The workspace's own networks, which are allowed although they are not public.

    >>> judge("93.184.216.34")
    Verdict(allowed=True, label='public', address='93.184.216.34')
    >>> judge("::ffff:127.0.0.1").label
    'loopback, RFC 1122, in IPv4-mapped IPv6'
    >>> judge("::ffff:127.0.0.1", parse_networks(["127.0.0.0/8"])).allowed
    True
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return Verdict(False, "not an IP address", address)
    label = _objection(parsed, allowed_networks)
    if not label and isinstance(parsed, IPv6Address) and parsed.scope_id:
        label = _zone_objection(parsed, allowed_networks)
    return Verdict(not label, label or "public", address)


def _objection(address: IPv4Address | IPv6Address, allowed: Sequence[Network]) -> str:
    """What kind of address it is, or nothing if it may be connected."""
    if any(address in network for network in allowed):
        return ""
    if isinstance(address, IPv4Address):
        return next((label for network, label in BLOCKED_IPV4 if address in network), "")
    inner = list(_inside(address))
    objections = (f"{label}, in {how}" for ipv4, how in inner if (label := _objection(ipv4, allowed)))
    if (label := next(objections, "")) or any(how != ISATAP for _, how in inner):
        return label  # all else in such an address is known
    label = next((label for network, label in BLOCKED_IPV6 if address in network), "")
    return label or ("" if address in GLOBAL_UNICAST_IPV6 else "not global unicast, RFC 4291")


def _zone_objection(address: IPv6Address, allowed: Sequence[Network]) -> str:
    """A name with a zone is looked up again when it is connected: so none but the workspace's own may have one."""
    return "" if any(address in network for network in allowed) else "zone of a public address, RFC 4007"


def _inside(address: IPv6Address) -> Iterator[tuple[IPv4Address, str]]:
    """The IPv4 addresses to which a packet for this address may be taken, and by what."""
    last = IPv4Address(int(address) & 0xFFFF_FFFF)
    if int(address) >> 32 & 0xFFFF_FFFF & ~UNIVERSAL_AND_GROUP == ISATAP_BEGINS:
        yield last, ISATAP
    if address in IPV4_MAPPED:
        yield last, "IPv4-mapped IPv6"
    elif address in IPV4_COMPATIBLE and int(address) > 1:
        yield last, "IPv4-compatible IPv6"
    elif address in NAT64:
        yield last, "NAT64"
    elif address in SIX_TO_FOUR:
        yield IPv4Address(int(address) >> 80 & 0xFFFF_FFFF), "6to4"
    elif address in TEREDO:
        yield IPv4Address(int(last) ^ 0xFFFF_FFFF), "Teredo"  # the client, with its bits inverted
        yield IPv4Address(int(address) >> 64 & 0xFFFF_FFFF), "Teredo"  # the server


def parse_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Read networks in CIDR notation; an address alone is a network of one.

    Raises:
        ValueError: with a sentence that names the text.

    >>> parse_networks(["10.20.0.0/16", "::1"])
    (IPv4Network('10.20.0.0/16'), IPv6Network('::1/128'))
    >>> parse_networks(["10.20.0.1/16"])
    Traceback (most recent call last):
    ValueError: '10.20.0.1/16' is not a network: write the first address of the network, '10.20.0.0/16'.
    """
    return tuple(_parse_network(text) for text in texts)


def _parse_network(text: str) -> Network:
    try:
        network = ip_network(text.strip(), strict=False)
    except (ValueError, AttributeError):
        raise ValueError(f"{text!r} is not a network: write it as '10.0.0.0/8' or 'fd00::/8'.") from None
    if network.network_address != ip_address(text.strip().split("/")[0]):
        raise ValueError(
            f"{text!r} is not a network: write the first address of the network, '{network}'."
        ) from None
    return network

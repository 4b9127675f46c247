"""Which addresses and hosts may be called."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadpush_prefect.network.addresses import BLOCKED_IPV4, BLOCKED_IPV6, Verdict, judge, parse_networks
from leadpush_prefect.network.hosts import host_allowed

PUBLIC = [
    "1.1.1.1",
    "93.184.216.34",
    "172.32.0.1",
    "100.128.0.1",
    "198.20.0.1",
    "2606:2800:220:1::1946",
    "2a00::1",
    "2001:200::1",  # the first behind 2001::/23
    "2620:4f:8001::1",
    "192.175.49.1",
    "2a00:1:2:3:0:5efe:8.8.8.8",
]

BLOCKED = {
    "127.0.0.1": "loopback, RFC 1122",
    "127.255.255.254": "loopback, RFC 1122",
    "0.0.0.0": "unspecified, RFC 1122",
    "0.1.2.3": "this network, RFC 791",
    "10.0.0.1": "private, RFC 1918",
    "172.16.0.1": "private, RFC 1918",
    "172.31.255.255": "private, RFC 1918",
    "192.168.1.1": "private, RFC 1918",
    "100.64.0.1": "carrier-grade NAT, RFC 6598",
    "169.254.0.1": "link-local, RFC 3927",
    "169.254.169.254": "cloud metadata, AWS, Azure, Google Cloud and others",
    "100.100.100.200": "cloud metadata, Alibaba Cloud",
    "168.63.129.16": "cloud metadata, Azure",
    "192.0.0.192": "cloud metadata, Oracle Cloud",
    "192.0.2.1": "documentation, RFC 5737",
    "192.88.99.1": "6to4 relay, RFC 7526",
    "198.18.0.1": "benchmarking, RFC 2544",
    "224.0.0.1": "multicast, RFC 5771",
    "240.0.0.1": "reserved, RFC 1112",
    "255.255.255.255": "broadcast, RFC 919",
    "::": "unspecified, RFC 4291",
    "::1": "loopback, RFC 4291",
    "fe80::1": "link-local, RFC 4291",
    "fe80::1%eth0": "link-local, RFC 4291",
    "fec0::1": "site-local, RFC 3879",
    "fd12::1": "unique local, RFC 4193",
    "fd00:ec2::254": "cloud metadata, AWS",
    "ff02::1": "multicast, RFC 4291",
    "2001:db8::1": "documentation, RFC 3849",
    "3fff::1": "documentation, RFC 9637",
    "5f00::1": "segment routing, RFC 9602",
    "64:ff9b:1::8.8.8.8": "local-use NAT64, RFC 8215",
    "64:ff9b:1:7f00:0:100:808:808": "local-use NAT64, RFC 8215",  # 127.0.0.1, RFC 6052 at /48
    "2001:2::1": "benchmarking, RFC 5180",
    "2001:1::1": "IETF protocol assignments, RFC 2928",
    "2001:3::1": "IETF protocol assignments, RFC 2928",
    "2001:4:112::1": "IETF protocol assignments, RFC 2928",
    "2001:10::1": "ORCHID, RFC 4843",
    "2001:2f:ffff::1": "ORCHIDv2, RFC 7343",
    "2620:4f:8000::1": "AS112 anycast, RFC 7534",
    "192.175.48.1": "AS112 anycast, RFC 7534",
    "192.31.196.1": "AS112 anycast, RFC 7535",
    "192.52.193.1": "multicast relay anycast, RFC 7450",
    "3ffe::1": "6bone, RFC 3701",
    "100:0:0:1::1": "dummy prefix, RFC 9780",
    "100::1": "discard-only, RFC 6666",
    "4000::1": "not global unicast, RFC 4291",
    "::ffff:0:127.0.0.1": "IPv4-translated, RFC 2765",
    "::ffff:0:8.8.8.8": "IPv4-translated, RFC 2765",
    "2a00:1:2:3:0:5efe:127.0.0.1": "loopback, RFC 1122, in ISATAP",
    "2a00:1:2:3:200:5efe:169.254.169.254": "cloud metadata, AWS, Azure, Google Cloud and others, in ISATAP",
    "2002:808:808::5efe:10.0.0.1": "private, RFC 1918, in ISATAP",  # in 6to4, of which the other half is public
    "2606::1%eth0": "zone of a public address, RFC 4007",
    "::ffff:8.8.8.8%eth0": "zone of a public address, RFC 4007",
    "::ffff:127.0.0.1": "loopback, RFC 1122, in IPv4-mapped IPv6",
    "::ffff:a9fe:a9fe": "cloud metadata, AWS, Azure, Google Cloud and others, in IPv4-mapped IPv6",
    "::ffff:10.0.0.1%3": "private, RFC 1918, in IPv4-mapped IPv6",
    "::127.0.0.1": "loopback, RFC 1122, in IPv4-compatible IPv6",
    "64:ff9b::10.0.0.1": "private, RFC 1918, in NAT64",
    "2002:7f00:1::": "loopback, RFC 1122, in 6to4",
    "2001:0:808:808:0:0:80ff:fffe": "loopback, RFC 1122, in Teredo",  # the client is 127.0.0.1, inverted
    "2001:0:7f00:1:0:0:f7f7:f7f7": "loopback, RFC 1122, in Teredo",  # the server is
}

NO_ADDRESS = [
    "",
    "localhost",
    "127.1",
    "0x7f.0.0.1",
    "2130706433",
    "0177.0.0.1",
    "1.2.3.4 ",
    "[::1]",
    "::1::",
    "%eth0",
    "127.0.0.1%eth0",
    "8.8.8.8%eth0",  # which is looked up as a name when it is connected
    "fe80::1%",
    "fe80::1%1%2",
    "１.１.１.１",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public(address: str) -> None:
    """A public unicast address is allowed."""
    assert Verdict(True, "public", address) == judge(address)


@pytest.mark.parametrize(("address", "label"), BLOCKED.items())
def test_blocked(address: str, label: str) -> None:
    """Any other address is blocked, and the label says what it is."""
    assert Verdict(False, label, address) == judge(address)


@pytest.mark.parametrize("address", NO_ADDRESS)
def test_no_address(address: str) -> None:
    """What is no address in the usual spelling is blocked: something else might read it as one."""
    assert Verdict(False, "not an IP address", address) == judge(address)


@pytest.mark.parametrize("pattern", ["::ffff:{}", "::{}", "64:ff9b::{}"])
def test_wrapped_public(pattern: str) -> None:
    """A public IPv4 address inside an IPv6 one is as public as it is alone."""
    assert judge(pattern.format("8.8.8.8")).allowed


@given(st.ip_addresses(v=4))
def test_wrapping_changes_nothing(inner: IPv4Address) -> None:
    """However an IPv4 address is wrapped, it is judged as it is alone."""
    number = int(inner)
    wrapped = [
        IPv6Address(0xFFFF << 32 | number),
        IPv6Address(0x0064_FF9B << 96 | number),
        IPv6Address(0x2002 << 112 | number << 80),
        IPv6Address(0x2001_0000 << 96 | 0x0808_0808 << 64 | (number ^ 0xFFFF_FFFF)),
    ]
    assert {judge(str(inner)).allowed} == {judge(str(address)).allowed for address in wrapped}


@given(st.ip_addresses())
def test_not_laxer_than_the_standard_library(address: IPv4Address | IPv6Address) -> None:
    """What is allowed is global for the standard library too, save a public IPv4 address that is wrapped."""
    wrapped = any(address in network for network in parse_networks(["::/96", "2001::/32"]))
    assert address.is_global or wrapped or not judge(str(address)).allowed


@pytest.mark.parametrize("network", [str(network) for network, _ in (*BLOCKED_IPV4, *BLOCKED_IPV6)])
def test_whole_network(network: str) -> None:
    """A network is blocked from its first address to its last."""
    (parsed,) = parse_networks([network])
    assert not judge(str(parsed[0])).allowed
    assert not judge(str(parsed[-1])).allowed


@pytest.mark.parametrize(
    "address", ["10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::10.1.2.3", "fd12::1", "fe80::1%eth0"]
)
def test_allowed_network(address: str) -> None:
    """The workspace's own networks are allowed, also inside an IPv6 address."""
    networks = parse_networks(["10.1.0.0/16", "fd12::/16", "fe80::/10"])
    assert judge(address, networks).allowed


@pytest.mark.parametrize("address", ["10.2.0.1", "127.0.0.1", "::ffff:10.2.0.1", "fd13::1"])
def test_allowed_network_allows_no_more(address: str) -> None:
    """An allowed network allows nothing outside it."""
    assert not judge(address, parse_networks(["10.1.0.0/16", "fd12::/16"])).allowed


def test_parse_networks() -> None:
    """Networks are read from CIDR notation, and an address alone is a network of one."""
    assert ["10.0.0.0/8", "127.0.0.1/32", "::1/128"] == [
        str(network) for network in parse_networks([" 10.0.0.0/8", "127.0.0.1", "::1"])
    ]


@pytest.mark.parametrize("text", ["", "ten", "10.0.0.0/33", "10.0.0.1/8", "10.0.0.0/8/8", "localhost"])
def test_parse_networks_refuses(text: str) -> None:
    """What is no network is refused with a sentence that names it."""
    with pytest.raises(ValueError, match="is not a network: write") as caught:
        parse_networks(["10.0.0.0/8", text])
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("api.example.com", []),
        ("api.example.com", ["other.example", "api.example.com"]),
        ("API.Example.COM", ["api.example.com"]),
        ("api.example.com.", ["api.example.com"]),
        ("api.example.com", ["api.example.com."]),
        ("api.example.com", [" API.example.com "]),
        ("a.example.com", ["*.example.com"]),
        ("a.b.example.com", ["*.example.com"]),
        ("xn--mnchen-3ya.de", ["münchen.de"]),
        ("MÜNCHEN.de", ["xn--mnchen-3ya.de"]),
        ("a.münchen.de", ["*.xn--mnchen-3ya.de"]),
        ("xn--strae-oqa.de", ["straße.de"]),
        ("with_underscore.example.com", ["*.example.com"]),
        ("127.0.0.1", ["127.0.0.1"]),
        ("::1", ["[0:0::1]"]),
    ],
)
def test_host_allowed(host: str, allowed: list[str]) -> None:
    """A host is allowed by its name, by a wildcard above it, or where no host is named."""
    assert host_allowed(host, allowed)


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("example.com", ["*.example.com"]),
        (".example.com", ["*.example.com"]),
        ("badexample.com", ["*.example.com"]),
        ("badexample.com", ["example.com"]),
        ("api.example.com", ["example.com"]),
        ("example.com.evil.net", ["example.com", "*.example.com"]),
        ("api.example.com", ["*"]),
        ("api.example.com", ["*."]),
        ("api.example.com", ["api.*.com"]),
        ("api.example.com", [""]),
        ("", ["example.com"]),
        ("10.0.0.1", ["*.0.0.1"]),
        ("127.0.0.2", ["127.0.0.1"]),
    ],
)
def test_host_not_allowed(host: str, allowed: list[str]) -> None:
    """Any other host is not."""
    assert not host_allowed(host, allowed)

"""Whatever is made up: nothing is connected that is not public, and no host allowed that is not named."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address

import idna
import pytest
from hypothesis import strategies as st

from leadpush_prefect.network.addresses import judge
from leadpush_prefect.network.hosts import host_allowed
from tests.security.calling import called, sent
from tests.security.wiretap import Wiretap, tapped
from tests.support.depth import explored

pytestmark = pytest.mark.timeout(120)

PUBLIC = "93.184.216.34"


@pytest.fixture(scope="module")
def wire() -> Iterator[Wiretap]:
    """One for all examples; a name has a public address and blocked ones."""
    with tapped() as wire:
        wire.others = ["127.0.0.1", "::1", PUBLIC, "169.254.169.254"]
        yield wire


# Blocked IPv4 addresses in any spelling


NETWORKS = [
    IPv4Network(network)
    for network in (
        "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 "
        "192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4 "
        "169.254.169.254/32 100.100.100.200/32 168.63.129.16/32"
    ).split()
]


@st.composite
def blocked_addresses(draw: st.DrawFn) -> int:
    network = draw(st.sampled_from(NETWORKS))
    return draw(st.integers(int(network[0]), int(network[-1])))


@st.composite
def ipv4_spellings(draw: st.DrawFn, number: int) -> str:
    """As `inet_aton` reads it: one to four parts, each in any base, in digits that IDNA maps."""
    parts = draw(st.integers(1, 4))
    heads = [number >> 8 * (3 - place) & 0xFF for place in range(parts - 1)]
    values = [*heads, number & (1 << 8 * (5 - parts)) - 1]
    formats: list[Callable[[int], str]] = [
        str,
        str,
        hex,
        lambda value: f"0{value:o}",
        lambda value: f"0X{value:X}",
    ]
    text = ".".join(draw(st.sampled_from(formats))(value) for value in values)
    if draw(st.booleans()):
        digits = draw(st.sampled_from(["０１２３４５６７８９", "𝟎𝟏𝟐𝟑𝟒𝟓𝟔𝟕𝟖𝟗", "⁰¹²³⁴⁵⁶⁷⁸⁹"]))
        text = text.translate(dict(zip(map(ord, "0123456789"), digits, strict=True)))
    return text.replace(".", draw(st.sampled_from([".", ".", "。", "．", "｡"]))) + draw(
        st.sampled_from(["", "", "."])
    )


@st.composite
def ipv6_spellings(draw: st.DrawFn, number: int) -> str:
    """Inside an IPv6 address, and that in any form."""
    prefix = draw(st.sampled_from([0x2606_2800_0220_0001, 0xFE80 << 48, 0x2002_0808_0808_0000]))
    wrapped = IPv6Address(
        draw(
            st.sampled_from(
                [
                    0xFFFF << 32 | number,
                    number,
                    0xFFFF << 48 | number,
                    0x64_FF9B << 96 | number,
                    0x64_FF9B_0001 << 80 | number,
                    0x2002 << 112 | number << 80 | 1,
                    0x2001 << 112 | 0x0808_0808 << 64 | number ^ 0xFFFF_FFFF,
                    0x2001 << 112 | number << 64 | 0xF7F7_F7F7,
                    prefix << 64 | 0x5EFE << 32 | number,
                    prefix << 64 | 0x0200_5EFE << 32 | number,
                ]
            )
        )
    )
    dotted = f"{wrapped.exploded[:30]}{IPv4Address(int(wrapped) & 0xFFFF_FFFF)}"
    text = draw(st.sampled_from([wrapped.compressed, wrapped.exploded, dotted]))
    return f"[{draw(st.sampled_from([text, text.upper()]))}]"


WAYS: list[Callable[[Wiretap, str], str]] = [
    lambda wire, url: called(wire, url),
    lambda wire, url: called(wire, "{{ workspace.variables.api }}/x", {}, {"variables": {"api": url}}),
    sent,
]


@pytest.mark.parametrize("spelling", [ipv4_spellings, ipv6_spellings])
@explored(data=st.data(), examples=300)
def test_blocked_in_any_spelling(
    wire: Wiretap, spelling: Callable[..., st.SearchStrategy[str]], data: st.DataObject
) -> None:
    """No spelling of a blocked address, and nothing that it is wrapped in, is connected."""
    host = data.draw(spelling(data.draw(blocked_addresses())))
    port = data.draw(st.sampled_from(["", ":80", ":443", ":65535"]))
    scheme = data.draw(st.sampled_from(["http", "https", "HTTP"]))
    way = data.draw(st.sampled_from(WAYS))
    wire.others = []
    assert way(wire, f"{scheme}://{host}{port}") in ("address_blocked", "dns_failed", "refused")
    assert [] == wire.attempts


# Hosts of any characters


PIECES = st.sampled_from(
    [
        *"0123456789abcdefxX.:-_[]@/\\#?%&;,'\"<>{}|^`~!$*+= \t\r\n\0",
        *"。．｡／＠：＃？％［］０１ｘ①ｌK\u017f\u00ad\u200b\u200d\u2028\xa0\ufeff\u202e\u0130ß",
        *"127.0.0.1 localhost ::1 ::ffff: 169.254.169.254 0x7f 0177 2130706433 xn-- ..".split(),
        *"// %25lo %00 http:// api.example".split(),
    ]
)


@explored(
    host=st.lists(PIECES, min_size=1, max_size=10).map("".join), way=st.sampled_from(WAYS), examples=500
)
def test_any_host(wire: Wiretap, host: str, way: Callable[[Wiretap, str], str]) -> None:
    """Whatever stands for a host, what is connected is public, and nothing fails unforeseen."""
    wire.others = ["127.0.0.1", "::1", PUBLIC, "169.254.169.254"]
    became = way(wire, f"http://{host}/")
    assert all(judge(address).allowed for address in wire.attempts)
    assert all(ip_address(address).is_global for address in wire.attempts)
    assert became not in ("unexpected_error", "connect_failed", "answered")


@explored(
    examples=300,
    value=st.one_of(
        st.lists(PIECES, max_size=8).map("".join), st.text(max_size=20), st.integers(), st.floats(), st.none()
    ),
    template=st.sampled_from(
        [
            "http://{{ contact.attributes.v }}/",
            "http://{{ contact.attributes.v }}.bounded.example/",
            "http://{{ contact.attributes.v }}bounded.example/{{ contact.attributes.v }}",
            "http://a.{{ contact.attributes.v }}",
            "http://a.bounded.example{{ contact.attributes.v }}/",
            "http://[{{ contact.attributes.v }}]/",
            "http://{{ contact.attributes.v }}{{ contact.attributes.v }}/",
            "{{ workspace.variables.api }}.{{ contact.attributes.v }}",
        ]
    ),
)
def test_any_value_in_a_bounded_host(wire: Wiretap, value: object, template: str) -> None:
    """Whatever a contact's value is, no name is asked for but one below the domain that is allowed."""
    wire.asked.clear()
    wire.others = ["127.0.0.1", PUBLIC]
    workspace = {"allowed_hosts": ["*.bounded.example"], "variables": {"api": "http://b"}}
    became = called(wire, template, {"v": value}, workspace)
    assert all(name.lower().endswith(".bounded.example") for name in wire.asked)
    assert {*wire.attempts} <= {PUBLIC}
    assert "unexpected_error" != became


# Allowed hosts


LABELS = st.sampled_from(
    [
        "a",
        "b",
        "example",
        "com",
        "evil",
        "badexample",
        "xn--mnchen-3ya",
        "A",
        "a_b",
        "-",
        "",
        "*",
        "127",
        "0",
        "1",
    ]
)
PATTERNS = st.lists(
    st.sampled_from(["a", "example", "com", "münchen", "EXAMPLE", "a_b", "1"]), min_size=1, max_size=3
)


def ascii_labels(labels: list[str]) -> list[str]:
    return [
        idna.encode(label, uts46=True).decode() if not label.isascii() else label.lower() for label in labels
    ]


@explored(
    examples=500,
    host=st.lists(LABELS, min_size=1, max_size=6),
    end=st.sampled_from(["", "."]),
    pattern=PATTERNS,
    wildcard=st.booleans(),
)
def test_host_allowed(host: list[str], end: str, pattern: list[str], wildcard: bool) -> None:
    """A host is allowed if, and only if, its labels are the allowed ones, or end with them below a wildcard."""
    allowed = "*." * wildcard + ".".join(pattern)
    text = ".".join(host) + end
    labels, wanted = ascii_labels(text.removesuffix(".").split(".")), ascii_labels(pattern)
    fits = labels[-len(wanted) :] == wanted and (len(labels) > len(wanted)) == wildcard
    if host_allowed(text, [allowed]):
        assert fits
    elif "" not in labels and not all(label.isdigit() for label in labels):
        assert not fits


@explored(host=st.text(max_size=20), below=st.sampled_from(["example.com", "münchen.de"]), examples=500)
def test_any_host_allowed(host: str, below: str) -> None:
    """No text at all is allowed by a list that does not name its end."""
    suffix = idna.encode(below).decode()
    assert not host_allowed(f"{host}.evil.net", [below, f"*.{below}"])
    assert not host_allowed(f"{host}x{suffix}", [below]) or host_allowed(f"{host}x{suffix}", [f"*.{below}"])

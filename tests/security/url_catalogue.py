"""Spellings of URLs, and what each may lead to.

A verdict is one of:

    an address          that one may be connected, and no other
    address_blocked     the address behind it is not public, or is not spelt as one is
    dns_failed          it is a name that no resolver knows
    refused             it is no URL that can be called

Hosts stand alone where nothing but the host is of interest: `hosts` makes `http://HOST/` of each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = [
    "BOUNDED",
    "BOUNDED_VARIABLES",
    "CATALOGUE",
    "HOST_NAMES",
    "IMPOSSIBLE",
    "IN_THE_PATH",
    "LOCATIONS",
    "NAMES",
    "START",
    "UNBOUNDED",
    "Group",
]

BLOCKED = "address_blocked"
UNKNOWN = "dns_failed"
REFUSED = "refused"

PUBLIC = "93.184.216.34"

START = "start.example"
"""Who redirects, in a test of redirects."""

START_ADDRESS = "93.184.216.99"

IMPOSSIBLE = "impossible"
"""In place of a verdict: the spelling cannot come this way."""


@dataclass(frozen=True)
class Group:
    """Spellings of one kind.

    Attributes:
        why: Why they have this verdict.
        urls: The spellings, each with its verdict as an endpoint's URL.
        location: The verdict as the `Location` of a redirect, where it is another.
        variable: As a variable of the workspace, where it is another.
        transport: For the transport alone, where it is another. It gets what templates refuse, and may
            refuse what they amend.
    """

    why: str
    urls: Mapping[str, str]
    location: str = ""
    variable: str = ""
    transport: str = ""


def hosts(verdict: str, *texts: str) -> dict[str, str]:
    return {f"http://{host}/": verdict for text in texts for host in text.split()}


def urls(verdict: str, *texts: str) -> dict[str, str]:
    return dict.fromkeys(texts, verdict)


def themselves(text: str) -> dict[str, str]:
    return {f"http://{host}/": host.strip("[]") for host in text.split()}


NAMES = {
    START: [START_ADDRESS],
    "api.example": [PUBLIC],
    "api6.example": ["2606:2800:220:1::1946"],
    "xn--mnchen-3ya.example": [PUBLIC],
    "xn--strae-oqa.example": [PUBLIC],
    "xn--fiqs8s.example": [PUBLIC],
    "with_underscore.example": [PUBLIC],
    "127.0.0.1.api.example": [PUBLIC],
    "localhost": ["127.0.0.1", "::1"],
    "localhost.localdomain": ["127.0.0.1"],
    "ip6-localhost": ["::1"],
    "worker": ["127.0.1.1"],
    "host.docker.internal": ["192.168.65.254"],
    "kubernetes.default.svc": ["10.96.0.1"],
    "metadata": ["169.254.169.254"],
    "metadata.google.internal": ["169.254.169.254", "fd20:ce::254"],
    "instance-data": ["169.254.169.254"],
    "127.0.0.1.nip.example": ["127.0.0.1"],
    "10-0-0-1.nip.example": ["10.0.0.1"],
    "mapped.example": ["::ffff:127.0.0.1"],
    "nat64.example": ["64:ff9b::10.0.0.1"],
    "sixtofour.example": ["2002:a9fe:a9fe::1"],
    "link.example": ["fe80::1%2"],
    "zone.example": ["2606:2800:220:1::1946%2"],
    "words.example": ["localhost", "0x7f.1", "127.1"],
    "private.example": ["10.0.0.1", "192.168.0.1", "fd00::1", "::1"],
    "xn--private-9ya.example": ["10.0.0.1"],
}


CATALOGUE = {
    # IPv4
    "loopback": Group(
        "RFC 1122: all of 127.0.0.0/8 is the machine itself.",
        hosts(BLOCKED, "127.0.0.1 127.0.0.0 127.0.0.2 127.0.1.1 127.1.2.3 127.255.255.254 127.255.255.255"),
    ),
    "loopback as inet_aton reads it": Group(
        "A resolver takes one to four numbers, decimal, octal and hexadecimal: all of these are 127.0.0.1.",
        hosts(
            BLOCKED,
            "127.1 127.0.1 127.0.257 127.65793 2130706433 02130706433",
            "0x7f000001 0X7F000001 0x7F000001 0x000000007f000001 0x7f.1 0X7F.1 0x7f.0.1 0x7f.0.0.1 0x7F.0.0.1",
            "0x7f.0x0.0x0.0x1 127.0x0.0.0x1 127.0.0.0x1 0x7f.0x000001 0x7f.00.00.01",
            "0177.1 0177.0.1 0177.0.0.1 0177.00.00.01 00000177.0.0.1 017700000001 0000000000017700000001",
            "0177.0x0.0.1 0177.0.0x1 127.0.0.01 127.000.000.001 127.00.0.1 0127.0.0.1",
        ),
    ),
    "unspecified": Group(
        "RFC 1122: this host on this network. A connection to 0.0.0.0 reaches the machine itself.",
        hosts(
            BLOCKED,
            "0 00 0x0 0X0 0.0 0.0.0 0.0.0.0 00.00.00.00 000.000.000.000 0x0.0x0.0x0.0x0 0.0.0.1 0.1.2.3 0.255.255.255",
        ),
    ),
    "private": Group(
        "RFC 1918.",
        hosts(
            BLOCKED,
            "10.0.0.0 10.0.0.1 10.255.255.255 10.1 167772161 0xa000001 0x0a.0.0.1 012.0.0.1 0xa.1",
            "172.16.0.0 172.16.0.1 172.31.255.255 2886729729 0xac100001 0254.16.0.1 0xAC.0x10.1",
            "192.168.0.0 192.168.0.1 192.168.255.255 192.168.1 3232235521 0xC0A80001 0300.0250.0.1 0xc0.168.0.1",
        ),
    ),
    "carrier-grade NAT": Group(
        "RFC 6598.",
        hosts(BLOCKED, "100.64.0.0 100.64.0.1 100.127.255.255 100.64.1 1681915905 0x64400001 0x64.64.0.1"),
    ),
    "link-local": Group(
        "RFC 3927.",
        hosts(BLOCKED, "169.254.0.0 169.254.0.1 169.254.255.255 169.254.1 0xa9.0xfe.0.1 169.254.170.2"),
    ),
    "cloud metadata": Group(
        "Whoever reads it may get the machine's credentials.",
        hosts(
            BLOCKED,
            "169.254.169.254 169.254.43518 169.16689662 2852039166 0xa9fea9fe 0xA9FEA9FE 0xa9.0xfe.0xa9.0xfe",
            "0xa9.254.169.254 0251.0376.0251.0376 0251.254.169.254 025177524776 169.254.0xa9fe 169.254.169.0376",
            "100.100.100.200 1684300488 0x646464c8 0x64.100.100.200 0144.0144.0144.0310",
            "168.63.129.16 2822734096 0xa83f8110 0xa8.0x3f.0x81.0x10 168.63.33040",
            "192.0.0.192 0xc00000c0",
        ),
    ),
    "not for the internet": Group(
        "Assignments of IANA: protocols, documentation, benchmarking, anycast for DNS and multicast relays.",
        hosts(
            BLOCKED,
            "192.0.0.0 192.0.0.8 192.0.0.170 192.0.0.255 192.0.2.0 192.0.2.1 192.0.2.255 0xc0000201",
            "198.51.100.0 198.51.100.1 198.51.100.255 203.0.113.0 203.0.113.1 203.0.113.255 0xcb.0.113.1",
            "198.18.0.0 198.18.0.1 198.19.255.255 0xc6120001 192.88.99.0 192.88.99.1 192.88.99.255",
            "192.31.196.1 192.52.193.1 192.175.48.1 192.175.48.255",
        ),
    ),
    "multicast, reserved, broadcast": Group(
        "RFC 5771, RFC 1112 and RFC 919.",
        hosts(
            BLOCKED,
            "224.0.0.0 224.0.0.1 224.0.0.251 239.255.255.250 239.255.255.255 0xe0.0.0.1",
            "240.0.0.0 240.0.0.1 254.255.255.255 255.255.255.254 255.255.255.255 0xffffffff 4294967295",
        ),
    ),
    "public": Group(
        "They stand right beside what is blocked.",
        themselves(
            "1.0.0.0 1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 126.255.255.255 128.0.0.1 172.15.255.255 172.32.0.0 "
            "192.167.255.255 192.169.0.0 100.63.255.255 100.128.0.0 169.253.255.255 169.255.0.0 168.63.129.15 "
            "168.63.129.17 192.0.1.0 192.0.3.0 192.31.195.255 192.31.197.0 192.52.192.255 192.52.194.0 "
            "192.88.98.255 192.88.100.0 192.175.47.255 192.175.49.0 198.17.255.255 198.20.0.0 198.51.99.255 "
            "198.51.101.0 203.0.112.255 203.0.114.0 223.255.255.255"
        ),
    ),
    "public, in hexadecimal": Group(
        "A resolver says what it is, and that is judged.",
        {
            "http://0x08080808/": "8.8.8.8",
            "http://0x8.8.8.8/": "8.8.8.8",
            "http://8.8.8.0x8/": "8.8.8.8",
            "http://0x5db8d822/": PUBLIC,
        },
    ),
    "public, in digits": Group(
        "Who reads it in octal and who in decimal is not agreed on, so that it is nobody's.",
        hosts(BLOCKED, "134744072 8.8.2056 8.526344 010.8.8.8 8.8.8.08 008.8.8.8 01.01.01.01"),
    ),
    "no IPv4 address": Group(
        "It has only digits and dots, so that it is no name either.",
        hosts(
            BLOCKED,
            "256.0.0.1 127.0.0.256 1.2.3.4.5 127.0.0.0.1 999.999.999.999 4294967296 4294967297 6425673729",
            "08 09.0.0.1 1.2.3.4. 127.0.0.1. 127.1. 2130706433. 0.",
        ),
    ),
    "no number": Group(
        "To a resolver these are names, and there are no such.",
        hosts(
            UNKNOWN,
            "0x 0x100000001 0x17f000001 0xg.0.0.1 0x7f.0.0.0.1 0x7f.256.0.1 1e3 127.0.0.0x100 0b01111111.0.0.1",
            "0o177.0.0.1 127.0.0.1a a127.0.0.1 0x7f.1. 127.0.0.-1",
            "127.0.0.1-api.invalid 127-0-0-1 127_0_0_1 0x7f-1",
        ),
    ),
    # IPv6
    "IPv6 loopback": Group(
        "RFC 4291.",
        hosts(
            BLOCKED,
            "[::1] [0::1] [::0:1] [0:0:0:0:0:0:0:1] [0000:0000:0000:0000:0000:0000:0000:0001] [::0001] [::0.0.0.1]",
        ),
    ),
    "IPv6 unspecified": Group(
        "RFC 4291: it reaches the machine itself.",
        hosts(BLOCKED, "[::] [0::] [::0] [0:0:0:0:0:0:0:0] [0000::0000] [::0.0.0.0]"),
    ),
    "IPv4-mapped": Group(
        "RFC 4291: the system sends IPv4.",
        hosts(
            BLOCKED,
            "[::ffff:127.0.0.1] [::FFFF:127.0.0.1] [::ffff:7f00:1] [::ffff:7f00:0001] [0:0:0:0:0:ffff:127.0.0.1]",
            "[0000:0000:0000:0000:0000:ffff:7f00:0001] [0::ffff:127.0.0.1] [::ffff:0.0.0.0] [::ffff:0:0]",
            "[::ffff:10.0.0.1] [::ffff:a00:1] [::ffff:172.16.0.1] [::ffff:192.168.0.1] [::ffff:c0a8:1]",
            "[::ffff:169.254.169.254] [::ffff:a9fe:a9fe] [::FfFf:A9fE:a9Fe] [::ffff:100.100.100.200]",
            "[::ffff:168.63.129.16] [::ffff:100.64.0.1] [::ffff:224.0.0.1] [::ffff:255.255.255.255]",
            "[::ffff:192.0.2.1] [::ffff:198.18.0.1]",
        ),
    ),
    "IPv4-compatible": Group(
        "RFC 4291, deprecated; a tunnel's address on some systems.",
        hosts(
            BLOCKED,
            "[::127.0.0.1] [::7f00:1] [::10.0.0.1] [::a9fe:a9fe] [::169.254.169.254] [::192.168.0.1] [::2] [::ffff]",
        ),
    ),
    "IPv4-translated": Group(
        "RFC 2765 and RFC 7915: only a translator knows them, so that a public one is none either.",
        hosts(
            BLOCKED, "[::ffff:0:127.0.0.1] [::ffff:0:7f00:1] [::ffff:0:169.254.169.254] [::ffff:0:8.8.8.8]"
        ),
    ),
    "NAT64": Group(
        "RFC 6052, and RFC 8215 with the IPv4 address where each network wants it.",
        hosts(
            BLOCKED,
            "[64:ff9b::127.0.0.1] [64:ff9b::7f00:1] [64:ff9b::10.0.0.1] [64:ff9b::a9fe:a9fe] [64:FF9B::A9FE:A9FE]",
            "[0064:ff9b:0:0:0:0:7f00:1] [64:ff9b::168.63.129.16] [64:ff9b::100.100.100.200] [64:ff9b::192.168.0.1]",
            "[64:ff9b:1::127.0.0.1] [64:ff9b:1:7f00:0:100::] [64:ff9b:1::7f:0:100:0] [64:ff9b:1::8.8.8.8]",
            "[64:ff9b:0:1::7f00:1] [64:ff9a::8.8.8.8]",
        ),
    ),
    "6to4": Group(
        "RFC 3056: the packet goes to the IPv4 address behind 2002.",
        hosts(
            BLOCKED,
            "[2002:7f00:1::] [2002:7f00:0001::1] [2002:a00:1::1] [2002:a9fe:a9fe::1] [2002:c0a8:1::]",
            "[2002:6464:64c8::] [2002:a83f:8110::1] [2002:ac10:1:ffff:ffff:ffff:ffff:ffff] [2002::] [2002:e000:1::]",
            "[2002:c058:6301::1]",
        ),
    ),
    "Teredo": Group(
        "RFC 4380: the client's address with its bits inverted, or the server's.",
        hosts(
            BLOCKED,
            "[2001:0:808:808:0:0:80ff:fffe] [2001::808:808:0:0:5601:5601] [2001:0:808:808::f5ff:fffe]",
            "[2001:0:7f00:1:0:0:f7f7:f7f7] [2001:0:a9fe:a9fe:0:0:f7f7:f7f7] [2001::1] [2001:0:808:808::3f57:fffe]",
        ),
    ),
    "ISATAP": Group(
        "RFC 5214: in any network, an interface that has the IPv4 address.",
        hosts(
            BLOCKED,
            "[2a00:1:2:3:0:5efe:127.0.0.1] [2a00:1:2:3:200:5efe:10.0.0.1] [2606::5efe:169.254.169.254]",
            "[2002:808:808::5efe:7f00:1] [fe80::5efe:8.8.8.8] [2a00:1:2:3:100:5efe:c0a8:1]",
        ),
    ),
    "IPv6 not public": Group(
        "Local, multicast, documentation, discard, identifiers, and what IANA has not given out for hosts.",
        hosts(
            BLOCKED,
            "[fc00::] [fc00::1] [fd00::1] [fd00:ec2::254] [FD00:EC2::254] [fd00:0ec2:0:0:0:0:0:254] [fd20:ce::254]",
            "[fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff] [fd00:ec2::253] [fd00:ec2::23] [fd00:42::42]",
            "[fe80::] [fe80::1] [FE80::1] [febf::1] [fe80::a9fe:a9fe] [fec0::1] [feff::1]",
            "[ff00::] [ff01::1] [ff02::1] [ff02::fb] [ff05::2] [ff0e::1] [ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]",
            "[2001:db8::] [2001:db8::1] [2001:DB8:ffff::1] [3fff::1] [3fff:fff::1] [5f00::1] [100::] [100::1]",
            "[100:0:0:1::1] [2001:1::1] [2001:1::2] [2001:1::3] [2001:2::1] [2001:3::1] [2001:4:112::1] [2001:10::1]",
            "[2001:20::1] [2001:3f:ffff::1] [2001:1ff:ffff::1] [2620:4f:8000::1] [3ffe::1]",
            "[1::1] [200::1] [400::1] [1000::1] [4000::1] [8000::1] [c000::1] [e000::1] [fe00::1]",
        ),
    ),
    "IPv6 public": Group(
        "Global unicast, in the form in which it is connected.",
        themselves(
            "[2606:2800:220:1::1946] [2a00::1] [2001:200::1] [2001:4860:4860::8888] [2001:db7:ffff::1] "
            "[2001:db9::1] [2003::1] [2620:4f:7fff::1] [2620:4f:8001::1] [3ffd::1] [2a00:1:2:3:0:5efe:808:808] "
            "[2002:808:808::1] [64:ff9b::808:808] [::ffff:8.8.8.8]"
        )
        | {
            "http://[2606:2800:0220:0001:0:0:0:1946]/": "2606:2800:220:1::1946",
            "http://[2A00::0001]/": "2a00::1",
            "http://[::ffff:808:808]/": "::ffff:8.8.8.8",
            "http://[64:ff9b::8.8.8.8]/": "64:ff9b::808:808",
        },
    ),
    "IPv6 with a zone": Group(
        "RFC 6874 is withdrawn: a zone has no place in a URL.",
        hosts(
            REFUSED,
            "[::1%lo] [::1%25lo] [::1%1] [fe80::1%eth0] [fe80::1%25eth0] [fe80::1%251] [::ffff:127.0.0.1%lo]",
            "[::ffff:169.254.169.254%251] [2606:2800:220:1::1946%eth0] [2606:2800:220:1::1946%25eth0]",
        ),
        transport=BLOCKED,
    ),
    "IPv6 with no zone behind the sign": Group("It is no address.", hosts(REFUSED, "[::1%] [fe80::1%]")),
    "no IPv6 address": Group(
        "In brackets stands an IPv6 address, and nothing else (RFC 3986, section 3.2.2).",
        hosts(
            REFUSED,
            "[] [127.0.0.1] [8.8.8.8] [localhost] [1] [g::1] [v1.a] [v1.127.0.0.1] [::1 [[::1]] [::1]] []::1",
            "[::1]a [::1]127.0.0.1 127.0.0.1[::1] 8.8.8.8[::1] [::1][::1] [::1].example [::1]: [::1]:80a ::1 ::1:80",
            "2606:2800:220:1::1946 fe80::1 ::ffff:127.0.0.1 [%3a%3a1] %5b::1%5d [::1\\] [::1,] {::1}",
        ),
    ),
    "nearly an IPv6 address": Group(
        "Characters of one, and not one. Where a transport meets it, it is judged to be none.",
        hosts(
            REFUSED,
            "[:] [:::] [::::] [1:2] [::1::] [1::2::3] [:1] [12345::1] [1:2:3:4:5:6:7:8:9] [0:0:0:0:0:0:0:1:0]",
            "[::127.1] [::ffff:127.1] [::ffff:2130706433] [::ffff:0177.0.0.1] [::ffff:127.0.0.256] [::ffff:127.0.0.01]",
            "[::127.0.0.1.] [::1.] [::ffff:127.0.0.1:80]",
        ),
        transport=BLOCKED,
    ),
    # Letters and signs
    "digits and dots beyond ASCII": Group(
        "UTS #46 maps them to those of ASCII, and only then is the host read.",
        hosts(
            BLOCKED,
            "１２７.０.０.１ １２７．０．０．１ 127。0。0。1 127．0．0．1 127｡0｡0｡1 １２７。０。０。１ 127.0.0。1",
            "①②⑦.⓪.⓪.① 𝟏𝟐𝟕.𝟎.𝟎.𝟏 𝟭𝟮𝟳.𝟬.𝟬.𝟭 𝟷𝟸𝟽.𝟶.𝟶.𝟷 ¹²⁷.⁰.⁰.¹ ₁₂₇.₀.₀.₁ ２１３０７０６４３３ １２７.１ ０１７７.0.0.1",
            "０x7f.1 0ｘ7f.1 0x７f.1 0x7ｆ.1 ０ｘ７ｆ０００００１ ⓪",
            "169。254。169。254 １６９.２５４.１６９.２５４ ①⑥⑨.254.169.254",
            "2852039１66 10。0。0。1 １92.168.0.1 127.0.0.1。 127.0.0.1｡",
        ),
        location=REFUSED,  # what is not ASCII there is percent-encoded, and so in no host
        transport=REFUSED,  # which takes ASCII only
    ),
    "public digits beyond ASCII": Group(
        "They are mapped as well.",
        hosts("8.8.8.8", "８.８.８.８ 8。8。8。8 ⑧.⑧.⑧.⑧"),
        location=REFUSED,
        transport=REFUSED,
    ),
    "names beyond ASCII": Group(
        "RFC 5891 with UTS #46: what is resolved is the ASCII form.",
        hosts(
            PUBLIC,
            "münchen.example MÜNCHEN.example münchen。example straße.example 中国.example ａｐｉ.example",
        )
        | hosts(PUBLIC, "aPi.exampl\u24d4 a\u00adpi.example api\u200b.example")
        | hosts(
            BLOCKED,
            "ｌｏｃａｌｈｏｓｔ ⓛⓞⓒⓐⓛⓗⓞⓢⓣ localho\u017ft LOCALHO\u017fT loca\u00adlhost local\u200bhost 𝐥𝐨𝐜𝐚𝐥𝐡𝐨𝐬𝐭",
        )
        | hosts(BLOCKED, "localhost\u3002 metadata\uff0egoogle\uff0einternal")
        | hosts(UNKNOWN, "münchen.invalid ۱۲۷.۰.۰.۱"),
        location=REFUSED,
        transport=REFUSED,
    ),
    "names that IDNA refuses": Group(
        "Signs, emoji, other scripts' digits, and characters that become a separator.",
        hosts(
            REFUSED,
            "☃.example 💩.example localhost\uff0fapi.example localhost\uff1f.example localhost\uff03.example",
            "user\uff20localhost localhost\uff1a80 a\u2100b.example \u2488\u2488.example ⒈27.0.0.1 \uff3b::1\uff3d",
            "\u0661\u0662\u0667.0.0.1 1\u0327.example\u0378 \ufffd.example ü..example",
            "localhost\uff05\uff12\uff15 a\uff3cb.example localhost\u2048",
        ),
    ),
    "percent-encoded hosts": Group(
        "Nothing in a host is decoded, so that nothing encoded is in one.",
        hosts(
            REFUSED,
            "%31%32%37.0.0.1 127%2E0%2E0%2E1 127.0.0.%31 %6c%6f%63%61%6c%68%6f%73%74 localhos%74 localhost%00",
            "localhost%00.api.example api.example%00 api.example%00.localhost 127.0.0.1%20 127.0.0.1%0a 127.0.0.1%2f",
            "api.example%2f@127.0.0.1 api.example%23@127.0.0.1 127.0.0.1%23.api.example 127.0.0.1%3f.api.example",
            "api.example%40127.0.0.1 %EF%BC%91%EF%BC%92%EF%BC%97.0.0.1 m%C3%BCnchen.example",
            "127%E3%80%820%E3%80%820%E3%80%821",
            "%25%33%31 api.example%5c127.0.0.1 api.example% %",
        ),
    ),
    "separators in hosts": Group(
        "Each of these ends the host for one parser, and not for another.",
        urls(
            REFUSED,
            *"""
            http://api.example\\@127.0.0.1/ http://127.0.0.1\\@api.example/ http://api.example\\127.0.0.1/
            http://127.0.0.1\\.api.example/ http://api.example;127.0.0.1/ http://api.example,127.0.0.1/
            http://api.example&127.0.0.1/ http://api.example|127.0.0.1/ http://api.example^127.0.0.1/
            http://api.example'127.0.0.1/ http://api.example"127.0.0.1/ http://api.example`127.0.0.1/
            http://api.example<127.0.0.1>/ http://(127.0.0.1)/ http://127.0.0.1*/ http://*/ http://$127.0.0.1/
            http://!127.0.0.1/ http://127.0.0.1+/ http://=127.0.0.1/ http://~/ http://127.0.0.1~/ http://{127.0.0.1}/
            """.split(),
        ),
    ),
    "user and password": Group(
        "What stands before an @ is for some parsers the host.",
        urls(
            REFUSED,
            *"""
            http://user@api.example/ http://user:pass@api.example/ http://:@api.example/ http://@api.example/
            http://api.example@127.0.0.1/ http://127.0.0.1@api.example/ http://api.example:80@127.0.0.1/
            http://127.0.0.1:80@api.example/ http://a@b@127.0.0.1/ http://127.0.0.1@b@api.example/
            http://api.example:80:@127.0.0.1/ http://user@[::1]/ http://[::1]@api.example/ http://user%40api.example@127.0.0.1/
            http://@127.0.0.1/ http://@@127.0.0.1/ http://api.example:@127.0.0.1:80/ https://üser@127.0.0.1/
            http://user:pass@münchen.example/
            """.split(),
        ),
    ),
    "fragments": Group(
        "A fragment is never sent.",
        urls(
            REFUSED,
            *"""
            http://api.example#@127.0.0.1/ http://api.example/#@127.0.0.1/ http://api.example/#
            http://api.example/?#127.0.0.1
            """.split(),
        ),
        location=PUBLIC,  # there it is left out (RFC 9110, section 10.2.2)
    ),
    "fragments of blocked hosts": Group(
        "In a redirect, too, the host is what stands before it.",
        urls(
            REFUSED,
            "http://127.0.0.1#@api.example/",
            "http://127.0.0.1/#api.example",
            "http://[::1]#.api.example/",
        ),
        location=BLOCKED,
    ),
    "hosts behind the path": Group(
        "The host ends at the first slash or question mark; what follows is sent to it.",
        urls(
            PUBLIC,
            *"""
            http://api.example/@127.0.0.1/ http://api.example?@127.0.0.1/ http://api.example/?@127.0.0.1
            http://api.example/http://127.0.0.1/ http://api.example/?url=http://127.0.0.1/ http://api.example//127.0.0.1/
            http://api.example/%2f%2f127.0.0.1/ http://api.example/;@127.0.0.1/ http://api.example/:80@127.0.0.1/
            http://api.example/[::1]/ http://api.example/%23@127.0.0.1/ http://api.example?://127.0.0.1/
            http://api.example/:@127.0.0.1:80/ http://api.example/%5c127.0.0.1/ http://api.example/%0d%0aHost:%20127.0.0.1
            """.split(),
        ),
    ),
    "hosts behind the path of a blocked one": Group(
        "And no name behind it makes it another.",
        urls(
            BLOCKED,
            *"""
            http://127.0.0.1/@api.example/ http://127.0.0.1?@api.example/ http://127.0.0.1/http://api.example/
            http://127.0.0.1/.api.example http://127.0.0.1?.api.example http://[::1]/@api.example/ http://[::1]?api.example
            http://2130706433/%00.api.example http://169.254.169.254/latest/meta-data/
            http://100.100.100.200/latest/meta-data/ http://168.63.129.16/machine?comp=goalstate
            """.split(),
        ),
    ),
    "ports": Group(
        "A port changes nothing about the host.",
        urls(
            BLOCKED,
            *"""
            http://127.0.0.1:80/ http://127.0.0.1:0/ http://127.0.0.1:00080/ http://127.0.0.1:65535/ https://127.0.0.1:22/
            http://[::1]:80/ http://[::ffff:127.0.0.1]:443/ http://127.1:80/ http://0x7f.1:8080/ http://localhost:80/
            """.split(),
        )
        | urls(PUBLIC, "http://api.example:8080/", "https://api.example:1/", "http://api.example:00080/"),
    ),
    "no ports": Group(
        "A port is one to five digits, up to 65535.",
        urls(
            REFUSED,
            *"""
            http://127.0.0.1:/ http://api.example:/ http://127.0.0.1:65536/ http://api.example:99999/ http://127.0.0.1:000080/
            http://127.0.0.1:-1/ http://127.0.0.1:80:80/ http://api.example:80:127.0.0.1/ http://127.0.0.1:80a/
            http://127.0.0.1:a/ http://127.0.0.1:0x50/ http://127.0.0.1:８０/ http://127.0.0.1:8%30/ http://127.0.0.1::80/
            http://api.example:127.0.0.1/ http://127.0.0.1:+80/ http://127.0.0.1:80./
            """.split(),
        ),
    ),
    "schemes": Group(
        "Only http and https are sent.",
        urls(
            REFUSED,
            *"""
            ftp://127.0.0.1/ file:///etc/passwd file://127.0.0.1/ gopher://127.0.0.1:70/ ws://127.0.0.1/ wss://127.0.0.1/
            unix:///run/docker.sock http+unix://%2Frun%2Fdocker.sock/ data:application/json,{} javascript:alert(1)
            dict://127.0.0.1:11211/ ldap://127.0.0.1/ tftp://127.0.0.1/ jar:http://127.0.0.1/!/ view-source:http://127.0.0.1/
            url:http://127.0.0.1/ httpx://127.0.0.1/ xhttp://127.0.0.1/
            """.split(),
        ),
    ),
    "no schemes": Group(
        "They look like one. In a redirect they are a path of whoever redirects.",
        urls(
            REFUSED,
            *"""
            htt%70://127.0.0.1/ http%3a//127.0.0.1/ http;//127.0.0.1/
            httpſ://127.0.0.1/ httpſ://api.example/ ｈｔｔｐ://127.0.0.1/ http：//127.0.0.1/ http:／／127.0.0.1/ h\u0442tp://127.0.0.1/
            """.split(),
        ),
        location=START_ADDRESS,
    ),
    "schemes in capitals": Group(
        "A scheme has no case.",
        urls(BLOCKED, "HTTP://127.0.0.1/", "hTTps://127.0.0.1/", "HtTp://LOCALHOST/", "HTTPS://[::1]/")
        | urls(PUBLIC, "HTTP://api.example/", "HTTPS://API.EXAMPLE/"),
    ),
    "too many or too few slashes": Group(
        "Browsers read most of these as a host, and some parsers as a path.",
        urls(
            REFUSED,
            *"""
            http:127.0.0.1/ http:/127.0.0.1/ http:///127.0.0.1/ http:////127.0.0.1/ http://///127.0.0.1/
            http:\\\\127.0.0.1\\
            http:/\\127.0.0.1/ http:\\/127.0.0.1/ http:///api.example/ http:// http:///
            http://?127.0.0.1 http://? .http://127.0.0.1/ :http://127.0.0.1/
            """.split(),
        ),
        location=START_ADDRESS,
    ),
    "no host": Group(
        "What stands there is none.",
        urls(REFUSED, "http://\\127.0.0.1/", "http://\\\\127.0.0.1/", "http://:80/"),
    ),
    "spaces and control characters": Group(
        "Some parsers leave them out, and read another host.",
        urls(
            REFUSED,
            "http://127.0.0.1 /",
            "http:// 127.0.0.1/",
            "http://127.0.0.1\t/",
            "http://127.\t0.0.1/",
            "http://api.example @127.0.0.1/",
            "http://api.example\t@127.0.0.1/",
            "http://127.0.0.1 .api.example/",
            "http://127.0.0.1\x1f.api.example/",
            "http://127.0.0.1\x7f/",
            "http://127.0.0.1\xa0/",
            "http://127.0.0.1\u2028/",
            "http://127.0.0.1\u202e/",
        ),
    ),
    "spaces and control characters in the scheme": Group(
        "In a redirect they are a path of whoever redirects.",
        urls(
            REFUSED,
            "ht\ttp://127.0.0.1/",
            "h ttp://127.0.0.1/",
            "http :// 127.0.0.1/",
            "\ufeffhttp://127.0.0.1/",
            "\u200bhttp://127.0.0.1/",
        ),
        location=START_ADDRESS,
    ),
    "line ends and NUL": Group(
        "They would end the request's line, or the host for what is written in C.",
        urls(
            REFUSED,
            "http://127.0.0.1\n/",
            "http://127.0.0.1\r/",
            "http://127.0.0.1\r\nHost: api.example/",
            "http://api.example\r\n@127.0.0.1/",
            "http://127.\n0.0.1/",
            "ht\ntp://127.0.0.1/",
            "http:\n//127.0.0.1/",
            "http://127.0.0.1\x00/",
            "http://127.0.0.1\x00.api.example/",
            "http://api.example\x00.127.0.0.1/",
            "\x00http://127.0.0.1/",
        ),
        location=IMPOSSIBLE,  # no header can hold them
    ),
    "spaces around": Group(
        "They come with what is pasted, and are left out.",
        urls(
            BLOCKED,
            " http://127.0.0.1/",
            "http://127.0.0.1/ ",
            "\thttp://127.0.0.1/",
            "\xa0http://127.0.0.1/",
            "\u3000http://127.0.0.1/",
        )
        | urls(PUBLIC, "  http://api.example/  "),
        transport=REFUSED,
    ),
    # Names
    "names of what is not public": Group(
        "Whatever it is called, its address is judged.",
        hosts(
            BLOCKED,
            "localhost LOCALHOST LocalHost localhost. localhost.localdomain ip6-localhost worker host.docker.internal",
            "kubernetes.default.svc metadata metadata. metadata.google.internal METADATA.google.internal. instance-data",
            "127.0.0.1.nip.example 10-0-0-1.nip.example mapped.example nat64.example sixtofour.example link.example",
            "zone.example words.example private.example",
        ),
    ),
    "names": Group(
        "A name's public address is connected, in whatever case, with or without a dot at the end.",
        hosts(
            PUBLIC,
            "api.example API.EXAMPLE Api.Example. api.example. xn--mnchen-3ya.example XN--MNCHEN-3YA.example",
        )
        | hosts(
            PUBLIC, "with_underscore.example 127.0.0.1.api.example xn--strae-oqa.example xn--fiqs8s.example"
        )
        | hosts("2606:2800:220:1::1946", "api6.example"),
    ),
    "no names": Group(
        "Nobody knows them, or they cannot be names.",
        hosts(
            UNKNOWN,
            "nowhere.invalid a..b .api.example api.example.. .. ... - _ -.invalid xn-- xn--a xn--.invalid xn--zzzzzz",
            "a" * 64 + ".invalid",
            ".".join(["a" * 60] * 5) + ".invalid",
            "localhost.. localhost.invalid 127.0.0.1.invalid 127.0.0.1.. ..127.0.0.1",
            "com localhost-api api.example.127.0.0.1x",
        ),
    ),
    "dot segments": Group(
        "They name another resource than the one that is written (RFC 3986, section 5.2.4).",
        urls(
            REFUSED,
            "http://api.example/../127.0.0.1/",
            "http://api.example/./",
            "http://api.example/a/%2e%2e/",
            "http://api.example/.%2E/x",
            "http://127.0.0.1/..",
        ),
        transport=IMPOSSIBLE,  # which sends a path as it stands
    ),
}


LOCATIONS = {
    # relative to whoever redirects (RFC 3986, section 5.2)
    "//127.0.0.1/": BLOCKED,
    "//127.1/": BLOCKED,
    "//2130706433/": BLOCKED,
    "//0x7f.1/": BLOCKED,
    "//[::1]/": BLOCKED,
    "//[::ffff:169.254.169.254]:80/": BLOCKED,
    "//localhost": BLOCKED,
    "//localhost?q": BLOCKED,
    "//metadata.google.internal/computeMetadata/v1/": BLOCKED,
    "//127.0.0.1?@api.example": BLOCKED,
    "//127.0.0.1#@api.example": BLOCKED,
    "//api.example/": PUBLIC,
    "//api.example": PUBLIC,
    "//api.example?@127.0.0.1": PUBLIC,
    "//api.example#@127.0.0.1": PUBLIC,
    "//user@127.0.0.1/": REFUSED,
    "//127.0.0.1:80@api.example/": REFUSED,
    "//api.example\\@127.0.0.1/": REFUSED,
    "//\\127.0.0.1/": REFUSED,
    "//127.0.0.1%2f@api.example/": REFUSED,
    "//%31%32%37.0.0.1/": REFUSED,
    "//[127.0.0.1]/": REFUSED,
    "//[::1%25lo]/": REFUSED,
    "//127.0.0.1:/": REFUSED,
    "//127.0.0.1:99999/": REFUSED,
    "//127.0.0.1 /": REFUSED,
    "https:127.0.0.1": REFUSED,
    "https:/127.0.0.1/": REFUSED,
    "https:///127.0.0.1/": REFUSED,
    "/": START_ADDRESS,
    "": START_ADDRESS,
    "#": START_ADDRESS,
    "x": START_ADDRESS,
    "///127.0.0.1/": START_ADDRESS,
    "////127.0.0.1/": START_ADDRESS,
    "/\\127.0.0.1/": START_ADDRESS,
    "\\\\127.0.0.1\\": START_ADDRESS,
    "\\/127.0.0.1/": START_ADDRESS,
    "/%2f/127.0.0.1/": START_ADDRESS,
    "/.//127.0.0.1/": START_ADDRESS,
    ".//127.0.0.1/": START_ADDRESS,
    "..//127.0.0.1/": START_ADDRESS,
    "/x/..//127.0.0.1/": START_ADDRESS,
    "/\t/127.0.0.1/": START_ADDRESS,
    "?//127.0.0.1/": START_ADDRESS,
    "@127.0.0.1/": START_ADDRESS,
    ":80/": START_ADDRESS,
    "127.0.0.1": START_ADDRESS,
    "localhost/": START_ADDRESS,
    "http:127.0.0.1/x": START_ADDRESS,
    "http:": START_ADDRESS,
}
"""What only a `Location` can be, of a redirect of `http://START/n/x`."""


HOST_NAMES = {
    "good.bounded.example": [PUBLIC],
    "a.b.bounded.example": [PUBLIC],
    "xn--mnchen-3ya.bounded.example": [PUBLIC],
    "127.0.0.1.bounded.example": [PUBLIC],
    "inner.bounded.example": ["10.0.0.1"],
    "meta.bounded.example": ["169.254.169.254"],
    "evil.example": ["93.184.216.66"],
    "bounded.example": ["93.184.216.66"],
    "evilbounded.example": ["93.184.216.66"],
    "good.bounded.example.evil.example": ["93.184.216.66"],
}

NOT_ALLOWED = "host_not_allowed"

# Where `*.bounded.example` may be called: a template, and what becomes of it with each value of the contact.
BOUNDED: dict[str, dict[object, str]] = {
    "https://{{ contact.attributes.v }}.bounded.example/": {
        "good": PUBLIC,
        "GOOD": PUBLIC,
        "a.b": PUBLIC,
        "127.0.0.1": PUBLIC,
        "xn--mnchen-3ya": PUBLIC,
        "inner": BLOCKED,
        "meta": BLOCKED,
        "nowhere": UNKNOWN,
        "a" * 64: UNKNOWN,
        "evil.example": UNKNOWN,
        "evil.example/": REFUSED,
        "evil.example#": REFUSED,
        "evil.example?": REFUSED,
        "evil.example\\": REFUSED,
        "evil.example:80": REFUSED,
        "evil.example@good": REFUSED,
        "user@good": REFUSED,
        "user:pass@good": REFUSED,
        "//evil.example/": REFUSED,
        "https://evil.example/": REFUSED,
        "evil.example%2f": REFUSED,
        "evil.example%23": REFUSED,
        "evil.example%00": REFUSED,
        "evil.example\0": REFUSED,
        "evil.example\n": REFUSED,
        "evil.example\r\nHost: x": REFUSED,
        "evil.example ": REFUSED,
        " good": REFUSED,
        "good\t": REFUSED,
        "good\n": REFUSED,
        "good.": REFUSED,
        ".good": REFUSED,
        "..": REFUSED,
        ".": REFUSED,
        "a..b": REFUSED,
        "": REFUSED,
        "*": REFUSED,
        "[::1]": REFUSED,
        "::1": REFUSED,
        "127.0.0.1:80": REFUSED,
        "münchen": REFUSED,
        "evil。example": REFUSED,
        "evil．example": REFUSED,
        "ｇｏｏｄ": REFUSED,
        "g\u043e\u043ed": REFUSED,
        "evil\uff0fexample": REFUSED,
        "good\u200b": REFUSED,
        "good\u00ad": REFUSED,
        "goo\u0064\u0301": REFUSED,
        "{{ 7 }}": REFUSED,
        None: REFUSED,
        7: UNKNOWN,
        True: UNKNOWN,
    },
    "https://{{ contact.attributes.v }}/": {
        "good.bounded.example": PUBLIC,
        "Good.Bounded.EXAMPLE": PUBLIC,
        "inner.bounded.example": BLOCKED,
        "bounded.example": NOT_ALLOWED,
        "evilbounded.example": NOT_ALLOWED,
        "evil.example": NOT_ALLOWED,
        "good.bounded.example.evil.example": NOT_ALLOWED,
        "localhost": NOT_ALLOWED,
        "127.0.0.1": NOT_ALLOWED,
        "169.254.169.254": NOT_ALLOWED,
        "127.1": NOT_ALLOWED,
        "2130706433": NOT_ALLOWED,
        "0x7f.1": NOT_ALLOWED,
        "0x7f000001": NOT_ALLOWED,
        "0177.0.0.1": NOT_ALLOWED,
        "0": NOT_ALLOWED,
        2130706433: NOT_ALLOWED,
        127.1: NOT_ALLOWED,
        0: NOT_ALLOWED,
        "xn--": NOT_ALLOWED,
        "evil.example/.bounded.example": REFUSED,
        "evil.example?.bounded.example": REFUSED,
        "evil.example#.bounded.example": REFUSED,
        "evil.example\\.bounded.example": REFUSED,
        "evil.example@good.bounded.example": REFUSED,
        "good.bounded.example@evil.example": REFUSED,
        "good.bounded.example:80": REFUSED,
        "good.bounded.example/x": REFUSED,
        "good.bounded.example.": REFUSED,
        "[::1]": REFUSED,
        "::1": REFUSED,
        "1２7.0.0.1": REFUSED,
    },
    "https://{{ contact.attributes.v }}bounded.example/": {
        "good": NOT_ALLOWED,
        "evil": NOT_ALLOWED,
        "good.": REFUSED,
        "evil/": REFUSED,
        "": REFUSED,
    },
    "https://good.{{ contact.attributes.v }}/": {
        "bounded.example": PUBLIC,
        "bounded.example.evil.example": NOT_ALLOWED,
        "evil.example": NOT_ALLOWED,
        "bounded.example:80": REFUSED,
    },
    "https://good.bounded.example{{ contact.attributes.v }}/": {
        "": REFUSED,
        "s": NOT_ALLOWED,
        ".evil.example": REFUSED,
        "@evil.example": REFUSED,
        ":80": REFUSED,
    },
    "https://{{ contact.attributes.v }}:8443/": {"good.bounded.example": PUBLIC, "evil.example": NOT_ALLOWED},
    "https://{{ contact.attributes.v | lower }}/": {
        "GOOD.bounded.example": PUBLIC,
        "EVIL.example": NOT_ALLOWED,
    },
    "https://{{ contact.attributes.v | urlencode }}/": {"good.bounded.example": PUBLIC, "evil/": REFUSED},
    "https://{{ contact.attributes.v }}.{{ contact.attributes.v }}.bounded.example/": {
        "a": UNKNOWN,
        "a/": REFUSED,
    },
    "https://{% if contact.attributes.v %}{{ contact.attributes.v }}{% else %}good{% endif %}.bounded.example/": {
        "good": PUBLIC,
        "inner": BLOCKED,
        "": PUBLIC,
        "evil.example/": REFUSED,
    },
    "https://{% for c in contact.attributes.v %}{{ c }}{% endfor %}.bounded.example/": {
        "good": PUBLIC,
        "a/": REFUSED,
    },
    "https://{{ workspace.variables.host }}.{{ contact.attributes.v }}/": {
        "bounded.example": PUBLIC,
        "evil.example": NOT_ALLOWED,
        "bounded.example/": REFUSED,
    },
    "https://{{ contact.attributes.v }}.{{ workspace.variables.domain }}/": {
        "good": PUBLIC,
        "evil.example/": REFUSED,
    },
    "https://{{ contact.attributes.v if contact.attributes.v else workspace.variables.host }}.bounded.example/": {
        "good": PUBLIC,
        "": PUBLIC,
        "evil.example/": REFUSED,
    },
    # Nothing but a host, or a part of one, may be a value.
    "{{ contact.attributes.v }}": {"https://good.bounded.example/": REFUSED},
    "{{ contact.attributes.v }}://good.bounded.example/": {"https": REFUSED},
    "http{{ contact.attributes.v }}://good.bounded.example/": {"s": REFUSED},
    "//{{ contact.attributes.v }}/": {"good.bounded.example": REFUSED},
    "https:{{ contact.attributes.v }}": {"//good.bounded.example": REFUSED},
    "https:/{{ contact.attributes.v }}": {"/good.bounded.example": REFUSED},
    "https:///{{ contact.attributes.v }}/": {"good.bounded.example": REFUSED},
    "https://good.bounded.example:{{ contact.attributes.v }}/": {"80": REFUSED, "80@evil.example": REFUSED},
    "https://{{ contact.attributes.v }}@good.bounded.example/": {"user": REFUSED},
    "https://good.bounded.example@{{ contact.attributes.v }}/": {"evil.example": REFUSED},
    "https://user:{{ contact.attributes.v }}@good.bounded.example/": {"x": REFUSED},
    "https://[{{ contact.attributes.v }}]/": {"1": REFUSED, "127.0.0.1": REFUSED, "abc": REFUSED},
    "https://[::{{ contact.attributes.v }}]/": {"1": REFUSED},
    "https://{{ contact.attributes.v }}\\.bounded.example/": {"evil.example": REFUSED},
    "https://{{ contact.attributes.v }}#.bounded.example/": {"evil.example": REFUSED},
    "https://{{ contact.attributes.v }}?.bounded.example/": {"evil.example": NOT_ALLOWED},
    "https://{{ contact.attributes.v }}%2f.bounded.example/": {"evil.example": REFUSED},
    "{{ workspace.variables.api }}{{ contact.attributes.v }}/": {"x": REFUSED, ".evil.example": REFUSED},
    "{{ workspace.variables.api }}.{{ contact.attributes.v }}/": {
        "bounded.example": PUBLIC,
        "evil.example": NOT_ALLOWED,
    },
    "{{ workspace.variables.slash }}/{{ contact.attributes.v }}/": {
        "evil.example": REFUSED,
        "127.0.0.1": REFUSED,
    },
    "{% set a = 1 %}{{ workspace.variables.slash }}/{{ contact.attributes.v }}/": {"evil.example": REFUSED},
    "{# #}{{ workspace.variables.scheme }}//{{ contact.attributes.v }}/": {"evil.example": REFUSED},
    "{% if true %}https://good.bounded.example/{% else %}https://{% endif %}{{ contact.attributes.v }}": {
        "x": REFUSED
    },
    "{% if true %}https://{% endif %}{{ contact.attributes.v }}": {"good.bounded.example": REFUSED},
    "{% set workspace = contact %}https://{{ workspace.variables.v }}/": {"evil.example": REFUSED},
    "https://{{ workspace.variables[contact.attributes.v] }}.bounded.example/": {
        "host": PUBLIC,
        "no": REFUSED,
    },
}

BOUNDED_VARIABLES = {
    "host": "good",
    "domain": "bounded.example",
    "api": "https://good",
    "slash": "https:/",
    "scheme": "https:",
}

# Without a list, no value but the workspace's own may stand in the host, however the template is put.
UNBOUNDED = [
    "https://{{ contact.attributes.v }}/",
    "https://{{ contact.attributes.v }}.bounded.example/",
    "https://good.{{ contact.attributes.v }}/",
    "https://{{ contact.attributes.v | default('x') }}/",
    "https://{{ workspace.variables[contact.attributes.v] }}/",
    "https://{{ workspace.variables.host if contact.attributes.v == 'x' else contact.attributes.v }}/",
    "https://{{ contact.attributes.v or workspace.variables.host }}/",
    "https://{{ workspace.variables.host | replace('good', contact.attributes.v) }}/",
    "https://{{ workspace.variables.host ~ contact.attributes.v }}/",
    "https://{% set h = contact.attributes.v %}{{ h }}/",
    "https://{% with h = contact.attributes.v %}{{ h }}{% endwith %}/",
    "https://{% for workspace in [contact.attributes] %}{{ workspace.v }}{% endfor %}/",
    "https://{% for h in [contact.attributes.v] %}{{ h }}{% endfor %}/",
    "https://{% for h in [1, 2] %}{{ contact.attributes.v }}/{% endfor %}",
    "https://{% if contact.attributes.v %}{{ contact.attributes.v }}{% else %}good{% endif %}/",
    "https://{% if 1 %}good/{% endif %}{{ contact.attributes.v }}",
    "https://{% filter lower %}{{ contact.attributes.v }}{% endfilter %}/",
    "https://{% set h %}{{ contact.attributes.v }}{% endset %}{{ h }}/",
    "https://{% macro h() %}{{ contact.attributes.v }}{% endmacro %}{{ h() }}/",
    "{% if 1 %}https://{% else %}https://good/{% endif %}{{ contact.attributes.v }}/",
    "{% if 1 %}https:/{% endif %}/{{ contact.attributes.v }}/",
    "https:{# #}//{{ contact.attributes.v }}/",
    "{# #}{{ workspace.variables.slash }}/{{ contact.attributes.v }}/",
    "{% set a = 1 %}{{ workspace.variables.slash }}/{{ contact.attributes.v }}/",
    "{% set a = 1 %}{{ workspace.variables.scheme }}//{{ contact.attributes.v }}/",
    "{% if 1 %}{{ workspace.variables.slash }}/{% else %}{{ workspace.variables.slash }}/{% endif %}"
    "{{ contact.attributes.v }}/",
    "{% for i in [1] %}{{ workspace.variables.slash }}{% endfor %}/{{ contact.attributes.v }}/",
    "{{ '' }}https://{{ contact.attributes.v }}/",
    "{{ workspace.variables.api }}{{ contact.attributes.v }}/",
    "{{ workspace.variables.api }}.{{ contact.attributes.v }}/",
    "{{ workspace.variables.api }}@{{ contact.attributes.v }}/",
    "{{ workspace.variables.api }}:{{ contact.attributes.v }}/",
    "https://good.bounded.example:{{ contact.attributes.v }}/",
    "https://{{ contact.attributes.v }}@good.bounded.example/",
    "https://[{{ contact.attributes.v }}]/",
]

# Values in the path and the query of http://api.example/: none makes it another host.
IN_THE_PATH: dict[object, str] = dict.fromkeys(
    [
        "127.0.0.1",
        "@127.0.0.1",
        "//127.0.0.1/",
        "/../../127.0.0.1",
        "http://127.0.0.1/",
        "\\\\127.0.0.1",
        "?@127.0.0.1",
        "#@127.0.0.1",
        ":80@127.0.0.1",
        "%2f%2f127.0.0.1",
        "x\r\nHost: 127.0.0.1",
        "x HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nGET /",
        "\0",
        "\t//127.0.0.1",
        "；＠１２７。０。０。１",
        "／／127.0.0.1",
        "..%2f",
        "...",
        "{{ 7 }}",
        7,
        True,
    ],
    PUBLIC,
) | {".": REFUSED, "..": REFUSED, "": REFUSED, None: REFUSED}

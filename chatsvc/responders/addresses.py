"""Where a persona's calls may go: the form of a URL when it is written down, and the addresses of its host each time it is called.

A URL must have one meaning to everybody who reads it, so every unusual spelling is refused. What a name means can change at any
time, so its addresses are judged when it is called, all of them, and the connection is made to what was judged (`net.Wires`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import httpx2

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

LONGEST = 2048
UNSEEN = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029\ud800-\udfff\\]")
PARTS = re.compile(r"(?P<scheme>[^:/?#]*)://(?P<authority>[^/?#]*)")
AUTHORITY = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]*)\]|(?P<name>[A-Za-z0-9._-]*))(?::(?P<port>[0-9]*))?")
LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
PORT = re.compile(r"[1-9][0-9]{0,4}")

# Above 1023, what is known to listen for something else than HTTP and would take a request's lines for its own.
OTHERS_PORTS = frozenset(
    [
        *(1433, 1521, 1719, 1720, 1723, 1883, 2049, 2181, 3268, 3306, 3389, 3659, 4045, 4190, 5060, 5061, 5432, 5672, 5900, 6000, 6379, 6380),
        *(6432, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 9042, 9092, 10080, 11211, 11300, 26379, 27017, 27018, 27019),
    ]
)


def _networks(*spelt: str) -> tuple[Network, ...]:
    return tuple(ip_network(one) for one in spelt)


# Where clouds tell a machine its own credentials.
METADATA = _networks("169.254.169.254/32", "169.254.170.0/24", "100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32", "fd00:ec2::/32")
# What people call private: opened by WEBHOOK_ALLOW_PRIVATE.
PRIVATE = _networks("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
LOOPBACK = _networks("127.0.0.0/8", "::1/128")
MULTICAST = _networks("224.0.0.0/4", "ff00::/8")
LINK_LOCAL = _networks("169.254.0.0/16", "fe80::/10")
UNSPECIFIED = _networks("0.0.0.0/8", "::/128")
# IPv4 addresses written into IPv6 ones: the first two ways are in use and unwrapped, the others are refused whole.
MAPPED, TRANSLATED = IPv6Network("::ffff:0:0/96"), IPv6Network("64:ff9b::/96")
HIDING = _networks("::/96", "::ffff:0:0:0/96", "64:ff9b:1::/48", "2001::/32", "2002::/16")
ISATAP = (0x00005EFE, 0x02005EFE)  # of any network: the last half is one of these and an IPv4 address
RESERVED = _networks("192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15", "240.0.0.0/4", "fec0::/10", "2001::/23", "3fff::/20", "5f00::/16")


def as_address(text: str) -> Address:
    """An IPv4 address in IPv6 clothes is that IPv4 address."""
    found = ip_address(text)
    if isinstance(found, IPv6Address) and (found in MAPPED or found in TRANSLATED):
        return IPv4Address(int(found) & 0xFFFFFFFF)
    return found


def character(address: Address) -> str:
    """What keeps an address from being one that the whole world reaches; empty for one that it does."""
    hiding = isinstance(address, IPv6Address) and (int(address) >> 32) & 0xFFFFFFFF in ISATAP
    for name, networks in (
        ("an unspecified address", UNSPECIFIED),
        ("a loopback address", LOOPBACK),
        ("a metadata address", METADATA),
        ("a private address", PRIVATE),
        ("a link-local address", LINK_LOCAL),
        ("a multicast address", MULTICAST),
        ("an IPv4 address hidden in IPv6", HIDING),
        ("a reserved address", RESERVED),
    ):
        if _within(address, networks):
            return name
    if hiding:
        return "an IPv4 address hidden in IPv6"
    return "" if address.is_global else "a reserved address"


def _within(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks if network.version == address.version)


def rule(*, allow_private: bool = False, allow_networks: Sequence[Network] = ()) -> Callable[[Address], str]:
    """Judges an address: what it is that keeps it from being called, or nothing. `allow_private` opens private and loopback addresses; a network, all in it."""

    def judge(address: Address) -> str:
        if _within(address, allow_networks):
            return ""
        found = character(address)
        return "" if allow_private and found in ("a private address", "a loopback address") else found

    return judge


def check_url(url: str) -> str | None:
    """What is wrong with the form of a URL, as the end of a sentence that begins with what it is ("must not …"); None when nothing is."""
    if len(url) > LONGEST:
        return f"must have at most {LONGEST} characters"
    if UNSEEN.search(url):
        return "must not hold white space, control characters or backslashes"
    parts = PARTS.match(url)
    if not parts or parts["scheme"].lower() not in ("http", "https"):
        return "must begin with http:// or https://"
    return _check_authority(parts["authority"]) or _check_reading(url, parts["authority"])


def _check_authority(authority: str) -> str | None:
    if "@" in authority:
        return "must not hold a user name or password"
    if "%" in authority:
        return "must not hold percent signs in its host"
    if not authority.isascii():
        return "must spell its host in ASCII letters (international names as xn--…)"
    found = AUTHORITY.fullmatch(authority)
    if not found or not (found["six"] or found["name"]):
        return "must name a host, and nothing else, before its path"
    return _check_host(found["six"], found["name"]) or _check_port(found["port"])


def _check_host(six: str | None, name: str | None) -> str | None:
    if not name:
        return None if _is(IPv6Address, six or "") else "must name a host that is an address or a name"
    if name.endswith("."):
        return "must not end its host with a dot"
    labels = name.split(".")
    if NUMBER.fullmatch(labels[-1]):
        return None if _is(IPv4Address, name) else "must write an IPv4 address as four decimal numbers"
    if len(name) > 253 or not all(LABEL.fullmatch(label) for label in labels):
        return "must name a host that is an address or a name"
    return None


def _is(kind: type[IPv4Address] | type[IPv6Address], text: str) -> bool:
    try:
        kind(text)
    except ValueError:
        return False
    return True


def _check_port(port: str | None) -> str | None:
    if port is None:
        return None
    if not PORT.fullmatch(port) or int(port) > 65535:
        return "must give its port as a number from 1 to 65535"
    if (int(port) < 1024 and port not in ("80", "443")) or int(port) in OTHERS_PORTS:
        return f"must not use port {port}, which is not one of HTTP"
    return None


def _check_reading(url: str, authority: str) -> str | None:
    """Whoever makes the connection must read the same host and port."""
    try:
        read = httpx2.URL(url)
        host = read.raw_host.decode("ascii").lower()
        port = read.port
    except (httpx2.InvalidURL, ValueError):
        return "must be an http or https URL"
    usual = ":80" if read.scheme == "http" else ":443"
    again = (f"[{host}]" if ":" in host else host) + ("" if port is None else f":{port}")
    return None if again.removesuffix(usual) == authority.lower().removesuffix(usual) else "must be an http or https URL"

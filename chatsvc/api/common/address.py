"""Where a request comes from, as far as that can be believed: the peer, or what PROXY_HOPS trusted proxies say."""

from __future__ import annotations

import re
from ipaddress import IPv6Address, ip_address, ip_network

from flask import request

UNKNOWN = "unknown"
# Some proxies name the client with its port; a new port is not a new client.
WITH_PORT = re.compile(r"\[(?P<v6>[^\]]+)\](?::[0-9]+)?|(?P<v4>[0-9.]+):[0-9]+", re.ASCII)


def client() -> str:
    """The client's address; of IPv6 the /64, since one household has them all."""
    text = (request.remote_addr or "").partition("%")[0]
    ported = WITH_PORT.fullmatch(text)
    try:
        address = ip_address(ported["v6"] or ported["v4"] if ported else text)
    except ValueError:
        return UNKNOWN
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(ip_network((address, 64), strict=False).network_address)
    return str(address)

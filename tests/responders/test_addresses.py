"""Addresses that personas name: what they may not be, in whatever spelling, and that the address judged is the one connected to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatsvc.responders import addresses
from chatsvc.responders.addresses import as_address, character, check_url, rule
from chatsvc.responders.base import ResponderError
from chatsvc.responders.http import Client
from chatsvc.responders.net import Wires
from chatsvc.responders.openai import OpenAI
from chatsvc.responders.webhook import Webhook
from tests.responders.conftest import asked
from tests.responders.standins import Connector, Resolver
from tests.responders.upstream import Upstream, running

LOOPBACK, PRIVATE, LINK_LOCAL = "is a loopback address", "is a private address", "is a link-local address"
METADATA, MULTICAST, UNSPECIFIED = "is a metadata address", "is a multicast address", "is an unspecified address"
RESERVED, HIDDEN = "is a reserved address", "is an IPv4 address hidden in IPv6"
DECIMAL, NUMBER, HOST = "four decimal numbers", "its port as a number", "must name a host"
USER, SIGNS, LETTERS, PERCENT, SCHEME = "user name", "white space, control characters or backslashes", "ASCII letters", "percent", "must begin with http"

# PORT is the canary's. What each URL is refused for, in the words that people get.
REFUSED: list[tuple[str, str]] = [
    # Addresses as they are
    ("http://127.0.0.1:PORT/", LOOPBACK),
    ("https://127.0.0.1:PORT/", LOOPBACK),
    ("http://127.8.9.10:PORT/", LOOPBACK),
    ("http://0.0.0.0:PORT/", UNSPECIFIED),
    ("http://10.1.2.3/", PRIVATE),
    ("http://172.16.0.1/", PRIVATE),
    ("http://172.31.255.254/", PRIVATE),
    ("http://192.168.1.1/", PRIVATE),
    ("http://100.64.0.1/", PRIVATE),
    ("http://169.254.1.1/", LINK_LOCAL),
    ("http://169.254.169.254/latest/meta-data/", METADATA),
    ("http://169.254.170.2/v2/credentials", METADATA),
    ("http://100.100.100.200/", METADATA),
    ("http://168.63.129.16/", METADATA),
    ("http://192.0.0.192/", METADATA),
    ("http://224.0.0.1/", MULTICAST),
    ("http://239.255.255.250/", MULTICAST),
    ("http://255.255.255.255/", RESERVED),
    ("http://240.0.0.1/", RESERVED),
    ("http://198.18.0.1/", RESERVED),
    ("http://192.0.2.1/", RESERVED),
    ("http://203.0.113.9/", RESERVED),
    # IPv6, and IPv4 within it
    ("http://[::1]:PORT/", LOOPBACK),
    ("http://[::]:PORT/", UNSPECIFIED),
    ("http://[0:0:0:0:0:0:0:1]:PORT/", LOOPBACK),
    ("http://[fe80::1]/", LINK_LOCAL),
    ("http://[fc00::1]/", PRIVATE),
    ("http://[fd12:3456:789a::1]/", PRIVATE),
    ("http://[fd00:ec2::254]/", METADATA),
    ("http://[fec0::1]/", RESERVED),
    ("http://[ff02::1]/", MULTICAST),
    ("http://[2001:db8::1]/", RESERVED),
    ("http://[100::1]/", RESERVED),
    ("http://[::ffff:127.0.0.1]:PORT/", LOOPBACK),
    ("http://[::ffff:7f00:1]:PORT/", LOOPBACK),
    ("http://[::FFFF:10.0.0.1]/", PRIVATE),
    ("http://[::ffff:169.254.169.254]/", METADATA),
    ("http://[::127.0.0.1]:PORT/", HIDDEN),
    ("http://[::7f00:1]:PORT/", HIDDEN),
    ("http://[::ffff:0:127.0.0.1]:PORT/", HIDDEN),
    ("http://[64:ff9b::127.0.0.1]:PORT/", LOOPBACK),
    ("http://[64:ff9b::a9fe:a9fe]/", METADATA),
    ("http://[64:ff9b::c0a8:101]/", PRIVATE),
    ("http://[64:ff9b:1::7f00:1]/", HIDDEN),
    ("http://[64:ff9b:1:7f00:0:100::]/", HIDDEN),
    ("http://[2002:7f00:1::]/", HIDDEN),
    ("http://[2002:c0a8:101::1]/", HIDDEN),
    ("http://[2001:0:7f00:1::]/", HIDDEN),
    ("http://[2001:0:4136:e378:8000:63bf:80ff:fffe]/", HIDDEN),
    ("http://[2606:4700::5efe:127.0.0.1]/", HIDDEN),
    ("http://[2606:4700::200:5efe:7f00:1]/", HIDDEN),
    # Other spellings of addresses
    ("http://2130706433:PORT/", DECIMAL),
    ("http://0x7f000001:PORT/", DECIMAL),
    ("http://0X7F.0.0.1:PORT/", DECIMAL + "|must name a host"),
    ("http://017700000001:PORT/", DECIMAL),
    ("http://0177.0.0.1:PORT/", DECIMAL),
    ("http://127.0.0.01:PORT/", DECIMAL),
    ("http://127.1:PORT/", DECIMAL),
    ("http://127.0.1:PORT/", DECIMAL),
    ("http://0:PORT/", DECIMAL),
    ("http://127.0.0.0x1:PORT/", DECIMAL),
    ("http://127.0.0.256/", DECIMAL),
    ("http://127.0.0.1.:PORT/", "end its host with a dot"),
    ("http://localhost.:PORT/", "end its host with a dot"),
    ("http://①②⑦.⓪.⓪.①:PORT/", LETTERS),
    ("http://127。0。0。1:PORT/", LETTERS),
    ("http://loca\u212ahost:PORT/", LETTERS),
    ("http://ⓛocalhost:PORT/", LETTERS),
    ("http://١٢٧.0.0.1:PORT/", LETTERS),
    ("http://127%2e0.0.1:PORT/", PERCENT),
    ("http://%6c%6f%63alhost:PORT/", PERCENT),
    ("http://[fe80::1%25eth0]/", PERCENT),
    ("http://[::1%lo]:PORT/", PERCENT),
    ("http://[127.0.0.1]:PORT/", "address or a name"),
    ("http://[::1:PORT/", HOST),
    ("http://::1:PORT/", HOST),
    ("http://[]:PORT/", HOST),
    # Who reads which part as the host
    ("http://93.184.215.14@127.0.0.1:PORT/", USER),
    ("http://user:pass@public.example/", USER),
    ("http://:@public.example/", USER),
    ("http://public.example:80@127.0.0.1:PORT/", USER),
    ("http://127.0.0.1:PORT#@public.example/", LOOPBACK),
    ("http://127.0.0.1:PORT?@public.example/", LOOPBACK),
    ("http://127.0.0.1:PORT\\@public.example/", SIGNS),
    ("http://public.example\\@127.0.0.1:PORT/", SIGNS),
    ("http://public.example@@127.0.0.1:PORT/", USER),
    ("http:///127.0.0.1:PORT/", HOST),
    ("http://127.0.0.1:PORT,public.example/", HOST),
    ("http://a b/", SIGNS),
    (" http://127.0.0.1:PORT/", SIGNS),
    ("http://127.0.0.1:PORT/\r\nHost: other", SIGNS),
    ("http://127.0.0.1\t:PORT/", SIGNS),
    ("http://127.0.0.1\x00.public.example/", SIGNS),
    ("http://pub\u00adlic.example/", LETTERS),
    ("http://.public.example/", HOST),
    ("http://a..b/", HOST),
    ("http://-a.example/", HOST),
    ("http://" + "a" * 64 + ".example/", HOST),
    ("http://" + "a." * 127 + "example/", HOST),
    ("http://public.example/" + "a" * 2048, "at most 2048 characters"),
    # Ports
    ("http://public.example:22/", "port 22"),
    ("http://public.example:25/", "port 25"),
    ("http://public.example:6379/", "port 6379"),
    ("http://public.example:5432/", "port 5432"),
    ("http://public.example:11211/", "port 11211"),
    ("http://public.example:0/", NUMBER),
    ("http://public.example:/", NUMBER),
    ("http://public.example:080/", NUMBER),
    ("http://public.example:65536/", NUMBER),
    ("http://public.example:99999999999/", NUMBER),
    ("http://public.example:80:80/", HOST),
    ("http://public.example:٨٠/", LETTERS),
    # Other schemes
    ("file:///etc/passwd", SCHEME),
    ("ftp://127.0.0.1:PORT/", SCHEME),
    ("gopher://127.0.0.1:PORT/_x", SCHEME),
    ("unix:///run/docker.sock", SCHEME),
    ("data://text/plain,Hi", SCHEME),
    ("javascript:alert(1)", SCHEME),
    ("//127.0.0.1:PORT/", SCHEME),
    ("127.0.0.1:PORT", SCHEME),
    ("http:127.0.0.1", SCHEME),
    ("http:/127.0.0.1/", SCHEME),
    ("", SCHEME),
    # Names that mean something private
    ("http://localhost:PORT/", LOOPBACK),
    ("http://LOCALHOST:PORT/", LOOPBACK),
    ("http://loopback.example:PORT/", LOOPBACK),
    ("http://private.example/", PRIVATE),
    ("http://mapped.example:PORT/", LOOPBACK),
    ("http://metadata.example/", METADATA),
    ("http://both.example:PORT/", LOOPBACK),
    ("http://last.example:PORT/", PRIVATE),
    ("http://scoped.example:PORT/", LINK_LOCAL),
]

MEANINGS = {
    "public_example": [["93.184.215.14"]],
    "localhost": [["127.0.0.1", "::1"]],
    "loopback_example": [["127.0.0.1"]],
    "private_example": [["10.0.0.7"]],
    "mapped_example": [["::ffff:127.0.0.1"]],
    "metadata_example": [["169.254.169.254"]],
    "both_example": [["93.184.215.14", "127.0.0.1"]],
    "last_example": [["93.184.215.14", "2606:4700::1", "192.168.0.1"]],
    "scoped_example": [["fe80::1%lo"]],
}


@pytest.fixture
def resolver() -> Resolver:
    return Resolver(**MEANINGS)


@pytest.fixture
def connector() -> Connector:
    return Connector()


@pytest.fixture
def strict(resolver: Resolver, connector: Connector) -> Iterator[Client]:
    client = Client(wires=Wires(rule(), resolver, connector), keepalive=0)
    yield client
    client.close()


@pytest.fixture(scope="module")
def canary() -> Iterator[Upstream]:
    with running() as server:
        yield server


def test_there_are_enough_of_them() -> None:
    assert len({url for url, _ in REFUSED}) == len(REFUSED) >= 60


@pytest.mark.parametrize(("url", "why"), REFUSED, ids=[ascii(url)[:60] for url, _ in REFUSED])
def test_a_url_that_leads_elsewhere_is_refused_and_nothing_is_connected(canary: Upstream, strict: Client, connector: Connector, url: str, why: str) -> None:
    told = asked(Webhook(url=url.replace("PORT", str(canary.port)), client=strict, timeout=5))
    assert told.error
    assert told.kind == "unreachable"
    assert any(words in told.error.message for words in why.split("|")), told.error.message
    assert told.error.message.startswith("The webhook c")
    assert str(canary.port) not in told.error.message
    assert told.own_seconds < 1
    assert connector.noted == []
    assert canary.callers == []


@pytest.mark.parametrize(("url", "why"), REFUSED, ids=[ascii(url)[:60] for url, _ in REFUSED])
def test_its_form_is_told_when_it_is_written_down(url: str, why: str) -> None:
    fault = check_url(url.replace("PORT", "5678"))
    if why.startswith("is a"):
        assert fault is None  # what it means is found out when it is called
    else:
        assert fault
        assert any(words in fault for words in why.split("|"))
        assert fault.startswith("must ")


@pytest.mark.parametrize(
    "url",
    [
        "http://n8n:5678/webhook/0b3c",
        "https://n8n.example.com/webhook/chat",
        "HTTPS://N8N.example.com:443/webhook/x/?a=1&b=%20#top",
        "http://n8n_1:8080/",
        "http://xn--mnchen-3ya.example",
        "http://192.0.2.1:1024/a@b:c",
        "https://[2606:4700::1111]:8443/",
        "http://1password.example/früh",
        "http://a.b.c.example?x=http://127.0.0.1/",
    ],
)
def test_usual_urls_are_fine(url: str) -> None:
    assert check_url(url) is None


@given(st.text(max_size=40), st.sampled_from(["", "http://", "https://", "http://h", "http://[::1]", "http://127.0.0."]))
def test_any_text_is_judged_and_what_is_fine_means_the_same_to_the_client(text: str, begin: str) -> None:
    url = begin + text
    fault = check_url(url)
    assert fault is None or fault.startswith("must ")
    responder = Webhook(url=url)
    if fault is None:
        host = responder.url.raw_host.decode()
        assert f"//{host}" in url.lower() or f"//[{host}]" in url.lower()
        assert not responder.url.userinfo


# The address that was judged is the one connected to


def test_a_name_that_changes_its_meaning_is_judged_each_time(canary: Upstream, connector: Connector) -> None:
    resolver = Resolver(rebinding_example=[["93.184.215.14"], ["127.0.0.1"]])
    client = Client(wires=Wires(rule(), resolver, connector), keepalive=0)
    responder = Webhook(url=f"http://rebinding.example:{canary.port}/", client=client)
    first, second = asked(responder), asked(responder)
    assert first.error
    assert first.error.message == "The webhook could not be reached: connection refused."
    assert second.error
    assert LOOPBACK in second.error.message
    assert resolver.asked == ["rebinding.example"] * 2  # looked up once for each call, and never again to connect
    assert connector.noted == [("93.184.215.14", canary.port)]
    assert canary.callers == []


def test_every_address_is_tried_in_its_turn_and_no_other(connector: Connector) -> None:
    resolver = Resolver(many_example=[["93.184.215.14", "2606:4700::1", "64:ff9b::8.8.8.8"]])
    told = asked(Webhook(url="https://many.example:8443/", client=Client(wires=Wires(rule(), resolver, connector))))
    assert told.kind == "unreachable"
    assert connector.noted == [("93.184.215.14", 8443), ("2606:4700::1", 8443), ("64:ff9b::8.8.8.8", 8443)]


def test_a_name_that_nobody_knows(strict: Client, connector: Connector) -> None:
    told = asked(Webhook(url="http://nobody.example/", client=strict))
    assert told.error
    assert (told.kind, told.error.message) == ("unreachable", "The webhook could not be reached: its name is not known.")
    assert connector.noted == []


def test_the_name_stays_in_the_request(upstream: Upstream, connector: Connector) -> None:
    upstream.script = lambda caller: caller.answer(b'{"output": "Hi"}')
    client = Client(wires=Wires(rule(allow_private=True), Resolver(flows_example=[["127.0.0.1"]]), connector))
    assert asked(Webhook(url=f"http://flows.example:{upstream.port}/webhook/x/", client=client)).text == "Hi"
    target, headers, _ = upstream.requests[0]
    assert (target, headers["host"]) == ("/webhook/x/", f"flows.example:{upstream.port}")
    assert connector.noted == [("127.0.0.1", upstream.port)]


def test_no_proxy_of_the_environment_is_used(upstream: Upstream, strict: Client, connector: Connector, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, upstream.url)
    assert asked(Webhook(url="http://public.example/", client=strict)).kind == "unreachable"
    assert connector.noted == [("93.184.215.14", 80)]
    assert upstream.callers == []


def test_a_models_own_address_is_under_the_same_rule(canary: Upstream, strict: Client, connector: Connector) -> None:
    told = asked(OpenAI(base_url=f"http://loopback.example:{canary.port}/v1", model="parrot", client=strict))
    assert told.error
    assert LOOPBACK in told.error.message
    assert connector.noted == []


# What a setting opens


@pytest.mark.parametrize(
    ("address", "opened"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("10.0.0.1", True),
        ("::ffff:192.168.0.1", True),
        ("64:ff9b::10.0.0.1", True),
        ("100.64.0.1", True),
        ("fd00::1", True),
        ("8.8.8.8", True),
        ("169.254.169.254", False),
        ("169.254.3.4", False),
        ("fd00:ec2::254", False),
        ("0.0.0.0", False),
        ("::", False),
        ("224.0.0.1", False),
        ("2002:a00:1::", False),
        ("::10.0.0.1", False),
        ("240.0.0.1", False),
    ],
)
def test_private_addresses_are_opened_by_one_word_and_nothing_else_is(address: str, opened: bool) -> None:
    assert (rule(allow_private=True)(as_address(address)) == "") is opened


def test_a_network_opens_what_is_in_it() -> None:
    judge = rule(allow_networks=[ip_network("10.0.3.0/24"), ip_network("169.254.169.254/32"), ip_network("2002:a00:1::/48"), ip_network("fd00::/8")])
    for address in ("10.0.3.7", "::ffff:10.0.3.7", "64:ff9b::10.0.3.7", "169.254.169.254", "2002:a00:1::5", "fd00:ec2::254", "1.1.1.1"):
        assert judge(as_address(address)) == ""
    for address in ("10.0.4.1", "127.0.0.1", "::1", "169.254.169.253", "2002:a00:2::", "fc00::1"):
        assert judge(as_address(address)) != ""


@given(st.integers(0, 2**32 - 1), st.sampled_from(["::ffff:0:0", "64:ff9b::"]))
def test_an_ipv4_address_in_ipv6_clothes_is_what_it_is(number: int, prefix: str) -> None:
    assert as_address(str(ip_address(int(ip_address(prefix)) + number))) == ip_address(number)


@given(st.ip_addresses())
def test_whatever_is_let_through_is_global_to_the_standard_library_too(address: addresses.Address) -> None:
    if not character(address):
        assert address.is_global
        assert not address.is_multicast
        assert not address.is_loopback


def test_an_error_is_one_that_a_caller_knows(strict: Client) -> None:
    told = asked(Webhook(url="http://user:pa55word@public.example/?key=secret-query", client=strict, secret="s3cret-s3cret"))
    assert isinstance(told.error, ResponderError)
    for secret in ("pa55word", "secret-query", "s3cret", "public.example"):
        assert secret not in json.dumps(told.error.message)

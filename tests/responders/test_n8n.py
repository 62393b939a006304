"""`docs/n8n.md` and its flows: what n8n answers by each of them is understood, and page and files say the same."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chatsvc.responders.base import AnswersLater, Question, Stop, Turn
from chatsvc.responders.signing import verify
from chatsvc.responders.webhook import Webhook
from tests.responders.upstream import Upstream

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "n8n.md").read_text()
FLOWS: dict[str, dict[str, Any]] = {path.stem: json.loads(path.read_text()) for path in sorted((DOCS / "n8n").glob("*.json"))}
SHAPES = [(way, content_type, body) for way, content_type, body in re.findall(r"```\w+ (\w+) ([^\n]+)\n(.*?)```", PAGE, re.DOTALL)]
QUESTION = Question([Turn("user", "Hello, how are you?")], user_id="u", session_id="s", reply_id="1", conversation_id="c", persona_id="p")
SAID = "You said: Hello, how are you?"

Make = Callable[..., Webhook]


def node(flow: str, name: str) -> dict[str, Any]:
    parameters: dict[str, Any] = next(one for one in FLOWS[flow]["nodes"] if one["name"] == name)["parameters"]
    return parameters


def shapes(way: str) -> list[tuple[str, str]]:
    return [(content_type, body) for of, content_type, body in SHAPES if of == way]


def test_there_is_a_flow_for_each_of_the_three_ways() -> None:
    assert sorted(FLOWS) == ["callback", "respond", "stream"] == sorted({way for way, _, _ in SHAPES})
    assert sorted(re.findall(r"\]\(n8n/(\w+)\.json\)", PAGE)) == sorted(FLOWS)


@pytest.mark.parametrize(("content_type", "body"), shapes("respond") + shapes("stream"))
@pytest.mark.parametrize("callback", [False, True])
def test_its_answers_are_understood(upstream: Upstream, webhook: Make, content_type: str, body: str, callback: bool) -> None:
    upstream.script = lambda caller: caller.answer(body.removesuffix("\n").encode(), content_type=content_type)
    assert "".join(webhook(callback=callback).reply(QUESTION, Stop())) == SAID


@pytest.mark.parametrize(("content_type", "body"), shapes("callback"))
def test_its_acknowledgements_are_understood(upstream: Upstream, webhook: Make, content_type: str, body: str) -> None:
    upstream.script = lambda caller: caller.answer(body.encode(), content_type=content_type)
    with pytest.raises(AnswersLater):
        list(webhook(callback=True).reply(QUESTION, Stop()))


def test_a_streamed_answer_comes_in_its_pieces(upstream: Upstream, webhook: Make) -> None:
    content_type, body = shapes("stream")[0]
    upstream.script = lambda caller: caller.answer(body.encode(), content_type=content_type)
    assert list(webhook().reply(QUESTION, Stop())) == ["You said: ", "Hello, how are you?"]


@pytest.mark.parametrize("name", FLOWS)
def test_a_flow_holds_together(name: str) -> None:
    flow = FLOWS[name]
    names = [one["name"] for one in flow["nodes"]]
    assert len({one["id"] for one in flow["nodes"]}) == len(set(names)) == len(names)
    reached = {"Webhook"}
    for source, kinds in flow["connections"].items():
        targets = {link["node"] for outputs in kinds.values() for output in outputs for link in output}
        assert {source} | targets <= set(names)
        reached |= {source} | targets
    assert reached == set(names)
    assert "credentials" not in json.dumps(flow)
    for one in flow["nodes"]:
        assert {"parameters", "id", "name", "type", "typeVersion", "position"} <= set(one)
        assert f"**{one['name']}**" in PAGE


@pytest.mark.parametrize("name", FLOWS)
def test_a_flow_responds_as_the_page_says_and_is_where_it_says(name: str) -> None:
    row = next(line for line in PAGE.splitlines() if line.startswith(f"| [{name}.json]"))
    assert f"`{node(name, 'Webhook')['responseMode']}`" in row
    assert node(name, "Webhook")["httpMethod"] == "POST"
    assert len({node(flow, "Webhook")["path"] for flow in FLOWS}) == 3


def test_the_path_of_the_example_is_one_of_a_flow() -> None:
    assert re.findall(r"/webhook/([\w-]+)\"", PAGE) == [node("respond", "Webhook")["path"]]


def test_page_and_flows_name_only_what_is_sent() -> None:
    responder = Webhook(url="http://n8n.example/", secret="s", callback=True, callback_url="http://chat.example/{session_id}")
    body = responder.body(QUESTION)
    headers, fields = set(responder.headers(QUESTION, body)), set(json.loads(body))
    everything = PAGE + json.dumps(FLOWS)
    assert set(re.findall(r"json\.body\.(\w+)", everything)) <= fields
    assert set(re.findall(r"headers\['([\w-]+)'\]", everything)) <= headers
    assert {name.lower() for name in re.findall(r"^\| `([\w-]+)` \|", PAGE, re.MULTILINE)} <= headers
    shown = re.search(r"## What a flow receives\n\n```json\n(.*?)\n```", PAGE, re.DOTALL)
    assert shown
    assert list(json.loads(shown[1])) == list(json.loads(body))


def test_both_switches_of_the_streaming_flow_are_on() -> None:
    assert node("stream", "AI Agent")["options"] == {"enableStreaming": True}
    webhook = next(one for one in FLOWS["stream"]["nodes"] if one["name"] == "Webhook")
    assert webhook["typeVersion"] >= 2.1


def test_what_calls_back_is_signed_as_the_service_verifies() -> None:
    sign, call = node("callback", "Signature"), node("callback", "Call Back")
    assert (sign["action"], sign["type"], sign["encoding"], sign["value"]) == ("hmac", "SHA256", "hex", "={{ $json.signed }}")
    sent = {one["name"]: one["value"] for one in call["headerParameters"]["parameters"]}
    assert sent == {"X-Chatsvc-Timestamp": "={{ $json.timestamp }}", "X-Chatsvc-Signature": "=v1={{ $json.signature }}"}
    assert (call["contentType"], call["rawContentType"], call["body"]) == ("raw", "application/json", "={{ $json.body }}")


@pytest.mark.skipif(shutil.which("node") is None, reason="the code of a flow is run where there is a node")
def test_the_code_of_the_late_flow_makes_what_is_verified() -> None:
    code = node("callback", "Body")["jsCode"]
    program = f"const $input = {{first: () => ({{json: {{output: {json.dumps(SAID + ' 👋')}}}}})}};\nconst run = () => {{{code}}};\nconsole.log(JSON.stringify(run()));"
    made = json.loads(subprocess.run(["node", "-e", program], capture_output=True, text=True, check=True, timeout=20).stdout)[0]["json"]
    assert json.loads(made["body"]) == {"output": SAID + " 👋"}
    signature = "v1=" + hmac.new(b"shared", made["signed"].encode(), hashlib.sha256).hexdigest()
    assert verify("shared", made["timestamp"], made["body"].encode(), signature, time.time())


def test_the_page_quotes_what_errors_say() -> None:
    said = "".join(path.read_text() for path in (DOCS.parent / "chatsvc/responders").glob("*.py"))
    known = re.sub(r'"\s*\n\s*f?"', "", said)
    quoted = [row.split("|")[1].strip() for row in PAGE.partition("## When it does not work")[2].splitlines() if row.startswith("| ")][1:]
    assert len(quoted) == 8
    for words in quoted:
        for part in re.split(r"a private address| \(404\)", words):
            assert part.strip(" ,") in known, part

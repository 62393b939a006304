"""Who asks, and what is there before anybody asks."""

from __future__ import annotations

import json
import secrets
import time
import urllib.request
from pathlib import Path
from typing import Any

import jwt

from bench.streams import SECRET

PEERS = ("owner", "stranger")
PASSWORD = "pears-and-plums-4711"
WEBHOOK_SECRET = "whsec-of-the-fuzz-Bv5nCm2xZq9w"
Json = dict[str, Any]


def token(name: str) -> str:
    """Good for longer than any run, and like no other: a token that signed out is refused from then on."""
    claims = {"sub": name, "role": "ADMIN" if name == "admin" else "USER", "exp": int(time.time()) + 86400, "jti": secrets.token_hex(8)}
    return jwt.encode(claims, SECRET, "HS256")


def document() -> Json:
    """The three, for schemathesis: the first two must not see each other's things, the third is asked where they may not."""
    names = (*PEERS, "admin")
    return {"auth": [{"name": name, "fixedHeaders": [{"name": "Authorization", "value": f"Bearer {token(name)}"}]} for name in names]}


def call(service: str, method: str, path: str, body: Any = None, *, name: str = "owner", **headers: str) -> Any:
    """One request; what it answers, which must be a success."""
    data = None if body is None else json.dumps(body).encode()
    given = {"Authorization": f"Bearer {token(name)}", "Content-Type": "application/json", **headers}
    with urllib.request.urlopen(urllib.request.Request(service + path, data, given, method=method), timeout=30) as response:
        return json.loads(response.read() or b"null")


def prepare(service: str, upstream: str, folder: Path) -> None:
    """An account, a persona of each manner, and a conversation of each user with each: chance alone would hardly make them."""
    call(service, "POST", "/auths/register", {"username": "fuzzed", "password": PASSWORD})
    kept: Json = {"personas": {}, "conversations": {}}
    for name, given in {
        "direct": {"kind": "webhook", "webhookUrl": f"{upstream}/fine"},
        "later": {"kind": "webhook", "webhookUrl": f"{upstream}/later", "answers": "callback"},
        "failing": {"kind": "webhook", "webhookUrl": f"{upstream}/broken"},
        "echo": {"kind": "echo"},
    }.items():
        persona = call(service, "POST", "/api/personas", {"name": name, "secret": WEBHOOK_SECRET, **given}, name="admin")["data"]
        kept["personas"][name] = persona["personaId"]
        for peer in (*PEERS, "admin"):
            made = call(service, "POST", "/api/conversations", {"personaId": persona["personaId"]}, name=peer)["data"]
            kept["conversations"][f"{peer} {name}"] = made["conversationId"]
    (folder / "prepared.json").write_text(json.dumps(kept))

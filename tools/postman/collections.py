"""Puts the collections together."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tools.postman import golden_app, golden_envelope, golden_v1
from tools.postman.routes import every_route
from tools.postman.steps import Json, Step, bearer, folder, item

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "postman"
SCHEMA = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
ENVIRONMENT = "local.postman_environment.json"
GOLDEN = {"v1": golden_v1.STEPS, "envelope": golden_envelope.STEPS, "app": golden_app.STEPS}
KEPT = re.compile(r'pm\.collectionVariables\.set\(\\?"(\w+)\\?"')

ABOUT = """Run it from top to bottom: the first folder signs in, and each request keeps the ids that the next ones need.

Choose the environment "chatsvc, local" and set `baseUrl`. What admins do needs the name and the password of one
(`adminUsername`, `adminPassword`): `flask users create NAME --admin` makes one."""
SIGN_IN = "Who calls from here on. `run` is a word of this run alone, for names that nobody has used."
EVERY = "Each route of the document, with its example. A path's ids come from the requests above it."
GOLDEN_ABOUT = "What people do with it, in their order: each answer is held to its status, its fields and its values."


def sign_in(*, admin: bool) -> list[Json]:
    found = [Step("Sign in", "POST /auths/login", 200, body={"username": "{{username}}", "password": "{{password}}"}, who="", before=(RUN,), keep=TOKENS)]
    if admin:
        body = {"username": "{{adminUsername}}", "password": "{{adminPassword}}"}
        found.append(Step("Sign in as an admin", "POST /auths/login", 200, body=body, who="", keep={"adminToken": "body.access_token"}, also={IS_ADMIN: ADMIN}))
    return [item(one) for one in found]


RUN = 'pm.collectionVariables.set("run", Date.now().toString(36));'
TOKENS = {"token": "body.access_token", "refreshToken": "body.refresh_token"}
IS_ADMIN = "adminUsername and adminPassword are those of an account: flask users create NAME --admin makes one"
ADMIN = 'pm.expect(body.access_token).to.be.a("string");'


def collection(document: Json, face: str) -> Json:
    """The collection of one face; the service's own few routes go with the first."""
    about = next(tag["description"] for tag in document["tags"] if tag["name"] == face)
    service = [folder("The service itself", "Whether it is well, and its document.", every_route(document, "service"))] if face == "v1" else []
    items = [
        folder("Sign in", SIGN_IN, sign_in(admin=face != "v1")),
        folder("Golden path", GOLDEN_ABOUT, [item(step) for step in GOLDEN[face]]),
        folder("Every route", EVERY, every_route(document, face)),
        *service,
    ]
    kept = sorted(set(KEPT.findall(json.dumps(items))))
    return {
        "info": {"name": f"chatsvc {face}", "description": f"{about}\n\n{ABOUT}", "schema": SCHEMA},
        "auth": bearer("token"),
        "item": items,
        "variable": [{"key": name, "value": ""} for name in kept],
    }


def environment() -> Json:
    known = {"baseUrl": "http://127.0.0.1:8000", "username": "alice", "password": "alicepass123", "adminUsername": "admin", "adminPassword": ""}
    hidden = ("password", "adminPassword")
    values = [{"key": name, "value": value, "type": "secret" if name in hidden else "default", "enabled": True} for name, value in known.items()]
    return {"name": "chatsvc, local", "values": values, "_postman_variable_scope": "environment"}


def files(document: Json) -> dict[str, str]:
    """Every file of the folder, by its name."""
    found = {f"chatsvc-{face}.postman_collection.json": collection(document, face) for face in GOLDEN} | {ENVIRONMENT: environment()}
    return {name: json.dumps(content, indent=2, ensure_ascii=False) + "\n" for name, content in found.items()}

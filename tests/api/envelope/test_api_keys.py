"""`/api/api-keys`: an admin makes keys, sees which there are and when they were used, and revokes them."""

from __future__ import annotations

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import pytest
from flask import Flask

from chatsvc.core.api_keys import digest_of
from tests.api.envelope.calls import MOMENT, answered, refused
from tests.api.keys import KEYS, Product, expire, product
from tests.api.v1 import rows
from tests.api.v1.calls import SESSIONS
from tests.factories import Person, unknown_id

SHOWN = [
    *("keyId", "name", "scopes", "status", "beginsWith", "endsWith", "createdBy", "createdAt", "expiresAt", "lastUsedAt", "revokedAt"),
]
SHOP: dict[str, Any] = {"name": "Web shop", "scopes": ["write", "read"]}
MADE = "API key created successfully"


def make(admin: Person, **given: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", answered(admin.post(KEYS, json={**SHOP, **given}), 201, MADE))


def read(admin: Person, key_id: str) -> dict[str, Any]:
    return cast("dict[str, Any]", answered(admin.get(f"{KEYS}/{key_id}"), 200, "API key retrieved successfully"))


def holder(app: Flask, made: dict[str, Any]) -> Product:
    return Product(app.test_client(use_cookies=False), made["keyId"], made["key"])


def test_a_key_is_shown_when_it_is_made_and_never_again(app: Flask, admin: Person) -> None:
    made = make(admin)
    key = made.pop("key")
    assert digest_of(key)
    assert list(made) == SHOWN
    assert (made["name"], made["scopes"], made["status"], made["createdBy"]) == ("Web shop", ["read", "write"], "active", "admin")
    assert (made["beginsWith"], made["endsWith"], made["expiresAt"], made["lastUsedAt"], made["revokedAt"]) == (key[:4], key[-4:], None, None, None)
    assert MOMENT.fullmatch(made["createdAt"])
    assert read(admin, made["keyId"]) == made
    listed = admin.get(KEYS)
    assert answered(listed, 200, "API keys retrieved successfully")["keys"] == [made]
    assert key[4:20] not in listed.text + admin.get("/api/audit-events").text + str(rows.run(app, "SELECT * FROM api_keys"))


def test_it_works_and_says_when_it_was_used(app: Flask, admin: Person) -> None:
    made = make(admin)
    assert holder(app, made).get(SESSIONS).status_code == 200
    app.extensions["chatsvc.key_uses"].finish()
    used = read(admin, made["keyId"])["lastUsedAt"]
    assert used >= made["createdAt"]
    assert holder(app, made).get(SESSIONS).status_code == 200
    app.extensions["chatsvc.key_uses"].finish()
    assert read(admin, made["keyId"])["lastUsedAt"] == used, "once a minute is enough"


def test_a_try_with_a_spoilt_one_is_no_use(app: Flask, admin: Person) -> None:
    made = make(admin, scopes=["read"])
    assert Product(app.test_client(), "", f"{made['key'][:-1]}x").get(SESSIONS).status_code == 401
    app.extensions["chatsvc.key_uses"].finish()
    assert read(admin, made["keyId"])["lastUsedAt"] is None


def test_it_ends_by_itself_on_its_day(app: Flask, admin: Person) -> None:
    made = make(admin, expiresInDays=90)
    assert (made["expiresAt"][:4].isdigit(), make(admin, expiresInDays=None)["expiresAt"]) == (True, None)
    assert rows.run(app, "SELECT count(*) FROM api_keys WHERE expires_at > created_at")[0][0] == 1
    expire(app, holder(app, made))
    assert read(admin, made["keyId"])["status"] == "expired"


def test_it_is_revoked_once_and_stays_on_the_list(app: Flask, admin: Person) -> None:
    made = make(admin)
    revoked = answered(admin.delete(f"{KEYS}/{made['keyId']}"), 200, "API key revoked successfully")
    assert (revoked["status"], list(revoked)) == ("revoked", SHOWN)
    assert MOMENT.fullmatch(revoked["revokedAt"])
    assert answered(admin.delete(f"{KEYS}/{made['keyId'].upper()}")) == revoked
    assert holder(app, made).get(SESSIONS).status_code == 401
    assert answered(admin.get(KEYS))["keys"] == [revoked]


def test_what_is_done_to_keys_is_written_down(admin: Person) -> None:
    made = make(admin)
    for _ in range(2):
        admin.delete(f"{KEYS}/{made['keyId']}")
    events = answered(admin.get(f"/api/audit-events?subject={made['keyId']}"))["events"]
    assert [(event["action"], event["actorId"], event["details"]) for event in events] == [
        ("api_key.revoked", "admin", {}),
        ("api_key.created", "admin", {"name": "Web shop", "scopes": ["read", "write"]}),
    ]


@pytest.mark.parametrize(
    ("given", "fields"),
    [
        ({"name": ""}, ["name"]),
        ({"name": "x" * 256}, ["name"]),
        ({"name": None}, ["name"]),
        ({"name": "a\0b"}, ["name"]),
        ({"scopes": []}, ["scopes"]),
        ({"scopes": ["read", "read"]}, ["scopes"]),
        ({"scopes": ["root"]}, ["scopes"]),
        ({"scopes": "read"}, ["scopes"]),
        ({"scopes": [["read"]]}, ["scopes"]),
        ({"scopes": None}, ["scopes"]),
        ({"scopes": [1]}, ["scopes"]),
        ({"expiresInDays": 0}, ["expiresInDays"]),
        ({"expiresInDays": 3651}, ["expiresInDays"]),
        ({"expiresInDays": "90"}, ["expiresInDays"]),
        ({"expiresInDays": 1.5}, ["expiresInDays"]),
        ({"key": "csk_mine"}, ["key"]),
        ({"createdBy": "me", "keyId": "1"}, ["createdBy", "keyId"]),
    ],
    ids=str,
)
def test_bad_input_is_refused_by_name_and_makes_nothing(app: Flask, admin: Person, given: dict[str, Any], fields: list[str]) -> None:
    refused(admin.post(KEYS, json={**SHOP, **given}), 400, *fields)
    assert rows.count(app, "api_keys") == 0


def test_both_are_required(admin: Person) -> None:
    refused(admin.post(KEYS, json={}), 400, "name", "scopes")


def test_what_is_not_there_is_not_found(admin: Person) -> None:
    for key_id in (unknown_id(), "not-an-id"):
        for method in ("GET", "DELETE"):
            assert refused(admin.call(method, f"{KEYS}/{key_id}"), 404)["message"] == "API key not found"


def test_the_list_pages_by_number_and_by_cursor(admin: Person) -> None:
    ids = [make(admin, name=f"Key {number}")["keyId"] for number in range(5)][::-1]
    first = answered(admin.get(f"{KEYS}?limit=2"))
    assert [key["keyId"] for key in first["keys"]] == ids[:2]
    assert {name: first["pagination"][name] for name in ("page", "limit", "total", "pages")} == {"page": 1, "limit": 2, "total": 5, "pages": 3}
    second = answered(admin.get(f"{KEYS}?limit=2&cursor={first['pagination']['nextCursor']}"))
    assert second["keys"] == answered(admin.get(f"{KEYS}?limit=2&page=2"))["keys"]
    assert [key["keyId"] for key in second["keys"]] == ids[2:4]
    assert (answered(admin.get(f"{KEYS}?page=9"))["keys"], answered(admin.get(f"{KEYS}?page=9"))["pagination"]["total"]) == ([], 5)
    refused(admin.get(f"{KEYS}?page=2&cursor={first['pagination']['nextCursor']}"), 400, "cursor")
    refused(admin.get(f"{KEYS}?status=active"), 400, "status")


# Once only


ONCE = {"Idempotency-Key": "for-the-shop"}


def test_a_replay_makes_no_other_key_and_does_not_show_the_first(app: Flask, admin: Person) -> None:
    first = admin.post(KEYS, json=SHOP, headers=ONCE)
    again = admin.post(KEYS, json=SHOP, headers=ONCE)
    made = answered(first, 201, MADE)
    assert answered(again, 201, MADE) == {**made, "key": None}
    assert again.headers["Idempotent-Replayed"] == "true"
    assert rows.count(app, "api_keys") == 1
    kept = str(rows.run(app, "SELECT * FROM idempotency_keys"))
    assert not any(made["key"][at : at + 6] in kept for at in range(4, 45))
    assert refused(admin.post(KEYS, json={**SHOP, "name": "Other"}, headers=ONCE), 422)


def test_of_several_at_once_one_is_shown_the_key(app: Flask, admin: Person) -> None:
    together = threading.Barrier(6)

    def attempt(_: int) -> str | None:
        together.wait()
        found: str | None = answered(admin.post(KEYS, json=SHOP, headers=ONCE), 201, MADE)["key"]
        return found

    with ThreadPoolExecutor(6) as pool:
        shown = list(pool.map(attempt, range(6)))
    assert [bool(key) for key in sorted(shown, key=str, reverse=True)].count(True) == 1
    assert rows.count(app, "api_keys") == 1


def test_without_one_each_request_makes_a_key_of_its_own(app: Flask, admin: Person) -> None:
    assert len({make(admin)["key"] for _ in range(3)}) == rows.count(app, "api_keys") == 3


def test_a_key_made_with_a_key_of_an_admin_tells_so(app: Flask, admin: Person) -> None:
    operator = product(app, "admin")
    told = answered(operator.post(KEYS, json=SHOP, whom=None, headers=ONCE), 201, MADE)
    assert re.fullmatch(r"csk_\w{46}", told["key"])
    events = answered(admin.get(f"/api/audit-events?subject={told['keyId']}"))["events"]
    assert [(event["actorId"], event["details"]["by_key"]) for event in events] == [(f"key:{operator.key_id}", operator.key_id)]

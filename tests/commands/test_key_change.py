"""The key that signs is changed under load, as docs/deployment.md says: two instances, restarted one after the other, twice. Nobody is signed out
by it; after its date the old key is good for nothing, and no restart is needed for that."""

from __future__ import annotations

import http.client
import json
import threading
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import jwt
import pytest

from tests.faults.service import Service, serving

OLD = "Xw7-the-key-that-has-signed-until-now-19q"
NEW = "Kz3-the-key-that-is-to-sign-from-now-on-84"
TO_COME = "2199-12-31T00:00:00Z"
WHO = {"username": "alice", "password": "a long password of alice"}
Answer = tuple[float, float, int]  # asked, answered, status

pytestmark = pytest.mark.long


class Site:
    """Both instances, as nginx has them: one that takes no connection is passed over."""

    def __init__(self, instances: list[Service]) -> None:
        self.instances = instances

    def ask(self, method: str, path: str, token: str = "", body: Any = None, *, first: int = 0) -> tuple[int, Any]:
        for instance in (self.instances[first % 2], self.instances[(first + 1) % 2]):
            connection = http.client.HTTPConnection("127.0.0.1", instance.port, timeout=60)
            try:
                connection.connect()
            except ConnectionRefusedError:
                continue
            try:
                headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
                connection.request(method, path, None if body is None else json.dumps(body), headers)
                answer = connection.getresponse()
                raw = answer.read()
                return answer.status, json.loads(raw) if raw else None
            finally:
                connection.close()
        raise AssertionError("no instance takes connections")

    def sign_in(self) -> dict[str, str]:
        status, tokens = self.ask("POST", "/auths/login", body=WHO)
        assert status == 200, tokens
        return dict(tokens)

    def renew(self, tokens: dict[str, str], first: int = 0) -> tuple[int, Any]:
        return self.ask("POST", "/auths/refresh", body={"refresh_token": tokens["refresh_token"]}, first=first)


def restart(instance: Service, **settings: str) -> None:
    instance.stop()
    instance.environ.update(settings)
    instance.start()


class Load:
    """People who come with tokens of each key, and one who renews a sign-in again and again."""

    def __init__(self, site: Site) -> None:
        self.site, self.new_too, self.over = site, threading.Event(), threading.Event()
        self.of_old, self.of_new, self.of_sign_in = list[Answer](), list[Answer](), list[Answer]()
        self.tokens = site.sign_in()

    def outsider(self, number: int) -> None:
        while not self.over.is_set():
            for secret, seen in ((OLD, self.of_old), (NEW, self.of_new)):
                if secret == OLD or self.new_too.is_set():
                    text = jwt.encode({"sub": f"outsider {number}", "exp": int(time.time()) + 3600, "jti": str(uuid.uuid4())}, secret, "HS256")
                    for _ in range(2):  # the second time it is remembered
                        began = time.time()
                        status, _body = self.site.ask("GET", "/auths/me", text, first=number)
                        seen.append((began, time.time(), status))
            time.sleep(0.1)

    def person(self) -> None:
        turn = 0
        while not self.over.is_set():
            turn += 1
            began = time.time()
            if turn % 5:
                status, _body = self.site.ask("GET", "/auths/me", self.tokens["access_token"], first=turn)
            else:
                status, given = self.site.renew(self.tokens, turn)
                self.tokens = given if status == 200 else self.tokens
            self.of_sign_in.append((began, time.time(), status))
            time.sleep(0.1)


def statuses(answers: list[Answer]) -> set[int]:
    return {status for _, _, status in answers}


def test_the_key_changes_and_nobody_is_signed_out_until_its_date(empty_database: str) -> None:
    with ExitStack() as stack, ThreadPoolExecutor(3) as pool:
        settings = {"JWT_SECRET_KEY": OLD, "WEB_CONCURRENCY": "1", "CHAT_THREADS": "16"}
        site = Site([stack.enter_context(serving(empty_database, None, **settings)) for _ in range(2)])
        assert site.ask("POST", "/auths/register", body=WHO)[0] == 201
        asleep, missed = site.sign_in(), site.sign_in()
        load = Load(site)
        running = [*(pool.submit(load.outsider, number) for number in range(2)), pool.submit(load.person)]
        try:
            began = time.monotonic()
            for instance in site.instances:  # 1. everybody takes the new key
                restart(instance, JWT_OTHER_SECRET_KEYS=f"{NEW}@{TO_COME}")
            load.new_too.set()
            until = time.time() + 3 * (time.monotonic() - began) + 3
            after = {"JWT_SECRET_KEY": NEW, "JWT_OTHER_SECRET_KEYS": f"{OLD}@{datetime.fromtimestamp(until, UTC).isoformat()}"}
            one, other = site.instances  # 2. everybody signs with it, and takes the old one until its date
            restart(one, **after)
            status, renewed = site.renew(asleep)
            assert (status, site.ask("GET", "/auths/me", asleep["access_token"])[0]) == (200, 200)
            restart(other, **after)
            time.sleep(max(0.0, until - time.time()) + 2)
        finally:
            load.over.set()
        for client in running:
            client.result(60)
        assert statuses(load.of_new) == {200}
        assert statuses(load.of_sign_in) == {200}
        in_time = Counter(status for _, answered, status in load.of_old if answered < until)
        too_late = Counter(status for asked, _, status in load.of_old if asked >= until)
        assert set(in_time) == {200}, in_time
        assert set(too_late) == {401}, too_late
        assert min(len(load.of_new), len(load.of_sign_in), in_time[200], too_late[401]) >= 10
        for text in (renewed["access_token"], load.tokens["access_token"]):
            assert jwt.decode(text, NEW, ["HS256"])["sign_in"]
        for first in (0, 1):
            assert site.ask("GET", "/auths/me", renewed["access_token"], first=first)[0] == 200
            assert site.ask("GET", "/auths/me", missed["access_token"], first=first)[0] == 401
            assert site.renew(missed, first)[0] == 401

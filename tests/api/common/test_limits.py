"""How often somebody may call: in one process, in Redis for all of them, and while Redis is away."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from redis import Redis
from redis.connection import Connection
from werkzeug.test import TestResponse

from chatsvc import create_app
from chatsvc.api.common import limits
from chatsvc.api.common.limits import Count, Counter
from tests import factories
from tests.api.common import redis_server
from tests.api.common.redis_server import OwnServer
from tests.api.v1.streams import told
from tests.factories import Person

LIMITED = {"RATELIMIT_ENABLED": "true", "RATELIMIT_DEFAULT": "3/minute", "RATELIMIT_LOGIN": "100/minute"}


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    with redis_server.any_server() as url:
        yield url


@pytest.fixture
def own_redis() -> Iterator[OwnServer]:
    with redis_server.own_server() as server:
        yield server


@pytest.fixture
def make_bare(tmp_path: Path) -> Callable[..., Flask]:
    """An application without a table: enough for callers whom nobody knows."""
    return lambda **changes: create_app(factories.settings(f"sqlite:///{tmp_path / 'bare.db'}", **{**LIMITED, **changes}))


@pytest.fixture
def limited(make_app: Callable[..., Flask]) -> Flask:
    return make_app(**LIMITED)


def unknown(app: Flask, address: str = "192.0.2.1", **headers: str) -> TestResponse:
    """A request of somebody who is not signed in."""
    response: TestResponse = app.test_client().get("/auths/me", environ_base={"REMOTE_ADDR": address}, headers=headers)
    return response


def counter(url: str = "") -> Counter:
    return Counter(factories.settings("sqlite:///unused.db", REDIS_URL=url))


def statuses(amount: int, ask: Callable[[], TestResponse]) -> list[int]:
    return [ask().status_code for _ in range(amount)]


def test_who_is_not_signed_in_is_counted_by_address(make_bare: Callable[..., Flask]) -> None:
    app = make_bare()
    assert statuses(5, lambda: unknown(app)) == [401, 401, 401, 429, 429]
    assert statuses(1, lambda: unknown(app, "192.0.2.2")) == [401]


def test_a_refusal_says_when_to_come_back(make_bare: Callable[..., Flask]) -> None:
    app = make_bare()
    assert [unknown(app).headers["RateLimit-Remaining"] for _ in range(3)] == ["2", "1", "0"]
    refused = unknown(app)
    assert refused.status_code == 429
    assert refused.json == {"detail": "Too many requests. Wait, then try again"}
    seconds = int(refused.headers["Retry-After"])
    assert 55 <= seconds <= 60
    assert refused.headers["RateLimit"] == f'"default";r=0;t={seconds}'
    assert refused.headers["RateLimit-Policy"] == '"default";q=3;w=60'
    assert [refused.headers[f"RateLimit-{name}"] for name in ("Limit", "Remaining", "Reset")] == ["3", "0", str(seconds)]


def test_whoever_comes_back_when_told_is_let_in(make_bare: Callable[..., Flask]) -> None:
    app = make_bare()
    assert statuses(4, lambda: unknown(app)) == [401, 401, 401, 429]
    wait = int(unknown(app).headers["Retry-After"])
    windows = app.extensions["chatsvc.limits"]._own._windows

    def pass_time(seconds: float) -> None:
        windows.update({key: (ends_at - seconds, amount) for key, (ends_at, amount) in windows.items()})

    pass_time(wait - 2)
    assert unknown(app).status_code == 429
    pass_time(2)
    assert unknown(app).status_code == 401


def test_counts_of_windows_that_have_ended_are_forgotten() -> None:
    own = limits.OwnWindows()
    for number in range(1000):
        own.hit(f"somebody {number}", 60)
    own._windows = {key: (0.0, amount) for key, (_, amount) in own._windows.items()}
    own._sweeps_at = 0.0
    assert own.hit("somebody new", 60).amount == 1
    assert own._windows.keys() == {"somebody new"}


def test_each_user_has_a_count_wherever_they_call_from_and_with_whichever_token(limited: Flask) -> None:
    first, second = factories.person(limited, "owner"), factories.person(limited, "owner", jti="another token")
    stranger = factories.person(limited, "stranger")
    assert [who.get("/auths/me").status_code for who in (first, second, first, second, first)] == [200, 200, 200, 429, 429]
    assert stranger.get("/auths/me").status_code == 200
    assert first.get("/api/v1/chat-sessions").status_code == 429


def test_signed_in_people_do_not_use_up_their_addresss_count(limited: Flask) -> None:
    owner = factories.person(limited, "owner")
    assert statuses(3, lambda: owner.get("/auths/me")) == [200] * 3
    assert statuses(3, lambda: unknown(limited, "127.0.0.1")) == [401] * 3
    assert unknown(limited, "127.0.0.1").status_code == 429
    assert factories.person(limited, "stranger").get("/auths/me").status_code == 200


def test_trying_tokens_is_counted_by_address(limited: Flask) -> None:
    guesser = Person(limited.test_client(), "", "nonsense")
    assert statuses(4, lambda: guesser.get("/auths/me")) == [401, 401, 401, 429]


def test_sends_have_a_second_limit_for_the_day_where_one_is_set(make_app: Callable[..., Flask]) -> None:
    app = make_app(RATELIMIT_ENABLED="true", RATELIMIT_SEND="10/minute", RATELIMIT_SEND_DAILY="2/day")
    owner = factories.person(app, "owner")
    sends = [owner.post("/api/v1/chat", json={"message": "Hello"}) for _ in range(3)]
    assert [send.status_code for send in sends] == [200, 200, 429]
    assert sends[0].headers["RateLimit-Policy"] == '"send_daily";q=2;w=86400'
    assert int(sends[2].headers["Retry-After"]) > 86000
    assert told(owner.get("/api/v1/chat-sessions"))["total"] == 2
    assert factories.person(app, "stranger").post("/api/v1/chat", json={"message": "Hello"}).status_code == 200


def test_the_limit_that_is_used_up_first_is_told(make_app: Callable[..., Flask]) -> None:
    app = make_app(RATELIMIT_ENABLED="true", RATELIMIT_DEFAULT="2/minute", RATELIMIT_SEND="9/minute")
    sent = factories.person(app, "owner").post("/api/v1/chat", json={"message": "Hello"})
    assert sent.headers["RateLimit-Policy"] == '"default";q=2;w=60'


def test_sign_ins_of_everybody_have_a_limit_where_one_is_set(make_app: Callable[..., Flask]) -> None:
    app = make_app(RATELIMIT_ENABLED="true", RATELIMIT_LOGIN="2/minute", RATELIMIT_LOGIN_ALL="3/minute")

    def enter(path: str, number: int) -> int:
        given = {"username": f"somebody{number}", "password": "not-that-one-either"}
        return app.test_client().post(f"/auths/{path}", json=given, environ_base={"REMOTE_ADDR": f"192.0.2.{number}"}).status_code

    assert [enter("login", 1), enter("register", 2), enter("login", 3), enter("login", 4), enter("register", 5)] == [401, 201, 401, 429, 429]


def test_the_envelope_face_refuses_in_its_own_shape(make_bare: Callable[..., Flask]) -> None:
    app = make_bare()
    with app.test_request_context("/api/personas"):
        for _ in range(3):
            limits.spend("default", "user:owner")
        with pytest.raises(Exception, match="Too many requests") as caught:
            limits.spend("default", "user:owner")
        response = app.make_response(app.handle_user_exception(caught.value))
    assert response.status_code == 429
    assert response.json == {"success": False, "message": "Too many requests. Wait, then try again"}
    assert 0 < int(response.headers["Retry-After"]) <= 60


def test_being_alive_is_told_without_counting(make_bare: Callable[..., Flask]) -> None:
    app = make_bare()
    responses = [app.test_client().get("/healthz") for _ in range(10)]
    assert {response.status_code for response in responses} == {200}
    assert not any("RateLimit" in response.headers for response in responses)


def test_it_can_be_turned_off(make_bare: Callable[..., Flask]) -> None:
    app = make_bare(RATELIMIT_ENABLED="false")
    assert set(statuses(20, lambda: unknown(app))) == {401}
    assert "RateLimit" not in unknown(app).headers


@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Real-IP", "Forwarded", "X-Client-IP", "CF-Connecting-IP", "True-Client-IP", "X-Forwarded"])
def test_a_made_up_address_changes_nothing(make_bare: Callable[..., Flask], header: str) -> None:
    app = make_bare()
    assert [unknown(app, **{header: f"203.0.113.{number}"}).status_code for number in range(4)] == [401, 401, 401, 429]


def test_the_proxys_word_counts_and_the_clients_own_does_not(make_bare: Callable[..., Flask]) -> None:
    app = make_bare(PROXY_HOPS="1")
    assert [unknown(app, **{"X-Forwarded-For": f"203.0.113.{number}, 198.51.100.7"}).status_code for number in range(4)] == [401, 401, 401, 429]
    assert unknown(app, **{"X-Forwarded-For": "198.51.100.8"}).status_code == 401


def test_names_of_any_kind_are_counted_apart(make_bare: Callable[..., Flask]) -> None:
    app = make_bare(RATELIMIT_DEFAULT="1/minute", RATELIMIT_LOGIN="1/minute")
    names = [
        "user:a",
        "user:b",
        "address:a",
        "user:a:b",
        "user:a/b",
        "user:a b",
        "user:a\n",
        "user:" + "x" * 10_000,
        "user:" + "x" * 10_001,
        "user:\ud800",
        "user:",
        "*",
    ]
    with app.test_request_context():
        for name in names:
            for kind in ("default", "login"):
                limits.spend(kind, name)
        for name in names:
            with pytest.raises(Exception, match="Too many requests"):
                limits.spend("default", name)


def test_many_at_once_are_counted_one_by_one() -> None:
    counting = counter()
    with ThreadPoolExecutor(16) as pool:
        counts = list(pool.map(lambda _: counting.hit("default:60:x", 60).amount, range(400)))
    assert max(counts) == 400


def test_all_processes_count_together_in_redis(redis_url: str) -> None:
    key = f"test:{uuid4()}"
    one, other = counter(redis_url), counter(redis_url)
    assert [which.hit(key, 60).amount for which in (one, other, one, other)] == [1, 2, 3, 4]
    assert one.hit(key, 60).seconds_left in (60, 59)


def test_a_count_is_one_question_and_one_answer(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    counting, key, answers = counter(redis_url), f"test:{uuid4()}", []
    counting.hit(key, 60)
    read = Connection.read_response

    def noted(self: Connection, *rest: Any, **named: Any) -> Any:
        answers.append(answer := read(self, *rest, **named))
        return answer

    monkeypatch.setattr(Connection, "read_response", noted)
    assert counting.hit(key, 60).amount == 2
    assert len(answers) == 1, "a Redis that is slow costs every request that much more than once"


def test_in_redis_every_record_is_ours_by_name_and_goes_by_itself(redis_url: str, make_bare: Callable[..., Flask]) -> None:
    app = make_bare(REDIS_URL=redis_url)
    user = f"user:{uuid4()} \n:*{{}}"
    with app.test_request_context():
        limits.spend("default", user)
    key = f"chatsvc:default:60:{hashlib.sha256(user.encode()).hexdigest()[:32]}"
    with Redis.from_url(redis_url) as client:
        assert client.get(key) == b"1"
        assert 0 < client.ttl(key) <= 60
        assert all(name.startswith((b"chatsvc:default:", b"chatsvc:login:", b"chatsvc:test:")) for name in client.scan_iter("chatsvc:*"))


def test_two_processes_share_a_users_limit_through_redis(redis_url: str, make_app: Callable[..., Flask]) -> None:
    apps = [make_app(**LIMITED, REDIS_URL=redis_url) for _ in range(2)]
    user = str(uuid4())
    people = [factories.person(app, user) for app in apps]
    assert [people[number % 2].get("/auths/me").status_code for number in range(5)] == [200, 200, 200, 429, 429]
    assert 55 <= int(people[0].get("/auths/me").headers["Retry-After"]) <= 60


@pytest.mark.parametrize(("milliseconds", "told"), [(1400, {2, 1}), (2300, {3, 2}), (700, {2, 1}), (59_900, {60})])
def test_whoever_comes_back_when_redis_says_is_not_too_early(redis_url: str, milliseconds: int, told: set[int]) -> None:
    counting, key = counter(redis_url), f"test:{uuid4()}"
    counting.hit(key, 60)
    with Redis.from_url(redis_url) as client:
        client.pexpire(f"chatsvc:{key}", milliseconds)
        seconds = counting.hit(key, 60).seconds_left
        assert seconds in told
        assert client.pttl(f"chatsvc:{key}") <= seconds * 1000


def timed(counting: Counter, key: str) -> tuple[Count, float]:
    started = time.perf_counter()
    count = counting.hit(key, 60)
    return count, time.perf_counter() - started


def asking(counting: Counter) -> list[str]:
    """The keys that Redis is asked to count from now on."""
    asked: list[str] = []
    shared = counting._shared
    assert shared is not None
    hit = shared.hit

    def noted(key: str, seconds: int) -> Count:
        asked.append(key)
        return hit(key, seconds)

    shared.hit = noted  # type: ignore[method-assign]
    return asked


def test_without_redis_each_process_counts_and_says_so_once(own_redis: OwnServer, caplog: pytest.LogCaptureFixture) -> None:
    counting = counter(own_redis.url)
    assert [counting.hit("x", 60).amount for _ in range(3)] == [1, 2, 3]
    own_redis.stop()
    with caplog.at_level(logging.INFO):
        counts = [timed(counting, "x") for _ in range(20)]
    # A count of its own, from the beginning: a limit is never off.
    assert [count.amount for count, _ in counts] == list(range(1, 21))
    assert max(seconds for _, seconds in counts) < 0.3
    assert [record.message for record in caplog.records] == [
        "Redis does not answer (ConnectionError): until it does, each process counts rate limits for itself"
    ]
    assert str(own_redis.port) not in caplog.text


def test_a_redis_that_hangs_slows_one_request_in_five_seconds(own_redis: OwnServer, caplog: pytest.LogCaptureFixture) -> None:
    counting = counter(own_redis.url)
    counting.hit("x", 60)
    own_redis.hang()
    asked = asking(counting)
    with caplog.at_level(logging.INFO):
        for number in range(3):
            # One request waits as long as a tenth of a second; a slow machine adds something.
            assert 0.05 < timed(counting, "first")[1] < 0.4
            for _ in range(50):
                counting.hit("other", 60)
            assert asked == ["first"] * (number + 1)
            assert counting._away_until is not None
            counting._away_until -= limits.REDIS_REST_SECONDS  # as if so much time had passed
    assert len(caplog.records) == 1
    assert limits.REDIS_TIMEOUT <= 0.1
    assert limits.REDIS_REST_SECONDS == 5


def test_while_one_request_asks_whether_redis_is_back_the_others_do_not_wait(own_redis: OwnServer) -> None:
    counting = counter(own_redis.url)
    own_redis.hang()
    counting.hit("x", 60)
    assert counting._away_until is not None
    counting._away_until = 0
    asked = asking(counting)
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(lambda _: counting.hit("x", 60), range(12)))
    assert asked == ["x"]


@pytest.mark.parametrize("away", ["stopped", "hung"])
def test_redis_is_used_again_as_soon_as_it_is_back(own_redis: OwnServer, caplog: pytest.LogCaptureFixture, away: str) -> None:
    counting = counter(own_redis.url)
    counting.hit("x", 60)
    (own_redis.stop if away == "stopped" else own_redis.hang)()
    counting.hit("x", 60)
    (own_redis.start if away == "stopped" else own_redis.go_on)()
    assert counting.hit("x", 60).amount == 2  # still its own count
    counting._away_until = 0
    caplog.clear()
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            counting.hit("y", 60)
    assert counting.hit("y", 60).amount == 4
    assert [record.message for record in caplog.records] == ["Redis answers again: rate limits are counted for all processes together"]
    with Redis.from_url(own_redis.url) as client:
        assert client.get("chatsvc:y") == b"4"


def test_a_redis_that_refuses_is_as_good_as_none(own_redis: OwnServer) -> None:
    with Redis.from_url(own_redis.url) as client:
        client.config_set("maxmemory", "1")
        counting = counter(own_redis.url)
        assert [counting.hit("x", 60).amount for _ in range(3)] == [1, 2, 3]
        client.config_set("maxmemory", "0")
        client.config_set("requirepass", "secret")
        unknown_to_it = counter(own_redis.url)
        assert [unknown_to_it.hit("x", 60).amount for _ in range(3)] == [1, 2, 3]


def test_a_request_is_answered_as_ever_while_redis_is_away(own_redis: OwnServer, make_bare: Callable[..., Flask]) -> None:
    app = make_bare(REDIS_URL=own_redis.url)
    own_redis.stop()
    assert statuses(5, lambda: unknown(app)) == [401, 401, 401, 429, 429]


def test_no_redis_at_the_start_is_no_reason_not_to_start(make_bare: Callable[..., Flask]) -> None:
    app = make_bare(REDIS_URL="redis://127.0.0.1:1/0")
    assert statuses(4, lambda: unknown(app)) == [401, 401, 401, 429]

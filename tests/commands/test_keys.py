"""`flask keys`: keys of products, from the shell."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from click.testing import Result
from flask import Flask

from chatsvc.core.api_keys import digest_of
from tests.api.keys import Product
from tests.api.v1 import rows

Run = Callable[..., Result]


@pytest.fixture
def run(app: Flask) -> Run:
    def flask_keys(*arguments: str) -> Result:
        return app.test_cli_runner().invoke(args=["keys", *arguments])

    return flask_keys


def test_a_key_is_made_stands_alone_and_works(run: Run, app: Flask) -> None:
    made = run("create", "Web shop", "--scope", "read", "--scope", "write")
    assert (made.exit_code, made.stdout.count("\n")) == (0, 1)
    assert digest_of(made.stdout.strip())
    assert made.stderr.startswith("Web shop (read write) ")
    assert made.stderr.endswith(", good until it is revoked. The key is not shown again:\n")
    shop = Product(app.test_client(use_cookies=False), "", made.stdout.strip())
    assert shop.post("/api/v1/chat-sessions", json={}).status_code == 201


def test_it_may_end_by_itself(run: Run, app: Flask) -> None:
    assert " UTC. The key is not shown again" in run("create", "Reports", "--scope", "read", "--expires-in-days", "90").stderr
    assert rows.run(app, "SELECT count(*) FROM api_keys WHERE expires_at IS NOT NULL")[0][0] == 1


@pytest.mark.parametrize(
    "arguments",
    [
        *(["x"], ["--scope", "read"], ["x", "--scope", "root"], ["x", "--scope", "read", "--expires-in-days", "0"]),
        *(["x", "--scope", "read", "--expires-in-days", "3651"], [" ", "--scope", "read"], ["x" * 256, "--scope", "read"], ["", "--scope", "read"]),
    ],
    ids=lambda arguments: " ".join(arguments)[:30],
)
def test_what_cannot_be_is_refused_in_a_sentence(run: Run, app: Flask, arguments: list[str]) -> None:
    told = run("create", *arguments)
    assert told.exit_code in (1, 2)
    assert told.stdout == ""
    assert "Error: " in told.stderr
    assert rows.count(app, "api_keys") == 0


def test_one_scope_given_twice_is_one(run: Run) -> None:
    assert run("create", "x", "--scope", "read", "--scope", "read").stderr.startswith("x (read) ")


def test_it_is_revoked_by_its_id_as_often_as_one_likes(run: Run, app: Flask) -> None:
    made = run("create", "Web shop", "--scope", "read")
    key_id = str(rows.run(app, "SELECT id FROM api_keys")[0][0])
    assert key_id in made.stderr
    for _ in range(2):
        assert run("revoke", key_id.upper()).output == "Web shop is revoked.\n"
    assert Product(app.test_client(use_cookies=False), "", made.stdout.strip()).get("/api/v1/chat-sessions").status_code == 401
    assert [row.action for row in rows.run(app, "SELECT action FROM audit_events ORDER BY id")] == ["api_key.created", "api_key.revoked"]


@pytest.mark.parametrize("key_id", ["00000000-0000-4000-8000-000000000000", "Web shop", ""])
def test_one_that_is_not_there_is_answered_with_a_sentence(run: Run, key_id: str) -> None:
    told = run("revoke", key_id)
    assert (told.exit_code, told.output) == (1, "Error: API key not found\n")


def test_the_list_has_every_key_newest_first_and_none_of_them_whole(run: Run, app: Flask) -> None:
    keys = [run("create", f"Key {number}", "--scope", "admin").stdout.strip() for number in range(105)]
    shop = Product(app.test_client(use_cookies=False), "", keys[-1])
    assert shop.get("/api/v1/chat-sessions").status_code == 200
    app.extensions["chatsvc.key_uses"].finish()
    told = run("list").output
    lines = told.splitlines()
    assert [line.rpartition("  ")[2] for line in lines] == [f"Key {number}" for number in range(104, -1, -1)]
    assert f"csk_…{keys[-1][-4:]}  active   used 20" in lines[0]
    assert f"csk_…{keys[-2][-4:]}  active   never used" in lines[1]
    assert not any(key[4:12] in told for key in keys)


def test_a_name_makes_no_other_line_and_steers_no_terminal(run: Run, app: Flask) -> None:
    run("create", "Shop\n\x1b[2K00000000 forged", "--scope", "read")
    assert run("list").output.splitlines()[0].endswith("  Shop??[2K00000000 forged")
    key_id = str(rows.run(app, "SELECT id FROM api_keys")[0][0])
    assert run("revoke", key_id).output == "Shop??[2K00000000 forged is revoked.\n"

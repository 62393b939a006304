"""`GET /api/v1/chat-sessions/stats/user`: the body of the first document, to the letter."""

from __future__ import annotations

from flask import Flask

from tests.api.v1 import rows
from tests.api.v1.calls import SESSIONS, archive, body_of
from tests.factories import Person

STATS = f"{SESSIONS}/stats/user"


def test_the_figures_of_somebody_who_has_nothing(owner: Person) -> None:
    assert body_of(owner, STATS) == {
        "user_id": "owner",
        "total_sessions": 0,
        "active_sessions": 0,
        "total_messages": 0,
        "sessions_by_agent_type": {},
        "most_recent_session": None,
        "oldest_session": None,
    }


def test_the_figures_count_archived_sessions_and_list_the_agent_types_that_occur(owner: Person) -> None:
    made = [owner.session(agent_type=kind) for kind in ("research", "primary", "primary", None)]
    for n, session in enumerate(made):
        for _ in range(n):
            owner.message(session["id"])
    archive(owner, made[1]["id"])
    owner.message(made[0]["id"])  # activity is not what the two times are about
    assert body_of(owner, STATS) == {
        "user_id": "owner",
        "total_sessions": 4,
        "active_sessions": 3,
        "total_messages": 7,
        "sessions_by_agent_type": {"primary": 2, "research": 1},
        "most_recent_session": made[3]["created_at"],
        "oldest_session": made[0]["created_at"],
    }


def test_the_figures_leave_out_deleted_sessions_exchanges_and_other_people(app: Flask, owner: Person, stranger: Person, admin: Person) -> None:
    kept, deleted = owner.session(), owner.session()
    owner.message(deleted["id"])
    rows.soft_delete(app, "owner", deleted["id"])
    rows.exchange(app)
    stranger.message(stranger.session()["id"])
    found = body_of(owner, STATS)
    assert (found["total_sessions"], found["active_sessions"], found["total_messages"]) == (1, 1, 0)
    assert found["most_recent_session"] == found["oldest_session"] == kept["created_at"]
    assert body_of(admin, STATS)["total_sessions"] == 0


def test_the_figures_are_numbers(owner: Person) -> None:
    owner.session()
    found = body_of(owner, STATS)
    assert all(type(found[name]) is int for name in ("total_sessions", "active_sessions", "total_messages"))

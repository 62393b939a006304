"""What a process tells of its replies, a few times a second, stays whole when an answer of the database is lost."""

from __future__ import annotations

from flask import Flask

from chatsvc.core import heartbeat, replies, turns


def test_a_piece_that_is_told_again_and_has_grown_leaves_no_hole(context: Flask) -> None:
    heartbeat.tick("worker", [], [])
    reply = turns.begin("owner", worker_id="worker", session_id=None, message="Hello").reply
    heartbeat.tick("worker", [{"id": reply.id, "at": 0, "text": "one "}], [reply.id])
    # The commit was done and nobody heard of it: the next piece begins where that one did.
    heartbeat.tick("worker", [{"id": reply.id, "at": 0, "text": "one two "}], [reply.id])
    heartbeat.tick("worker", [{"id": reply.id, "at": 8, "text": "three"}], [reply.id])
    assert "".join(chunk.text for chunk in replies.chunks([reply.id])) == "one two three"
    assert replies.get("owner", reply.id).content == "one two three"

"""Core, driven by random steps, against a plain-Python model of what should be there; everything is compared after each step."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import select, text

from chatsvc.core import erasure, idempotency, messages, sessions, stats, verify
from chatsvc.core.database import read
from chatsvc.core.errors import KeyReused, NotFound
from chatsvc.core.models import ChatMessage, ChatSession
from chatsvc.core.paging import Window
from chatsvc.core.sessions import Filters
from tests.factories import unknown_id
from tests.tables import empty

CAP = 2
USERS = st.sampled_from(["owner", "stranger"])
AGENTS = st.sampled_from([None, "primary", "research"])
ROLES = st.sampled_from(["user", "assistant", "system"])
TEXTS = st.sampled_from(["Hello", "  two  words ", "ä" * 60, "x" * 120, "%_'\"\\", "\U0001f600 smile", "line\nbreak"])
TITLES = st.sampled_from(["Trip", "ß", "t" * 255])
EXAMPLES = int(os.environ.get("STATE_MACHINE_EXAMPLES", "12"))
STEPS = int(os.environ.get("STATE_MACHINE_STEPS", "30"))


@dataclass
class Said:
    id: int
    role: str
    content: str
    deleted: bool = False
    edited: bool = False


@dataclass
class Thread:
    id: str
    user: str
    agent: str | None
    title: str | None
    active: bool = True
    deleted: bool = False
    erased: bool = False
    touched: int = 0
    said: list[Said] = field(default_factory=list)

    @property
    def live(self) -> list[Said]:
        return [one for one in self.said if not one.deleted]

    def shown_title(self) -> str | None:
        return self.title or next((one.content[:50] for one in self.live if one.role == "user"), None)


class Chats(RuleBasedStateMachine):
    """What users do, in any order."""

    threads = Bundle("threads")
    keys = Bundle("keys")
    app: Flask

    def __init__(self) -> None:
        super().__init__()
        self.context = self.app.app_context()
        self.context.push()
        self.all: dict[str, Thread] = {}
        self.steps = 0

    def teardown(self) -> None:
        empty(self.app)
        self.context.pop()

    @initialize(target=threads, user=USERS)
    def begin(self, user: str) -> Thread:
        return self.create(user, "primary", None, True)

    @rule(target=threads, user=USERS, agent=AGENTS, title=st.none() | TITLES, active=st.booleans())
    def create_one(self, user: str, agent: str | None, title: str | None, active: bool) -> Thread:
        return self.create(user, agent, title, active)

    def create(self, user: str, agent: str | None, title: str | None, active: bool) -> Thread:
        row = sessions.create(user, agent_type=agent, title=title, active=active)
        thread = Thread(row.id, user, agent, title, active=active)
        self.all[row.id] = thread
        self.touch(thread)
        self.make_room(thread)
        return thread

    @rule(thread=threads, role=ROLES, content=TEXTS)
    def append(self, thread: Thread, role: str, content: str) -> None:
        if self.refused(thread, lambda: messages.append(thread.user, thread.id, role=role, content=content)):
            return
        row = messages.append(thread.user, thread.id, role=role, content=content)
        self.said(thread, row, role, content)

    @rule(target=keys, thread=threads, content=TEXTS, key=st.sampled_from(["k1", "k2", "k3"]))
    def append_with_key(self, thread: Thread, content: str, key: str) -> tuple[Thread, str, str]:
        self.once(thread, content, key)
        return thread, content, key

    @rule(attempt=keys)
    def append_again_with_the_same_key(self, attempt: tuple[Thread, str, str]) -> None:
        self.once(*attempt)

    def once(self, thread: Thread, content: str, key: str) -> None:
        """What a door does with an Idempotency-Key."""
        claim = idempotency.Claim(thread.user, key, f"{thread.id}:{content}"[:64])
        known = self.kept().get((thread.user, key))
        written: list[Any] = []

        def work() -> idempotency.Answer:
            written.append(messages.append(thread.user, thread.id, role="user", content=content))
            return idempotency.Answer(201, str(written[0].id).encode())

        if known is not None:
            if known[0] != claim.fingerprint:
                with pytest.raises(KeyReused):
                    idempotency.once(claim, work)
            elif known[1] is None:
                with pytest.raises(NotFound):
                    idempotency.once(claim, work)
            else:
                answer = idempotency.once(claim, work)
                assert (answer.replayed, answer.body.decode()) == (True, known[1])
            assert written == []
            return
        if thread.deleted or thread.erased:
            with pytest.raises(NotFound):
                idempotency.once(claim, work)
            assert (thread.user, key) not in self.kept()
            return
        assert not idempotency.once(claim, work).replayed
        self.said(thread, written[0], "user", content)

    @rule(thread=threads, content=TEXTS, pick=st.randoms(use_true_random=False))
    def edit(self, thread: Thread, content: str, pick: Any) -> None:
        one = self.pick(thread, pick, deleted=False)
        if one is None or self.refused(thread, lambda: messages.edit(thread.user, thread.id, one.id, content=content)):
            return
        assert messages.edit(thread.user, thread.id, one.id, content=content).edited_at is not None
        one.content, one.edited = content, True
        self.touch(thread)

    @rule(thread=threads, pick=st.randoms(use_true_random=False))
    def remove_message(self, thread: Thread, pick: Any) -> None:
        one = self.pick(thread, pick, deleted=False)
        if one is None or self.refused(thread, lambda: messages.remove(thread.user, thread.id, one.id)):
            return
        messages.remove(thread.user, thread.id, one.id)
        one.deleted = True
        self.touch(thread)

    @rule(thread=threads, pick=st.randoms(use_true_random=False))
    def restore_message(self, thread: Thread, pick: Any) -> None:
        one = self.pick(thread, pick, deleted=True)
        if one is None or self.refused(thread, lambda: messages.restore(thread.user, thread.id, one.id)):
            return
        messages.restore(thread.user, thread.id, one.id)
        one.deleted = False
        self.touch(thread)

    @rule(thread=threads, title=st.none() | TITLES)
    def rename(self, thread: Thread, title: str | None) -> None:
        if self.refused(thread, lambda: sessions.change(thread.user, thread.id, title=title)):
            return
        sessions.change(thread.user, thread.id, title=title)
        thread.title = title
        self.touch(thread)

    @rule(thread=threads)
    def archive(self, thread: Thread) -> None:
        if self.refused(thread, lambda: sessions.archive(thread.user, thread.id)):
            return
        sessions.archive(thread.user, thread.id)
        if thread.active:
            thread.active = False
            self.touch(thread)

    @rule(thread=threads)
    def resume(self, thread: Thread) -> None:
        if self.refused(thread, lambda: sessions.change(thread.user, thread.id, active=True)):
            return
        sessions.change(thread.user, thread.id, active=True)
        self.resumed(thread)

    @rule(thread=threads)
    def remove(self, thread: Thread) -> None:
        if self.refused(thread, lambda: sessions.remove(thread.user, thread.id)):
            return
        sessions.remove(thread.user, thread.id)
        thread.deleted = True

    @rule(thread=threads)
    def restore(self, thread: Thread) -> None:
        if thread.erased:
            with pytest.raises(NotFound):
                sessions.restore(thread.user, thread.id)
            return
        sessions.restore(thread.user, thread.id)
        if thread.deleted:
            thread.deleted = False
            self.touch(thread)
            self.make_room(thread)

    @rule(thread=consumes(threads))
    def erase(self, thread: Thread) -> None:
        if self.refused(thread, lambda: erasure.erase(thread.user, thread.id)):
            return
        assert erasure.erase(thread.user, thread.id) == len(thread.said)
        thread.erased = True

    @rule(thread=threads, pick=st.randoms(use_true_random=False))
    def somebody_else_gets_nowhere(self, thread: Thread, pick: Any) -> None:
        other = "stranger" if thread.user == "owner" else "owner"
        one = pick.choice(thread.said).id if thread.said else 1
        for attempt in (
            lambda: sessions.get(other, thread.id),
            lambda: sessions.change(other, thread.id, title="mine"),
            lambda: sessions.archive(other, thread.id),
            lambda: sessions.remove(other, thread.id),
            lambda: sessions.restore(other, thread.id),
            lambda: erasure.erase(other, thread.id),
            lambda: messages.append(other, thread.id, role="user", content="mine"),
            lambda: messages.page(other, thread.id, role=None, newest_first=False, window=Window(10)),
            lambda: messages.edit(other, thread.id, one, content="mine"),
            lambda: messages.remove(other, thread.id, one),
            lambda: messages.restore(other, thread.id, one),
            lambda: messages.edit(thread.user, unknown_id(), one, content="mine"),
        ):
            with pytest.raises(NotFound):
                attempt()

    @invariant()
    def sessions_agree(self) -> None:
        rows = {row.id: row for row in read(select(ChatSession.__table__))}
        assert rows.keys() == {thread.id for thread in self.all.values() if not thread.erased}
        for thread in self.all.values():
            if thread.erased:
                continue
            row, live = rows[thread.id], thread.live
            newest = live[-1] if live else None
            assert (row.message_count, row.title, row.last_message) == (len(live), thread.shown_title(), newest.content[:100] if newest else None)
            assert (row.last_message_at is None) == (newest is None)
            assert (row.status == "ACTIVE", row.ended_at is None, row.deleted_at is not None) == (thread.active, thread.active, thread.deleted)

    @invariant()
    def messages_agree(self) -> None:
        columns = select(ChatMessage.session_id, ChatMessage.id, ChatMessage.role, ChatMessage.content, ChatMessage.deleted_at, ChatMessage.edited_at)
        found = [
            (row.session_id, row.id, row.role, row.content, row.deleted_at is not None, row.edited_at is not None)
            for row in read(columns.order_by(ChatMessage.session_id, ChatMessage.id))
        ]
        wanted = [
            (thread.id, one.id, one.role, one.content, one.deleted, one.edited) for thread in self.all.values() if not thread.erased for one in thread.said
        ]
        assert found == sorted(wanted)

    @invariant()
    def lists_and_figures_agree(self) -> None:
        for user in ("owner", "stranger"):
            mine = [thread for thread in self.all.values() if thread.user == user and not thread.deleted and not thread.erased]
            page = sessions.page(user, Filters(), Window(100))
            assert [row.id for row in page.rows] == [thread.id for thread in sorted(mine, key=lambda one: -one.touched)]
            figures = stats.of_user(user)
            assert (figures.total_sessions, figures.active_sessions, figures.total_messages) == (
                len(mine),
                sum(one.active for one in mine),
                sum(len(one.live) for one in mine),
            )
        assert list(verify.breaches()) == []

    def kept(self) -> dict[tuple[str, str], tuple[str, str | None]]:
        rows = read(text("SELECT user_id, key, fingerprint, body FROM idempotency_keys"))
        return {(row.user_id, row.key): (row.fingerprint, row.body) for row in rows}

    def refused(self, thread: Thread, attempt: Any) -> bool:
        """True, and checked, when the session is not there for anybody."""
        if not (thread.deleted or thread.erased):
            return False
        with pytest.raises(NotFound):
            attempt()
        return True

    def pick(self, thread: Thread, pick: Any, *, deleted: bool) -> Said | None:
        some = [one for one in thread.said if one.deleted == deleted]
        return pick.choice(some) if some else None

    def said(self, thread: Thread, row: Any, role: str, content: str) -> None:
        assert all(one.id < row.id for one in thread.said)
        thread.said.append(Said(row.id, role, content))
        self.touch(thread)
        self.resumed(thread)

    def resumed(self, thread: Thread) -> None:
        if not thread.active:
            thread.active = True
            self.touch(thread)
            self.make_room(thread)

    def touch(self, thread: Thread) -> None:
        self.steps += 1
        thread.touched = self.steps

    def make_room(self, thread: Thread) -> None:
        if thread.agent is None or not thread.active:
            return
        others = [
            one
            for one in self.all.values()
            if one is not thread and (one.user, one.agent) == (thread.user, thread.agent) and one.active and not one.deleted and not one.erased
        ]
        for one in sorted(others, key=lambda one: -one.touched)[CAP - 1 :]:
            one.active = False


@pytest.mark.long
def test_core_agrees_with_a_plain_model_whatever_people_do(make_app: Any, engine_name: str) -> None:
    machine = type("ChatsHere", (Chats,), {"app": make_app(MAX_SESSIONS_PER_AGENT=str(CAP))})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            derandomize="STATE_MACHINE_EXAMPLES" not in os.environ,
        ),
    )

"""Everything that somebody with psql may do to sessions and messages, a kind at a time, at random."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from tests.migrations.raw import Raw, marks
from tests.migrations.recount import MessageRow, State, look

SESSIONS = 5
ENOUGH = 60  # messages; beyond, more are erased than written
WORDS = ("Hello", "", " ", "what's this?", "100% _sure_ \\ ?", "𝄞🙂" * 30, "ab" * 60, "é" * 51, "line\nline", "x" * 50, "y" * 101, "Ünïcödé")
TIMES = ("2020-02-02 02:02:02.020202", "2026-01-01 00:00:00.000000", "2019-12-31 23:59:59.999999")


class Hand:
    """Somebody who writes with plain SQL, and what they see."""

    def __init__(self, raw: Raw, seed: int) -> None:
        self.raw = raw
        self.rng = Random(seed)
        self.own_titles: dict[str, str | None] = {}
        while len(look(raw).sessions) < SESSIONS:
            raw.session()
        self.state: State = look(raw)

    def look(self) -> State:
        self.state = look(self.raw)
        return self.state

    def session(self) -> str:
        return self.rng.choice(list(self.state.sessions))

    def text(self) -> str:
        return self.rng.choice(WORDS) + self.rng.choice(("", str(self.rng.randrange(10**6))))

    def message(self, wanted: Callable[[MessageRow], bool] = lambda message: True) -> MessageRow | None:
        found = [message for message in self.state.messages.values() if wanted(message)]
        return self.rng.choice(found) if found else None

    def some(self, wanted: Callable[[MessageRow], bool] = lambda message: True) -> list[int]:
        found = [message.id for message in self.state.messages.values() if wanted(message)]
        return self.rng.sample(found, min(len(found), self.rng.randrange(2, 9)))

    def update(self, setting: str, ids: list[int], *values: object) -> None:
        """One statement for all of them."""
        if ids:
            self.raw.run(f"UPDATE chat_messages SET {setting} WHERE id IN ({marks(ids)})", *values, *ids)

    def insert(self, rows: list[tuple[str, str, str]], **more: object) -> None:
        """(session, role, content) each; one statement for all of them."""
        columns = ", ".join(["session_id", "user_id", "role", "content", *more])
        row = f"(?, 'owner', ?, ?{', ?' * len(more)})"
        values = [value for given in rows for value in (*given, *more.values())]
        self.raw.run(f"INSERT INTO chat_messages ({columns}) VALUES {', '.join([row] * len(rows))}", *values)


def insert_a_question(hand: Hand) -> None:
    hand.insert([(hand.session(), "user", hand.text())])


def insert_an_answer(hand: Hand) -> None:
    hand.insert([(hand.session(), hand.rng.choice(("assistant", "system")), hand.text())])


def insert_several_at_once(hand: Hand) -> None:
    hand.insert([(hand.session(), hand.rng.choice(("user", "assistant", "system")), hand.text()) for _ in range(hand.rng.randrange(2, 6))])


def insert_copies_of_another_session(hand: Hand) -> None:
    hand.raw.run(
        "INSERT INTO chat_messages (session_id, user_id, role, content, status, created_at, deleted_at) "
        "SELECT ?, user_id, role, content, status, created_at, deleted_at FROM chat_messages WHERE session_id = ? ORDER BY id DESC LIMIT 4",
        hand.session(),
        hand.session(),
    )


def insert_a_running_reply(hand: Hand) -> None:
    hand.insert([(hand.session(), "assistant", hand.rng.choice(("", "so far")))], status="streaming")


def insert_an_empty_reply(hand: Hand) -> None:
    hand.insert([(hand.session(), "assistant", "")], status=hand.rng.choice(("complete", "failed", "cancelled")))


def insert_a_deleted_one(hand: Hand) -> None:
    hand.insert([(hand.session(), "user", hand.text())], deleted_at=hand.rng.choice(TIMES))


def insert_with_a_lower_id(hand: Hand) -> None:
    low, high = min(hand.state.messages, default=0) - 9, max(hand.state.messages, default=0)
    free = [number for number in range(low, high) if number not in hand.state.messages]
    hand.insert([(hand.session(), hand.rng.choice(("user", "assistant")), hand.text())], id=hand.rng.choice(free))


def insert_with_a_time_of_its_own(hand: Hand) -> None:
    hand.insert([(hand.session(), "user", hand.text())], created_at=hand.rng.choice(TIMES))


def insert_over_one_that_is_there(hand: Hand) -> None:
    there = hand.message()
    if there:
        hand.raw.run(
            "INSERT INTO chat_messages (id, session_id, user_id, role, content) VALUES (?, ?, 'owner', 'user', ?) "
            "ON CONFLICT (id) DO UPDATE SET content = excluded.content, deleted_at = NULL",
            there.id,
            there.session_id,
            hand.text(),
        )


def end_a_running_reply(hand: Hand) -> None:
    running = hand.message(lambda message: message.status == "streaming")
    if running and hand.rng.random() < 0.5:
        hand.update("status = ?", [running.id], hand.rng.choice(("complete", "failed", "cancelled")))
    elif running:
        hand.update("status = ?, content = ?", [running.id], hand.rng.choice(("complete", "failed", "cancelled")), hand.rng.choice(("", hand.text())))


def edit_one(hand: Hand) -> None:
    hand.update("content = ?, edited_at = " + hand.raw.now, hand.some()[:1], hand.text())


def edit_several(hand: Hand) -> None:
    hand.update("content = ?", hand.some(), hand.text())


def edit_one_as_it_is(hand: Hand) -> None:
    hand.update("content = content, role = role, status = status, deleted_at = deleted_at", hand.some()[:1])


def soft_delete_one(hand: Hand) -> None:
    hand.update("deleted_at = " + hand.raw.now, hand.some(lambda message: message.live)[:1])


def soft_delete_several(hand: Hand) -> None:
    hand.update("deleted_at = " + hand.raw.now, hand.some())


def restore_one(hand: Hand) -> None:
    hand.update("deleted_at = NULL", hand.some(lambda message: not message.live)[:1])


def restore_several(hand: Hand) -> None:
    hand.update("deleted_at = NULL", hand.some())


def delete_and_restore_in_one_statement(hand: Hand) -> None:
    hand.update(f"deleted_at = CASE WHEN deleted_at IS NULL THEN {hand.raw.now} END", hand.some())


def change_everything_at_once(hand: Hand) -> None:
    flip = f"deleted_at = CASE WHEN deleted_at IS NULL AND id % 2 = 0 THEN {hand.raw.now} END"
    hand.update(f"{flip}, role = 'assistant', status = ?, content = ?", hand.some(), hand.rng.choice(("streaming", "complete")), hand.text())


def change_the_role(hand: Hand) -> None:
    hand.update("role = ?", hand.some(lambda message: message.status == "complete")[:1], hand.rng.choice(("user", "assistant", "system")))


def change_the_time(hand: Hand) -> None:
    hand.update("created_at = ?", hand.some()[:2], hand.rng.choice(TIMES))


def erase_one(hand: Hand) -> None:
    ids = hand.some()[:1]
    if ids:
        hand.raw.run("DELETE FROM chat_messages WHERE id = ?", ids[0])


def erase_several(hand: Hand) -> None:
    ids = hand.some()
    if ids:
        hand.raw.run(f"DELETE FROM chat_messages WHERE id IN ({marks(ids)})", *ids)


def erase_the_messages_of_a_session(hand: Hand) -> None:
    hand.raw.run("DELETE FROM chat_messages WHERE session_id = ?", hand.session())


def erase_a_session(hand: Hand) -> None:
    gone = hand.session()
    hand.raw.run("DELETE FROM chat_sessions WHERE id = ?", gone)
    hand.own_titles.pop(gone, None)
    hand.raw.session()


def soft_delete_or_restore_a_session(hand: Hand) -> None:
    hand.raw.run(f"UPDATE chat_sessions SET deleted_at = CASE WHEN deleted_at IS NULL THEN {hand.raw.now} END WHERE id = ?", hand.session())


def title_by(who: str) -> Callable[[Hand], None]:
    def give(hand: Hand) -> None:
        session, title = hand.session(), hand.text()
        hand.raw.run(f"UPDATE chat_sessions SET title = ?, title_from = '{who}' WHERE id = ?", title, session)
        hand.own_titles[session] = title

    give.__name__ = f"title_by_{who}"
    return give


def give_a_title_back(hand: Hand) -> None:
    session = hand.session()
    hand.raw.run("UPDATE chat_sessions SET title = NULL, title_from = 'message' WHERE id = ?", session)
    hand.own_titles.pop(session, None)


OPERATIONS: dict[Callable[[Hand], None], int] = {
    insert_a_question: 10,
    insert_an_answer: 10,
    insert_several_at_once: 4,
    insert_copies_of_another_session: 2,
    insert_a_running_reply: 5,
    insert_an_empty_reply: 3,
    insert_a_deleted_one: 2,
    insert_with_a_lower_id: 4,
    insert_with_a_time_of_its_own: 2,
    insert_over_one_that_is_there: 2,
    end_a_running_reply: 5,
    edit_one: 5,
    edit_several: 3,
    edit_one_as_it_is: 1,
    soft_delete_one: 5,
    soft_delete_several: 3,
    restore_one: 5,
    restore_several: 3,
    delete_and_restore_in_one_statement: 4,
    change_everything_at_once: 3,
    change_the_role: 4,
    change_the_time: 2,
    erase_one: 5,
    erase_several: 3,
    erase_the_messages_of_a_session: 1,
    erase_a_session: 1,
    soft_delete_or_restore_a_session: 1,
    title_by("person"): 2,
    title_by("model"): 1,
    give_a_title_back: 3,
}
TRANSACTION = "several in one transaction"
TOGETHER = tuple(step for step in OPERATIONS if step is not erase_a_session)


class TakenBack(Exception):
    """The end of a transaction that was not meant to stay."""


def several_in_one_transaction(hand: Hand, *, keep: bool) -> None:
    titles = dict(hand.own_titles)
    try:
        with hand.raw.transaction():
            for step in hand.rng.sample(TOGETHER, 3):
                step(hand)
                hand.look()
            if not keep:
                raise TakenBack
    except TakenBack:
        hand.own_titles = titles


def any_of_them(hand: Hand) -> str:
    """Does one and says which."""
    chance = hand.rng.random()
    if chance < 0.03:
        several_in_one_transaction(hand, keep=chance < 0.02)
        return TRANSACTION
    if len(hand.state.messages) > ENOUGH:
        step: Callable[[Hand], None] = hand.rng.choice((erase_several, erase_the_messages_of_a_session))
    else:
        (step,) = hand.rng.choices(list(OPERATIONS), list(OPERATIONS.values()))
    step(hand)
    return step.__name__

"""Every list and every check finds its rows by an index: 10,000 sessions, 200,000 messages, one user with half of them, one session with a tenth."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import select

from chatsvc.core import (
    acting,
    api_keys,
    audit,
    belongings,
    cleanup,
    conversations,
    endings,
    erasure,
    exchange_stats,
    exporting,
    forgetting,
    health,
    idempotency,
    messages,
    sessions,
    stats,
    tokens,
    users,
    verify,
)
from chatsvc.core.database import read
from chatsvc.core.errors import NotFound
from chatsvc.core.exchange_stats import Days, Scope
from chatsvc.core.idempotency import Answer, Claim
from chatsvc.core.models import ChatSession
from chatsvc.core.paging import Page, Window
from chatsvc.core.read_models import SESSION
from chatsvc.core.sessions import Filters
from tests import postgres
from tests.migrations import big
from tests.migrations.conftest import Database
from tests.migrations.plans import conditions, explained, rows_met, sent_by, sorts, whole_tables

ORDINARY = "user 7"  # one with as few sessions as most
GOES = "user 9"
FILTERS = {
    "all": Filters(),
    "of an agent": Filters(agent_type="primary"),
    "of an agent not used": Filters(agent_type="router"),
    "active": Filters(active=True),
    "ended": Filters(active=False),
    "found by title": Filters(search="ÄPFEL"),
    "found by a rare title": Filters(search="message 1234 "),
    "not found by title": Filters(search="nothing has this title"),
}
Verbs = dict[str, Callable[[], Any]]


@pytest.fixture(scope="module")
def database(engine_name: str, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Database]:
    if engine_name == "sqlite":
        made = Database(f"sqlite:///{tmp_path_factory.mktemp('big') / 'big.db'}")
        big.fill(made)
        yield made
        made.close()
        return
    with postgres.new_database(request.getfixturevalue("server")) as url:
        made = Database(url)
        big.fill(made)
        yield made
        made.close()


@pytest.fixture(autouse=True)
def context(database: Database) -> Iterator[None]:
    with database.app.app_context():
        yield


def longest(database: Database, user_id: str) -> str:
    return str(database.raw.one("SELECT id FROM chat_sessions WHERE user_id = ? AND deleted_at IS NULL ORDER BY message_count DESC, id LIMIT 1", user_id))


def deleted_sessions(user_id: str) -> Any:
    """The list behind `?deleted=true`."""
    shown = select(*SESSION).where(ChatSession.user_id == user_id, ChatSession.deleted_at.is_not(None))
    return read(shown.order_by(ChatSession.updated_at.desc(), ChatSession.id.desc()).limit(5))


def session_lists(user_id: str) -> Verbs:
    """Each list of sessions, at its beginning and by cursor."""
    found: Verbs = {"deleted sessions": partial(deleted_sessions, user_id)}
    for name, filters in FILTERS.items():
        found[f"sessions, {name}"] = partial(sessions.page, user_id, filters, Window(5))
        cursor = found[f"sessions, {name}"]().next_cursor
        if cursor:
            found[f"sessions, {name}, by cursor"] = partial(sessions.page, user_id, filters, Window(5, cursor=cursor))
    return found


def exchange_lists(database: Database, user_id: str) -> Verbs:
    """Each list of plain sessions and exchanges together, at its beginning, by cursor and far down."""
    persona_id, conversation_id = map(str, database.raw.run("SELECT persona_id, id FROM conversations WHERE user_id = ? ORDER BY id LIMIT 1", user_id)[0])
    everything = Filters(exchanges=True)
    wanted = {
        "all": everything,
        "of a persona": replace(everything, persona_id=persona_id),
        "of a persona, failed": replace(everything, persona_id=persona_id, status="FAILED"),
        "of a conversation": replace(everything, conversation_id=conversation_id),
        "of a conversation, active": replace(everything, conversation_id=conversation_id, status="ACTIVE"),
        "found by title": replace(everything, search="EXCHANGE 12"),
        **{f"that are {status}": replace(everything, status=status) for status in sessions.STATUSES},
    }
    found: Verbs = {}
    for name, filters in wanted.items():
        found[f"with exchanges, {name}"] = partial(sessions.page, user_id, filters, Window(5))
        found[f"with exchanges, {name}, far down"] = partial(sessions.page, user_id, filters, Window(5, offset=3_000))
        cursor = found[f"with exchanges, {name}"]().next_cursor
        if cursor:
            found[f"with exchanges, {name}, by cursor"] = partial(sessions.page, user_id, filters, Window(5, cursor=cursor))
    return found


def conversation_lists(database: Database, user_id: str) -> Verbs:
    """Each list of conversations, and of what is in one, at its beginning, far down and by cursor."""
    persona_id, conversation_id = map(str, database.raw.run("SELECT persona_id, id FROM conversations WHERE user_id = ? ORDER BY id LIMIT 1", user_id)[0])
    pages: dict[str, Callable[[Window], Page]] = {
        "conversations": partial(conversations.page, user_id),
        "conversations with a persona": partial(conversations.page, user_id, persona_id=persona_id),
        "what was said": partial(conversations.messages, user_id, conversation_id, newest_first=False),
        "what was said last": partial(conversations.messages, user_id, conversation_id, newest_first=True),
        **{f"exchanges, {status}": partial(conversations.exchanges, user_id, conversation_id, status=status) for status in (None, *sessions.STATUSES)},
    }
    found: Verbs = {"a conversation": partial(conversations.get, user_id, conversation_id)}
    for name, page in pages.items():
        found |= {name: partial(page, Window(2)), f"{name}, far down": partial(page, Window(2, offset=300))}
        cursor = page(Window(2)).next_cursor
        if cursor:
            found[f"{name}, by cursor"] = partial(page, Window(2, cursor=cursor))
    return found


def figures_of_exchanges(database: Database, user_id: str) -> Verbs:
    persona_id = str(database.raw.one("SELECT persona_id FROM conversations WHERE user_id = ? ORDER BY id LIMIT 1", user_id))
    last = datetime.now(UTC).date()
    scopes = {"a user": Scope(user_id), "a persona": Scope(None, persona_id), "a user and a persona": Scope(user_id, persona_id)}
    found: Verbs = {}
    for name, scope in scopes.items():
        found |= {
            f"figures of {name}": partial(exchange_stats.of, scope),
            f"figures of {name} by day": partial(exchange_stats.of, scope, Days(last - timedelta(days=29), last)),
        }
    return found


def audit_lists() -> Verbs:
    """The trail with each of its filters. Without any it is the whole of it that is asked for."""
    wanted = {
        "of an action": audit.Filters(action="action 3"),
        "of somebody": audit.Filters(actor_id=big.BUSY),
        "about something": audit.Filters(subject="thing 7"),
        "of an action about something": audit.Filters(action="action 3", subject="thing 7"),
        "of somebody about something": audit.Filters(actor_id=big.BUSY, subject="thing 8"),
    }
    found: Verbs = {}
    for name, filters in wanted.items():
        found[f"audit events {name}"] = partial(audit.page, filters, Window(5))
        found[f"audit events {name}, by cursor"] = partial(audit.page, filters, Window(5, cursor=audit.page(filters, Window(5)).next_cursor))
    return found


def message_lists(database: Database, user_id: str, role: str | None) -> Verbs:
    """Each list of a session's messages, at its beginning and by cursor; with them the thread, which is one too."""
    session = longest(database, user_id)
    found: Verbs = {"a thread": partial(sessions.thread, user_id, session, message_limit=5)} if role is None else {}
    for newest_first in (False, True):
        name, page = f"messages of {role}, {'newest' if newest_first else 'oldest'} first", partial(messages.page, user_id, session, role=role)
        found[name] = partial(page, newest_first=newest_first, window=Window(5))
        found[f"{name}, by cursor"] = partial(page, newest_first=newest_first, window=Window(5, cursor=found[name]().next_cursor))
    return found


def exists_or_not(key_id: str) -> None:
    with suppress(NotFound):
        api_keys.get(key_id)


def other_reads(database: Database, user_id: str) -> Verbs:
    session = longest(database, user_id)
    return {
        "a session": partial(sessions.get, user_id, session),
        "figures": partial(stats.of_user, user_id),
        "the caller's standing": partial(tokens.standing, user_id, ["token 1", "token 2"]),
        "a key's standing": partial(api_keys.standing, "0" * 64, user_id),
        "keys that opened streams": partial(api_keys.ended, [api_keys.mark_of(session)]),
        "a key": partial(exists_or_not, session),
        "sessions far down": partial(sessions.page, user_id, Filters(), Window(5, offset=4_000)),
        "sessions past the end": partial(sessions.page, user_id, Filters(), Window(5, offset=400_000)),
        "messages far down": partial(messages.page, user_id, session, role=None, newest_first=False, window=Window(5, offset=15_000)),
    }


def account_lists() -> Verbs:
    return {
        "accounts": partial(users.everybody, Window(5)),
        "accounts, by cursor": partial(users.everybody, Window(5, cursor=users.everybody(Window(5))[1])),
    }


def all_reads(database: Database, user_id: str) -> Verbs:
    roles = [message_lists(database, user_id, role) for role in (None, "user", "assistant")]
    return session_lists(user_id) | roles[0] | roles[1] | roles[2] | other_reads(database, user_id)


def writes(database: Database, user_id: str) -> Verbs:
    """All that a user does to sessions and messages, in an order in which it can be done."""
    session = longest(database, user_id)
    message = int(database.raw.one("SELECT max(id) FROM chat_messages WHERE session_id = ? AND deleted_at IS NULL", session))
    other = sessions.page(user_id, Filters(), Window(5, offset=3)).rows[0].id
    key = partial(idempotency.once, Claim(user_id, "new", "f"), partial(Answer, 201, b"{}"))
    return {
        "create up to the cap and beyond": lambda: [sessions.create(user_id, agent_type="research") for _ in range(6)],
        "archive": partial(sessions.archive, user_id, session),
        "append and resume": partial(messages.append, user_id, session, role="user", content="Hello"),
        "append": partial(messages.append, user_id, session, role="assistant", content="Hello"),
        "change": partial(sessions.change, user_id, session, title="Mine", metadata={}, active=True),
        "edit": partial(messages.edit, user_id, session, message, content="Edited"),
        "remove a message": partial(messages.remove, user_id, session, message),
        "restore a message": partial(messages.restore, user_id, session, message),
        "remove": partial(sessions.remove, user_id, session),
        "restore": partial(sessions.restore, user_id, session),
        "take a key": key,
        "replay a key": key,
        "erase": partial(erasure.erase, user_id, other),
    }


def _every_read(database: Database, user_id: str) -> Verbs:
    lists = exchange_lists(database, user_id) | account_lists() | conversation_lists(database, user_id) | audit_lists()
    return all_reads(database, user_id) | lists | figures_of_exchanges(database, user_id) | {"readiness": health.check}


def found_without_an_index(verbs: Verbs) -> dict[str, list[str]]:
    found = {name: [step for statement in sent_by(verb) for step in whole_tables(explained(statement))] for name, verb in verbs.items()}
    return {name: steps for name, steps in found.items() if steps}


@pytest.mark.parametrize("user_id", [big.BUSY, ORDINARY])
def test_every_list_and_every_read_finds_its_rows_by_an_index(database: Database, user_id: str) -> None:
    assert found_without_an_index(all_reads(database, user_id)) == {}


@pytest.mark.parametrize("user_id", [big.BUSY, ORDINARY])
def test_every_list_with_exchanges_finds_its_rows_by_an_index(database: Database, user_id: str) -> None:
    assert found_without_an_index(exchange_lists(database, user_id)) == {}


@pytest.mark.parametrize("user_id", [big.BUSY, ORDINARY])
def test_the_exchanges_of_a_conversation_are_found_by_an_index(database: Database, user_id: str) -> None:
    verbs = {name: verb for name, verb in exchange_lists(database, user_id).items() if "conversation" in name}
    assert len(verbs) >= 4
    assert found_without_an_index(verbs) == {}


@pytest.mark.parametrize("user_id", [big.BUSY, ORDINARY])
def test_conversations_and_what_is_in_them_are_found_by_an_index(database: Database, user_id: str) -> None:
    assert found_without_an_index(conversation_lists(database, user_id)) == {}


@pytest.mark.parametrize("user_id", [big.BUSY, ORDINARY])
def test_the_figures_of_exchanges_find_their_rows_by_an_index(database: Database, user_id: str) -> None:
    assert found_without_an_index(figures_of_exchanges(database, user_id)) == {}


def test_the_figures_of_one_user_read_no_row_of_another(database: Database) -> None:
    own = database.raw.one("SELECT count(*) FROM chat_sessions WHERE user_id = ?", ORDINARY)
    for statement in sent_by(partial(exchange_stats.of, Scope(ORDINARY))):
        plan = explained(statement, run=True)
        if database.raw.on_sqlite:
            assert [step["detail"] for step in plan if "chat_sessions" in step["detail"] and "(user_id=?" not in step["detail"]] == []
        else:
            assert 0 < rows_met(plan, "chat_sessions") <= own


def test_audit_events_are_found_by_an_index(database: Database) -> None:
    assert found_without_an_index(audit_lists()) == {}


def test_the_timing_out_finds_its_rows_by_an_index(database: Database) -> None:
    assert found_without_an_index({"time out": partial(endings.time_out, timedelta(days=3_000))}) == {}
    assert found_without_an_index({"time out those that are old": partial(endings.time_out, timedelta(hours=27))}) == {}


@pytest.mark.parametrize("user_id", [big.BUSY, ORDINARY])
def test_a_list_or_a_read_takes_two_statements_at_most(database: Database, user_id: str) -> None:
    amounts = {name: len(sent_by(verb)) for name, verb in _every_read(database, user_id).items()}
    assert {name: amount for name, amount in amounts.items() if not 1 <= amount <= 2} == {}


def test_a_long_list_comes_sorted_out_of_its_index(database: Database) -> None:
    verbs = {name: verb for name, verb in session_lists(big.BUSY).items() if "not" not in name} | message_lists(database, big.BUSY, None) | account_lists()
    sorted_anew = {name: [step for statement in sent_by(verb) for step in sorts(explained(statement))] for name, verb in verbs.items()}
    assert {name: steps for name, steps in sorted_anew.items() if steps} == {}


def test_a_search_in_titles_reads_the_rows_of_that_user_alone(database: Database) -> None:
    (statement,) = sent_by(partial(sessions.page, ORDINARY, FILTERS["found by title"], Window(5)))
    plan = explained(statement, run=True)
    if database.raw.on_sqlite:
        assert [step["detail"] for step in plan if "chat_sessions" in step["detail"] and "(user_id=?" not in step["detail"]] == []
        return
    # Once for the rows and once for their number.
    assert 0 < rows_met(plan, "chat_sessions") <= 2 * database.raw.one("SELECT count(*) FROM chat_sessions WHERE user_id = ?", ORDINARY)


def test_a_page_of_messages_reads_no_other_session_s_and_nothing_twice(database: Database) -> None:
    own = database.raw.one("SELECT count(*) FROM chat_messages WHERE session_id = ?", longest(database, big.BUSY))
    verbs = message_lists(database, big.BUSY, None)
    bounds = dict.fromkeys(verbs, 6) | dict.fromkeys(message_lists(database, big.BUSY, "user"), 2 * own)
    for name, verb in (verbs | message_lists(database, big.BUSY, "user")).items():
        (statement,) = sent_by(verb)
        plan = explained(statement, run=True)
        if database.raw.on_sqlite:
            assert [step["detail"] for step in plan if "chat_messages" in step["detail"] and "(session_id" not in step["detail"].replace("((", "(")] == [], name
        else:
            assert rows_met(plan, "chat_messages") <= bounds[name], name


def far_down(page: Callable[[str | None], Page]) -> Callable[[], Page]:
    """The page by cursor that comes after many others."""
    cursor = None
    for _ in range(20):
        cursor = page(cursor).next_cursor
    return partial(page, cursor)


def test_a_cursor_far_down_reads_no_message_of_what_came_before(database: Database) -> None:
    session = longest(database, big.BUSY)

    def page(cursor: str | None) -> Page:
        return messages.page(big.BUSY, session, role=None, newest_first=False, window=Window(200, cursor=cursor))

    (statement,) = sent_by(far_down(page))
    plan = explained(statement, run=True)
    if database.raw.on_sqlite:
        assert re.search(r"SEARCH chat_messages .*(\(session_id=\? AND id>\?|\(session_id,id\)>\(\?,\?\))", conditions(plan))
    else:
        assert rows_met(plan, "chat_messages") == 201


def test_a_cursor_far_down_reads_no_session_of_what_came_before(database: Database) -> None:
    (statement,) = sent_by(far_down(lambda cursor: sessions.page(big.BUSY, Filters(), Window(100, cursor=cursor))))
    place = "(updated_at,id)<(?,?)" if database.raw.on_sqlite else "ROW(updated_at, id) <"
    assert place in conditions(explained(statement))


def test_the_cap_looks_at_the_active_sessions_of_that_agent_alone(database: Database) -> None:
    plans = [conditions(explained(statement)) for statement in sent_by(partial(sessions.create, big.BUSY, agent_type="primary"))]
    wanted = "idx_chat_sessions_cap (user_id=? AND agent_type=?" if database.raw.on_sqlite else "idx_chat_sessions_cap ((user_id"
    assert [plan for plan in plans if wanted in plan.replace("(((", "((").replace("::text", "")] != []


@pytest.mark.parametrize("user_id", [big.BUSY, ORDINARY])
def test_every_write_finds_its_rows_by_an_index(database: Database, user_id: str) -> None:
    assert found_without_an_index(writes(database, user_id)) == {}


def test_an_expired_key_is_found_by_an_index(database: Database) -> None:
    old = datetime.now(UTC) - timedelta(days=2)
    database.raw.insert("idempotency_keys", user_id=big.BUSY, key="old", fingerprint="f", created_at=old.strftime("%Y-%m-%d %H:%M:%S.%f"))
    assert found_without_an_index({"take it": partial(idempotency.once, Claim(big.BUSY, "old", "other"), partial(Answer, 201, b"{}"))}) == {}


def test_the_purge_finds_its_rows_by_an_index(database: Database) -> None:
    found = found_without_an_index({"purge": cleanup.purge})
    # Personas are a few, which an operator made by hand: a replaced secret is looked for in all of them.
    assert found in ({}, {"purge": ["Seq Scan of personas"]})


def test_verifying_goes_through_the_sessions_by_their_key(database: Database) -> None:
    wrong: list[object] = []
    statements = {statement.sql: statement for statement in sent_by(lambda: wrong.extend(verify.breaches()))}
    assert wrong == []
    # The last one goes through the index of active sessions from end to end, which is what it is for.
    assert [step for statement in [*statements.values()][:-1] for step in whole_tables(explained(statement))] == []


@pytest.mark.parametrize("user_id", [big.BUSY, ORDINARY])
def test_what_a_user_has_is_counted_by_an_index(database: Database, user_id: str) -> None:
    assert found_without_an_index({"count": partial(belongings.count, user_id, "alice", keep_account=False)}) == {}


def test_all_that_a_user_has_is_carried_away_and_erased_by_an_index(database: Database) -> None:
    """Of one with as few sessions as most, whom no other test asks for: they are gone then, and nobody knows what comes after."""
    with acting.acting_for(acting.user(GOES)):
        carried = {statement.sql: statement for statement in sent_by(lambda: sum(len(rows) for _, rows in exporting.everything(GOES)))}
        assert [step for statement in carried.values() for step in whole_tables(explained(statement))] == []
        erased = {statement.sql: statement for statement in sent_by(lambda: forgetting.go_on(forgetting.ask(GOES, by="self")))}
        assert [step for statement in erased.values() if "VACUUM" not in statement.sql for step in whole_tables(explained(statement))] == []
    assert belongings.count(GOES, None, keep_account=False) == {}
    assert list(verify.breaches()) == []


def test_statistics_are_read_from_their_index_alone(database: Database) -> None:
    (plan,) = [str(explained(statement)) for statement in sent_by(partial(stats.of_user, big.BUSY))]
    assert "idx_chat_sessions_statistics" in plan
    assert ("COVERING INDEX" if database.raw.on_sqlite else "Index Only Scan") in plan

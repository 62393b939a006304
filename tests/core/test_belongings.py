"""No table with people's rows is forgotten where all that a user has is carried away or erased."""

from __future__ import annotations

from chatsvc.core import belongings
from chatsvc.extensions import Base

# What says of a row whose it is or who did it, and where an erasure looks after it.
WHOSE = {
    ("chat_sessions", "user_id"): belongings._sessions,
    ("chat_messages", "user_id"): belongings._sessions,
    ("reply_chunks", "user_id"): belongings._sessions,
    ("conversations", "user_id"): belongings._conversations,
    ("idempotency_keys", "user_id"): belongings._keys,
    ("revoked_tokens", "user_id"): belongings._tokens,
    ("login_throttles", "account"): belongings._sign_ins,
    ("audit_events", "actor_id"): belongings._events,
    ("audit_events", "subject"): belongings._events,
    ("api_keys", "created_by"): belongings._made_keys,
    ("users", "username"): "forgetting._close",
    ("users", "username_key"): "forgetting._close",
    ("erasures", "user_id"): "forgetting._step",
    ("erasures", "account"): "forgetting._step",
}
NAMED_SO = ("user_id", "owner_id", "actor_id", "created_by", "updated_by", "made_by", "subject", "account", "username", "username_key", "email", "user")


def test_every_column_that_names_somebody_is_looked_after() -> None:
    there = {(table.name, column.name) for table in Base.metadata.tables.values() for column in table.columns if column.name in NAMED_SO}
    assert there == set(WHOSE)


def test_what_looks_after_them_is_carried_out() -> None:
    assert {step for step in WHOSE.values() if not isinstance(step, str)} == set(belongings.STEPS)

"""The statements that list a user's sessions, each part out of an index of its own."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import reduce
from operator import add
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Select, bindparam, desc, func, select, tuple_, union_all

from chatsvc.core.models import ChatSession
from chatsvc.core.models.types import Moment, Uuid, title_holds
from chatsvc.core.prepared import prepared
from chatsvc.core.read_models import SESSION

LATEST_FIRST: tuple[ColumnElement[Any], ...] = (desc("updated_at"), desc("id"))
GIVEN = "given"


@dataclass(frozen=True, slots=True)
class Filters:
    """Which of a user's sessions a list shows: plain ones, and exchanges too where they are wanted; those that are there, or those in
    the bin. None does not filter."""

    agent_type: str | None = None
    active: bool | None = None
    search: str | None = None
    status: str | None = None
    persona_id: str | None = None
    conversation_id: str | None = None
    exchanges: bool = False
    deleted: bool = False

    @property
    def shape(self) -> Filters:
        """The same without what is looked for, so that all lists of one kind are one statement."""
        found = {one.name: getattr(self, one.name) for one in fields(self)} | {"search": None} | dict.fromkeys(self.values, GIVEN)
        return Filters(**found)

    @property
    def values(self) -> dict[str, str]:
        """What is looked for, by the name of its parameter."""
        return {one.name: value for one in fields(self) if isinstance(value := getattr(self, one.name), str) and value}


@prepared
def listed(shape: Filters, *, by_cursor: bool) -> Select[Any]:
    """A page of sessions, each row with the total. Parameters: user_id, those of the filters, size, and reach and offset or at and id."""
    parts = _parts(shape)
    offset: BindParameter[int] | None = None if by_cursor else bindparam("offset", 0)
    after = [_comes_after()] if by_cursor else []
    # Each part comes out of an index of its own in this order, and only as far as the page may reach.
    selects = [select(*SESSION).where(*shown, *after).order_by(*LATEST_FIRST) for shown in parts]
    if selects[1:]:
        merged = union_all(*(select(one.limit(bindparam("reach", 0)).subquery()) for one in selects)).subquery()
        selects = [select(merged).order_by(*LATEST_FIRST)]
    return selects[0].add_columns(_total(parts).label("total")).limit(bindparam("size", 0)).offset(offset)


@prepared
def total(shape: Filters) -> Select[Any]:
    """How many there are in all."""
    return select(_total(_parts(shape)).label("total"))


def _total(parts: list[list[ColumnElement[bool]]]) -> ColumnElement[int]:
    return reduce(add, [select(func.count()).select_from(ChatSession).where(*shown).scalar_subquery() for shown in parts])


def _parts(shape: Filters) -> list[list[ColumnElement[bool]]]:
    """Plain sessions and exchanges, each by the conditions of its own index."""
    there = ChatSession.deleted_at.is_not(None) if shape.deleted else ChatSession.deleted_at.is_(None)
    mine = [ChatSession.user_id == bindparam("user_id"), there, *_filtered(shape)]
    plain, exchanges = [*mine, ChatSession.conversation_id.is_(None)], [*mine, ChatSession.conversation_id.is_not(None)]
    if shape.conversation_id is not None:
        return [exchanges]
    return [plain, exchanges] if shape.exchanges else [plain]


def _filtered(shape: Filters) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if shape.active is not None:
        conditions.append((ChatSession.status == "ACTIVE") if shape.active else (ChatSession.status != "ACTIVE"))
    equal = [name for name in ("agent_type", "status", "persona_id", "conversation_id") if getattr(shape, name) is not None]
    conditions += [getattr(ChatSession, name) == bindparam(name) for name in equal]
    if shape.search:
        conditions.append(title_holds(ChatSession.title, bindparam("search", type_=ChatSession.title.type)))
    return conditions


def _comes_after() -> ColumnElement[bool]:
    return tuple_(ChatSession.updated_at, ChatSession.id) < tuple_(bindparam("at", type_=Moment()), bindparam("id", type_=Uuid))

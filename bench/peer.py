"""The service that users would otherwise write: FastAPI, SQLAlchemy's asynchronous ORM on asyncpg, pydantic, PyJWT; by the book.

    DATABASE_URL=postgresql://… JWT_SECRET_KEY=… uvicorn bench.peer:app --workers 2 --no-access-log

It runs in an environment of its own (bench/requirements.txt) and imports nothing of chatsvc. It checks a token's signature and
expiry, the session's owner and the input's shape; it knows no revocation, no rate limits and no idempotency.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any

import jwt
from fastapi import Depends, FastAPI, HTTPException, Query
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import BigInteger, ForeignKey, Identity, Text, func, select
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

SECRET = os.environ["JWT_SECRET_KEY"]
BASE = "/api/v1/chat/sessions"
# As many connections as a worker of chatsvc has.
engine = create_async_engine(os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+asyncpg://"), pool_size=16, max_overflow=0)
make_session = async_sessionmaker(engine, expire_on_commit=False)
Moment = TIMESTAMP(timezone=True)


class Base(DeclarativeBase):
    pass


class ChatSession(Base):
    __tablename__ = "chat_sessions"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    user_id: Mapped[str] = mapped_column(Text)
    title: Mapped[str | None] = mapped_column(Text)
    last_message: Mapped[str | None] = mapped_column(Text)
    message_count: Mapped[int] = mapped_column(server_default="0")
    agent_type: Mapped[str] = mapped_column(Text, server_default="primary")
    is_active: Mapped[bool] = mapped_column(server_default="true")
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())
    last_message_at: Mapped[datetime | None] = mapped_column(Moment)
    meta: Mapped[dict[str, Any]] = mapped_column("metadata", JSONB, server_default="{}")


class ChatMessage(Base):
    __tablename__ = "chat_messages"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    session_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("chat_sessions.id"))
    role: Mapped[str] = mapped_column(Text)
    content: Mapped[str] = mapped_column(Text)
    meta: Mapped[dict[str, Any]] = mapped_column("metadata", JSONB, server_default="{}")
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())


class SessionOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: uuid.UUID
    title: str | None
    last_message: str | None
    message_count: int
    agent_type: str
    is_active: bool
    created_at: datetime
    updated_at: datetime
    last_message_at: datetime | None
    metadata: dict[str, Any] = Field(validation_alias="meta")


class MessageIn(BaseModel):
    role: str = Field("user", pattern="^(user|assistant|system)$")
    content: str = Field(min_length=1, max_length=10000)
    metadata: dict[str, Any] = {}


class MessageOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    session_id: uuid.UUID
    role: str
    content: str
    metadata: dict[str, Any] = Field(validation_alias="meta")
    created_at: datetime


class SessionDetail(SessionOut):
    messages: list[MessageOut]


class SessionList(BaseModel):
    sessions: list[SessionOut]
    total: int
    page: int
    page_size: int
    total_pages: int


async def database() -> AsyncIterator[AsyncSession]:
    async with make_session() as session:
        yield session


def current_user(given: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]) -> str:
    try:
        user: str = jwt.decode(given.credentials, SECRET, algorithms=["HS256"])["sub"]
    except jwt.PyJWTError:
        raise HTTPException(401, "invalid token") from None
    return user


User = Annotated[str, Depends(current_user)]
Database = Annotated[AsyncSession, Depends(database)]
app = FastAPI()


async def owned(db: AsyncSession, session_id: uuid.UUID, user: str) -> ChatSession:
    found = await db.scalar(select(ChatSession).where(ChatSession.id == session_id, ChatSession.user_id == user))
    if found is None:
        raise HTTPException(404, "session not found")
    return found


@app.get(BASE, response_model=SessionList)
async def list_sessions(user: User, db: Database, page: Annotated[int, Query(ge=1)] = 1, page_size: Annotated[int, Query(ge=1, le=100)] = 20) -> SessionList:
    mine = ChatSession.user_id == user
    total = await db.scalar(select(func.count()).select_from(ChatSession).where(mine)) or 0
    listed = select(ChatSession).where(mine).order_by(ChatSession.updated_at.desc()).limit(page_size).offset((page - 1) * page_size)
    rows = (await db.scalars(listed)).all()
    shown = [SessionOut.model_validate(row) for row in rows]
    return SessionList(sessions=shown, total=total, page=page, page_size=page_size, total_pages=-(-total // page_size))


@app.get(BASE + "/{session_id}", response_model=SessionDetail)
async def read_session(session_id: uuid.UUID, user: User, db: Database, limit: Annotated[int, Query(ge=1, le=200)] = 50) -> dict[str, Any]:
    found = await owned(db, session_id, user)
    newest = select(ChatMessage).where(ChatMessage.session_id == session_id).order_by(ChatMessage.id.desc()).limit(limit)
    rows = (await db.scalars(newest)).all()
    fields = {name: getattr(found, name) for name in SessionOut.model_fields if name != "metadata"}
    return {**fields, "meta": found.meta, "messages": [MessageOut.model_validate(row) for row in reversed(rows)]}


@app.post(BASE + "/{session_id}/messages", response_model=MessageOut, status_code=201)
async def add_message(session_id: uuid.UUID, body: MessageIn, user: User, db: Database) -> ChatMessage:
    await owned(db, session_id, user)
    message = ChatMessage(session_id=session_id, role=body.role, content=body.content, meta=body.metadata)
    db.add(message)
    await db.flush()
    await db.refresh(message)
    await db.commit()
    return message

"""What is kept about signing in: tokens that no longer count, and who guesses how often."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from chatsvc.core.models.types import Moment
from chatsvc.extensions import Model


class RevokedToken(Model):
    """A token, or all tokens of one sign-in, that stopped being good before it expired."""

    __tablename__ = "revoked_tokens"
    __table_args__ = (Index(None, "expires_at"), Index(None, "user_id"))

    token_id: Mapped[str] = mapped_column(String(100), primary_key=True)
    user_id: Mapped[str] = mapped_column(String(255))
    revoked_at: Mapped[datetime] = mapped_column(Moment)
    expires_at: Mapped[datetime] = mapped_column(Moment)


class LoginThrottle(Model):
    """Wrong guesses in a row at one account from one address, or from all strange addresses (`*`)."""

    __tablename__ = "login_throttles"
    __table_args__ = (Index(None, "touched_at"),)

    account: Mapped[str] = mapped_column(String(255), primary_key=True)
    address: Mapped[str] = mapped_column(String(64), primary_key=True)
    failures: Mapped[int] = mapped_column(Integer, server_default="0")
    blocked_until: Mapped[datetime | None] = mapped_column(Moment)
    succeeded_at: Mapped[datetime | None] = mapped_column(Moment)
    touched_at: Mapped[datetime] = mapped_column(Moment)

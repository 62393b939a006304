"""Empty objects that create_app() fills; imports nothing of ours but the settings' type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import current_app
from flask_jwt_extended import JWTManager
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import MetaData
from sqlalchemy.orm import DeclarativeBase

from config import Settings

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMES)


db = SQLAlchemy(model_class=Base, disable_autonaming=True)
migrate = Migrate()
jwt = JWTManager()

if TYPE_CHECKING:
    Model = Base
else:
    Model = db.Model


def responder() -> Any:
    """Who answers when no persona is named."""
    return current_app.extensions["chatsvc.responder"]


def responder_for(**persona: Any) -> Any:
    """Who answers for a persona so configured."""
    return current_app.extensions["chatsvc.responder_for"](**persona)


def runtime() -> Any:
    """The replies that this process writes and follows."""
    return current_app.extensions["chatsvc.runtime"]


def metrics() -> Any:
    """What this process counts."""
    return current_app.extensions["chatsvc.metrics"]


def looks() -> Any:
    """What was last seen of the database by whoever scrapes."""
    return current_app.extensions["chatsvc.looks"]


def last_writes() -> Any:
    """Who has written a moment ago; None where that makes no difference, since there is no replica."""
    return current_app.extensions["chatsvc.last_writes"]


def replica() -> Any:
    """The replica that may be read from; None where there is none."""
    return current_app.extensions["chatsvc.replica"]


def settings() -> Settings:
    """The settings of the running application."""
    found: Settings = current_app.extensions["chatsvc.settings"]
    return found

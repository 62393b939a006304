"""chatsvc: keeps chat sessions for AI and chat products."""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import Any

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

import config
import log_lines
from chatsvc import api, commands, responders, tracing, web
from chatsvc.api.common import keys, limits
from chatsvc.core import about, connections, models
from chatsvc.core.key_uses import KeyUses
from chatsvc.core.last_writes import LastWrites
from chatsvc.core.metrics import Metrics
from chatsvc.core.replica import Replica
from chatsvc.core.runtime import Runtime
from chatsvc.core.scraping import Looks
from chatsvc.extensions import db, jwt, migrate

__version__ = "0.1.0"
LINE = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def create_app(settings: config.Settings | None = None) -> Flask:
    """The application with these settings, or with those of the environment."""
    settings = settings or config.load()
    _install_log(settings)
    app = Flask(__name__, static_folder=None, instance_path=settings.instance_path)
    if settings.production and (app.debug or app.testing):
        raise config.SettingError("FLASK_DEBUG is on. In production it must not be: it shows the inside of the service to whoever makes it fail.")
    app.url_map.strict_slashes = app.url_map.merge_slashes = False
    app.extensions["chatsvc.settings"] = settings
    app.extensions["chatsvc.metrics"] = counted = Metrics()
    app.extensions["chatsvc.looks"] = Looks()
    app.extensions["chatsvc.tokens"] = {}
    app.extensions["chatsvc.refused"] = {}
    app.extensions["chatsvc.api_keys"] = {}
    app.extensions["chatsvc.key_uses"] = KeyUses(app.app_context)
    app.extensions["chatsvc.limits"] = limits.Counter(settings)
    app.config.from_mapping(_flask_settings(settings))
    if settings.proxy_hops:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=settings.proxy_hops, x_proto=settings.proxy_hops)  # type: ignore[method-assign]
    db.init_app(app)
    migrate.init_app(app, db, directory=str(config.ROOT / "migrations"))
    _install_tokens(app, settings)
    with app.app_context():
        connections.prepare(db.engine)
    _install_replica(app, settings)
    app.extensions["chatsvc.responder"] = responders.configured(settings)
    # Kept, so that a persona's connections are.
    app.extensions["chatsvc.responder_for"] = lru_cache(maxsize=256)(lambda **persona: responders.for_persona(responders.Configured(**persona), settings))
    app.extensions["chatsvc.runtime"] = Runtime(
        app.app_context,
        capacity=settings.streams_per_worker or _room(settings),
        longest=settings.reply_max_chars,
        redis_url=settings.redis_url,
        titler=responders.titler(settings),
        metrics=counted,
    )
    api.mount(app)
    web.mount(app)
    tracing.install(app, settings)
    commands.install(app)
    return app


def _install_log(settings: config.Settings) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(log_lines.lines_for(settings, LINE, fields=about.fields))
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler])


def _flask_settings(settings: config.Settings) -> dict[str, Any]:
    return {
        "MAX_CONTENT_LENGTH": 1024 * 1024,
        "SQLALCHEMY_DATABASE_URI": settings.database_url,
        "SQLALCHEMY_ENGINE_OPTIONS": connections.engine_options(settings),
        "JWT_SECRET_KEY": settings.jwt_secret_key,
        "JWT_ALGORITHM": "HS256",
        "JWT_ENCODE_ISSUER": settings.jwt_issuer or None,
        "JWT_ENCODE_AUDIENCE": settings.jwt_audience or None,
    }


def _install_replica(app: Flask, settings: config.Settings) -> None:
    writes = LastWrites(settings.redis_url) if settings.database_replica_url else None
    app.extensions["chatsvc.last_writes"] = writes
    app.extensions["chatsvc.replica"] = Replica(settings, app.app_context, writes) if writes else None


def _room(settings: config.Settings) -> int:
    """As many streams as leave threads for everybody else."""
    return 3000 if not settings.sqlite else max(1, settings.threads - 24)


def _install_tokens(app: Flask, settings: config.Settings) -> None:
    jwt.init_app(app)
    app.extensions["chatsvc.keys"] = keys.Keys(
        secret=settings.jwt_secret_key,
        others=settings.jwt_other_secret_keys,
        public_key=settings.jwt_public_key,
        jwks_url=settings.jwt_jwks_url,
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
    )


__all__ = ["create_app", "models"]

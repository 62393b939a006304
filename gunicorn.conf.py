"""gunicorn as chatsvc runs it: threads on SQLite, greenlets on PostgreSQL. docs/decisions/0008 has the figures behind it."""

from __future__ import annotations

import gc
import signal
from types import FrameType
from typing import Any

from gunicorn.glogging import Logger as _Logger

from config import load as _load
from log_lines import Lines as _Lines
from log_lines import secrets_of as _secrets_of

_settings = _load()


class _OurLogger(_Logger):
    """The server's own lines, written as ours are. What a request that it cannot read said is left out: it may be a token in the wrong place."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        for handler in self.error_log.handlers:
            handler.setFormatter(_Lines(self.error_fmt, self.datefmt, hidden=_secrets_of(_settings), telling=_settings.log_level == "debug"))

    def warning(self, msg: str, *args: Any, **kwargs: Any) -> None:
        super().warning(": ".join(msg.split(": ")[:2]) if msg.startswith("Invalid request") else msg, *args, **kwargs)


logger_class = _OurLogger

bind = f"[{_settings.host}]:{_settings.port}" if ":" in _settings.host else f"{_settings.host}:{_settings.port}"
# What a proxy says of the client is read by the application, from as many proxies as PROXY_HOPS names, and by nobody else.
forwarded_allow_ips = ""
workers = _settings.workers
# A stream holds a thread. SQLite blocks the whole process while it waits, which greenlets cannot bear; on PostgreSQL
# the driver yields, and a worker holds thousands.
worker_class = "gthread" if _settings.sqlite else "gevent"
threads = _settings.threads
# Loaded once and then copied: a start takes half the processor's time. Greenlets have to be in place before anything is loaded.
preload_app = _settings.sqlite
worker_connections = 5000 if not _settings.sqlite else _settings.threads + 200
timeout = 60
graceful_timeout = 20
keepalive = 75
# A token of any size gets the answer of the door that it knocks at, not a page of the server's.
limit_request_field_size = 128 * 1024
# With the usual hundred of them, one connection could fill 13 MB before anybody has looked at it.
limit_request_fields = 50
control_socket_disable = True
accesslog = None
errorlog = "-"
loglevel = _settings.log_level


def post_fork(server: Any, worker: Any) -> None:
    if worker_class == "gevent":
        from psycogreen.gevent import patch_psycopg

        patch_psycopg()


def post_worker_init(worker: Any) -> None:
    """Starts the replies' heartbeat; on SIGTERM its producers end first, so that their text is saved and their clients are told."""
    runtime = worker.wsgi.extensions["chatsvc.runtime"]
    runtime.is_a_process_of_its_own()
    runtime.start()
    # A thousand streams are a hundred thousand objects that live long; with the usual thresholds the collector walks them all the
    # time (it took 40 % of the worker). What was loaded at start is never looked at again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    gracefully = signal.getsignal(signal.SIGTERM)

    def leave(_: int, frame: FrameType | None) -> None:
        runtime.stop()
        if callable(gracefully):
            gracefully(signal.SIGTERM, frame)

    # Ctrl+C too: it reaches the workers by themselves, and the master then tells them to quit at once.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, leave)

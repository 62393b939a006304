"""gunicorn as chatsvc runs it: threads on SQLite, greenlets on PostgreSQL. docs/decisions/0008 has the figures behind it."""

from __future__ import annotations

import gc
import logging
import multiprocessing
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

from gunicorn.glogging import Logger as _Logger

import fair_share
import whole_answers
from config import ROOT
from config import SettingError as _SettingError
from config import load as _load
from log_lines import lines_for as _lines_for
from metrics_folder import begin as _begin_to_count
from serve import MAKES_READY

_settings = _load()


class _OurLogger(_Logger):
    """The server's own lines, written as ours are. What a request that it cannot read said is left out: it may be a token in the wrong place."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        for handler in self.error_log.handlers:
            handler.setFormatter(_lines_for(_settings, self.error_fmt, self.datefmt))

    def warning(self, msg: str, *args: Any, **kwargs: Any) -> None:
        super().warning(": ".join(msg.split(": ")[:2]) if msg.startswith("Invalid request") else msg, *args, **kwargs)

    def exception(self, msg: str, *args: Any, **kwargs: Any) -> None:
        """A client that is hung up on because it takes nothing is its own fault."""
        if msg.startswith("Socket error") and isinstance(sys.exc_info()[1], TimeoutError):
            self.info("a client took nothing for %d s and was hung up on", _settings.send_timeout)
        else:
            super().exception(msg, *args, **kwargs)


logger_class = _OurLogger
whole_answers.install()


def _threads() -> type:
    """The server's worker of threads, closing in them what is over: until a client closes its own end that takes up to two seconds, in which
    the main thread, which does it otherwise, would take in nobody."""
    from gunicorn.workers.gthread import ThreadWorker

    class Threads(ThreadWorker):  # type: ignore[misc]
        def handle(self, conn: Any) -> Any:
            stays = super().handle(conn)
            if stays is False:
                with suppress(OSError):
                    conn.close(graceful=True)
            return stays

        def finish_request(self, conn: Any, fs: Future[Any]) -> None:
            if fs.cancelled() or fs.exception() or fs.result() is not False:
                super().finish_request(conn, fs)
            else:  # its thread has closed it
                self.nr_conns -= 1

    return Threads


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


bind = [_address(_settings.host, _settings.port)]
if _settings.metrics_port:  # every worker answers there, with the figures of all
    bind.append(_address(_settings.metrics_host, _settings.metrics_port))
# What a proxy says of the client is read by the application, from as many proxies as PROXY_HOPS names, and by nobody else.
forwarded_allow_ips = ""
workers = _settings.workers
# A stream holds a thread. SQLite blocks the whole process while it waits, which greenlets cannot bear; on PostgreSQL
# the driver yields, and a worker holds thousands.
worker_class: Any = fair_share.threads(_threads()) if _settings.sqlite else "gevent"
threads = _settings.threads
# Loaded once and then copied: a start takes half the processor's time. Greenlets have to be in place before anything is loaded.
preload_app = _settings.sqlite
worker_connections = 5000 if not _settings.sqlite else _settings.threads + 200
timeout = 60
graceful_timeout = 20
keepalive = 75
# A token of any size gets the answer of the door that it knocks at, not a page of the server's.
limit_request_field_size = 128 * 1024
# As long as it may be: three parameters of 255 letters each, percent-encoded, are good input and take more than the usual half of this.
limit_request_line = 8190
# With the usual hundred of them, one connection could fill 13 MB before anybody has looked at it.
limit_request_fields = 50
control_socket_disable = True
accesslog = None
errorlog = "-"
loglevel = _settings.log_level


DRAIN_SECONDS = 2.0
BIND_TO_INTERFACE = 62  # SO_BINDTOIFINDEX, which since Linux 5.7 takes no privileges; a filter that drops all (SO_ATTACH_FILTER) does on some systems
NO_INTERFACE = 2**31 - 1
QUEUED_AT = 24  # where TCP_INFO says of a listening socket how many wait to be accepted


def on_starting(server: Any) -> None:
    """The processes count in a folder, which begins empty with each start of the service. Where this server is to make everything ready, it
    does so now, and has the repeating cleanup run beside it."""
    if _settings.metrics_on:
        try:
            _begin_to_count(Path(_settings.metrics_dir))
        except OSError as error:
            raise _SettingError(f"METRICS_DIR cannot be written ({error.strerror}); name a folder that can.") from None
    if os.environ.pop(MAKES_READY, None):
        # In a process of its own: no connection, no thread and (before greenlets are in place) nothing of the service may be left here.
        making_ready = multiprocessing.get_context("fork").Process(target=_make_ready)
        making_ready.start()
        making_ready.join()
        if making_ready.exitcode:
            sys.exit(1)
        _clean_up_beside()
        print(f"chatsvc listens on http://{_settings.host}:{_settings.port}  (Ctrl+C stops it)", flush=True)  # noqa: T201


def _make_ready() -> None:
    from chatsvc.commands.serve import make_ready
    from wsgi import app

    with app.app_context():
        make_ready()


def _clean_up_beside() -> None:
    """It gives way to everybody who waits for an answer, and to the start itself. When this process ends, it ends."""
    command = [sys.executable, "-m", "flask", "cleanup", "all", "--every", str(_settings.cleanup_interval), "--parent", str(os.getpid())]
    environ = {**os.environ, "FLASK_APP": str(ROOT / "wsgi.py")}
    # This service's own command, with nothing from outside in it.
    subprocess.Popen(command, cwd=ROOT, env=environ, preexec_fn=lambda: os.nice(10))  # noqa: PLW1509 - no thread runs here # nosec B603


_shares = fair_share.Shares(64)


def pre_fork(server: Any, worker: Any) -> None:
    worker.share = _shares.place()


def child_exit(server: Any, worker: Any) -> None:
    """However it ended."""
    worker.share.free()


def when_ready(server: Any) -> None:
    """Nobody holds a thread by taking nothing of an answer. And whoever has connected when this service is told to stop is still answered:
    closing a listening socket resets all that wait at it."""
    stop = server.stop
    for listener in server.LISTENERS:
        _hang_up_on_the_stuck(listener.sock)

    def drain_and_stop(graceful: bool = True) -> None:
        shared = server.systemd or server.reexec_pid or server.master_pid  # somebody else goes on listening there
        if graceful and sys.platform == "linux" and not shared:
            _drain([listener.sock for listener in server.LISTENERS])
        stop(graceful)

    server.stop = drain_and_stop


def _hang_up_on_the_stuck(listener: socket.socket) -> None:
    """Its connections have this from it: one that is there and takes nothing keeps a send waiting for ever otherwise (a greenlet, or a thread)."""
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _settings.send_timeout * 1000)


def _drain(listeners: list[socket.socket]) -> None:
    """Has newcomers refused until the workers have taken in those that wait: a socket that listens at an interface that is not there is found by nobody."""
    try:
        for listener in listeners:
            listener.setsockopt(socket.SOL_SOCKET, BIND_TO_INTERFACE, NO_INTERFACE)
    except OSError as error:  # an older system: stopping goes on, and some of those who connect meanwhile are reset
        logging.getLogger("chatsvc").warning("whoever connects from now on may be reset instead of refused (%s)", error.strerror)
    ends_at = time.monotonic() + DRAIN_SECONDS
    time.sleep(0.05)
    while time.monotonic() < ends_at and any(_queued(listener) for listener in listeners):
        time.sleep(0.01)


def _queued(listener: socket.socket) -> int:
    found: int = struct.unpack_from("I", listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104), QUEUED_AT)[0]
    return found


def _until_started(runtime: Any) -> None:
    """Its first beat goes to the database. One that is away is no reason not to start: a worker that fails here takes the whole server with it."""
    from chatsvc.core.errors import Unavailable

    while not runtime.stopping:
        try:
            runtime.start()
            return
        except Unavailable:  # logged where it happened; /readyz says so meanwhile
            time.sleep(1)


_before_the_end: list[Callable[[], None]] = []


def worker_exit(server: Any, worker: Any) -> None:
    """What a worker that ends in peace has still to say."""
    for say in _before_the_end:
        say()


def _count_together(metrics: Any) -> None:
    """A full disk is no reason not to serve."""
    if _settings.metrics_on:
        try:
            metrics.keep_in(Path(_settings.metrics_dir))
        except OSError as error:
            logging.getLogger("chatsvc").error("what this worker counts is not told: METRICS_DIR cannot be written (%s)", error.strerror)


def post_worker_init(worker: Any) -> None:
    """Starts the replies' heartbeat; on SIGTERM its producers end first, so that their text is saved and their clients are told."""
    if worker_class == "gevent":  # not before the worker has put its greenlets in place: this loads the rest
        from chatsvc.core import patience

        patience.install()
        fair_share.greenlets(worker.share)
    runtime = worker.wsgi.extensions["chatsvc.runtime"]
    runtime.is_a_process_of_its_own()
    _count_together(runtime.metrics)
    replica = worker.wsgi.extensions["chatsvc.replica"]
    if replica is not None:
        replica.start()
    if _settings.otlp_endpoint:
        from chatsvc import tracing

        _before_the_end.append(tracing.begin(worker.wsgi))
    threading.Thread(target=_until_started, args=[runtime], name="starting", daemon=True).start()
    # A thousand streams are a hundred thousand objects that live long; with the usual thresholds the collector walks them all the
    # time (it took 40 % of the worker). What was loaded at start is never looked at again.
    gc.collect()
    gc.freeze()
    # What waits for the collector is memory that the worker never gives back, though: the few streams of threads allow more frequent walks.
    gc.set_threshold(10_000 if _settings.sqlite else 50_000, 20, 100)
    gracefully = signal.getsignal(signal.SIGTERM)

    def leave(_: int, frame: FrameType | None) -> None:
        worker.share.leave()
        runtime.stop()
        if replica is not None:
            replica.stop()
        if callable(gracefully):
            gracefully(signal.SIGTERM, frame)

    # Ctrl+C too: it reaches the workers by themselves, and the master then tells them to quit at once.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, leave)

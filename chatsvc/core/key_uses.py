"""When a key was used last, written beside the requests: nobody waits for it, and it is written once a minute at most."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from chatsvc.core import api_keys, database
from chatsvc.core.errors import Unavailable

log = logging.getLogger(__name__)


class KeyUses:
    """Those that this process has seen; `context` gives a thread the application's context."""

    def __init__(self, context: Callable[[], AbstractContextManager[Any]]) -> None:
        self._context = context
        self._told_until: dict[str, float] = {}
        self._due: set[str] = set()
        self._writer: threading.Thread | None = None
        self._lock = threading.Lock()

    def note(self, key_id: str) -> None:
        """This key was used just now."""
        at = time.monotonic()
        if at < self._told_until.get(key_id, 0.0):
            return
        with self._lock:
            self._told_until[key_id] = at + api_keys.USE_TOLD_EACH.total_seconds()
            self._due.add(key_id)
            if self._writer is None:
                self._begin()

    def _begin(self) -> None:
        writer = threading.Thread(target=self._write, name="key-uses", daemon=True)
        try:
            writer.start()
        except RuntimeError:
            log.warning("no thread could be started that writes when keys were used last")
        else:
            self._writer = writer

    def finish(self) -> None:
        """Waits until what was noted is written."""
        writer = self._writer
        if writer is not None:
            writer.join(30)

    def _write(self) -> None:
        database.require(None)  # what the request has to carry along is not for this thread
        while True:
            with self._lock:
                if not self._due:
                    self._writer = None
                    return
                key_id = self._due.pop()
            try:
                with self._context():
                    api_keys.tell_use(key_id)
            except Unavailable as error:
                log.warning("the last use of key %s was not written: %s", key_id, error.message)
            except Exception:
                log.exception("the last use of key %s was not written", key_id)

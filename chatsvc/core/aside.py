"""Work that keeps a processor busy: done on real threads of its own, which give way to everybody who waits for an answer."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, TypeVar

R = TypeVar("R")
AT_ONCE = 2
NICE = 10


def aside(work: Callable[[], R]) -> R:
    """What this gives; meanwhile the others of this process go on. It must not raise anything that is expected."""

    def giving_way() -> R:
        if sys.platform == "linux":  # where a thread has a priority of its own
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
        return work()

    found: R = _carry_out()(giving_way)
    return found


@cache
def _carry_out() -> Callable[[Callable[[], Any]], Any]:
    monkey = sys.modules.get("gevent.monkey")
    if monkey is not None and monkey.is_module_patched("threading"):
        # Here the language's threads are greenlets of one thread: all of them would stand still.
        from gevent.threadpool import ThreadPool  # noqa: PLC0415 - not where SQLite is served by threads

        run: Callable[[Callable[[], Any]], Any] = ThreadPool(AT_ONCE).apply
        return run
    pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="aside")
    return lambda work: pool.submit(work).result()


os.register_at_fork(after_in_child=_carry_out.cache_clear)  # a copy of this process has none of its threads

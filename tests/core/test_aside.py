"""A password that is looked at holds nobody up: not the greenlets of a worker on PostgreSQL, which share one thread, nor the threads of one on SQLite."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from chatsvc.core.aside import AT_ONCE, aside

PROGRAM = """
import json, threading, time
from chatsvc.core import users
done, turns = threading.Event(), 0

def others():
    global turns
    while not done.is_set():
        turns += 1
        time.sleep(0.001)

beside = threading.Thread(target=others)
beside.start()
guesses = [threading.Thread(target=users._verify, args=(users._NOBODY, "a guess")) for _ in range(6)]
for guess in guesses: guess.start()
for guess in guesses: guess.join()
done.set()
beside.join()
print(json.dumps(turns))
"""


@pytest.mark.parametrize("patched", ["from gevent import monkey; monkey.patch_all()\n", ""], ids=["greenlets", "threads"])
def test_everybody_else_goes_on_while_six_passwords_are_looked_at(patched: str) -> None:
    said = subprocess.run([sys.executable, "-c", patched + PROGRAM], check=True, capture_output=True, text=True, timeout=60).stdout
    # A hash takes some 30 ms. Where it holds everybody up there is about one turn in each, and else one in each millisecond or two.
    assert json.loads(said) > 5 * 6


def test_so_many_at_once_and_the_others_after_them() -> None:
    most, now, lock, here = 0, 0, threading.Lock(), threading.Event()

    def work() -> int:
        nonlocal most, now
        with lock:
            now += 1
            most = max(most, now)
        here.wait(0.02)
        with lock:
            now -= 1
        return 7

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda _: aside(work), range(8))) == [7] * 8
    assert most <= AT_ONCE

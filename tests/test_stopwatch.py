"""A time in which others had the processor is nobody's fault; a time in which one slept, or worked, is one's own."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from tests.stopwatch import TASKS, Stopwatch


def work(seconds: float) -> None:
    ends_at = time.thread_time() + seconds
    while time.thread_time() < ends_at:
        pass


def test_what_one_sleeps_and_works_counts() -> None:
    watch = Stopwatch()
    time.sleep(0.1)
    work(0.1)
    assert 0.15 < watch.own_seconds <= watch.seconds


@pytest.mark.skipif(not TASKS.exists(), reason="only Linux tells how long one has waited for a processor")
def test_what_one_waits_for_a_processor_does_not() -> None:
    before = os.sched_getaffinity(0)
    one = {min(before)}
    with subprocess.Popen([sys.executable, "-c", f"import os\nos.sched_setaffinity(0, {one})\nprint(flush=True)\nwhile True: pass"], stdout=-1) as other:
        try:
            assert other.stdout
            other.stdout.readline()
            os.sched_setaffinity(0, one)
            watch = Stopwatch()
            work(0.3)
            assert watch.seconds > 0.4
            assert watch.own_seconds < watch.seconds - 0.1
        finally:
            os.sched_setaffinity(0, before)
            other.kill()

"""What processes use is read right."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import psycopg2
import pytest

from bench import processes


def test_a_childs_work_and_that_of_one_which_has_ended_counts() -> None:
    before = processes.cpu_seconds(os.getpid())
    subprocess.run([sys.executable, "-c", "import time\nwhile time.process_time() < 0.5: pass"], check=True)
    ended = processes.cpu_seconds(os.getpid())
    assert ended - before >= 0.45
    with subprocess.Popen([sys.executable, "-c", "import time\nwhile time.process_time() < 0.5: pass\nprint(flush=True)\ntime.sleep(60)"], stdout=-1) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert processes.cpu_seconds(os.getpid()) - ended >= 0.45
        child.kill()


def test_workers_are_the_children_with_the_mark() -> None:
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    with subprocess.Popen([*command, "marked-so"]) as child, subprocess.Popen(command) as other:
        for _ in range(100):  # until both are programs of their own
            if processes.workers(os.getpid(), "marked-so") and other.pid in processes.family(os.getpid()):
                break
            time.sleep(0.05)
        assert processes.workers(os.getpid(), "marked-so") == [child.pid]
        child.kill()
        other.kill()


def test_memory_is_that_of_the_process() -> None:
    held = bytearray(os.urandom(1 << 20) * 64)
    found = processes.memory(os.getpid())
    assert found.peak >= found.resident >= found.proportional > 64
    assert held


def test_the_postmaster_is_above_the_servers_processes(server: str) -> None:
    found = processes.postmaster(server)
    if found is None:
        pytest.skip("PostgreSQL does not run where its processes can be seen")
    connection = psycopg2.connect(server)
    assert connection.get_backend_pid() in processes.family(found)
    connection.close()

"""The whole API, as its own document describes it, asked for everything that the document allows and for much that it does not.

    python -m tests.fuzz.run --seconds 120 --seed 7                  (both engines, each for half of the time)
    python -m tests.fuzz.run --seconds 1800 --engine postgresql

schemathesis reads `/openapi.json` of a running `flask serve` and makes requests of it: single ones and chains, good ones and bad ones, as
two users who must not see each other's things and an admin. All of its checks are on; what is excepted from one stands in
`tests/fuzz/exceptions.py`, each with its reason. At the end every counter must agree with the rows.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.streams import SECRET, free_port, served
from tests import postgres
from tests.fuzz import exceptions, flows, people, spoilt

ROOT = Path(__file__).resolve().parents[2]
ENGINES = ("sqlite", "postgresql")
PHASES = "examples,coverage,fuzzing,stateful"
# Nobody's requests are counted so closely that 429 is all there is to see, replies are written without pauses, and nobody waits long for a callback.
OPEN = {
    **{"RATELIMIT_DEFAULT": "1000000/second", "RATELIMIT_SEND": "1000000/second", "RATELIMIT_LOGIN": "1000000/second"},
    **{"CHAT_ECHO_DELAY_MS": "0", "CHAT_REPLY_TIMEOUT": "1", "CHAT_STREAMS_PER_USER": "100000"},
}


@contextmanager
def database(engine: str, folder: Path) -> Iterator[str]:
    if engine == "sqlite":
        yield f"sqlite:///{folder / 'fuzz.db'}"
        return
    with postgres.new_database(postgres.find_server(folder)[0]) as url:
        yield url


def fuzz(engine: str, seconds: int, more: int, seed: int, workers: int, shown: Path) -> dict[str, Any]:
    """One run on one engine: what was asked, what was answered, what failed."""
    with tempfile.TemporaryDirectory() as name, flows.running() as upstream:
        folder, port = Path(name), free_port()
        with database(engine, folder) as url:
            settings = {
                **OPEN,
                **{"DATABASE_URL": url, "CHAT_ENCRYPTION_KEY": SECRET, "LOG_LEVEL": "warning", "CHAT_THREADS": "100"},
                **{"WEBHOOK_ALLOW_NETWORKS": "127.0.0.0/8", "PUBLIC_URL": f"http://127.0.0.1:{port}", "ANTHROPIC_BASE_URL": upstream},
            }
            began = time.monotonic()
            with served(port, **settings):
                code = asked(port, seconds, seed, workers, folder, shown, upstream)
                again = spoilt.run(port, folder, more, seed, seconds, 2, exceptions.tells_a_failed_reply)
            environ = {**os.environ, **settings, "JWT_SECRET_KEY": SECRET}
            verified = subprocess.run([sys.executable, "-m", "flask", "verify"], cwd=ROOT, env=environ, check=False, stdout=sys.stderr).returncode == 0
        counted = json.loads((folder / "counted.json").read_text())
    return report(engine, counted, again, code == 0, verified, round(time.monotonic() - began))


def asked(port: int, seconds: int, seed: int, workers: int, folder: Path, shown: Path, upstream: str) -> int:
    """Lets schemathesis ask; 0 when it has nothing to say against the answers."""
    (folder / "people.json").write_text(json.dumps(people.document()))
    (folder / "schemathesis.toml").write_text(exceptions.settings(folder / "people.json"))
    environ = {
        **os.environ,
        **{"SCHEMATHESIS_HOOKS": "tests.fuzz.hooks", "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0"},
        **{"CHAT_FUZZ_FOLDER": str(folder), "CHAT_FUZZ_SEED": str(seed), "CHAT_FUZZ_SERVICE": f"http://127.0.0.1:{port}", "CHAT_FUZZ_UPSTREAM": upstream},
    }
    people.prepare(f"http://127.0.0.1:{port}", upstream, folder)
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(folder / "schemathesis.toml"), "--no-color", "run"]
    command += [f"http://127.0.0.1:{port}/openapi.json", "--max-time", str(seconds), "--seed", str(seed), "--workers", str(workers), "--phases", PHASES]
    with shown.open("a") as out:
        return subprocess.run(command, cwd=folder, env=environ, check=False, stdout=out, stderr=subprocess.STDOUT).returncode


def report(engine: str, counted: dict[str, Any], again: spoilt.Told, quiet: bool, verified: bool, seconds: int) -> dict[str, Any]:
    """The figures of a run."""
    made = Counter({int(status): amount for status, amount in counted["statuses"].items()})
    statuses = made + again.statuses
    reached = {label: {int(status) for status in found} for label, found in counted["reached"].items()}
    classes = Counter[str]()
    for status, amount in statuses.items():
        classes[f"{status // 100}xx"] += amount
    never = sorted(label for label, found in reached.items() if not any(200 <= status < 300 for status in found))
    return {
        "engine": engine,
        "seconds": seconds,
        "requests": sum(statuses.values()),
        "of_schemathesis": sum(made.values()),
        "spoilt": sum(again.statuses.values()),
        "classes": dict(sorted(classes.items())),
        "statuses": dict(sorted(statuses.items())),
        "operations": len(reached),
        "operations_without_2xx": never,
        "excepted": counted["excepted"],
        "failures": {**counted["failed"], **again.failed},
        "5xx_to_bad_input": len(counted["broken"]) + len(again.broken),
        "schemathesis_is_content": quiet,
        "verified": verified,
        "broken": [*counted["broken"][:3], *again.broken[:3]],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--spoilt", type=int, default=4000, help="so many of these requests again, spoilt; for at most as long as the rest took")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--engine", choices=ENGINES)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--shown", type=Path, default=Path(tempfile.gettempdir()) / "chatsvc-fuzz.txt", help="what schemathesis itself says")
    given = parser.parse_args()
    engines = [given.engine] if given.engine else list(ENGINES)
    good = True
    given.shown.unlink(missing_ok=True)
    for number, engine in enumerate(engines):
        found = fuzz(engine, given.seconds // len(engines), given.spoilt // len(engines), given.seed + number, given.workers, given.shown)
        print(json.dumps({"seed": given.seed + number, **found}, indent=1), flush=True)  # noqa: T201
        good = good and found["schemathesis_is_content"] and found["verified"] and not found["failures"] and not found["5xx_to_bad_input"]
        good = good and not found["operations_without_2xx"]
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()

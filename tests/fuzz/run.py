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
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Plan:
    """How long, how much again, and from which seed."""

    seconds: int
    spoilt: int
    seed: int
    shown: Path
    workers: int = 1
    phases: str = PHASES


def fuzz(engine: str, plan: Plan) -> dict[str, Any]:
    """One run on one engine: what was asked, what was answered, what failed."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name, flows.running() as upstream:
        folder, port = Path(name), free_port()
        with database(engine, folder) as url:
            settings = {
                **OPEN,
                **{"DATABASE_URL": url, "CHAT_ENCRYPTION_KEY": SECRET, "LOG_LEVEL": "warning", "CHAT_THREADS": "100"},
                **{"WEBHOOK_ALLOW_NETWORKS": "127.0.0.0/8", "PUBLIC_URL": f"http://127.0.0.1:{port}", "ANTHROPIC_BASE_URL": upstream},
            }
            with served(port, **settings):
                paths = people.call(f"http://127.0.0.1:{port}", "GET", "/openapi.json")["paths"]
                code = asked(port, plan, folder, upstream)
                again = spoilt.run(port, folder, plan.spoilt, plan.seed, plan.seconds, 2, exceptions.tells_a_failed_reply)
            environ = {**os.environ, **settings, "JWT_SECRET_KEY": SECRET}
            verified = subprocess.run([sys.executable, "-m", "flask", "verify"], cwd=ROOT, env=environ, check=False, stdout=sys.stderr).returncode == 0
        counted = json.loads((folder / "counted.json").read_text())
    # The document itself is read, by us and by schemathesis, which then asks for it no more.
    labels = [f"{method.upper()} {path}" for path, methods in paths.items() for method in methods if path != "/openapi.json"]
    return {"engine": engine, "seed": plan.seed, "seconds": round(time.monotonic() - began), **report(labels, counted, again, code == 0, verified)}


def asked(port: int, plan: Plan, folder: Path, upstream: str) -> int:
    """Lets schemathesis ask; 0 when it has nothing to say against the answers."""
    service = f"http://127.0.0.1:{port}"
    (folder / "people.json").write_text(json.dumps(people.document()))
    (folder / "schemathesis.toml").write_text(exceptions.settings(folder / "people.json"))
    environ = {
        **os.environ,
        **{"SCHEMATHESIS_HOOKS": "tests.fuzz.hooks", "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0"},
        **{"CHAT_FUZZ_FOLDER": str(folder), "CHAT_FUZZ_SEED": str(plan.seed), "CHAT_FUZZ_SERVICE": service, "CHAT_FUZZ_UPSTREAM": upstream},
    }
    people.prepare(service, upstream, folder)
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(folder / "schemathesis.toml"), "--no-color", "run", f"{service}/openapi.json"]
    command += ["--max-time", str(plan.seconds), "--seed", str(plan.seed), "--workers", str(plan.workers), "--phases", plan.phases]
    with plan.shown.open("a") as out:
        return subprocess.run(command, cwd=folder, env=environ, check=False, stdout=out, stderr=subprocess.STDOUT).returncode


def report(labels: list[str], counted: dict[str, Any], again: spoilt.Told, quiet: bool, verified: bool) -> dict[str, Any]:
    """The figures of a run."""
    made = Counter({int(status): amount for status, amount in counted["statuses"].items()})
    statuses = made + again.statuses
    classes = Counter[str]()
    for status, amount in statuses.items():
        classes[f"{status // 100}xx" if status else "hung up on"] += amount
    reached = {label for label, found in counted["reached"].items() if any(status.startswith("2") for status in found)}
    return {
        "requests": statuses.total(),
        "of_schemathesis": made.total(),
        "spoilt": again.statuses.total(),
        "classes": dict(sorted(classes.items())),
        "statuses": dict(sorted(statuses.items())),
        "operations": len(labels),
        "operations_without_2xx": sorted(set(labels) - reached),
        "excepted": counted["excepted"],
        "failures": {**counted["failed"], **again.failed},
        "5xx_to_bad_input": len(counted["broken"]) + len(again.broken),
        "schemathesis_is_content": quiet,
        "verified": verified,
        "broken": [*counted["broken"][:3], *again.broken[:3]],
    }


def is_good(found: dict[str, Any], *, all_reached: bool = False) -> bool:
    """Chance needs its time to reach every operation; a short run is not held to that."""
    return (
        found["schemathesis_is_content"]
        and found["verified"]
        and not found["failures"]
        and not found["5xx_to_bad_input"]
        and not (all_reached and found["operations_without_2xx"])
    )


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
    given.shown.unlink(missing_ok=True)
    seconds, good = given.seconds // len(engines), True
    for number, engine in enumerate(engines):
        found = fuzz(engine, Plan(seconds, given.spoilt // len(engines), given.seed + number, given.shown, given.workers))
        print(json.dumps(found, indent=1), flush=True)  # noqa: T201
        good = good and is_good(found, all_reached=seconds >= 300)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()

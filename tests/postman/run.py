"""The collections, run by newman against a service as shipped.

    python -m tests.postman.run                        (on a new SQLite file)
    python -m tests.postman.run --engine postgresql    (on a new database of the server that the tests use)

Fails on any request without an answer, on any assertion that does not hold, and on a request that was left out.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.streams import SECRET, free_port, served
from tests.fuzz.run import ENGINES, database
from tools.postman.collections import ENVIRONMENT, FOLDER, GOLDEN, ROOT

NEWMAN = ROOT / "tools/newman/node_modules/.bin/newman"
INSTALL = "make postman installs it with npm; that needs Node 16 or newer (on Debian and Ubuntu: apt install nodejs npm)"
SECONDS = 300
Json = dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """What newman says of one collection."""

    requests: int
    assertions: int
    faults: list[str]


def requests_of(items: list[Json]) -> Iterator[Json]:
    for one in items:
        if "item" in one:
            yield from requests_of(one["item"])
        else:
            yield one


def judged(collection: Json, report: Json) -> Outcome:
    """Every request of the collection must have been made and answered, and every assertion must hold."""
    made = report["run"]["executions"]  # what a script sends stands among them, as one more of the request that it belongs to
    answered = {one["item"]["id"]: one["item"]["name"] for one in made if one.get("response")}
    asserting = {one["item"]["id"] for one in made if one.get("assertions")}
    wanted = [one["name"] for one in requests_of(collection["item"])]
    faults = [f"{one['source']['name']}: {one['error'].get('test', '')}: {one['error']['message']}" for one in report["run"]["failures"]]
    faults += [f"{name}: {amount} of these were not asked, or not answered" for name, amount in (Counter(wanted) - Counter(answered.values())).items()]
    faults += [f"{name}: asserts nothing" for number, name in answered.items() if number not in asserting]
    return Outcome(len(answered), report["run"]["stats"]["assertions"]["total"], faults)


def run(path: Path, folder: Path, variables: dict[str, str]) -> Outcome:
    """One collection, from top to bottom."""
    report = folder / f"{path.stem}.json"
    report.unlink(missing_ok=True)
    command = [str(NEWMAN), "run", str(path), "--environment", str(FOLDER / ENVIRONMENT), "--timeout-request", "30000"]
    command += ["--reporters", "json", "--reporter-json-export", str(report)]
    for name, value in variables.items():
        command += ["--env-var", f"{name}={value}"]
    # Whatever proxies this machine knows, the service is on it.
    environ = {**os.environ, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    done = subprocess.run(command, cwd=ROOT, env=environ, check=False, capture_output=True, text=True, timeout=SECONDS)
    if not report.exists():
        return Outcome(0, 0, [f"newman could not run: {(done.stdout + done.stderr).strip()[-2000:]}"])
    return judged(json.loads(path.read_text()), json.loads(report.read_text()))


def make_admin(settings: dict[str, str], password: str) -> None:
    environ = {**os.environ, **settings, "JWT_SECRET_KEY": SECRET}
    for command in (["db", "upgrade"], ["users", "create", "admin", "--admin"]):
        subprocess.run(
            [sys.executable, "-m", "flask", *command], cwd=ROOT, env=environ, input=f"{password}\n", text=True, check=True, stdout=subprocess.DEVNULL
        )


def all_green(engine: str) -> bool:
    """Whether every collection is, on this engine."""
    good = True
    with tempfile.TemporaryDirectory() as name, database(engine, Path(name)) as url:
        folder, port, password = Path(name), free_port(), secrets.token_urlsafe(24)
        settings = {
            **{"DATABASE_URL": url, "CHAT_INSTANCE_PATH": name, "CHAT_ENCRYPTION_KEY": SECRET, "LOG_LEVEL": "warning"},
            # Together they sign in as often as one address may in a minute; whether that is enforced is for other tests.
            **{"CHAT_DEMO_ACCOUNTS": "true", "CHAT_ECHO_DELAY_MS": "10", "RATELIMIT_LOGIN": "60/minute"},
        }
        make_admin(settings, password)
        with served(port, **settings):
            for face in GOLDEN:
                path = FOLDER / f"chatsvc-{face}.postman_collection.json"
                found = run(path, folder, {"baseUrl": f"http://127.0.0.1:{port}", "adminPassword": password})
                print(f"{engine}: {face}: {found.requests} requests, {found.assertions} assertions, {len(found.faults)} failures", flush=True)  # noqa: T201
                for fault in found.faults:
                    print(f"  {fault}", flush=True)  # noqa: T201
                good = good and not found.faults
    return good


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", choices=ENGINES, action="append", help="may be given twice; sqlite unless given")
    given = parser.parse_args()
    if not NEWMAN.exists() or shutil.which("node") is None:
        sys.exit(f"newman is not here. {INSTALL}")
    outcomes = [all_green(engine) for engine in given.engine or ["sqlite"]]  # the second one is asked even where the first fails
    sys.exit(0 if all(outcomes) else 1)


if __name__ == "__main__":
    main()

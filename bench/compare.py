"""chatsvc beside the service that users would otherwise write, and beside the bare SQL: the same rows, the same answers, one run.

    python -m bench.compare --rounds 3 --secs 10 --connections 32 [--write]
    python -m bench.compare --sqlite                (chatsvc alone, on an SQLite file)

One server is up at a time; in every second round they take their turns in the opposite order. Each figure is the median of the rounds.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench import plot, report, servers, sqlite_file
from bench.answers import answers, compare
from bench.databases import Databases, ask, filled, say, server, tidy
from bench.gates import Gate, Line
from bench.loads import KINDS, Load, Measured, on_server, pgbench
from bench.people import people, write
from bench.processes import postmaster
from bench.report import number
from bench.streams import ROOT
from bench.tools import tool, wrk_version

PRODUCT, PEER, SQL = "chatsvc", "FastAPI peer", "pgbench"
RATIOS: dict[str, tuple[str, str, Gate]] = {
    "requests/s, peer = 1": ("rps", PEER, Gate(1.5, 2.2, at_least=True)),
    "p99, peer = 1": ("p99", PEER, Gate(1.0, 0.6)),
    "application CPU per request, peer = 1": ("app_us", PEER, Gate(0.6, 0.4)),
}
AGAINST_SQL = {
    "list": Gate(0.05, 0.08, at_least=True),
    "read": Gate(0.09, 0.14, at_least=True),
    "append": Gate(0.11, 0.17, at_least=True),
    "mix": Gate(0.11, 0.16, at_least=True),
}
PLOT = ROOT / "docs/images/performance.svg"
HEADS = ("kind", "server", "requests/s", "min–max", "p50 ms", "p99 ms", "app CPU µs", "database CPU µs", "MiB per worker", "errors")

Results = dict[tuple[str, str], list[Measured]]


def median(rounds: list[Measured], field: str) -> float | None:
    values = [value for one in rounds if (value := getattr(one, field)) is not None]
    return statistics.median(values) if values else None


def ratio(results: Results, kind: str, field: str, other: str) -> tuple[float, str]:
    """That of the medians, and from which to which it went in the rounds."""
    mine, theirs = results[kind, PRODUCT], results[kind, other]
    of_medians = (median(mine, field) or 0) / (median(theirs, field) or 1)
    each = [getattr(one, field) / getattr(two, field) for one, two in zip(mine, theirs, strict=True)]
    return of_medians, f"{number(min(each))}–{number(max(each))}"


def lines(results: Results, kinds: list[str]) -> list[Line]:
    asked = [(what, kind, field, other, gate) for what, (field, other, gate) in RATIOS.items() for kind in kinds]
    asked += [("requests/s, pgbench = 1", kind, "rps", SQL, AGAINST_SQL[kind]) for kind in kinds]
    found = []
    for what, kind, field, other, gate in asked:
        value, around = ratio(results, kind, field, other)
        found.append(Line(f"{what}: {kind}", value, gate, around))
    return [*found, no_errors(results)]


def no_errors(results: Results) -> Line:
    return Line("answers that were none or not 2xx", sum(one.errors for rounds in results.values() for one in rounds), Gate(0))


def figures(results: Results) -> str:
    rows = []
    for (kind, name), rounds in results.items():
        speeds = [one.rps for one in rounds]
        middle = [number(median(rounds, field)) for field in ("p50", "p99", "app_us", "db_us")]
        peak = max((one.memory for one in rounds if one.memory), default=None)
        rows.append(
            (
                kind,
                name,
                number(median(rounds, "rps")),
                f"{number(min(speeds))}–{number(max(speeds))}",
                *middle,
                number(peak),
                sum(one.errors for one in rounds),
            )
        )
    return report.table(HEADS, rows)


def check_answers(databases: Databases, users: int) -> None:
    callers = people(users, 20)
    with servers.peer(databases.peer) as peer:
        theirs = answers(peer, callers)
    with servers.product(databases.product) as product:
        compare(answers(product, callers), theirs)
    say("the answers of both are the same")


def measure_server(start: Callable[[], AbstractContextManager[servers.Server]], database: str, loads: list[Load], above: int | None) -> dict[str, Measured]:
    """All kinds, after a while that does not count."""
    found = {}
    with start() as running:
        warm = loads[-1]
        on_server(running, Load("mix", 3, warm.connections, warm.people), None)
        for load in loads:
            if not database.startswith("sqlite"):
                tidy(database)
            found[load.kind] = on_server(running, load, above)
            say(f"  {load.kind}: {running.name} {found[load.kind].rps:,.0f}/s, p99 {found[load.kind].p99:.1f} ms")
    return found


def measure_sql(database: str, loads: list[Load], users: int, above: int | None) -> dict[str, Measured]:
    found = {}
    for load in loads:
        tidy(database)
        found[load.kind] = pgbench(database, load, users, above)
        say(f"  {load.kind}: pgbench {found[load.kind].rps:,.0f}/s")
    return found


def run(given: argparse.Namespace, databases: Databases, loads: list[Load]) -> Results:
    above = postmaster(databases.product)
    turns: dict[str, Callable[[], dict[str, Measured]]] = {
        PEER: lambda: measure_server(lambda: servers.peer(databases.peer), databases.peer, loads, above),
        PRODUCT: lambda: measure_server(lambda: servers.product(databases.product), databases.product, loads, above),
        SQL: lambda: measure_sql(databases.peer, loads, given.users, above),
    }
    results: Results = {(load.kind, name): [] for load in loads for name in (PRODUCT, PEER, SQL)}
    for number_of_round in range(given.rounds):
        say(f"round {number_of_round + 1} of {given.rounds}")
        for name in list(turns) if number_of_round % 2 == 0 else reversed(turns):
            for kind, measured in turns[name]().items():
                results[kind, name].append(measured)
    return results


def compared(given: argparse.Namespace, file: Path) -> int:
    with server() as url, filled(url, given.users, keep=given.keep, superuser=given.superuser) as databases:
        check_answers(databases, given.users)
        loads = _loads(given, write(file, people(given.users)))
        results = run(given, databases, loads)
        about = database_facts(databases.product)
    found = lines(results, given.kinds)
    text = f"{report.verdicts(found, 'chatsvc')}\n\n{figures(results)}\n\n![Requests per second]({PLOT.relative_to(report.PAGE.parent)})"
    if given.write:
        plot.write(PLOT, "Requests per second (durable PostgreSQL, everything on)", shown(results, given.kinds))
    return report.finish(given, "compare", "bench", lines=found, text=text, data=_plain(results), about={**about, **_amounts(given)})


def on_sqlite(given: argparse.Namespace, file: Path) -> int:
    """chatsvc alone; no gate but that every answer is one."""
    with sqlite_file.filled(given.users) as url:
        loads = _loads(given, write(file, people(given.users)))
        results: Results = {(load.kind, PRODUCT): [] for load in loads}
        for _ in range(given.rounds):
            for kind, measured in measure_server(lambda: servers.product(url), url, loads, None).items():
                results[kind, PRODUCT].append(measured)
    found = [no_errors(results)]
    return report.finish(given, "sqlite", "bench", lines=found, text=figures(results), data=_plain(results), about=_amounts(given))


def shown(results: Results, kinds: list[str]) -> dict[str, dict[str, tuple[float, str]]]:
    """The bars: each server's median, and how many times the peer's it is."""
    groups: dict[str, dict[str, tuple[float, str]]] = {}
    for kind in kinds:
        speed = {name: median(results[kind, name], "rps") or 0 for name in (PRODUCT, PEER)}
        groups[kind] = {name: (value, f"{name} {value:,.0f}" + (f" (× {value / speed[PEER]:.1f})" if name == PRODUCT else "")) for name, value in speed.items()}
    return groups


def database_facts(url: str) -> dict[str, str]:
    def setting(name: str) -> str:
        return str(ask(url, f"SHOW {name}")[0][0])

    durable = ", ".join(f"{name}={setting(name)}" for name in ("fsync", "synchronous_commit", "shared_buffers"))
    return {"PostgreSQL": f"{setting('server_version')} ({durable})"}


def _amounts(given: argparse.Namespace) -> dict[str, str]:
    return {"measured": f"{given.rounds} rounds of {given.secs} s, {given.connections} connections, 2 workers, {given.users:,} users", "wrk": wrk_version()}


def _loads(given: argparse.Namespace, file: Path) -> list[Load]:
    return [Load(kind, given.secs, given.connections, file) for kind in given.kinds]


def _plain(results: Results) -> Any:
    return {f"{kind}, {name}": [asdict(one) for one in rounds] for (kind, name), rounds in results.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--secs", type=int, default=10, help="how long each kind is measured in a round")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--sqlite", action="store_true", help="chatsvc alone on an SQLite file, 1,000 users unless --users says otherwise")
    given = report.arguments(parser)
    for name in ("wrk",) if given.sqlite else ("wrk", "psql", "pgbench"):
        tool(name)  # what is missing is said before anything is filled
    with tempfile.TemporaryDirectory() as folder:
        return (on_sqlite if given.sqlite else compared)(given, Path(folder) / "people")


if __name__ == "__main__":
    raise SystemExit(main())

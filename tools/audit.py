"""`make audit`: known weaknesses of the packages that are locked, and of the code. Fails on any, and where it could not ask.

pip-audit asks a service on the internet about each package and version. Where that cannot be reached, or does not know a package, nothing
is known of it, and this says so and fails: a check that was not made is not one that was passed. Where the internet cannot be reached, a
service of one's own can be asked that speaks as OSV does: `make audit ARGS="osv --osv-url http://127.0.0.1:8080/v1/query"`.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LISTS = ("requirements.txt", "requirements-otel.txt", "requirements-dev.txt", "bench/requirements.txt")
CODE = ("chatsvc", "migrations", "tools", "gunicorn.conf.py", *sorted(one.name for one in ROOT.glob("*.py") if one.name != "gunicorn.conf.py"))
SECONDS = 600


def packages(service: str, *where: str) -> bool:
    """Whether the service knows every package of the lists, and nothing bad of any."""
    good = True
    for name in LISTS:
        # The lists are complete, with one version each, so nothing is installed or looked up for it.
        command = [sys.executable, "-m", "pip_audit", "--strict", "--disable-pip", "--no-deps", "--progress-spinner", "off"]
        try:
            done = subprocess.run([*command, "-s", service, *where, "-r", name], cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False)  # nosec B603
        except subprocess.TimeoutExpired:
            print(f"{name}: NOT CHECKED: {service} did not answer within {SECONDS} s")  # noqa: T201
            good = False
            continue
        said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip() and not line.startswith("WARNING")]
        found = "known vulnerabilit" in done.stdout + done.stderr and "No known" not in done.stdout + done.stderr
        verdict = "clean" if done.returncode == 0 else "WEAKNESSES FOUND" if found else f"NOT CHECKED: {service} could not be asked about everything"
        print(f"{name}: {verdict}")  # noqa: T201
        if done.returncode:
            print("\n".join(f"  {line}" for line in (said if found else said[-1:])))  # noqa: T201
            good = False
    return good


def code() -> bool:
    """Whether bandit finds nothing; what it is told to overlook says why, on its line or in pyproject.toml."""
    command = [sys.executable, "-m", "bandit", "--quiet", "--configfile", "pyproject.toml", "--recursive", *CODE]
    done = subprocess.run(command, cwd=ROOT, check=False)  # nosec B603
    print(f"code: {'clean' if done.returncode == 0 else 'WEAKNESSES FOUND'}")  # noqa: T201
    return done.returncode == 0


def main() -> None:
    given = sys.argv[1:] or ["pypi"]
    judged = [code(), packages(*given)]
    sys.exit(0 if all(judged) else 1)


if __name__ == "__main__":
    main()

"""`make audit`: what could not be asked is not said to be clean."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from tools import audit

CLEAN = (0, "No known vulnerabilities found", "clean")
FOUND = (1, "Found 1 known vulnerability in 1 package\nflask 0.1 PYSEC-2018-66 0.12.3", "WEAKNESSES FOUND")
AWAY = (1, "ERROR: Failed to resolve 'api.osv.dev'", "NOT CHECKED")
UNKNOWN = (1, "ERROR:pip_audit._cli:flask: Dependency not found on PyPI and could not be audited: flask (3.1.3)", "NOT CHECKED")


@pytest.mark.parametrize(("code", "said", "verdict"), [CLEAN, FOUND, AWAY, UNKNOWN])
def test_only_what_was_checked_is_clean(code: int, said: str, verdict: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    asked = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        asked.append(command[-1])
        assert "--strict" in command, "or a package that nobody knows of would pass"
        return subprocess.CompletedProcess(command, code, said, "")

    monkeypatch.setattr(subprocess, "run", run)
    assert audit.packages("pypi") is (code == 0)
    assert asked == list(audit.LISTS)
    told = capsys.readouterr().out
    assert told.startswith(f"requirements.txt: {verdict}")
    assert code == 0 or said.splitlines()[-1] in told


def test_another_service_is_asked_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        asked.append(command)
        return subprocess.CompletedProcess(command, 0, "No known vulnerabilities found", "")

    monkeypatch.setattr(subprocess, "run", run)
    assert audit.packages("osv", "--osv-url", "http://127.0.0.1:1/v1/query") is True
    assert [command[command.index("-s") :] for command in asked] == [
        ["-s", "osv", "--osv-url", "http://127.0.0.1:1/v1/query", "-r", name] for name in audit.LISTS
    ]


def test_who_does_not_answer_has_checked_nothing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def run(command: list[str], **_: Any) -> None:
        raise subprocess.TimeoutExpired(command, audit.SECONDS)

    monkeypatch.setattr(subprocess, "run", run)
    assert audit.packages("pypi") is False
    assert "NOT CHECKED" in capsys.readouterr().out


def test_the_lists_and_the_code_are_all_there() -> None:
    assert {path.relative_to(audit.ROOT).as_posix() for path in audit.ROOT.glob("**/requirements*.txt") if ".venv" not in path.as_posix()} == set(audit.LISTS)
    assert all((audit.ROOT / name).exists() for name in audit.CODE)

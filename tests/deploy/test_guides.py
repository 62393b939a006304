"""The commands of the documents are ones that are there: `flask` takes their words and options, units, files, users and ports are those of deploy/."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from flask_migrate.cli import db as migrations

from chatsvc import create_app
from config import ROOT, load
from tests import factories
from tests.deploy.test_files import DEPLOY, OTHERS, SETTINGS, UNITS, unit
from tests.test_docs import PAGES

GUIDE = ROOT / "docs/deployment.md"
# Units of the packages that the guide installs.
PACKAGED = {"postgresql", "redis-server", "nginx", "pgbouncer"}


def commands(page: Path) -> Iterator[str]:
    """Every line of the page's blocks for a shell, with what was broken over several put together and without what is said of it."""
    for block in re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL):
        for line in re.sub(r"\\\n\s*", "", block).splitlines():
            yield re.sub(r"(^|\s)#\s.*", "", line)


def asked_of_flask() -> list[tuple[str, tuple[str, ...]]]:
    found = set()
    for page in PAGES:
        inline = re.findall(r"`((?:\.venv/bin/flask|chatsvc-flask|flask) [^`]+)`", page.read_text())
        for line in (*commands(page), *inline):
            for words in re.findall(r"(?:^|[\s(;&/-])flask ([a-z][^|;&<>)`]*)", line):
                found.add((page.name, tuple(shlex.split(words))))
    return sorted(found)


@pytest.fixture(scope="module")
def flask(tmp_path_factory: pytest.TempPathFactory) -> click.Group:
    app = create_app(factories.settings(f"sqlite:///{tmp_path_factory.mktemp('guides')}/x.db"))
    return click.Group("flask", commands={**app.cli.commands, "db": migrations})


@pytest.mark.parametrize(("page", "words"), asked_of_flask(), ids=lambda value: value if isinstance(value, str) else " ".join(value))
def test_a_command_of_flask_is_one_that_it_takes(page: str, words: tuple[str, ...], flask: click.Group) -> None:
    command: click.Command = flask
    rest = list(words)
    context = click.Context(command, info_name="flask")
    while isinstance(command, click.Group) and rest:
        found = command.get_command(context, rest[0])
        assert found is not None, f"{page}: flask {' '.join(words)}: there is no {rest[0]}"
        command = found
        context = click.Context(command, parent=context, info_name=rest.pop(0))
    given, left, _ = command.make_parser(context).parse_args(rest)  # raises what click says of an option that is not there
    assert left == [], f"{page}: flask {' '.join(words)} takes no {left}"
    if rest:  # where the text names a command without any of its arguments it speaks of it, and does not show how it is called
        missing = [one.name for one in command.params if isinstance(one, click.Argument) and one.required and not given.get(one.name or "")]
        assert missing == [], f"{page}: flask {' '.join(words)} lacks {missing}"


def test_enough_of_them_are_found() -> None:
    assert {"users", "backup", "copy", "db", "verify", "cleanup", "keys"} <= {words[0] for _, words in asked_of_flask()}


def units_of(line: str) -> Iterator[tuple[str, str]]:
    for verb, names in re.findall(r"\bsystemctl (?:--?[a-z-]+ )*([a-z-]+) ?((?:[^&|;]|&(?!&))*)", line):
        for name in names.split():
            if not name.startswith("-"):
                yield verb, name.strip("'\"")
    for name in re.findall(r"\bjournalctl .*?--unit=(\S+)", line):
        yield "journalctl", name.strip("'\"")


def of_ours(name: str) -> list[Path]:
    """The files that a name of a unit means, which may be a pattern, or an instance of a template."""
    pattern = re.sub(r"@\d+", "@", name)
    return [path for path in UNITS if path.match(pattern) or path.match(f"{pattern}.service") or path.match(f"{pattern}.*")]


def test_every_unit_that_the_documents_start_is_there() -> None:
    named = [(page.name, verb, name) for page in PAGES for line in commands(page) for verb, name in units_of(line)]
    assert len(named) > 20
    for page, verb, name in named:
        assert name in PACKAGED or of_ours(name), f"{page}: systemctl {verb} {name}"


def test_no_instance_stops_because_of_what_is_done_to_another_unit() -> None:
    """Instances are restarted one by one. One that required the migration would be restarted with it, and all of them at once; and while the
    database is away, or newer than the release that one steps back to, none would start."""
    binding = {name: value for name, value in unit(DEPLOY / "systemd/chatsvc@.service") if name in ("Requires", "Requisite", "BindsTo", "PartOf")}
    assert binding == {}
    wants = [value for name, value in unit(DEPLOY / "systemd/chatsvc@.service") if name == "Wants"]
    assert any("chatsvc-migrate.service" in value.split() for value in wants)


def test_every_timer_of_ours_is_enabled() -> None:
    enabled = {name for line in commands(GUIDE) for verb, name in units_of(line) if verb == "enable"}
    assert {path.name for path in UNITS if path.suffix == ".timer"} <= enabled


def test_every_file_below_opt_that_the_documents_name_is_in_a_clone() -> None:
    named = {name for page in PAGES for name in re.findall(r"/opt/chatsvc/([A-Za-z0-9_.@/-]*[A-Za-z0-9])", page.read_text())}
    named |= {name for path in DEPLOY.rglob("*") if path.is_file() for name in re.findall(r"/opt/chatsvc/([A-Za-z0-9_.@/-]*[A-Za-z0-9])", path.read_text())}
    assert named
    assert {name for name in named if not name.startswith(".venv") and not (ROOT / name).exists()} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_command_sets_is_a_setting(page: Path) -> None:
    for line in commands(page):
        exported = re.findall(r"([A-Z][A-Z_]+)=", line.partition("export ")[2])
        before = re.findall(r"(?:^|\s)((?:[A-Z][A-Z_]*_[A-Z_]+=\S+ )+)(?:make|\.venv|chatsvc-flask|python)", line)
        kept = re.findall(r"\^([A-Z_]+)=", line)
        given = {*exported, *kept, *(pair.split("=")[0] for pairs in before for pair in pairs.split())}
        assert given <= SETTINGS | OTHERS, f"{page.name}: {line}"


def test_the_ports_are_the_same_everywhere() -> None:
    started = {name.partition("@")[2] for line in commands(GUIDE) for verb, name in units_of(line) if verb == "enable" and "@" in name}
    assert len(started) == 2
    assert set(re.findall(r"^\s+server 127\.0\.0\.1:(\d+)", (DEPLOY / "nginx/chatsvc.conf").read_text(), re.MULTILINE)) == started
    assert started <= set(re.findall(r'"127\.0\.0\.1:(\d+)"', (DEPLOY / "prometheus/prometheus.yml").read_text()))
    asked = {port for line in commands(GUIDE) for port in re.findall(r"http://127\.0\.0\.1:(\d+)", line)}
    assert asked == started


def test_whoever_takes_another_release_takes_all_that_belongs_to_it() -> None:
    """The service can read it, it has its packages, and instances start from its own units."""
    blocks = [block for block in re.findall(r"```sh\n(.*?)```", GUIDE.read_text(), re.DOTALL) if "git checkout" in block]
    assert len(blocks) == 3
    for block in blocks:
        assert block.startswith("umask 022"), block
        for line in block.splitlines():
            assert "git checkout" not in line or ".venv/run" in line, line
        if "systemctl restart" in block:
            before = block.partition("systemctl restart")[0]
            assert "cp deploy/systemd/* /etc/systemd/system/ && systemctl daemon-reload" in before, block
            assert "deploy/chatsvc-flask /usr/local/sbin/" in before, block


def test_who_asks_whether_an_instance_can_work_is_shown_what_it_lacks() -> None:
    """`--fail` alone swallows the answer that says so; a loop asks again and needs none."""
    asked = [line for line in commands(GUIDE) if "/readyz" in line and "until" not in line]
    assert len(asked) >= 3
    for line in asked:
        assert len(re.findall(r"curl --fail-with-body http://\S+/readyz", line)) == line.count("/readyz"), line


def test_a_restore_lets_nobody_in_before_all_of_it_went_well() -> None:
    line = next(line for line in commands(GUIDE) if "pg_restore" in line)
    words = ["RENAME TO chatsvc_before", "createdb", "pg_restore", "db upgrade", "verify", "systemctl start"]
    steps = line.split("&&")
    assert len(steps) == len(words)
    assert all(word in step for word, step in zip(words, steps, strict=True)), line


def test_a_command_by_hand_has_what_the_units_have(tmp_path: Path) -> None:
    """deploy/chatsvc-flask itself, with other places: settings are taken as they stand, however they would look to a shell."""
    if shutil.which("runuser") is None or subprocess.run(["id", "-u"], capture_output=True, text=True, check=True).stdout.strip() != "0":
        pytest.skip("it is for root, who becomes the service's user with runuser")
    folder, settings = tmp_path / "opt", tmp_path / "chatsvc.env"
    (folder / ".venv/bin").mkdir(parents=True)
    program = folder / ".venv/bin/python"
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$PWD" "$@"\nenv\n')
    program.chmod(0o755)
    settings.write_text("# A comment\nCHAT_ENV=production\n\nDATABASE_URL=postgresql://chatsvc:a$HOME&b`id`@127.0.0.1/chatsvc")
    text = (DEPLOY / "chatsvc-flask").read_text()
    for there, here in (("/opt/chatsvc", str(folder)), ("/etc/chatsvc/chatsvc.env", str(settings)), ("--user=chatsvc", "--user=root")):
        assert there in text
        text = text.replace(there, here)
    done = subprocess.run(["sh", "-c", text, "chatsvc-flask", "users", "create", "a b"], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert lines[:6] == [str(folder), "-m", "flask", "users", "create", "a b"]
    given = dict(line.split("=", 1) for line in lines[6:] if "=" in line)
    assert given["DATABASE_URL"] == "postgresql://chatsvc:a$HOME&b`id`@127.0.0.1/chatsvc", "the last line needs no end"
    cleanup = [pair.split("=", 1) for name, value in unit(DEPLOY / "systemd/chatsvc-cleanup.service") if name == "Environment" for pair in value.split()]
    assert {name: given[name] for name, _ in cleanup} == dict(cleanup)


def test_the_steps_that_change_the_key_make_the_settings_of_each_round(tmp_path: Path) -> None:
    """The guide's own lines, on a file of settings that is none of the machine's."""
    (block,) = re.findall(r"## Change the signing key.*?```sh\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    assert block.count("systemctl restart") == 4
    file, old = tmp_path / "chatsvc.env", "hG7vQ2nX9sKd4Lm/8pRt5WcY1+Jf6UaE0oIq3xNw=="
    file.write_text(f"CHAT_ENV=production\nJWT_SECRET_KEY={old}\nCHAT_ENCRYPTION_KEY={old[::-1]}\n")
    lines = block.replace("/etc/chatsvc/chatsvc.env", str(file)).splitlines()
    script = "\n".join(f"cp {file} {file}.{number}" if "systemctl" in line else line for number, line in enumerate(lines))
    subprocess.run(["sh", "-ec", script], check=True)
    first, *_, last = [load(dict(line.split("=", 1) for line in path.read_text().splitlines())) for path in sorted(tmp_path.glob("chatsvc.env.*"))]
    (to_come,), (of_before,) = first.jwt_other_secret_keys, last.jwt_other_secret_keys
    assert (first.jwt_secret_key, of_before.secret) == (old, old)
    assert to_come.secret == last.jwt_secret_key != old
    assert of_before.until == pytest.approx(time.time() + 86400 * (last.refresh_days + 1), abs=7200)

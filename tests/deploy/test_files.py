"""The files in deploy/ are what docs/deployment.md says, and name nothing that is not there."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from chatsvc.core import connections
from config import ROOT, Settings, load

DEPLOY = ROOT / "deploy"
SETTINGS = {item.metadata["name"] for item in fields(Settings)}
UNITS = sorted((DEPLOY / "systemd").iterdir())
# What is no setting of ours, and whose it is: the system's library, Flask's command, Python.
OTHERS = {"MALLOC_ARENA_MAX", "GLIBC_TUNABLES", "FLASK_APP", "PATH", "PYTHONDONTWRITEBYTECODE", "POSTGRES_PASSWORD_FILE"}
NGINX = shutil.which("nginx") or next((str(path) for path in (Path("/usr/sbin/nginx"),) if path.exists()), None)


def unit(path: Path) -> list[tuple[str, str]]:
    pairs = [line.split("=", 1) for line in path.read_text().splitlines() if "=" in line and not line.startswith("#")]
    return [(name, value) for name, value in pairs]


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_sets_what_is_a_setting(path: Path) -> None:
    given = [pair.split("=")[0] for name, value in unit(path) if name == "Environment" for pair in value.split()]
    assert set(given) <= SETTINGS | OTHERS


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_is_one_to_systemd(path: Path, tmp_path: Path) -> None:
    """Its own check, with a program that is here in place of the one that is not yet."""
    analyse = shutil.which("systemd-analyze")
    if analyse is None:
        pytest.skip("no systemd-analyze here: Debian's package systemd has it")
    folder = tmp_path / "units"
    folder.mkdir()
    for one in UNITS:
        text = re.sub(r"/opt/chatsvc/\.venv/bin/python", shutil.which("python3") or "/usr/bin/python3", one.read_text())
        (folder / one.name).write_text(re.sub(r"^(User|Group)=chatsvc$", r"\1=root", text, flags=re.MULTILINE))
    name = path.name.replace("@.", "@8001.")
    if "@" in name:
        shutil.copy(folder / path.name, folder / name)
    done = subprocess.run([analyse, "verify", str(folder / name)], capture_output=True, text=True, env={"SYSTEMD_UNIT_PATH": f"{folder}:"}, check=False)
    said = [line for line in done.stderr.splitlines() if "chatsvc" in line]
    assert said == []


def test_the_example_of_settings_is_taken_once_its_secrets_are_there() -> None:
    lines = [line for line in (DEPLOY / "chatsvc.env.example").read_text().splitlines() if line and not line.startswith("#")]
    given = dict(line.split("=", 1) for line in lines)
    assert set(given) <= SETTINGS
    secrets = {"JWT_SECRET_KEY": "bmV2ZXItc2VlbiBhbnl3aGVyZSBlbHNlIDEyMzQ1Njc4", "CHAT_ENCRYPTION_KEY": "c29tZXRoaW5nIGVsc2UgYWx0b2dldGhlciA5ODc2NTQz"}
    assert load({**given, **secrets}).production


def test_nginx_takes_the_configuration(tmp_path: Path) -> None:
    if NGINX is None:
        pytest.skip("no nginx here: make fault-tools installs it")
    text = (DEPLOY / "nginx/chatsvc.conf").read_text()
    key = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=chat.example.org -keyout privkey.pem -out fullchain.pem"
    subprocess.run(key.split(), cwd=tmp_path, check=True, capture_output=True)
    text = text.replace("/etc/ssl/chatsvc", str(tmp_path)).replace("/var/log/nginx", str(tmp_path))
    (tmp_path / "nginx.conf").write_text(f"pid {tmp_path}/pid;\nerror_log {tmp_path}/error.log;\nevents {{}}\nhttp {{\n{text}\n}}\n")
    done = subprocess.run([NGINX, "-t", "-q", "-c", str(tmp_path / "nginx.conf"), "-p", str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_role_sets_what_the_service_sets_on_a_connection() -> None:
    settings = load({"DATABASE_URL": "postgresql://chatsvc@127.0.0.1/chatsvc"})
    options: str = connections.engine_options(settings)["connect_args"]["options"]
    wanted = dict(pair.split("=", 1) for pair in re.findall(r"-c (\S+)", options))
    role = dict(re.findall(r"^ALTER ROLE chatsvc SET (\S+) = '?([^';]*)'?;", (DEPLOY / "postgresql/role.sql").read_text(), re.MULTILINE))
    assert role == wanted


def test_pgbouncer_lets_the_service_in() -> None:
    """It asks for options when it connects, which a pooler of transactions cannot give."""
    parser = configparser.ConfigParser(inline_comment_prefixes=(";",))
    parser.read(DEPLOY / "pgbouncer/pgbouncer.ini")
    assert parser["pgbouncer"]["pool_mode"] == "transaction"
    assert "options" in parser["pgbouncer"]["ignore_startup_parameters"].split(",")


def instructions() -> list[tuple[str, str]]:
    text = re.sub(r"\\\n", " ", (DEPLOY / "Containerfile").read_text())
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in lines)]


def test_the_image_has_all_that_runs_and_its_process_is_no_root() -> None:
    found = instructions()
    assert {name for name, _ in found} <= {"FROM", "WORKDIR", "COPY", "RUN", "ENV", "USER", "VOLUME", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK", "CMD"}
    assert [rest for name, rest in found if name == "USER"] == ["10001"]
    copied = {one.rstrip("/") for name, rest in found if name == "COPY" and "--from" not in rest for one in rest.split()[:-1]}
    assert all((ROOT / one).exists() for one in copied)
    modules = {path.name for path in ROOT.glob("*.py")}
    assert copied >= modules | {"migrations", "chatsvc", "gunicorn.conf.py", "requirements.txt"}
    let_in = {line[1:] for line in (DEPLOY / "Containerfile.dockerignore").read_text().splitlines() if line.startswith("!")}
    assert let_in == copied
    given = [pair.split("=")[0] for name, rest in found if name == "ENV" for pair in rest.split()]
    assert set(given) <= SETTINGS | OTHERS


def test_what_compose_starts_is_there() -> None:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    services = found["services"]
    for name, service in services.items():
        assert ("image" in service) or ("build" in service), name
        needed = service.get("depends_on", {})
        assert set(needed) <= set(services), name
        assert all(services[one].get("healthcheck") or "build" in services[one] for one, how in needed.items() if how["condition"] == "service_healthy"), name
        assert set(service.get("environment", {})) <= SETTINGS | OTHERS, name
        volumes = [one.split(":")[0] for one in service.get("volumes", [])]
        for volume in volumes:
            assert volume in found["volumes"] or volume == "./tls" or (DEPLOY / volume).exists(), f"{name}: {volume}"
        if "build" in service:
            assert service["cap_drop"] == ["ALL"]
            assert service["read_only"] is True
            assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).exists()
    assert set(found["secrets"]) == {one for service in services.values() for one in service.get("secrets", [])}


def test_every_unit_and_file_that_the_guide_names_is_there() -> None:
    guide = (ROOT / "docs/deployment.md").read_text()
    named = set(re.findall(r"`?(deploy/[A-Za-z0-9_.@/-]*[A-Za-z0-9/])", guide))
    assert named
    assert all((ROOT / one).exists() for one in named)
    for path in DEPLOY.rglob("*"):
        if path.is_file() and path.suffix != ".dockerignore" and "grafana" not in path.parts and "prometheus" not in path.parts:
            assert any(str(path.relative_to(ROOT)).startswith(one) for one in named), f"the guide does not name {path.name}"

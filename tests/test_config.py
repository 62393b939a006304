"""Settings: what each may be, and that a wrong one is named and never shown."""

from __future__ import annotations

import base64
import os
import re
import secrets
import stat
import subprocess
import sys
from dataclasses import fields
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

import config
from config import DatedSecret, Limit, SettingError, Settings, is_weak, kept_secret, load

STRONG = "hG7vQ2nX9sKd4LmZ8pRt5WcY1bJf6UaE0oIq3xNw"
DOCUMENT = config.ROOT / "docs" / "configuration.md"


def loaded(tmp_path: Path, **environ: str) -> Settings:
    return load({"CHAT_INSTANCE_PATH": str(tmp_path / "instance"), "JWT_SECRET_KEY": STRONG, "CHAT_ENCRYPTION_KEY": STRONG[::-1], **environ})


def refusal(tmp_path: Path, **environ: str) -> str:
    with pytest.raises(SettingError) as caught:
        loaded(tmp_path, **environ)
    # Whatever prints the error must not print what led to it, which may hold the value.
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return str(caught.value)


def test_with_nothing_set_it_is_a_development_server_on_this_machine(tmp_path: Path) -> None:
    settings = load({"CHAT_INSTANCE_PATH": str(tmp_path)})
    assert (settings.env, settings.production, settings.host, settings.port, settings.demo_accounts) == ("development", False, "127.0.0.1", 8000, True)
    assert settings.database_url == f"sqlite:///{tmp_path / 'chatsvc.db'}"
    assert (settings.redis_url, settings.cors_origins, settings.proxy_hops) == ("", (), 0)
    assert settings.ratelimit_enabled
    assert (settings.ratelimit_default, settings.ratelimit_send, settings.ratelimit_login) == (Limit(600, 60), Limit(60, 60), Limit(10, 60))
    assert settings.ratelimit_key == Limit(6000, 60)
    assert (settings.max_sessions_per_agent, settings.message_max_length, settings.title_max_length, settings.cleanup_days) == (5, 10000, 255, 30)
    assert (settings.message_history, settings.default_page_size, settings.max_page_size, settings.cleanup_interval) == (True, 10, 100, 6)
    assert settings.agent_types == ("primary", "log_analysis", "research", "router")


@pytest.mark.parametrize("blank", ["", " ", "\t\n"])
def test_a_blank_value_is_no_value(tmp_path: Path, blank: str) -> None:
    assert loaded(tmp_path, PORT=blank, CORS_ORIGINS=blank, REDIS_URL=blank, CHAT_DEMO_ACCOUNTS=blank) == loaded(tmp_path)


NETWORKS = ("10.0.3.0/24", "fd12:3456::/32", "192.168.1.7/32")

OLD = f"{STRONG[1:]}@2096-10-02T07:06:40Z"
TWO_HOSTS = "u:p@/d?host=a,b&port=5432,5433&target_session_attrs=read-write"
GOOD: list[tuple[str, str, str, Any]] = [
    ("PORT", "65535", "port", 65535),
    ("PORT", " 8080 ", "port", 8080),
    ("HOST", "0.0.0.0", "host", "0.0.0.0"),
    ("HOST", "::1", "host", "::1"),
    ("CHAT_ENV", "production", "production", True),
    ("RATELIMIT_ENABLED", "FALSE", "ratelimit_enabled", False),
    ("RATELIMIT_ENABLED", "0", "ratelimit_enabled", False),
    ("RATELIMIT_ENABLED", "off", "ratelimit_enabled", False),
    ("RATELIMIT_ENABLED", "yes", "ratelimit_enabled", True),
    ("RATELIMIT_SEND", "5/second", "ratelimit_send", Limit(5, 1)),
    ("RATELIMIT_SEND_DAILY", "500/day", "ratelimit_send_daily", Limit(500, 86400)),
    ("RATELIMIT_SEND_DAILY", "", "ratelimit_send_daily", None),
    ("RATELIMIT_LOGIN", "100/hour", "ratelimit_login", Limit(100, 3600)),
    ("RATELIMIT_DEFAULT", "1000000/day", "ratelimit_default", Limit(1000000, 86400)),
    ("CORS_ORIGINS", "https://a.example, http://localhost:3000 ,", "cors_origins", ("https://a.example", "http://localhost:3000")),
    ("CORS_ORIGINS", "http://[::1]:3000", "cors_origins", ("http://[::1]:3000",)),
    ("PUBLIC_URL", "HTTPS://Chat.example.com/base/", "public_url", "https://Chat.example.com/base"),
    ("PUBLIC_URL", "http://localhost:8000", "public_url", "http://localhost:8000"),
    ("JWT_JWKS_URL", "https://issuer.example/keys?v=1", "jwt_jwks_url", "https://issuer.example/keys?v=1"),
    ("JWT_JWKS_URL", "http://127.0.0.1:9000/keys", "jwt_jwks_url", "http://127.0.0.1:9000/keys"),
    ("JWT_JWKS_URL", "http://[::1]:9000/keys", "jwt_jwks_url", "http://[::1]:9000/keys"),
    ("JWT_JWKS_URL", "http://localhost/keys", "jwt_jwks_url", "http://localhost/keys"),
    ("JWT_OTHER_SECRET_KEYS", "a@1970-01-01T00:01Z", "jwt_other_secret_keys", (DatedSecret("a", 60.0),)),
    ("JWT_OTHER_SECRET_KEYS", f" {OLD} , b@1970-01-01T02:00:00+02:00", "jwt_other_secret_keys", (DatedSecret(STRONG[1:], 4e9), DatedSecret("b", 0.0))),
    ("JWT_OTHER_SECRET_KEYS", "p@ss@2096-10-02T07:06:40.5Z", "jwt_other_secret_keys", (DatedSecret("p@ss", 4000000000.5),)),
    ("REDIS_URL", "redis://localhost:6379/3", "redis_url", "redis://localhost:6379/3"),
    ("REDIS_URL", "rediss://:p%40ss@redis.example:6380/0?ssl_cert_reqs=required", "redis_url", "rediss://:p%40ss@redis.example:6380/0?ssl_cert_reqs=required"),
    ("REDIS_URL", "redis://user:pass@[::1]:6379", "redis_url", "redis://user:pass@[::1]:6379"),
    ("REDIS_URL", "unix:///run/redis.sock", "redis_url", "unix:///run/redis.sock"),
    ("DATABASE_URL", "postgres://u:p@h/d", "database_url", "postgresql+psycopg2://u:p@h/d"),
    ("DATABASE_URL", "postgresql://u:p%40@h:5432/d?sslmode=require", "database_url", "postgresql+psycopg2://u:p%40@h:5432/d?sslmode=require"),
    ("DATABASE_URL", "postgresql+psycopg2://h/d", "database_url", "postgresql+psycopg2://h/d"),
    ("DATABASE_URL", "postgresql:///d?host=/run/postgresql", "database_url", "postgresql+psycopg2:///d?host=/run/postgresql"),
    ("DATABASE_URL", "postgresql://u@[::1]:5433/d", "database_url", "postgresql+psycopg2://u@[::1]:5433/d"),
    ("DATABASE_URL", "sqlite:////srv/chat.db", "database_url", "sqlite:////srv/chat.db"),
    ("DATABASE_URL", "sqlite:///data/chat.db", "database_url", f"sqlite:///{config.ROOT / 'data' / 'chat.db'}"),
    ("DATABASE_URL", "postgresql://u:p@/d?host=a,b&port=5432,5433&target_session_attrs=read-write", "database_url", f"postgresql+psycopg2://{TWO_HOSTS}"),
    ("DATABASE_REPLICA_URL", "", "database_replica_url", ""),
    ("WEBHOOK_ALLOW_PRIVATE", "true", "webhook_allow_private", True),
    ("WEBHOOK_ALLOW_NETWORKS", " 10.0.3.0/24,fd12:3456::/32 , 192.168.1.7", "webhook_allow_networks", tuple(map(ip_network, NETWORKS))),
    ("CHAT_AGENT_TYPES", "primary, helper", "agent_types", ("primary", "helper")),
    ("CHAT_DEMO_ACCOUNTS", "false", "demo_accounts", False),
    ("MAX_SESSIONS_PER_AGENT", "1", "max_sessions_per_agent", 1),
]


@pytest.mark.parametrize(("name", "value", "attribute", "expected"), GOOD, ids=[f"{given[0]} {number}" for number, given in enumerate(GOOD)])
def test_a_setting_is_read_as_it_is_meant(tmp_path: Path, name: str, value: str, attribute: str, expected: Any) -> None:
    assert getattr(loaded(tmp_path, **{name: value}), attribute) == expected


BAD: dict[str, list[str]] = {
    "CHAT_ENV": ["prod", "PRODUCTION", "test", "development,production"],
    "HOST": ["127.0.0.1 ; rm", "http://x", "a/b", "h\u00f6st"],
    "PORT": ["0", "65536", "-1", "8000.0", "eight", "0x50", "١٢٣", "8_000", "+80", "9" * 5000],
    "WEB_CONCURRENCY": ["0", "65"],
    "CHAT_THREADS": ["0", "5000"],
    "LOG_LEVEL": ["INFO", "trace"],
    "PROXY_HOPS": ["-1", "11", "true", "*"],
    "RATELIMIT_ENABLED": ["maybe", "2", "truee"],
    "RATELIMIT_DEFAULT": [
        "600",
        "600/",
        "/minute",
        "0/minute",
        "-5/minute",
        "600/minutes",
        "600 per minute",
        "6e2/minute",
        "٦/minute",
        "9" * 5000 + "/minute",
        "1/fortnight",
    ],
    "RATELIMIT_SEND": ["60/Minute"],
    "RATELIMIT_LOGIN_ALL": ["none", "0/day"],
    "RATELIMIT_LOGIN": ["ten/minute"],
    "CORS_ORIGINS": [
        "*",
        "null",
        "app.example.org",
        "https://app.example.com/",
        "https://app.example.com/path",
        "https://*.example.com",
        "https://App.example.com",
        "https://app.example.com:443",
        "http://localhost:80",
        "https://user@app.example.com",
        "ftp://app.example.com",
        "https://",
        "https://app.example.com https://b.example",
        "https://a.example,*",
        "https://[::1",
    ],
    "PUBLIC_URL": [
        "chat.example.org",
        "ftp://chat.example.com",
        "https://",
        "https://user:secretpart@chat.example.com",
        "https://chat.example.com/?a=1",
        "https://chat.example.com/#a",
        "https://a b",
    ],
    "WEBHOOK_ALLOW_PRIVATE": ["maybe", "10.0.0.0/8"],
    "WEBHOOK_ALLOW_NETWORKS": [
        "private",
        "10.0.0.1/8",
        "10.0.0.0/33",
        "10.0.0.0/",
        "10.0.0.0/255.0.0.0",
        "10.0.0",
        "10",
        "010.0.0.0/8",
        "fd00::1/8",
        "fe80::1%eth0",
        "n8n.example.com",
        "10.0.0.0/8;10.1.0.0/16",
        "10.0.0.0/8, *",
        "١٠.0.0.0/8",
    ],
    "JWT_JWKS_URL": [
        "http://issuer.example/keys",
        "file:///etc/passwd",
        "https://",
        "ftp://issuer.example",
        "https://user:secretpart@issuer.example/",
        "http://127.0.0.1.evil.example/",
        "http://localhost.evil.example",
        "https://[::1",
        "http://127.0.0.1@evil.example/",
    ],
    "JWT_OTHER_SECRET_KEYS": [
        "secretpart-without-a-date",
        "secretpart@",
        "@2096-10-02T07:06:40Z",
        "secretpart@2096-10-02",
        "secretpart@2096-10-02T07:06:40",
        "secretpart@2096-13-02T07:06:40Z",
        "secretpart@2096-10-02 Z",
        "secretpart@4000000000",
        "secretpart@tomorrow",
        "secretpart 2096-10-02T07:06:40Z",
        "secretpart;2096-10-02T07:06:40Z",
        f"{OLD},",
        f",{OLD}",
        f"{OLD},secretpart",
        f"a,secretpart@{OLD}",
        f"a{OLD},b{OLD},c{OLD},d{OLD}",
        f"{STRONG}@2096-10-02T07:06:40Z",
        f"{OLD},{OLD}",
        f"{OLD},{STRONG[1:]}@2097-01-01T00:00:00Z",
    ],
    "REDIS_URL": [
        "localhost:6379",
        "http://localhost",
        "redis://",
        "redis://localhost:port",
        "redis://localhost/db",
        "redis://:secretpart@localhost:x/0",
        "memcached://h",
    ],
    "DATABASE_URL": [
        "mysql://u:secretpart@h/d",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "chat.db",
        "postgresql+asyncpg://u:secretpart@h/d",
        "postgresql:u:secretpart@h/d",
        "postgresql://u:secretpart@h:port/d",
        "postgresql://u:secret@part@h:5432/d",
        "postgresql://u:secretpart@h:123456/d",
    ],
    "DATABASE_REPLICA_URL": ["mysql://u:secretpart@h/d", "sqlite:////srv/chat.db", "postgresql://u:secretpart@h:port/d"],
    "CHAT_AGENT_TYPES": [",", "helper", "primary," + "x" * 51],
    "MAX_SESSIONS_PER_AGENT": ["0", "-1", "five"],
    "CHAT_MESSAGE_MAX_LENGTH": ["0", "200001"],
    "CHAT_TITLE_MAX_LENGTH": ["0", "1001"],
    "CHAT_DEFAULT_PAGE_SIZE": ["0", "1001", "101"],
    "CHAT_SESSION_CLEANUP_INTERVAL": ["0", "0.5"],
    "CHAT_DEMO_ACCOUNTS": ["maybe"],
    "CHAT_REGISTRATION": ["closed"],
    "JWT_ACCESS_TOKEN_MINUTES": ["0", "1441"],
    "JWT_REFRESH_TOKEN_DAYS": ["0", "366"],
    "JWT_PUBLIC_KEY": ["/no/such/file", "nonsense", "-----BEGIN CERTIFICATE-----\nsecretpart", "-----BEGIN PRIVATE KEY-----\nsecretpart", "x" * 5000],
}


@pytest.mark.parametrize(
    ("name", "value"), [pytest.param(name, value, id=f"{name} {number}") for name, values in BAD.items() for number, value in enumerate(values)]
)
def test_a_setting_that_cannot_be_used_is_named_and_not_shown(tmp_path: Path, name: str, value: str) -> None:
    said = refusal(tmp_path, **{name: value})
    assert said.startswith((f"{name} must ", f"{name} is "))
    assert said.endswith(".")
    assert "secretpart" not in said
    assert len(value) < 12 or value not in said
    assert len(said) < 200


@pytest.mark.parametrize("name", ["JWT_SECRET_KEY", "JWT_ISSUER", "HOST", "DATABASE_URL", "PORT"])
def test_bytes_that_are_no_text_are_refused(tmp_path: Path, name: str) -> None:
    assert refusal(tmp_path, **{name: "abc\udcff"}) == f"{name} is not valid UTF-8."


def test_a_file_that_is_no_text_is_no_public_key(tmp_path: Path) -> None:
    path = tmp_path / "key.der"
    path.write_bytes(b"\x30\x82\xff\xfe")
    assert refusal(tmp_path, JWT_PUBLIC_KEY=str(path)) == "JWT_PUBLIC_KEY must hold a public key in PEM form."


REPLICA = {"DATABASE_URL": "postgres://u:p@h/d", "REDIS_URL": "redis://r", "DATABASE_REPLICA_URL": "postgres://u:p@h2/d"}


def test_a_replica_is_read_as_the_database_is(tmp_path: Path) -> None:
    assert loaded(tmp_path, **REPLICA).database_replica_url == "postgresql+psycopg2://u:p@h2/d"


@pytest.mark.parametrize("without", ["DATABASE_URL", "REDIS_URL"])
def test_a_replica_needs_a_primary_and_a_redis(tmp_path: Path, without: str) -> None:
    said = "REDIS_URL and a DATABASE_URL of PostgreSQL must be set where DATABASE_REPLICA_URL is."
    assert refusal(tmp_path, **{name: value for name, value in REPLICA.items() if name != without}) == said


def test_a_page_size_has_to_fit_the_largest(tmp_path: Path) -> None:
    assert refusal(tmp_path, CHAT_DEFAULT_PAGE_SIZE="30", CHAT_MAX_PAGE_SIZE="20") == "CHAT_DEFAULT_PAGE_SIZE is larger than CHAT_MAX_PAGE_SIZE."


WEAK = {
    "short": "aB3$kL9",
    "31 bytes": STRONG[:31],
    "one letter": "a" * 64,
    "few letters": "abcabcabd" * 6,
    "digits": "31415926535897932384626433832795",
    "nine letters": "hadfgbiecgahdbeifcadhgebficahgdbfe",
    "a run": "abcdefghijklmnopqrstuvwxyz0123456789",
    "digits in order": "0123456789" * 4,
    "a repetition": "hG7vQ2nX" * 6,
    "a sample": "please-change-me-before-production-1",
    "another sample": "your-256-bit-SECRET-for-jwt-tokens-zq",
    "the example of a tutorial": "super_Secret_key_do_not_use_0123456789",
    "a password": "My-Very-Long-Password-2026-November!!",
}


SECRETS = {"JWT_SECRET_KEY": "jwt_secret_key", "CHAT_ENCRYPTION_KEY": "encryption_key"}


@pytest.mark.parametrize("variable", SECRETS)
@pytest.mark.parametrize("name", WEAK)
def test_production_refuses_a_weak_secret(tmp_path: Path, name: str, variable: str) -> None:
    said = refusal(tmp_path, CHAT_ENV="production", **{variable: WEAK[name]})
    assert said == f"{variable} is too weak. Give at least 32 random bytes; for example: openssl rand -base64 48"
    assert getattr(loaded(tmp_path, **{variable: WEAK[name]}), SECRETS[variable]) == WEAK[name]


@pytest.mark.parametrize("name", WEAK)
@pytest.mark.parametrize("until", ["2096-10-02T07:06:40Z", "2026-01-01T00:00:00Z"])
def test_production_refuses_a_weak_key_of_before_too(tmp_path: Path, name: str, until: str) -> None:
    given = f"{OLD},{WEAK[name]}@{until}"
    said = refusal(tmp_path, CHAT_ENV="production", JWT_OTHER_SECRET_KEYS=given)
    assert said == "JWT_OTHER_SECRET_KEYS holds one that is too weak. Give at least 32 random bytes for each; for example: openssl rand -base64 48"
    assert loaded(tmp_path, JWT_OTHER_SECRET_KEYS=given).jwt_other_secret_keys[1].secret == WEAK[name]
    assert loaded(tmp_path, CHAT_ENV="production", JWT_OTHER_SECRET_KEYS=OLD).jwt_other_secret_keys[0].secret == STRONG[1:]


def test_a_key_whose_date_is_past_stops_no_start_and_is_good_for_nothing(tmp_path: Path) -> None:
    settings = loaded(tmp_path, JWT_OTHER_SECRET_KEYS=f"{STRONG[2:]}@2026-01-01T00:00:00Z,{OLD}")
    assert list(settings.jwt_secrets) == [STRONG, STRONG[1:]]


@pytest.mark.parametrize("variable", SECRETS)
def test_production_refuses_to_make_a_secret(tmp_path: Path, variable: str) -> None:
    assert refusal(tmp_path, CHAT_ENV="production", **{variable: ""}).startswith(f"{variable} is not set. ")
    assert not (tmp_path / "instance").exists()


@pytest.mark.parametrize("make", [["rand", "-base64", "48"], ["rand", "-hex", "32"], ["rand", "-base64", "32"]], ids=" ".join)
def test_what_is_advised_is_strong_enough(make: list[str]) -> None:
    for _ in range(200):
        raw = secrets.token_bytes(int(make[-1]))
        assert not is_weak(raw.hex() if "-hex" in make else base64.b64encode(raw).decode())


@pytest.mark.parametrize(
    ("environ", "made"),
    [
        ({}, True),
        ({"HOST": "localhost"}, True),
        ({"HOST": "::1"}, True),
        ({"HOST": "127.0.0.53"}, True),
        ({"HOST": "0.0.0.0"}, False),
        ({"HOST": "::"}, False),
        ({"HOST": "192.168.1.5"}, False),
        ({"HOST": "localhost.example.com"}, False),
        ({"HOST": "127.0.0.1.example.com"}, False),
        ({"CHAT_ENV": "production"}, False),
        ({"CHAT_ENV": "production", "HOST": "127.0.0.1"}, False),
        ({"CHAT_DEMO_ACCOUNTS": "false"}, False),
        ({"CHAT_DEMO_ACCOUNTS": "true", "HOST": "0.0.0.0"}, True),
    ],
)
def test_demo_accounts_are_made_for_this_machine_alone_unless_somebody_says_so(tmp_path: Path, environ: dict[str, str], made: bool) -> None:
    assert loaded(tmp_path, **environ).demo_accounts is made


def test_a_secret_is_made_once_and_kept_where_only_its_owner_reads_it(tmp_path: Path) -> None:
    environ = {"CHAT_INSTANCE_PATH": str(tmp_path / "deep" / "instance")}
    before = os.umask(0)
    try:
        first = load(environ).jwt_secret_key
    finally:
        os.umask(before)
    path = tmp_path / "deep" / "instance" / "jwt_secret_key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text() == first
    assert not is_weak(first)
    assert load(environ).jwt_secret_key == first
    other = path.with_name("chat_encryption_key")
    assert sorted(path.parent.iterdir()) == [other, path, path.with_name("metrics_token")]
    assert (stat.S_IMODE(other.stat().st_mode), other.read_text()) == (0o600, load(environ).encryption_key)
    assert other.read_text() != first


def test_a_secret_that_was_put_there_by_hand_is_used(tmp_path: Path) -> None:
    path = tmp_path / "jwt_secret_key"
    path.write_text("by-hand\n")
    path.chmod(0o400)
    assert kept_secret(path) == "by-hand"


def test_a_file_that_was_left_empty_is_no_secret(tmp_path: Path) -> None:
    path = tmp_path / "jwt_secret_key"
    path.touch()
    made = kept_secret(path)
    assert len(made) >= 32
    assert path.read_text() == made


def test_processes_that_start_at_once_agree_on_one_secret(tmp_path: Path) -> None:
    code = "import sys, config; from pathlib import Path; print(flush=True); sys.stdin.read(); print(config.kept_secret(Path(sys.argv[1])))"
    command = [sys.executable, "-c", code, str(tmp_path / "new" / "jwt_secret_key")]
    started = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=config.ROOT) for _ in range(6)]
    for process in started:
        assert process.stdout
        process.stdout.readline()  # all are ready before the first is let go
    for process in started:
        assert process.stdin
        process.stdin.close()
    said = set()
    for process in started:
        assert process.stdout
        said.add(process.stdout.read())
        process.stdout.close()
        assert process.wait() == 0
    assert len(said) == 1
    assert said == {(tmp_path / "new" / "jwt_secret_key").read_text() + "\n"}


def test_a_secret_that_cannot_be_kept_is_told_and_nothing_is_made_up(tmp_path: Path) -> None:
    (tmp_path / "instance").write_text("a file where the folder should be")
    said = refusal(tmp_path, JWT_SECRET_KEY="")
    assert said == "JWT_SECRET_KEY is not set, and none can be kept under CHAT_INSTANCE_PATH (FileExistsError)."


def test_settings_do_not_change_and_do_not_leak(tmp_path: Path) -> None:
    settings = loaded(tmp_path)
    with pytest.raises(AttributeError):
        settings.port = 1  # type: ignore[misc]


def test_every_setting_says_what_it_is_for() -> None:
    names = [item.metadata["name"] for item in fields(Settings)]
    assert len(names) == len(set(names))
    for item in fields(Settings):
        assert re.fullmatch("[A-Z][A-Z0-9_]*", item.metadata["name"])
        assert item.metadata["about"].endswith(".")


def test_the_document_lists_the_same_settings() -> None:
    if not DOCUMENT.exists():
        pytest.skip("docs/configuration.md is not there, so it was not compared with the settings.")
    text = DOCUMENT.read_text()
    missing = [item.metadata["name"] for item in fields(Settings) if f"`{item.metadata['name']}`" not in text]
    assert missing == []


def test_settings_are_read_from_the_environment_of_the_process(tmp_path: Path) -> None:
    code = "import config; print(config.load().port)"
    environ = {**os.environ, "PORT": "8123", "CHAT_INSTANCE_PATH": str(tmp_path)}
    assert subprocess.run([sys.executable, "-c", code], cwd=config.ROOT, env=environ, capture_output=True, text=True, check=True).stdout == "8123\n"


def test_the_port_of_figures_is_another_one_and_beyond_loopback_asks_for_a_token(tmp_path: Path) -> None:
    at = {"CHAT_INSTANCE_PATH": str(tmp_path)}
    assert load({**at, "METRICS_PORT": "9464"}).metrics_on
    with pytest.raises(SettingError, match=r"^METRICS_PORT is the same as PORT\.$"):
        load({**at, "METRICS_PORT": "8000"})
    strong = {"JWT_SECRET_KEY": STRONG, "CHAT_ENCRYPTION_KEY": STRONG, "CHAT_ENV": "production", **at}
    assert not load(strong).metrics_on
    with pytest.raises(SettingError, match=r"^METRICS_TOKEN must be set where METRICS_HOST is not loopback\.$"):
        load({**strong, "METRICS_PORT": "9464", "METRICS_HOST": "0.0.0.0"})
    assert load({**strong, "METRICS_PORT": "9464", "METRICS_HOST": "0.0.0.0", "METRICS_TOKEN": STRONG}).metrics_on
    with pytest.raises(SettingError, match=r"^METRICS_TOKEN is too weak"):
        load({**strong, "METRICS_TOKEN": "short"})


def test_each_service_counts_in_a_folder_of_its_own(tmp_path: Path) -> None:
    at = {"CHAT_INSTANCE_PATH": str(tmp_path)}
    assert load({**at, "PORT": "9000"}).metrics_dir == str(tmp_path / "metrics/9000")
    assert load({**at, "METRICS_DIR": "/run/chatsvc"}).metrics_dir == "/run/chatsvc"

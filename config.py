"""Every setting: its environment name, its default, its check. Nothing else reads the environment.

`docs/configuration.md` is the same list in prose; a test keeps the two equal.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from ipaddress import IPv4Network, IPv6Network
from typing import Any

from config_secrets import check_others, is_weak, kept_secret, optional_secret, secret
from config_values import (
    ROOT,
    DatedSecret,
    Limit,
    SettingError,
    ages,
    database_url,
    dated_secrets,
    flag,
    fraction,
    host,
    is_loopback,
    jwks_url,
    limit,
    limit_or_none,
    networks,
    one_of,
    origins,
    pem,
    redis_url,
    replica_url,
    text,
    web_address,
    whole,
    words,
)

__all__ = ["ROOT", "DatedSecret", "Limit", "SettingError", "Settings", "database_url", "is_loopback", "is_weak", "kept_secret", "load"]


def setting(name: str, default: str, parse: Callable[[str], Any], about: str) -> Any:
    """One environment variable: how it is spelt, what it is when unset, how it is read, what it is for."""
    return field(metadata={"name": name, "default": default, "parse": parse, "about": about})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    env: str = setting(
        "CHAT_ENV", "development", one_of("development", "production"), "`production` refuses missing or weak secrets and makes no demo accounts by itself."
    )
    metrics_host: str = setting("METRICS_HOST", "127.0.0.1", host, "Address of that port. Any but loopback asks for `METRICS_TOKEN` there too.")
    host: str = setting("HOST", "127.0.0.1", host, "Address that `make run` listens on.")
    port: int = setting("PORT", "8000", whole(1, 65535), "Port that `make run` listens on.")
    instance_path: str = setting("CHAT_INSTANCE_PATH", "instance", text, "Folder for the SQLite file and the secrets made on a first local run.")
    database_url: str = setting(
        "DATABASE_URL",
        "",
        lambda v: database_url(v) if v else "",
        "SQLAlchemy URL. Unset: the SQLite file `chatsvc.db` under the instance folder. `postgres://` and `postgresql://` mean psycopg2.",
    )
    database_replica_url: str = setting(
        "DATABASE_REPLICA_URL",
        "",
        replica_url,
        "A streaming replica: what may be a moment old is read from it. Needs `REDIS_URL`. Unset: all from the primary.",
    )
    redis_url: str = setting("REDIS_URL", "", redis_url, "Where rate limits are counted for all processes together. Unset: each process counts for itself.")
    workers: int = setting("WEB_CONCURRENCY", "2", whole(1, 64), "gunicorn worker processes.")
    threads: int = setting(
        "CHAT_THREADS", "600", whole(1, 4096), "Threads of each worker on SQLite; a stream holds one. PostgreSQL is served by greenlets and has no use for it."
    )
    send_timeout: int = setting(
        "CHAT_SEND_TIMEOUT", "30", whole(1, 3600), "Seconds that a client may take nothing of what is sent to it before it is hung up on (Linux)."
    )
    log_level: str = setting("LOG_LEVEL", "info", one_of("debug", "info", "warning", "error"), "How much is logged.")
    log_format: str = setting(
        "LOG_FORMAT", "auto", one_of("auto", "json", "console"), "How lines of the log are written. `auto`: console on a terminal, else json."
    )
    log_requests: bool = setting("LOG_REQUESTS", "false", flag, "A line for every request: route, status, duration, ids; no paths, queries or texts.")
    metrics_token: str = setting(
        "METRICS_TOKEN",
        "",
        text,
        "Bearer token that opens `/metrics` on `PORT`. Unset: nobody may; in development one is made and kept under the instance folder.",
    )
    metrics_port: int = setting("METRICS_PORT", "", lambda v: whole(1, 65535)(v) if v else 0, "A port of its own for `/metrics` and nothing else. Unset: none.")
    metrics_dir: str = setting("METRICS_DIR", "", text, "Folder in which the processes of one service count. Unset: `metrics/PORT` under the instance folder.")
    otlp_endpoint: str = setting("OTEL_EXPORTER_OTLP_ENDPOINT", "", web_address, "Where spans are sent (OTLP over HTTP). Unset: nowhere.")

    jwt_secret_key: str = setting(
        "JWT_SECRET_KEY",
        "",
        text,
        "HS256 key; a token signed with it is good whoever issued it. Unset in development: made and kept under the instance folder.",
    )
    jwt_other_secret_keys: tuple[DatedSecret, ...] = setting(
        "JWT_OTHER_SECRET_KEYS", "", dated_secrets, "Keys good beside it, each until its date: `SECRET@2026-12-31T00:00:00Z`, comma-separated, at most three."
    )
    encryption_key: str = setting(
        "CHAT_ENCRYPTION_KEY",
        "",
        text,
        "Encrypts the secrets of personas. Unset in development: made and kept under the instance folder. After a change, secrets are entered anew.",
    )
    jwt_public_key: str = setting(
        "JWT_PUBLIC_KEY", "", pem, "PEM text, or the path of a PEM file: RS256 and ES256 tokens signed with its private half are good too."
    )
    jwt_jwks_url: str = setting(
        "JWT_JWKS_URL", "", jwks_url, "https address of an issuer's key set (plain http only on loopback); its RS256 and ES256 keys are cached and renewed."
    )
    jwt_issuer: str = setting("JWT_ISSUER", "", text, "When set, every token must carry this `iss`.")
    jwt_audience: str = setting("JWT_AUDIENCE", "", text, "When set, every token must carry this `aud`.")
    access_minutes: int = setting("JWT_ACCESS_TOKEN_MINUTES", "60", whole(1, 1440), "How long an access token from `/auths/login` is good.")
    refresh_days: int = setting("JWT_REFRESH_TOKEN_DAYS", "30", whole(1, 365), "How long a refresh token is good.")
    demo_accounts: bool = setting(
        "CHAT_DEMO_ACCOUNTS",
        "",
        lambda v: flag(v) if v else None,
        "Makes `alice` / `alicepass123` and `testuser` / `testpass123` at start. Unset: true in development while HOST is loopback.",
    )
    registration: bool = setting("CHAT_REGISTRATION", "true", flag, "Whether `POST /auths/register` lets people make accounts.")

    public_url: str = setting("PUBLIC_URL", "", web_address, "How people reach the service from outside; an https address makes cookies Secure.")
    cors_origins: tuple[str, ...] = setting("CORS_ORIGINS", "", origins, "Exact origins, comma-separated, whose pages may call the API with a bearer token.")
    proxy_hops: int = setting("PROXY_HOPS", "0", whole(0, 10), "How many reverse proxies stand in front; only their forwarded addresses are believed.")
    webhook_allow_private: bool = setting(
        "WEBHOOK_ALLOW_PRIVATE",
        "false",
        flag,
        "True lets personas call private and loopback addresses (n8n beside the service, for one); link-local, metadata and multicast ones stay closed.",
    )
    webhook_allow_networks: tuple[IPv4Network | IPv6Network, ...] = setting(
        "WEBHOOK_ALLOW_NETWORKS", "", networks, "Networks, comma-separated, that personas may call whatever they are, such as `10.0.3.0/24`."
    )
    ratelimit_enabled: bool = setting("RATELIMIT_ENABLED", "true", flag, "False turns every rate limit off but the back-off of accounts.")
    ratelimit_default: Limit = setting("RATELIMIT_DEFAULT", "600/minute", limit, "Requests per user, or per address where there is no user.")
    ratelimit_send: Limit = setting("RATELIMIT_SEND", "60/minute", limit, "Chat and conversation sends per user.")
    ratelimit_send_daily: Limit | None = setting(
        "RATELIMIT_SEND_DAILY", "", limit_or_none, "A second limit on sends per user, as `500/day`: what a model costs. Unset: none."
    )
    ratelimit_key: Limit = setting("RATELIMIT_KEY", "6000/minute", limit, "Requests per API key, for whomever it acts.")
    ratelimit_login: Limit = setting("RATELIMIT_LOGIN", "10/minute", limit, "Sign-ins per address and per account.")
    ratelimit_login_all: Limit | None = setting(
        "RATELIMIT_LOGIN_ALL",
        "",
        limit_or_none,
        "Sign-ins and registrations of everybody together. Unset: none, since whoever uses it up keeps all others out.",
    )
    ratelimit_privacy: Limit = setting("RATELIMIT_PRIVACY", "10/minute", limit, "Exports and erasures of all that a user has, per user who asks.")

    max_sessions_per_agent: int = setting(
        "MAX_SESSIONS_PER_AGENT", "5", whole(1, 10000), "Active plain sessions per user and agent type; one more archives the least recently active."
    )
    agent_types: tuple[str, ...] = setting("CHAT_AGENT_TYPES", "primary,log_analysis,research,router", words, "The agent types there are.")
    message_max_length: int = setting("CHAT_MESSAGE_MAX_LENGTH", "10000", whole(1, 200000), "Longest message that people may send, in code points.")
    title_max_length: int = setting("CHAT_TITLE_MAX_LENGTH", "255", whole(1, 1000), "Longest title, in code points.")
    cleanup_days: int = setting(
        "CHAT_SESSION_CLEANUP_DAYS", "30", whole(1, 36500), "How many days soft-deleted rows can be restored before `flask cleanup purge` erases them."
    )
    message_history: bool = setting("CHAT_ENABLE_MESSAGE_HISTORY", "true", flag, "False keeps sessions without title, preview or messages.")
    default_page_size: int = setting("CHAT_DEFAULT_PAGE_SIZE", "10", whole(1, 1000), "Page size of `GET /api/v1/chat-sessions`.")
    max_page_size: int = setting("CHAT_MAX_PAGE_SIZE", "100", whole(1, 1000), "Largest page size of `GET /api/v1/chat-sessions`.")
    responder: str = setting(
        "CHAT_RESPONDER", "echo", one_of("echo", "openai", "anthropic"), "Who answers where no persona is named. `echo` repeats the message word by word."
    )
    echo_delay_ms: int = setting("CHAT_ECHO_DELAY_MS", "10", whole(0, 60000), "Milliseconds between two words of `echo`.")
    reply_max_chars: int = setting("CHAT_REPLY_MAX_CHARS", "200000", whole(1, 10000000), "Longest reply, in code points; a longer one ends there as failed.")
    streams_per_user: int = setting(
        "CHAT_STREAMS_PER_USER",
        "100",
        whole(1, 100000),
        "Replies that one user may have written at once, and half the streams they may follow at once at one worker; off with RATELIMIT_ENABLED=false.",
    )
    streams_per_worker: int = setting(
        "CHAT_STREAMS_PER_WORKER",
        "",
        lambda v: whole(1, 100000)(v) if v else 0,
        "Replies that one worker writes or follows at once. Unset: what its threads can hold, or 3000 under gevent.",
    )
    openai_base_url: str = setting("OPENAI_BASE_URL", "", text, "Base address of a server that speaks Chat Completions, such as https://api.openai.com/v1.")
    openai_api_key: str = setting("OPENAI_API_KEY", "", text, "Its key; servers of one's own often need none.")
    openai_model: str = setting("OPENAI_MODEL", "", text, "The model it is asked for.")
    anthropic_base_url: str = setting("ANTHROPIC_BASE_URL", "https://api.anthropic.com", text, "Base address of a server that speaks the Messages API.")
    anthropic_api_key: str = setting("ANTHROPIC_API_KEY", "", text, "Its key.")
    anthropic_model: str = setting("ANTHROPIC_MODEL", "", text, "The model it is asked for.")
    title_model: str = setting(
        "CHAT_TITLE_MODEL",
        "",
        text,
        "A model that gives a session a better title after its first exchange; asked at the same server. Unset: the first message is the title.",
    )
    temperature: float | None = setting(
        "CHAT_TEMPERATURE", "", lambda v: fraction(0, 2)(v) if v else None, "Temperature that models are asked with. Unset: their own."
    )
    reply_timeout: int = setting("CHAT_REPLY_TIMEOUT", "300", whole(1, 86400), "Seconds that a whole reply may take.")
    first_byte_timeout: int = setting("CHAT_FIRST_BYTE_TIMEOUT", "60", whole(1, 3600), "Seconds until a model must begin to answer.")
    idle_timeout: int = setting("CHAT_IDLE_TIMEOUT", "60", whole(1, 3600), "Seconds that a model may be silent in the middle of a reply.")
    system_prompt: str = setting("CHAT_SYSTEM_PROMPT", "", text, "Sent to the model before every conversation.")
    context_chars: int = setting(
        "CHAT_CONTEXT_CHARS", "48000", whole(1, 10000000), "How much of the conversation is sent to the model, newest first, in code points."
    )
    chat_sessions: bool = setting("ENABLE_CHAT_SESSIONS", "true", flag, "False answers 503 on the conversation and persona routes.")
    session_timeout_hours: int = setting(
        "CHAT_SESSION_TIMEOUT_HOURS", "24", whole(1, 87600), "After so many hours without an answer the cleanup ends an exchange as TIMEOUT."
    )
    audit_days: int = setting("CHAT_AUDIT_DAYS", "365", whole(1, 36500), "How many days audit events are kept.")
    retention_days: int = setting(
        "CHAT_RETENTION_DAYS", "0", whole(0, 36500), "Sessions that nobody has touched for so many days are erased by `flask cleanup retention`. 0: never."
    )
    retention: tuple[tuple[str, int], ...] = setting(
        "CHAT_RETENTION",
        "",
        ages("ACTIVE", "COMPLETED", "FAILED", "TIMEOUT", "CANCELLED"),
        "The same for sessions of one status, such as `COMPLETED=90,FAILED=30`; a status that is not named goes by `CHAT_RETENTION_DAYS`. 0: never.",
    )
    ip_retention_days: int = setting(
        "CHAT_IP_RETENTION_DAYS", "0", whole(0, 36500), "After so many days `flask cleanup addresses` does as `CHAT_IP_RETENTION_MODE` says. 0: never."
    )
    ip_retention_mode: str = setting(
        "CHAT_IP_RETENTION_MODE", "shorten", one_of("shorten", "drop"), "What becomes of old IP addresses: the network is kept (/24, /48), or nothing."
    )
    cleanup_interval: int = setting("CHAT_SESSION_CLEANUP_INTERVAL", "6", whole(1, 8760), "Hours between two passes of the repeating cleanup.")

    @property
    def production(self) -> bool:
        return self.env == "production"

    @property
    def jwt_secrets(self) -> Iterator[str]:
        """The HS256 keys that are good at this moment; the one that signs is the first."""
        yield self.jwt_secret_key
        yield from (other.secret for other in self.jwt_other_secret_keys if other.is_good)

    @property
    def metrics_on(self) -> bool:
        return bool(self.metrics_token or self.metrics_port)

    @property
    def reached_at(self) -> str:
        """How the service is reached, as far as it knows."""
        return self.public_url or f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    @property
    def sqlite(self) -> bool:
        return self.database_url.startswith("sqlite")


def load(environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings of this environment, or a SettingError that names what is wrong."""
    given = {item.name: _read(item.metadata, environ) for item in fields(Settings)}
    settings = Settings(**given)
    folder = ROOT / settings.instance_path
    settings = replace(
        settings,
        instance_path=str(folder),
        database_url=settings.database_url or f"sqlite:///{folder / 'chatsvc.db'}",
        demo_accounts=not settings.production and is_loopback(settings.host) if settings.demo_accounts is None else settings.demo_accounts,
        jwt_secret_key=secret("JWT_SECRET_KEY", settings.jwt_secret_key, production=settings.production, folder=folder),
        encryption_key=secret("CHAT_ENCRYPTION_KEY", settings.encryption_key, production=settings.production, folder=folder),
        metrics_token=optional_secret("METRICS_TOKEN", settings.metrics_token, production=settings.production, folder=folder),
        metrics_dir=str(ROOT / settings.metrics_dir if settings.metrics_dir else folder / "metrics" / str(settings.port)),
    )
    _check_together(settings)
    check_others(settings.jwt_secret_key, [other.secret for other in settings.jwt_other_secret_keys], production=settings.production)
    return settings


def _read(meta: Mapping[str, Any], environ: Mapping[str, str]) -> Any:
    value = environ.get(meta["name"], "").strip() or meta["default"]
    try:
        value.encode()
        return meta["parse"](value)
    except UnicodeEncodeError:
        raise SettingError(f"{meta['name']} is not valid UTF-8.") from None
    except ValueError as error:
        raise SettingError(f"{meta['name']} {error}.") from None


def _check_together(settings: Settings) -> None:
    if settings.database_replica_url and (settings.sqlite or not settings.redis_url):
        raise SettingError("REDIS_URL and a DATABASE_URL of PostgreSQL must be set where DATABASE_REPLICA_URL is.")
    if settings.responder == "openai" and not (settings.openai_base_url and settings.openai_model):
        raise SettingError("OPENAI_BASE_URL and OPENAI_MODEL must be set where CHAT_RESPONDER is openai.")
    if settings.responder == "anthropic" and not (settings.anthropic_api_key and settings.anthropic_model):
        raise SettingError("ANTHROPIC_API_KEY and ANTHROPIC_MODEL must be set where CHAT_RESPONDER is anthropic.")
    if settings.metrics_port == settings.port:
        raise SettingError("METRICS_PORT is the same as PORT.")
    if settings.metrics_port and not settings.metrics_token and not is_loopback(settings.metrics_host):
        raise SettingError("METRICS_TOKEN must be set where METRICS_HOST is not loopback.")
    if settings.title_model and not (settings.openai_base_url or settings.anthropic_api_key):
        raise SettingError("CHAT_TITLE_MODEL needs OPENAI_BASE_URL or ANTHROPIC_API_KEY.")
    if settings.default_page_size > settings.max_page_size:
        raise SettingError("CHAT_DEFAULT_PAGE_SIZE is larger than CHAT_MAX_PAGE_SIZE.")
    if "primary" not in settings.agent_types or any(len(name) > 50 for name in settings.agent_types):
        raise SettingError("CHAT_AGENT_TYPES must name primary, which new sessions get by default, and no type of more than 50 characters.")

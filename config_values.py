"""How the value of a setting is read: each function takes the text and returns what it means, or says in words what it wants."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

ROOT: Final = Path(__file__).resolve().parent
TIMES: Final = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
# What stands after the scheme. The libraries that read these addresses later would show a part of them in their complaint.
POSTGRES: Final = re.compile(r"([^:/@]*(:[^@]*)?@)?(\[[^/?\]]+\]|[^/:?@\[]*)(:[0-9]{1,5})?(/[^?]*)?(\?.*)?")
REDIS: Final = re.compile(r"rediss?://([^/@]*@)?(\[[^/?\]]+\]|[^/:?@\[]+)(:[0-9]{1,5})?(/[0-9]{0,3})?(\?.*)?|unix://([^/@]*@)?/.+")
ORIGIN: Final = re.compile(r"https?://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")
NETWORK: Final = re.compile(r"[0-9A-Fa-f:.]+(/[0-9]{1,3})?", re.ASCII)
OTHER_SECRETS: Final = 3  # each is one more to be tried with a token that is nobody's
WEB: Final = re.compile(ORIGIN.pattern + r"(/[^?#\s]*)?(\?[^#\s]*)?", re.ASCII | re.IGNORECASE)


class SettingError(ValueError):
    """A setting that cannot be used. It names the variable and never shows its value."""


@dataclass(frozen=True, slots=True)
class Limit:
    """So many events in so many seconds, per whoever is counted."""

    amount: int
    seconds: int


@dataclass(frozen=True, slots=True)
class DatedSecret:
    """A secret that is good until a date, by the clock of this machine."""

    secret: str
    until: float

    @property
    def is_good(self) -> bool:
        return time.time() < self.until


def text(value: str) -> str:
    return value


def dated_secrets(value: str) -> tuple[DatedSecret, ...]:
    """No date without its zone, and no empty place between two commas: a key that a slip leaves out signs people out."""
    words = [word.rpartition("@") for word in value.split(",")] if value else []
    try:
        found = tuple(DatedSecret(secret.strip(), _moment(date.strip())) for secret, _, date in words)
    except ValueError:
        found = ()
    if len(found) != len(words) or len(found) > OTHER_SECRETS or not all(one.secret for one in found):
        raise ValueError(f"must look like SECRET@2026-12-31T00:00:00Z, each with its date and zone, comma-separated, at most {OTHER_SECRETS} of them")
    return found


def _moment(date: str) -> float:
    read = datetime.fromisoformat(date)
    if read.tzinfo is None:
        raise ValueError
    return read.timestamp()


def flag(value: str) -> bool:
    if value.lower() in ("true", "1", "yes", "on"):
        return True
    if value.lower() in ("false", "0", "no", "off"):
        return False
    raise ValueError("must be true or false")


def whole(low: int, high: int) -> Callable[[str], int]:
    def parse(value: str) -> int:
        if not (value.isascii() and value.isdigit() and len(value) < 19 and low <= int(value) <= high):
            raise ValueError(f"must be a whole number from {low} to {high}")
        return int(value)

    return parse


def fraction(low: float, high: float) -> Callable[[str], float]:
    def parse(value: str) -> float:
        if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", value) or not low <= float(value) <= high:
            raise ValueError(f"must be a number from {low} to {high}")
        return float(value)

    return parse


def one_of(*choices: str) -> Callable[[str], str]:
    def parse(value: str) -> str:
        if value not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return value

    return parse


def words(value: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in value.split(",") if word.strip())


def ages(*names: str) -> Callable[[str], tuple[tuple[str, int], ...]]:
    """Days by name, as in COMPLETED=90,FAILED=30."""

    def parse(value: str) -> tuple[tuple[str, int], ...]:
        found: dict[str, int] = {}
        for word in value.split(",") if value else ():
            name, _, days = (part.strip() for part in word.partition("="))
            if name not in names or name in found or not re.fullmatch(r"[0-9]{1,5}", days, re.ASCII) or int(days) > 36500:
                raise ValueError(f"must look like COMPLETED=90,FAILED=30: each of {', '.join(names)} at most once, with 0 (never) to 36500 days")
            found[name] = int(days)
        return tuple(found.items())

    return parse


def host(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._:-]+", value):
        raise ValueError("must be an address or the name of a host")
    return value


def origins(value: str) -> tuple[str, ...]:
    """Spelt as browsers send them, since they are compared letter by letter."""
    found = words(value)
    for origin in found:
        usual = ":443" if origin.startswith("https:") else ":80"
        if not ORIGIN.fullmatch(origin) or origin.endswith(usual):
            raise ValueError("must be a comma-separated list of origins as browsers send them, such as https://app.example.com")
    return found


def networks(value: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """Strict: an address with bits beside its network is more likely a slip than a wish."""
    try:
        return tuple(ip_network(word if NETWORK.fullmatch(word) else "") for word in words(value))
    except ValueError:
        raise ValueError("must be a comma-separated list of networks, such as 10.0.3.0/24, fd12:3456::/32 (no bits set beside the network)") from None


def web_address(value: str) -> str:
    if value and (not WEB.fullmatch(value) or "?" in value):
        raise ValueError("must look like https://chat.example.com")
    scheme, _, rest = value.partition(":")
    return f"{scheme.lower()}:{rest.rstrip('/')}" if value else ""


def pem(value: str) -> str:
    """A public key: its text, or the path of the file that holds it."""
    if not value:
        return ""
    try:
        found = value.replace("\\n", "\n") if "-----BEGIN" in value else Path(value).read_text()
    except OSError as error:
        raise ValueError(f"is neither PEM text nor a file that can be read ({error.strerror})") from None
    except ValueError:
        found = ""
    if "PUBLIC KEY" not in found:
        raise ValueError("must hold a public key in PEM form")
    return found


def jwks_url(value: str) -> str:
    if value and not (WEB.fullmatch(value) and (value.lower().startswith("https:") or is_loopback(urlsplit(value).hostname or ""))):
        raise ValueError("must begin with https:// and name a host")
    return value


def limit(value: str) -> Limit:
    amount, _, unit = value.partition("/")
    if not (amount.isascii() and amount.isdigit() and len(amount) < 10 and int(amount) > 0 and unit in TIMES):
        raise ValueError("must look like 60/minute (second, minute, hour or day)")
    return Limit(int(amount), TIMES[unit])


def limit_or_none(value: str) -> Limit | None:
    return limit(value) if value else None


def redis_url(value: str) -> str:
    if value and not REDIS.fullmatch(value):
        raise ValueError("must look like redis://:password@host:6379/0 (rediss:// for TLS, unix:// for a socket), special characters percent-encoded")
    return value


def database_url(value: str) -> str:
    """One spelling per engine; SQLite paths made absolute, so that every process means the same file wherever it was started."""
    scheme, _, rest = value.partition("://")
    if scheme in ("postgres", "postgresql", "postgresql+psycopg2"):
        if not POSTGRES.fullmatch(rest):
            raise ValueError("must look like postgresql://user:password@host:5432/name, special characters percent-encoded")
        return "postgresql+psycopg2://" + rest
    if scheme == "sqlite" and rest.startswith("/") and len(rest) > 1 and ":memory:" not in rest:
        return "sqlite:///" + str((ROOT / rest[1:]).resolve())
    raise ValueError("must begin with postgresql:// or with sqlite:/// and a file")


def replica_url(value: str) -> str:
    """Of the same kind as the database's, on PostgreSQL."""
    found = database_url(value) if value else ""
    if found.startswith("sqlite"):
        raise ValueError("must begin with postgresql://")
    return found


def is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

"""Secrets that nobody has to think up: which are too weak to be one, and how one is made and kept."""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

from config_values import SettingError

SAMPLE_SECRETS: Final = ("secret", "change", "example", "password", "your-key", "insecure")


def is_weak(secret: str) -> bool:
    """Short, made of few characters or of a run or a repetition, or out of somebody's example."""
    steps = {ord(after) - ord(before) for before, after in pairwise(secret)}
    return len(secret.encode()) < 32 or len(set(secret)) < 10 or len(steps) < 10 or any(word in secret.lower() for word in SAMPLE_SECRETS)


def kept_secret(path: Path) -> str:
    """The secret kept in this file, made on the first call. Two processes that start at once agree on one."""
    if path.exists() and (kept := path.read_text().strip()):
        return kept
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        kept = file.read().strip()
        if not kept:  # nobody was first, or the machine went down before what was written had reached the disk
            kept = secrets.token_urlsafe(48)
            file.write(kept)
            file.flush()
            os.fsync(file.fileno())
    return kept


def secret(name: str, value: str, *, production: bool, folder: Path) -> str:
    if production and not value:
        raise SettingError(f"{name} is not set. In production it must be; for example: openssl rand -base64 48")
    if production and is_weak(value):
        raise SettingError(f"{name} is too weak. Give at least 32 random bytes; for example: openssl rand -base64 48")
    try:
        return value or kept_secret(folder / name.lower())
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"{name} is not set, and none can be kept under CHAT_INSTANCE_PATH ({type(error).__name__}).") from None


def optional_secret(name: str, value: str, *, production: bool, folder: Path) -> str:
    return secret(name, value, production=production, folder=folder) if value or not production else ""


def check_others(key: str, others: Sequence[str], *, production: bool) -> None:
    """Keys that are good beside this one are held to the same."""
    if production and any(map(is_weak, others)):
        raise SettingError("JWT_OTHER_SECRET_KEYS holds one that is too weak. Give at least 32 random bytes for each; for example: openssl rand -base64 48")
    if len({key, *others}) <= len(others):
        raise SettingError("JWT_OTHER_SECRET_KEYS must not hold JWT_SECRET_KEY itself, nor one key twice.")

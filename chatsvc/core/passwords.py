"""Which passwords nobody may have: those that everybody tries first.

`common_passwords.txt` holds the first ten hexadecimal digits of the SHA-256 of each of the 5,000 most used passwords of eight characters
and more, in lower case, by the frequencies that the zxcvbn project publishes. They are kept as digests since many are no words for a
repository, and none has to be read by anybody.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

DIGITS = 10
SHORT = 16  # up to here a few letters over and over are a guess
TOO_COMMON = "is one of the passwords that are tried first; take another"


def problem(password: str, username: str) -> str | None:
    """Why this account may not have this password."""
    plain = password.casefold()
    if (len(plain) <= SHORT and len(set(plain)) < 4) or _digest(plain) in _common():
        return TOO_COMMON
    if plain.strip() == username.casefold():
        return "must not be the username"
    return None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:DIGITS]


@cache
def _common() -> frozenset[str]:
    return frozenset((Path(__file__).parent / "common_passwords.txt").read_text().split())

"""Who waits at this process for a reply: how many there are of each user, and whether what let them in still holds."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from chatsvc.core import api_keys, tokens


@dataclass(eq=False, slots=True)
class Client:
    """Somebody who was let in with these tokens, or with a key. Once dismissed they are told nothing more."""

    user_id: str
    token_ids: Sequence[str]
    dismissed: bool = False

    def is_welcome(self) -> bool:
        return not self.dismissed


class Clients:
    """Those of one process."""

    def __init__(self) -> None:
        self._here: set[Client] = set()
        self._amounts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._here)

    def of(self, user_id: str) -> int:
        return self._amounts[user_id]

    @contextmanager
    def serving(self, client: Client) -> Iterator[None]:
        """Counts a client while it holds a connection."""
        with self._lock:
            self._here.add(client)
            self._amounts[client.user_id] += 1
        try:
            yield
        finally:
            with self._lock:
                self._here.discard(client)
                self._amounts[client.user_id] -= 1
                if not self._amounts[client.user_id]:
                    del self._amounts[client.user_id]

    def dismiss(self) -> None:
        """Marks those who were signed out or disabled since they came, or whose key was revoked: a request is asked about once, a stream lasts."""
        with self._lock:
            here = list(self._here)
        if not here:
            return
        let_in_with = {token_id for client in here for token_id in client.token_ids}
        ended = tokens.ended({client.user_id for client in here}, let_in_with) | api_keys.ended(let_in_with)
        for client in here:
            if not ended.isdisjoint((("user", client.user_id), *(("token", token_id) for token_id in client.token_ids))):
                client.dismissed = True

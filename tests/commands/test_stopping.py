"""The service as shipped is told to stop while clients call: whoever has connected is answered, whoever comes later is refused at once."""

from __future__ import annotations

import http.client
import os
import signal
import threading
import time
from collections import Counter

import pytest

from bench.streams import free_port, served_under

CLIENTS = 12
# As whoever runs a service should: without privileges. Linux does not let them do all that root's may.
PLAIN = ("setpriv", "--bounding-set=-all", "--inh-caps=-all") if os.geteuid() == 0 else ()


def call(port: int, said: Counter[str], done: threading.Event) -> None:
    """One request after another, each on a connection of its own, until nobody listens any more."""
    while not done.is_set():
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        try:
            connection.connect()
        except OSError:
            said["refused"] += 1
            return
        try:
            connection.request("GET", "/readyz")
            said[str(connection.getresponse().status)] += 1
        except (OSError, http.client.HTTPException) as error:
            said[f"lost: {error!r}"] += 1
        finally:
            connection.close()


@pytest.mark.parametrize("under", [pytest.param(PLAIN, id="without privileges"), pytest.param((), id="as it comes")])
def test_nobody_who_has_connected_is_turned_away_when_the_service_stops(empty_database: str, under: tuple[str, ...]) -> None:
    said, done, port = Counter[str](), threading.Event(), free_port()
    with served_under(under, port, DATABASE_URL=empty_database, LOG_LEVEL="error") as pid:
        clients = [threading.Thread(target=call, args=(port, said, done)) for _ in range(CLIENTS)]
        for client in clients:
            client.start()
        time.sleep(0.5)
        os.kill(pid, signal.SIGTERM)
        for client in clients:
            client.join(15)
        done.set()
    assert said["200"] > CLIENTS
    assert set(said) == {"200", "refused"}, said

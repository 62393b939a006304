"""Twenty that guess passwords of made-up accounts, a process of their own: python -m tests.faults.parts.guessing PORT SECONDS ADDRESSES."""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections import Counter
from contextlib import suppress

from tests.faults.parts.nginx import ADDRESS

AT_ONCE = 20


async def guess(port: int, seconds: float, addresses: int) -> Counter[str]:
    """How many were answered with which status."""
    chance, statuses = random.Random(7), Counter[str]()
    ends_at = asyncio.get_running_loop().time() + seconds

    async def one() -> None:
        while asyncio.get_running_loop().time() < ends_at:
            body = f"username=user{chance.randrange(10_000)}&password=guess{chance.random()}".encode()
            head = f"POST /auths/login HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{ADDRESS}: 198.51.100.{chance.randrange(addresses)}\r\n"
            head += f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n"
            with suppress(OSError):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(head.encode() + body)
                said = (await reader.read()).lower()
                writer.close()
                status = said.split(b" ", 2)[1].decode() if said else "none"
                statuses[status + ("" if status not in ("429", "503") or b"\r\nretry-after:" in said else " without Retry-After")] += 1

    await asyncio.gather(*(one() for _ in range(AT_ONCE)))
    return statuses


if __name__ == "__main__":
    print(json.dumps(asyncio.run(guess(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])))))  # noqa: T201

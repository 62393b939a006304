"""One machine with one instance of the service: settings of deploy/chatsvc.env.example, the command of deploy/systemd/chatsvc@.service."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from bench.streams import SECRET
from config import ROOT
from tests.cluster.network import Net
from tests.cluster.programs import Program
from tests.cluster.servers import DEPLOY, NAME

FIXED = ("MALLOC_ARENA_MAX", "GLIBC_TUNABLES")


class Host(Program):
    """Its release is the folder that it is started from."""

    def __init__(self, net: Net, machine: str, folder: Path, *, port: int, release: Path = ROOT, **settings: str) -> None:
        command = [sys.executable, "-m", "gunicorn", "--config", "gunicorn.conf.py", "wsgi:app"]
        super().__init__(net, machine, folder, command, port=port)
        self.cwd = release
        lines = (DEPLOY / "chatsvc.env.example").read_text().splitlines()
        example = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
        self.environ = {
            **os.environ,
            **example,
            **of_the_unit(),
            "HOST": self.address,
            "PORT": str(port),
            "PUBLIC_URL": f"https://{NAME}",
            "CHAT_INSTANCE_PATH": str(folder),
            "JWT_SECRET_KEY": SECRET,
            "CHAT_ENCRYPTION_KEY": SECRET[::-1],
            "WEBHOOK_ALLOW_NETWORKS": net.network,
            **settings,
        }

    @property
    def place(self) -> str:
        return f"{self.address}:{self.port}"

    def flask(self, *words: str, **settings: str) -> str:
        """A command of its release."""
        return self.run([sys.executable, "-m", "flask", *words], **{**(self.environ or {}), **settings})


def of_the_unit() -> dict[str, str]:
    """What the unit sets beside the file of settings."""
    text = (DEPLOY / "systemd/chatsvc@.service").read_text()
    found = dict(pair.split("=", 1) for line in re.findall(r"^Environment=(.*)$", text, re.MULTILINE) for pair in line.split())
    return {name: found[name] for name in FIXED}

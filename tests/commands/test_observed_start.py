"""What the start of a service does so that its processes count together, and what it must not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from config import ROOT
from tests import factories

MASTER = """
import sys, types
conf = types.ModuleType("conf")
exec(compile(open("gunicorn.conf.py").read(), "gunicorn.conf.py", "exec"), conf.__dict__)
conf.on_starting(None)
print(conf.bind, [name for name in ("chatsvc", "flask", "sqlalchemy", "psycopg2") if name in sys.modules])
"""


def start(folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    secrets = {"JWT_SECRET_KEY": factories.SECRET, "CHAT_ENCRYPTION_KEY": factories.ENCRYPTION_KEY, "METRICS_TOKEN": factories.METRICS_TOKEN}
    environ = {**os.environ, **secrets, "CHAT_INSTANCE_PATH": str(folder / "instance"), **settings}
    return subprocess.run([sys.executable, "-c", MASTER], cwd=ROOT, env=environ, capture_output=True, text=True, check=False)


def test_the_master_makes_the_folder_ready_and_loads_nothing_of_the_service(tmp_path: Path) -> None:
    """Greenlets have to be in place before anything is loaded, and a worker is a copy of the master."""
    done = start(tmp_path, DATABASE_URL="postgresql://nobody@127.0.0.1:9/nothing", METRICS_PORT="9464")
    assert (done.returncode, done.stdout) == (0, "['127.0.0.1:8000', '127.0.0.1:9464'] []\n"), done.stderr
    assert (tmp_path / "instance/metrics/8000/held").exists()


def test_a_folder_that_cannot_be_written_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = start(tmp_path, METRICS_DIR=str(tmp_path / "file" / "within"))
    assert done.returncode != 0
    assert "METRICS_DIR cannot be written (Not a directory); name a folder that can." in done.stderr


def test_where_nobody_may_look_nothing_is_kept(tmp_path: Path) -> None:
    strong = "9fKq2-Lw81x_Zr7TbnV0-pYd4Hs6Gm3Jc"
    done = start(tmp_path, CHAT_ENV="production", METRICS_TOKEN="", JWT_SECRET_KEY=strong, CHAT_ENCRYPTION_KEY=strong)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "instance/metrics").exists()

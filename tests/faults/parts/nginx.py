"""nginx in front of one service or several, as docs/reliability.md advises it, in a folder and on a port of a run's own."""

from __future__ import annotations

import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.streams import free_port
from bench.tools import tool

# All callers are on this machine; a run that needs several addresses names them in this header, which only this nginx believes.
ADDRESS = "X-Test-Address"
CONFIG = """
{user}pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
worker_processes 2;
worker_rlimit_nofile 20000;
events {{ worker_connections 8000; }}
http {{
  access_log off;
  {temporary}
  set_real_ip_from 127.0.0.1;
  real_ip_header {address};
  client_max_body_size 1m;
  client_header_timeout 10s;
  client_body_timeout 10s;
  send_timeout 10s;
  reset_timedout_connection on;
  keepalive_timeout 60s;
  limit_req_zone $binary_remote_addr zone=each:10m rate=50r/s;
  limit_req_status 429;
  upstream chatsvc {{
    {servers}
    keepalive 64;
    keepalive_timeout 15s;
  }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      {limits}
      proxy_pass http://chatsvc;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_connect_timeout 2s;
      proxy_read_timeout 90s;
      proxy_next_upstream error timeout;
      proxy_next_upstream_tries 2;
      {buffering}
    }}
  }}
}}
"""
LIMITS = "limit_req zone=each burst=100 nodelay; error_page 429 = @enough;"
# A refusal of nginx's own says when to come back, as one of the service does.
ENOUGH = """
    location @enough { default_type application/json; add_header Retry-After 1 always; return 429 '{"detail": "Too many requests. Wait, then try again"}'; }
"""


@contextmanager
def nginx(ports: Sequence[int], *, buffering: bool = True, limited: bool = False) -> Iterator[int]:
    """The port to call. `limited` lets each address ask fifty times a second."""
    port = free_port()
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        text = CONFIG.format(
            user="user root;\n" if os.geteuid() == 0 else "",
            folder=folder,
            temporary="".join(f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")),
            address=ADDRESS,
            servers="\n    ".join(f"server 127.0.0.1:{one} max_fails=1 fail_timeout=1s;" for one in ports),
            port=port,
            limits=LIMITS if limited else "",
            buffering="" if buffering else "proxy_buffering off;",
        )
        if limited:
            text = text.replace("    location / {", f"{ENOUGH}    location / {{")
        (folder / "nginx.conf").write_text(text)
        process = subprocess.Popen([tool("nginx"), "-c", str(folder / "nginx.conf"), "-p", name, "-g", "daemon off;"])
        try:
            _until_it_answers(port, process)
            yield port
        finally:
            process.terminate()
            process.wait(20)


def _until_it_answers(port: int, process: subprocess.Popen[bytes]) -> None:
    ends_at = time.monotonic() + 20
    while time.monotonic() < ends_at and process.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5).close()
        except urllib.error.HTTPError:
            return  # it answers, whatever it says
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit("nginx did not start")

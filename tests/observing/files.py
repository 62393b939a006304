"""The files for those who watch over the service, and the expressions in them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DASHBOARD = ROOT / "deploy/grafana/chatsvc.json"
PROMETHEUS = ROOT / "deploy/prometheus"
METRIC = re.compile(r"\bchatsvc_[a-z0-9_]+\b")
LABELS = re.compile(r"\b(chatsvc_[a-z0-9_]+)\{([^}]*)\}")
MATCHER = re.compile(r"([a-z_]+)(?:=|!=|=~|!~)\"")


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(DASHBOARD.read_text())
    return found


def panels() -> list[dict[str, Any]]:
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def shown() -> Iterator[str]:
    """Every expression of the dashboard, with its variables filled in."""
    for panel in panels():
        for target in panel["targets"]:
            yield target["expr"].replace("$__rate_interval", "1m").replace("$job", "chatsvc").replace("$instance", ".*")


def alerts() -> dict[str, str]:
    """Every rule's expression. Read line by line: a rule begins with its name, and its expression ends where the next key begins."""
    found: dict[str, str] = {}
    for block in (PROMETHEUS / "alerts.yml").read_text().split("- alert: ")[1:]:
        name, _, rest = block.partition("\n")
        expression = re.split(r"\n\s+(?:for|labels|annotations):", rest.partition("expr:")[2])[0]
        found[name] = " ".join(expression.removeprefix(" |").split())
    return found

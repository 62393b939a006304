"""Requests per second as bars: one group per kind, one bar per server. SVG that is legible on light and on dark pages."""

from __future__ import annotations

from html import escape
from pathlib import Path

COLOURS = ("#2a78c2", "#b8782a", "#7a7a8c")
WIDTH, TOP, LINE, GAP, LEFT, RIGHT = 760, 46, 20, 16, 70, 190
STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#333}.head{font-weight:600;font-size:15px}.value{font-variant-numeric:tabular-nums}"
    "@media (prefers-color-scheme:dark){text{fill:#ddd}}"
)


def bars(title: str, groups: dict[str, dict[str, tuple[float, str]]]) -> str:
    """Each group's bars by name: length and label. All bars have one scale."""
    longest = max(value for group in groups.values() for value, _ in group.values())
    colour = dict(zip(dict.fromkeys(name for group in groups.values() for name in group), COLOURS, strict=False))
    parts, y = [f'<text class="head" x="8" y="22">{escape(title)}</text>'], TOP
    for kind, group in groups.items():
        parts.append(f'<text x="8" y="{y + LINE * len(group) / 2 + 4:g}">{escape(kind)}</text>')
        for name, (value, label) in group.items():
            long = (WIDTH - LEFT - RIGHT) * value / longest
            parts.append(f'<rect x="{LEFT}" y="{y}" width="{long:.1f}" height="{LINE - 3}" rx="2" fill="{colour[name]}"/>')
            parts.append(f'<text class="value" x="{LEFT + long + 6:.1f}" y="{y + 13}">{escape(label)}</text>')
            y += LINE
        y += GAP
    box = f'viewBox="0 0 {WIDTH} {y}" width="{WIDTH}" height="{y}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {box} role="img" aria-label="{escape(title)}"><style>{STYLE}</style>{"".join(parts)}</svg>\n'


def write(path: Path, title: str, groups: dict[str, dict[str, tuple[float, str]]]) -> None:
    path.write_text(bars(title, groups))

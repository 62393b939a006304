"""Numbers in the form that Prometheus reads (text format 0.0.4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from chatsvc.core.tally import Key

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
ESCAPED = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


@dataclass(frozen=True, slots=True)
class Family:
    """A metric: its name, what kind of thing it is, what it is for; of a histogram also the upper bounds."""

    name: str
    kind: str
    about: str
    bounds: Sequence[float] = ()


def text(families: Iterable[Family], numbers: Mapping[Key, float]) -> bytes:
    """All of these numbers, under their families; a family without numbers is left out."""
    by_name: dict[str, list[tuple[tuple[tuple[str, str], ...], float]]] = {}
    for key, value in numbers.items():
        by_name.setdefault(key.name, []).append((key.labels, value))
    lines: list[str] = []
    for family in families:
        samples = _histogram(family, by_name) if family.bounds else [(family.name, labels, value) for labels, value in sorted(by_name.get(family.name, ()))]
        if samples:
            lines += [f"# HELP {family.name} {family.about}", f"# TYPE {family.name} {family.kind}"]
            lines += [f"{name}{_labels(labels)} {_number(value)}" for name, labels, value in samples]
    return "\n".join([*lines, ""]).encode()


def _histogram(
    family: Family, by_name: Mapping[str, Sequence[tuple[tuple[tuple[str, str], ...], float]]]
) -> list[tuple[str, tuple[tuple[str, str], ...], float]]:
    """The buckets are counted apart and told as Prometheus wants them: each with all below it."""
    counted: dict[tuple[tuple[str, str], ...], dict[str, float]] = {}
    for labels, value in by_name.get(f"{family.name}_bucket", ()):
        counted.setdefault(labels[:-1], {})[labels[-1][1]] = value
    sums = dict(by_name.get(f"{family.name}_sum", ()))
    samples = []
    for labels, buckets in sorted(counted.items()):
        total = 0.0
        for bound in (*(_number(one) for one in family.bounds), "+Inf"):
            total += buckets.get(bound, 0.0)
            samples.append((f"{family.name}_bucket", (*labels, ("le", bound)), total))
        samples.append((f"{family.name}_sum", labels, sums.get(labels, 0.0)))
        samples.append((f"{family.name}_count", labels, total))
    return samples


def _labels(labels: Sequence[tuple[str, str]]) -> str:
    return "{" + ",".join(f'{name}="{value.translate(ESCAPED)}"' for name, value in labels) + "}" if labels else ""


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() and abs(value) < 2**53 else repr(float(value))

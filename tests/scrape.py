"""A scrape, read as Prometheus reads it."""

from __future__ import annotations

from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

Labels = frozenset[tuple[str, str]]


@dataclass
class Scrape:
    text: str

    def __post_init__(self) -> None:
        self.families = {family.name: family for family in text_string_to_metric_families(self.text)}
        samples = [sample for family in self.families.values() for sample in family.samples]
        self.samples: dict[tuple[str, Labels], float] = {(sample.name, frozenset(sample.labels.items())): sample.value for sample in samples}
        assert len(self.samples) == len(samples), "a number is told twice"

    @property
    def names(self) -> set[str]:
        return {name for name, _ in self.samples}

    def sum(self, name: str, **labels: str) -> float:
        """Of all numbers of this name that have these labels, and maybe others."""
        return sum(value for (found, its), value in self.samples.items() if found == name and frozenset(labels.items()) <= its)

    def values(self, name: str, label: str) -> set[str]:
        return {dict(labels)[label] for found, labels in self.samples if found == name}

"""What Prometheus would read at `/metrics`."""

from collections.abc import Mapping

from prometheus_client.parser import text_string_to_metric_families

from system import System

__all__ = ["Scrape", "scrape"]

Labels = frozenset[tuple[str, str]]


class Scrape:
    """The samples of one scrape. `value(name, **labels)` adds up all that bear these labels (and maybe others)."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.samples: dict[tuple[str, Labels], float] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                key = sample.name, frozenset(sample.labels.items())
                assert key not in self.samples, f"twice: {key}"
                self.samples[key] = sample.value

    def value(self, name: str, **labels: str) -> float:
        wanted = set(labels.items())
        return sum(value for (found, had), value in self.samples.items() if found == name and wanted <= had)

    def names(self) -> set[str]:
        return {name for name, _ in self.samples}

    def labels(self, name: str) -> set[Labels]:
        return {had for found, had in self.samples if found == name}

    def since(self, before: "Scrape") -> "Scrape":
        """How much each sample grew."""
        grown = Scrape("")
        grown.samples = {key: value - before.samples.get(key, 0) for key, value in self.samples.items()}
        return grown


async def scrape(system: System, headers: Mapping[str, str] | None = None) -> Scrape:
    """One scrape of the API."""
    async with system.http.get(f"{system.api_url}/metrics", headers=headers) as response:
        assert response.status == 200, response.status
        assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        return Scrape(await response.text())

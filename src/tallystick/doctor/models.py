"""What the doctor looks at and what is found."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

__all__ = ["Check", "Finding", "Report", "Result", "Status", "fail", "ok", "skip", "warn"]


class Status(StrEnum):
    """How a check ended. Only `fail` makes a report bad."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check has seen, and what to do about it where something is not as it should be."""

    status: Status
    found: str
    todo: str | None = None


Look: TypeAlias = Callable[[], Awaitable[Finding]]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to look at; `needs` names the checks without which there is nothing to see.

    `timeout_s` is for one that takes longer than others.
    """

    group: str
    name: str
    title: str
    look: Look
    needs: tuple[str, ...] = ()
    timeout_s: float | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """A check that was made; `name` is stable."""

    group: str
    name: str
    title: str
    status: Status
    found: str
    todo: str | None
    took_ms: int


@dataclass(frozen=True, slots=True)
class Report:
    """All checks, in their order."""

    results: tuple[Result, ...]

    @property
    def counts(self) -> dict[str, int]:
        """How many checks ended how."""
        return {status.value: sum(1 for result in self.results if result.status is status) for status in Status}

    @property
    def healthy(self) -> bool:
        """Whether nothing has failed."""
        return self.counts[Status.FAIL] == 0


def ok(found: str) -> Finding:
    return Finding(Status.OK, found)


def warn(found: str, todo: str) -> Finding:
    return Finding(Status.WARN, found, todo)


def fail(found: str, todo: str) -> Finding:
    return Finding(Status.FAIL, found, todo)


def skip(found: str) -> Finding:
    return Finding(Status.SKIPPED, found)

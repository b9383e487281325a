"""Many seeds one after the other, with a state from which a later run goes on."""

import hashlib
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

import tallystick
from tallystick.platform.migrate import head_revision
from tallystick.simulation.play import Outcome

__all__ = ["Campaign", "Progress", "Tally", "parse_seeds"]


class Tally(msgspec.Struct, kw_only=True):
    """What was done of one version of the program. `met` counts actions by the faults that struck during them."""

    version: str
    steps_each: int
    held: dict[int, int] = {}
    """Steps by seed."""
    failed: dict[int, list[str]] = {}
    steps: int = 0
    checks: int = 0
    took_s: float = 0.0
    actions: dict[str, int] = {}
    answers: dict[str, int] = {}
    met: dict[str, dict[str, int]] = {}

    def take(self, outcome: Outcome) -> None:
        """Count one more story."""
        self.steps += outcome.steps
        self.checks += outcome.checks
        self.took_s += outcome.took_s
        self.actions = dict(Counter(self.actions) + outcome.actions)
        self.answers = dict(Counter(self.answers) + outcome.answers)
        for (action, fault), count in outcome.met.items():
            row = self.met.setdefault(action, {})
            row[fault] = row.get(fault, 0) + count
        seed = outcome.story.seed
        self.failed.pop(seed, None)
        if outcome.held:
            self.held[seed] = outcome.steps
        else:
            self.failed[seed] = [str(one) for one in outcome.failures]

    def summary(self) -> dict[str, Any]:
        """The same as JSON, with the speed."""
        return {
            **msgspec.to_builtins(self, str_keys=True),
            "seeds_held": len(self.held),
            "steps_per_second": round(self.steps / self.took_s, 2) if self.took_s else None,
        }


class Campaign:
    """The tally of many stories of one length, kept in a file where one is named."""

    def __init__(self, steps_each: int, state: Path | None = None) -> None:
        self._state = state
        self.tally = self._load(steps_each) or Tally(version=_this(), steps_each=steps_each)

    def left(self, seeds: Iterable[int]) -> list[int]:
        """Those that were not played to a good end by this version yet."""
        return [seed for seed in seeds if seed not in self.tally.held]

    def take(self, outcome: Outcome) -> None:
        """Count it, and remember so."""
        self.tally.take(outcome)
        if self._state is not None:
            fresh = self._state.with_suffix(".new")
            fresh.write_bytes(msgspec.json.format(msgspec.json.encode(self.tally), indent=1))
            fresh.replace(self._state)

    def _load(self, steps_each: int) -> Tally | None:
        if self._state is None:
            return None
        with suppress(FileNotFoundError):
            tally = msgspec.json.decode(self._state.read_bytes(), type=Tally)
            if (tally.version, tally.steps_each) == (_this(), steps_each):
                return tally
        return None


@cache
def _this() -> str:
    """The program with its source: what held before a change need not hold after it."""
    source = hashlib.sha256()
    for path in sorted(Path(tallystick.__file__).parent.rglob("*.py")):
        source.update(path.read_bytes())
    return f"{version('tallystick')}, schema {head_revision()}, source {source.hexdigest()[:12]}"


def parse_seeds(text: str) -> Sequence[int]:
    """`7`, `1-300` or `1-20,44`. Raises ValueError for anything else."""
    found: list[int] = []
    for part in text.split(","):
        seeds = re.fullmatch(r"(\d+)(?:-(\d+))?", part)
        if seeds is None:
            raise ValueError(f"no seeds: {part!r}; name some like 1-300 or 1-20,44")
        found += range(int(seeds[1]), int(seeds[2] or seeds[1]) + 1)
    if not found:
        raise ValueError(f"no seeds: {text!r}")
    return found


class Progress:
    """How far it is, in one line now and then."""

    def __init__(self, total: int, write: Callable[[str], None]) -> None:
        self._total = total
        self._write = write
        self._began = time.monotonic()
        self._done = 0

    def seed_done(self, outcome: Outcome) -> None:
        """One more is done."""
        self._done += 1
        per_seed = (time.monotonic() - self._began) / self._done
        left_s = per_seed * (self._total - self._done)
        how = "held" if outcome.held else f"FAILED at step {outcome.failed_at or 'the end'}"
        self._write(
            f"{self._done}/{self._total} seed {outcome.story.seed}: {outcome.steps} steps in {outcome.took_s:.1f} s, "
            f"{how}; {left_s / 60:.0f} min left"
        )

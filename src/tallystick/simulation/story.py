"""Stories: what happens to one world, step by step, drawn from a seed or read from a file.

Each step has a seed of its own, so that leaving one out changes nothing about the others.
"""

import random
from collections.abc import Sequence
from pathlib import Path

import msgspec

from tallystick.sandbox.versions import NEWEST, OLDEST
from tallystick.simulation.actions import ACTIONS
from tallystick.simulation.faults import FAULTS

__all__ = ["QUIET", "Setting", "Step", "Story", "draw", "load", "save"]

QUIET = "quiet"
USERS = ("ann", "bob", "cid", "dot", "eve", "fay")
_QUIET_EVERY = 30
_FAULTY = 0.4
_TOGETHER = 0.5


class Setting(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The world of a story; `settings` are environment variables of the application."""

    api_version: str
    webhook_version: str
    workers: int
    settings: dict[str, str] = {}


class Step(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One step: what `user` does, at once with the step before it (`together`), and how the world misbehaves then."""

    number: int
    action: str
    user: str
    seed: int
    together: bool = False
    fault: str | None = None


class Story(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of it."""

    seed: int
    setting: Setting
    steps: list[Step]

    def only(self, steps: Sequence[Step]) -> "Story":
        """The same story with fewer steps."""
        return msgspec.structs.replace(self, steps=list(steps))


def draw(seed: int, steps: int) -> Story:
    """The story of this seed; a longer one begins as a shorter one does."""
    rng = random.Random(f"story {seed}")
    setting = _setting(rng)
    return Story(seed=seed, setting=setting, steps=[_step(seed, number) for number in range(1, steps + 1)])


def _setting(rng: random.Random) -> Setting:
    several = rng.random() < 0.15
    changes = {
        "ALLOW_MULTIPLE_SUBSCRIPTIONS": "true" if several else "false",
        "TRIAL_END_WITHOUT_CARD": rng.choice(("cancel", "pause", "create_invoice")),
        "DUNNING_MODE": rng.choice(("stripe", "stripe", "local")),
        "GRACE_PERIOD_DAYS": rng.choice(("0", "3", "5")),
        "PRORATION_BEHAVIOR": rng.choice(("create_prorations", "always_invoice", "none")),
    }
    return Setting(
        api_version=rng.choice((OLDEST, NEWEST)),
        webhook_version=rng.choice((OLDEST, NEWEST)),
        workers=rng.choice((1, 1, 2)),
        settings=changes,
    )


def _step(seed: int, number: int) -> Step:
    rng = random.Random(f"step {seed} {number}")
    own = rng.getrandbits(32)
    if number % _QUIET_EVERY == 0:
        return Step(number=number, action=QUIET, user="", seed=own)
    action = rng.choices(list(ACTIONS), [one.weight for one in ACTIONS.values()])[0]
    fault = rng.choices(list(FAULTS), [one.weight for one in FAULTS.values()])[0] if rng.random() < _FAULTY else None
    together = not ACTIONS[action].alone and rng.random() < _TOGETHER
    return Step(number=number, action=action, user=rng.choice(USERS), seed=own, together=together, fault=fault)


def save(story: Story, path: Path) -> None:
    """Write it so that `load` finds the same; one step a line."""
    head = msgspec.json.encode(story.only([])).decode().removesuffix("[]}")
    lines = ",\n  ".join(msgspec.json.encode(step).decode() for step in story.steps)
    path.write_text(f"{head}[\n  {lines}\n]}}\n", encoding="utf-8")


def load(path: Path) -> Story:
    """Raises OSError, and msgspec.MsgspecError for what is no story."""
    return msgspec.json.decode(path.read_bytes(), type=Story)

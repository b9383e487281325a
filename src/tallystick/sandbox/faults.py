"""Faults on request: how the sandbox misbehaves, so that its callers can prove they cope.

Rules live in memory only: a restarted sandbox behaves well.
"""

import random
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal, TypeAlias

import msgspec

__all__ = ["ApiFault", "EventFault", "Fault", "Faults", "Planned", "WebhookFault"]


class ApiFault(msgspec.Struct, tag_field="target", tag="api", kw_only=True, forbid_unknown_fields=True):
    """A fault of `/v1` requests whose method and path fit.

    `kind`: `status` answers `status` with Stripe's error body; `slow` waits `delay_s`; `cut` closes the
    connection without an answer; `hang` never answers; `garbage` answers 200 with something else than JSON.
    `when` is `before` the effect, or `after` it: then the change is committed and its answer saved under the
    idempotency key, so that a repeat with the same key replays it. `times` None means until deleted.
    """

    kind: Literal["status", "slow", "cut", "hang", "garbage"]
    method: str = "*"
    path: str = "/v1/*"
    when: Literal["before", "after"] = "before"
    status: int = 500
    delay_s: float = 1.0
    times: int | None = 1
    probability: float = 1.0
    seed: int | None = None
    id: str = ""
    hits: int = 0


class WebhookFault(msgspec.Struct, tag_field="target", tag="webhook", kw_only=True, forbid_unknown_fields=True):
    """A fault of webhook deliveries whose event type fits `type`.

    `kind`: `duplicate` sends `copies` in all; `delay` sends `delay_s` late; `drop` never sends; `shuffle`
    holds events back for `window_s` and sends them in random order; `api_version` renders the payload in
    `api_version`. `times` counts deliveries; None means until deleted.
    """

    kind: Literal["duplicate", "delay", "drop", "shuffle", "api_version"]
    type: str = "*"
    copies: int = 2
    delay_s: float = 5.0
    window_s: float = 1.0
    api_version: str | None = None
    times: int | None = 1
    probability: float = 1.0
    seed: int | None = None
    id: str = ""
    hits: int = 0


class EventFault(msgspec.Struct, tag_field="target", tag="event", kw_only=True, forbid_unknown_fields=True):
    """Events whose type fits `type` are listed by `GET /v1/events` only `delay_s` of business time after they happened,
    while later ones are listed at once. `times` does not count here: it holds until deleted."""

    kind: Literal["late"]
    type: str = "*"
    delay_s: float = 30.0
    times: int | None = None
    probability: float = 1.0
    seed: int | None = None
    id: str = ""
    hits: int = 0


@dataclass(frozen=True, slots=True)
class Planned:
    """One delivery to be made: when, in which version if not the endpoint's, and whether it gets lost."""

    due_at: float
    version: str | None = None
    dropped: bool = False


Fault: TypeAlias = ApiFault | WebhookFault | EventFault


class Faults:
    """The rules in force."""

    def __init__(self) -> None:
        self._rules: dict[str, Fault] = {}
        self._random: dict[str, random.Random] = {}
        self._windows: dict[str, float] = {}
        self._count = 0

    def add(self, rule: Fault) -> Fault:
        """Put a rule in force under a new id."""
        self._count += 1
        rule.id = f"fault_{self._count}"
        rule.hits = 0
        self._rules[rule.id] = rule
        self._random[rule.id] = random.Random(rule.seed)
        return rule

    def all(self) -> list[Fault]:
        """The rules in force, oldest first."""
        return list(self._rules.values())

    def remove(self, rule_id: str | None = None) -> None:
        """Take back one rule, or all."""
        for known in [rule_id] if rule_id else list(self._rules):
            self._rules.pop(known, None)
            self._random.pop(known, None)
            self._windows.pop(known, None)

    def request(self, method: str, path: str) -> ApiFault | None:
        """The fault this request meets, which counts as one of its times."""
        for rule in self._rules.values():
            if (
                isinstance(rule, ApiFault)
                and fnmatchcase(method, rule.method)
                and fnmatchcase(path, rule.path)
                and self._strikes(rule)
            ):
                return rule
        return None

    def deliveries(self, kind: str, now: float) -> list[Planned]:
        """What becomes of one delivery of an event of this type: usually the one, due now."""
        if not self._rules:
            return [Planned(now)]
        due, copies, version, dropped = now, 1, None, False
        for rule in list(self._rules.values()):
            if not (isinstance(rule, WebhookFault) and fnmatchcase(kind, rule.type) and self._strikes(rule)):
                continue
            if rule.kind == "duplicate":
                copies = rule.copies
            elif rule.kind == "delay":
                due += rule.delay_s
            elif rule.kind == "shuffle":
                due = self._shuffled(rule, now)
            elif rule.kind == "api_version":
                version = rule.api_version
            else:
                dropped = True
        return [Planned(due, version, dropped) for _ in range(copies)]

    def _shuffled(self, rule: WebhookFault, now: float) -> float:
        end = self._windows.get(rule.id, 0.0)
        if end <= now:
            end = self._windows[rule.id] = now + rule.window_s
        # Deliveries leave in the order of their due moment, so a random fraction is a random order.
        return end + self._random[rule.id].random() * 0.05 if rule.id in self._random else end

    def hidden(self, kind: str) -> float:
        """For how long after it happened an event of this type is not listed."""
        rules = [rule for rule in self._rules.values() if isinstance(rule, EventFault) and fnmatchcase(kind, rule.type)]
        return max((rule.delay_s for rule in rules), default=0.0)

    def _strikes(self, rule: Fault) -> bool:
        if rule.times is not None and rule.hits >= rule.times:
            return False
        if rule.probability < 1.0 and self._random[rule.id].random() >= rule.probability:
            return False
        rule.hits += 1
        return True

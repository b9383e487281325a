"""What staff are told: from a kind of alert and its facts to a title, a table and what to do."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tallystick.notifications.addresses import printable
from tallystick.notifications.formats import Formats
from tallystick.notifications.locales import Translate
from tallystick.notifications.silence import is_silent
from tallystick.platform.database import Transaction
from tallystick.platform.logging import scrub
from tallystick.platform.work import enqueue

__all__ = ["ALERT_PREFIX", "AlertView", "alert_context", "describe_alert", "queue_alert"]

ALERT_PREFIX = "alert."
# The table's order: what happened to what, then why. Other facts follow by name (JSON columns keep no order).
_ORDER = (
    "event_type",
    "event_id",
    "user",
    "customer",
    "other_customer",
    "subscription",
    "other_subscription",
    "invoice",
    "webhook_endpoint",
    "failing_since",
    "missing_from",
    "missing_until",
    "dispute",
    "refund",
    "payment_id",
    "object_key",
    "amount",
    "reason",
    "due_by",
    "mail_id",
    "template",
    "error",
)
# The texts of an incident say these themselves.
_IN_TEXT = frozenset({"alert", "what", "todo"})
_MOMENTS = frozenset({"due_by", "failing_since", "missing_from", "missing_until"})


@dataclass(frozen=True, slots=True)
class AlertView:
    """An alert in one language; `facts` are pairs of label and value."""

    title: str
    intro: str
    facts: tuple[tuple[str, str], ...]
    action: str


async def queue_alert(tx: Transaction, kind: str, about: str, facts: Mapping[str, Any], *, due_at: datetime) -> None:
    """Have staff told, once, of the kind `kind` (`dispute`) about the object `about`; nobody, in silence."""
    if not is_silent():
        name = f"{ALERT_PREFIX}{kind}"
        await enqueue(tx, name, f"{name}:{about}", facts, due_at=due_at)


def alert_context(kind: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """The context of a `staff_alert` mail for a work item of the kind `alert.<something>`."""
    facts = dict(payload)
    if isinstance(facts.get("error"), str):
        # Errors quote what they failed on: keys, addresses and card numbers do not belong in a mail.
        facts["error"] = scrub(facts["error"])
    return {"kind": kind.removeprefix(ALERT_PREFIX), "facts": facts}


def describe_alert(
    context: Mapping[str, Any], translate: Translate, has: Callable[[str], bool], formats: Formats
) -> AlertView:
    """The alert as a person reads it. A kind that has no texts of its own gets general ones."""
    kind, payload = str(context["kind"]), context["facts"]
    section = kind if has(f"{kind}.title") else "other"
    values = {name: printable(str(value), 200) for name, value in payload.items()} | {"kind": kind}
    # The rules of the incidents we know are told in the reader's language.
    for name in ("what", "todo"):
        if has(key := f"rule.{payload.get('alert')}.{name}"):
            values[name] = translate(key)
    facts = []
    for name in sorted(payload, key=lambda name: (_ORDER.index(name) if name in _ORDER else len(_ORDER), name)):
        value = _value(name, payload, formats)
        if value and name not in _IN_TEXT and not (name == "currency" and "amount" in payload):
            label = translate(f"fact.{name}") if has(f"fact.{name}") else name.replace("_", " ").capitalize()
            facts.append((label, value))
    return AlertView(
        title=translate(f"{section}.title", **values),
        intro=translate(f"{section}.intro", **values),
        facts=tuple(facts),
        action=translate(f"{section}.action", **values),
    )


def _value(name: str, payload: Mapping[str, Any], formats: Formats) -> str | None:
    value = payload[name]
    if value is None:
        return None
    if name == "amount" and payload.get("currency"):
        return formats.money(int(value), str(payload["currency"]))
    if name in _MOMENTS and isinstance(value, str):
        return formats.moment(value)
    return printable(str(value), 500)

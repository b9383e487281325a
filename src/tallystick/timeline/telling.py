"""What a row says in a few words. Pure."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from tallystick.core.currencies import CURRENCIES
from tallystick.core.money import format_money
from tallystick.timeline.models import Entry, EntryKind, Place

__all__ = ["short_id", "tell"]

Details = Mapping[str, Any]

_LONG_ID = re.compile(r"\b([a-z]{2,6}(?:_sched)?)_[A-Za-z0-9]{12,}")
_DAY = re.compile(r"\b(\d{4}-\d{2}-\d{2})T\d{2}:\d{2}:\d{2}Z")
# What a person can do without: it follows from the rest, or says little.
_QUIET = frozenset({"billing_cycle_anchor", "cancellation_feedback", "collection_method"})


def short_id(text: str) -> str:
    """Stripe's ids in a text, by their prefix and last four characters."""
    return _LONG_ID.sub(lambda found: f"{found[1]}_…{found[0][-4:]}", text)


def tell(kind: EntryKind, place: Place, details: Details, names: Mapping[str, str]) -> Entry:
    """An entry; `names` are Stripe's ids of what the subject consists of, by ours."""
    about = str(details.get("subject_id") or details.get("object_key") or "")
    return Entry(
        at=place.at,
        kind=kind,
        id=place.id,
        title=details["type"],
        object=details.get("object") or names.get(about) or about or None,
        state=_STATES[kind](details),
        summary=" · ".join(part for part in _WORDS[kind](details) if part),
        details={name: value for name, value in details.items() if name != "type"},
    )


def _event(details: Details) -> list[str | None]:
    amount, currency = details["amount"], details["currency"]
    money = None
    if amount and currency in CURRENCIES and re.fullmatch(r"-?\d{1,15}", amount):
        money = format_money(int(amount), currency)
    status, was = details["status"], details["was"]
    return [
        money,
        f"{was} → {status}" if was and status and was != status else status,
        f"new {details['changed']}" if details["changed"] and not was else None,
        details["why"],
        "payload dropped" if details["gone"] else None,
        None if details["source"] in ("webhook", "answer", "fetch") else f"by {details['source']}",
        details["error_message"] if details["state"] in ("dead", "parked", "discarded", "pending") else None,
    ]


def _call(details: Details) -> list[str | None]:
    return [
        _by(details["actor"]),
        details["reason"],
        details["decline_code"] or details["error_code"],
        details["stripe_request_id"],
        f"key …{details['key_tail']}",
    ]


def _change(details: Details) -> list[str | None]:
    old, new = details["old_values"] or {}, details["new_values"] or {}
    shown = [name for name in new if name not in _QUIET]
    by = _by(details["actor"])
    if details["old_values"] is None:
        begun = [_value(name, new[name]) for name in ("status", "items") if name in new]
        return [*begun, by, details["reason"]]
    return [*(f"{_name(name)} {_step(name, old.get(name), new[name])}" for name in shown), by, details["reason"]]


def _by(actor: str | None) -> str | None:
    """Who did it; whose story it is needs no name."""
    if actor is None or actor == "stripe":
        return None
    if actor == "dashboard":
        return "in the dashboard"
    return "by the user" if actor.startswith("user:") else f"by {actor}"


def _name(field: str) -> str:
    return {"items": "plan", "default_payment_method": "card", "pause_collection": "pause"}.get(
        field, field.replace("_", " ")
    )


def _step(name: str, old: Any, new: Any) -> str:
    if name == "period" and isinstance(new, Mapping):
        return f"to {_value(name, new.get('end'))}"
    return f"{_value(name, old)} → {_value(name, new)}"


def _value(name: str, value: Any) -> str:
    if value in (None, [], {}, ""):
        return "–"
    if name == "items":
        return ", ".join(_item(item) for item in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return " ".join(f"{key}={_value('', each)}" for key, each in value.items() if each is not None) or "–"
    if isinstance(value, list):
        return ", ".join(_value("", each) for each in value)
    return _DAY.sub(r"\1", short_id(str(value)))


def _item(item: Mapping[str, Any]) -> str:
    amount, currency, quantity = item.get("unit_amount"), item.get("currency"), item.get("quantity")
    price = short_id(str(item.get("price")))
    if isinstance(amount, int) and currency in CURRENCIES:
        price = f"{format_money(amount, currency)}/{item.get('interval')}"
    return f"{price} × {quantity}" if quantity is not None and quantity != 1 else price


def _access(details: Details) -> list[str | None]:
    until = _value("", details["until"])
    return [
        details["product_name"] or details["product"],
        details["access"],
        f"until {until}" if details["until"] else None,
    ]


def _webhook(details: Details) -> list[str | None]:
    found = details["deliveries"]
    if not found:
        return ["to whom is forgotten" if details["forgotten"] else "to nobody"]
    states = [delivery["state"] for delivery in found]
    counts = [(state, states.count(state)) for state in dict.fromkeys(states)]
    failed = next((delivery["error"] for delivery in found if delivery["state"] != "delivered"), None)
    named = found[0]["receiver"] if len(found) == 1 else f"{len(found)} receivers"
    return [f"to {named}", ", ".join(state if len(found) == 1 else f"{n} {state}" for state, n in counts), failed]


def _mail(details: Details) -> list[str | None]:
    return [details["subject"], details["recipient"], details["last_error"]]


def _difference(details: Details) -> list[str | None]:
    sides = f"here {_value('', details['ours'])}, at Stripe {_value('', details['stripe'])}"
    by = f"by {details['closed_by']}" if details["closed_by"] else None
    return [sides, details["cause"].replace("_", " "), by]


def _staff(details: Details) -> list[str | None]:
    return [_by(details["actor"]), details["error_code"]]


def _delivered(details: Details) -> str | None:
    states = {delivery["state"] for delivery in details["deliveries"]}
    return next((state for state in ("dead", "queued", "discarded", "delivered") if state in states), None)


def _state(details: Details) -> str | None:
    state: str | None = details["state"]
    return state


_WORDS: Mapping[EntryKind, Callable[[Details], list[str | None]]] = {
    "event": _event, "call": _call, "change": _change, "access": _access, "webhook": _webhook, "mail": _mail,
    "difference": _difference, "staff": _staff,
}  # fmt: skip
_STATES: Mapping[EntryKind, Callable[[Details], str | None]] = {
    "event": _state, "call": _state, "mail": _state, "difference": _state, "staff": _state, "webhook": _delivered,
    "access": lambda details: details["type"].removeprefix("access."),
    "change": lambda details: "provisional" if details["provisional"] else None,
}  # fmt: skip

"""How the dashboard calls things: kinds, what an object is in a few words, states, and moments."""

import re
from collections.abc import Callable
from datetime import UTC, datetime

from markupsafe import Markup, escape

from tallystick.core.money import format_money
from tallystick.sandbox.faults import ApiFault, EventFault, Fault, WebhookFault
from tallystick.sandbox.pages.acting import interval
from tallystick.sandbox.shapes import Json

__all__ = [
    "breakable",
    "brief",
    "describe",
    "fault_in_words",
    "field_name",
    "kind_name",
    "moment",
    "span",
    "standing",
    "tone",
]

_NAMES = {
    "billing_portal.configuration": "portal configuration",
    "billing_portal.session": "portal session",
    "checkout.session": "checkout session",
    "customer_balance_transaction": "customer balance transaction",
    "entitlements.active_entitlement": "active entitlement",
    "entitlements.feature": "feature",
    "invoiceitem": "invoice item",
    "promotion_code": "promotion code",
    "radar.early_fraud_warning": "early fraud warning",
    "test_helpers.test_clock": "test clock",
}
_TONES = {
    "active": "good", "available": "good", "complete": "good", "delivered": "good", "enabled": "good", "paid": "good",
    "ready": "good", "succeeded": "good", "won": "good",
    "pending": "info", "processing": "info", "trialing": "info", "open": "info", "advancing": "info", "draft": "info",
    "incomplete": "warn", "needs_response": "warn", "paused": "warn", "requires_action": "warn",
    "requires_capture": "warn", "requires_confirmation": "warn", "requires_payment_method": "warn",
    "under_review": "warn", "retrying": "warn", "dropped": "warn",
    "failed": "bad", "incomplete_expired": "bad", "lost": "bad", "past_due": "bad", "uncollectible": "bad",
    "unpaid": "bad",
}  # fmt: skip
_JOINTS = re.compile(r"(?<=[._/])(?=[^._/])")
_UNITS = (("d", 86400), ("h", 3600), ("min", 60))


def breakable(text: str) -> Markup:
    """A path or an event's type that may be broken after its dots, dashes and slashes."""
    parts = _JOINTS.split(text)
    return Markup("<wbr>").join(escape(part) for part in parts)


def kind_name(kind: str, *, many: bool = False) -> str:
    """`Payment intent` of `payment_intent`, or its plural."""
    name = _NAMES.get(kind, kind.replace(".", " ").replace("_", " "))
    if many:
        name = f"{name[:-1]}ies" if name.endswith("y") else f"{name}s"
    return name[0].upper() + name[1:]


def field_name(field: str) -> str:
    """`Subscription` of `parent.subscription_details.subscription`."""
    name = "object" if field == "data.object.id" else field.rpartition(".")[2].replace("_", " ")
    return name[0].upper() + name[1:]


def moment(unix: float) -> str:
    """`26 Nov 2026, 09:42:08`, in UTC."""
    return f"{datetime.fromtimestamp(unix, UTC):%-d %b %Y, %H:%M:%S}"


def brief(unix: float, now: float) -> str:
    """A moment as far as it differs from now: `09:42:08` today, else with its day, else with its year."""
    at, today = datetime.fromtimestamp(unix, UTC), datetime.fromtimestamp(now, UTC)
    if at.date() == today.date():
        return f"{at:%H:%M:%S}"
    return f"{at:%-d %b, %H:%M:%S}" if at.year == today.year else moment(unix)


def span(seconds: float) -> str:
    """`40 d 2 h`, `3 min`, `12 s`: the two largest units, to the minute where there is one."""
    left, parts = int(abs(seconds)), []
    if left >= 60:
        left = round(left / 60) * 60
    for name, size in _UNITS:
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {name}")
    return " ".join(parts[:2]) if parts else f"{left} s"


def tone(state: str) -> str:
    """The colour of a badge for this state: good, info, warn, bad, or none."""
    return _TONES.get(state, "")


def standing(value: Json) -> str:
    """The state of an object in one word of Stripe's; empty for kinds that have none."""
    if value.get("deleted"):
        return "deleted"
    state = value.get("status")
    if state is None and isinstance(value.get("active"), bool):
        state = "active" if value["active"] else "inactive"
    return state if isinstance(state, str) else ""


def describe(value: Json) -> str:
    """What an object is, in a few words; empty where its id says all there is."""
    write = _WRITERS.get(value["object"])
    if write is not None and not value.get("deleted"):
        return write(value)
    for name in ("amount", "name", "description", "email", "type", "code", "url"):
        if name in value and value[name] not in (None, ""):
            return _money(value, name) if name == "amount" else str(value[name])
    return ""


def fault_in_words(rule: Fault) -> str:
    """What a rule does, as a sentence without its end."""
    return _api_fault(rule) if isinstance(rule, ApiFault) else _event_fault(rule)


def _event_fault(rule: WebhookFault | EventFault) -> str:
    what = "All events" if rule.type == "*" else f"Events {rule.type}"
    if isinstance(rule, EventFault):
        return f"{what} are missing from the list for {_seconds(rule.delay_s)}"
    does = {
        "duplicate": f"are sent {rule.copies} times",
        "delay": f"come {_seconds(rule.delay_s)} late",
        "drop": "never come",
        "shuffle": f"of {_seconds(rule.window_s)} come in random order",
        "api_version": f"come in API version {rule.api_version}",
    }
    return f"{what} {does[rule.kind]}"


def _api_fault(rule: ApiFault) -> str:
    does = {
        "status": f"are answered {rule.status}",
        "slow": f"are answered {_seconds(rule.delay_s)} late",
        "cut": "lose their connection",
        "hang": "are never answered",
        "garbage": "are answered by something that is no JSON",
    }
    method = "Requests" if rule.method == "*" else f"{rule.method} requests"
    when = (
        "" if rule.kind == "slow" else " before they do anything" if rule.when == "before" else " after they were done"
    )
    return f"{method} to {rule.path} {does[rule.kind]}{when}"


def _seconds(amount: float) -> str:
    return f"{amount:g} second{'' if amount == 1 else 's'}"


def _money(value: Json, name: str) -> str:
    amount = value.get(name)
    return format_money(amount, value["currency"]) if isinstance(amount, int) and value.get("currency") else ""


def _joined(*parts: object) -> str:
    return " · ".join(str(part) for part in parts if part)


def _price(value: Json) -> str:
    amount = _money(value, "unit_amount") or "by tiers"
    return _joined(f"{amount} {interval(value['recurring'])}".strip(), value.get("nickname") or value.get("lookup_key"))


def _subscription(value: Json) -> str:
    items = value["items"]["data"]
    more = f"and {len(items) - 1} more" if len(items) > 1 else ""
    quantity = items[0].get("quantity") if items else None
    times = f"× {quantity}" if quantity not in (None, 1) else ""
    return " ".join(part for part in (_price(items[0]["price"]) if items else "", times, more) if part)


def _coupon(value: Json) -> str:
    off = f"{value['percent_off']:g}%" if value["percent_off"] else _money(value, "amount_off")
    return _joined(value["name"], f"{off} off {value['duration']}")


def _method(value: Json) -> str:
    details = value.get(value["type"]) or {}
    name = str(details.get("brand") or details.get("bank_name") or value["type"].replace("_", " "))
    return f"{name.capitalize()} •••• {details['last4']}" if details.get("last4") else name.capitalize()


_WRITERS: dict[str, Callable[[Json], str]] = {
    "checkout.session": lambda value: _joined(value["mode"], _money(value, "amount_total")),
    "coupon": _coupon,
    "customer": lambda value: _joined(value["name"], value["email"]),
    "event": lambda value: str(value["type"]),
    "invoice": lambda value: _joined(_money(value, "total"), value["number"]),
    "invoice_payment": lambda value: _money(value, "amount_requested"),
    "payment_method": _method,
    "price": _price,
    "product": lambda value: str(value["name"]),
    "subscription": _subscription,
}

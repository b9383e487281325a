"""What is new about a subscription: history, invoices, mails and access, read from our rows and the mailbox."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, TypeAlias

import msgspec
from rich.text import Text

from tallystick.cli.demo_story import check, short, usd
from tallystick.cli.demo_world import Json, World

__all__ = ["Fact", "News", "day", "granted", "history", "invoice", "lost", "mail", "news"]

Fact: TypeAlias = tuple[str, ...]
"""What a piece of news says in few words, and what is expected in the same words; the first is its kind."""

_STYLES = {
    "paid": "green", "open": "red", "void": "dim", "granted": "green", "lost": "red",
    "past_due": "bold red", "recovered": "bold green",
}  # fmt: skip
_ORDER = ("history", "invoice", "mail", "access")
_ACTORS = {"stripe": "by Stripe", "dashboard": "at Stripe"}
_HISTORY = """
    SELECT h.* FROM subscription_history h JOIN subscriptions s ON s.id = h.subscription_id
        JOIN users u ON u.id = s.user_id
    WHERE u.external_id = $1 ORDER BY h.performed_at, h.id
"""
_INVOICES = """
    SELECT i.* FROM invoices i JOIN users u ON u.id = i.user_id
    WHERE u.external_id = $1 AND i.status <> 'draft' ORDER BY i.created_at, i.id
"""
_MAILS = "SELECT * FROM mails WHERE recipient = $1 AND state <> 'queued' ORDER BY finished_at, id"
_ACCESS = """
    SELECT f.id, f.type, f.occurred_at, f.data #>> '{access,product}' AS product, p.name
    FROM outbound_facts f JOIN products p ON p.stripe_product_id = f.data #>> '{access,product}'
    WHERE f.data ->> 'user' = $1 AND f.type LIKE 'access.%' ORDER BY f.occurred_at, f.type DESC
"""


@dataclass(frozen=True, slots=True)
class News:
    """One piece of news: `key` is its own, `at` business time."""

    key: str
    at: datetime
    fact: Fact
    line: Text
    remark: str = ""

    @property
    def kind(self) -> str:
        return self.fact[0]


def history(action: str, by: str) -> Fact:
    """A change was written down: what it is called, and who made it (`by Ann`, `by Stripe`, `at Stripe`)."""
    return ("history", action, by)


def invoice(status: str, total: int) -> Fact:
    """An invoice got this status (or another attempt failed)."""
    return ("invoice", status, usd(total))


def mail(template: str, amount: int | None = None) -> Fact:
    """A mail lies in the mailbox; those about an invoice tell what was paid, or what is due."""
    return ("mail", template, "" if amount is None else usd(amount))


def granted(plan: str) -> Fact:
    """The application was told that access to a plan began."""
    return ("access", "granted", plan)


def lost(plan: str) -> Fact:
    """The application was told that access to a plan ended."""
    return ("access", "lost", plan)


def day(at: datetime) -> str:
    """A date as the story tells it."""
    return f"{at.day} {at:%b}"


async def news(world: World, prices: Mapping[str, str], *, after: set[str]) -> list[News]:
    """All there is about the customer and is not known yet: day by day, and of a day by its kind.

    `prices` are the plans' names by Stripe's price id. Raises Amiss for a mail that was sent and did not land.
    """
    found = [_history(row, prices, world.subject) for row in await world.rows(_HISTORY, world.subject)]
    found += [_invoice(row) for row in await world.rows(_INVOICES, world.subject)]
    found += [_access(row) for row in await world.rows(_ACCESS, world.subject)]
    landed = {message["message_id"]: message for message in await world.mails()}
    for row in await world.rows(_MAILS, world.email):
        state = row["state"]
        check(state == "sent", f"the mail {row['template']} should be sent", f"it is {state}")
        check(row["message_id"] in landed, f"the mail “{row['subject']}” should be in the mailbox", "it is not")
        found.append(_mail(row))
    fresh = [item for item in found if item.key not in after]
    return sorted(fresh, key=_place)


def _place(item: News) -> tuple[date, int, str]:
    # The mails of a moment leave in any order.
    return item.at.date(), _ORDER.index(item.kind), item.fact[1] if item.kind == "mail" else item.at.isoformat()


def _history(row: Json, prices: Mapping[str, str], subject: str) -> News:
    own = row["actor"] == f"user:{subject}" and row["cause"] == "api"
    by = "by Ann" if own else _ACTORS.get(row["actor"], f"by {row['actor']}")
    old, new = _object(row["old_values"]), _object(row["new_values"])
    line = Text().append(row["action"], _STYLES.get(row["action"], "bold"))
    for what in _changes(row["action"], old, new, prices):
        line.append(f" · {what}")
    if row["reason"]:
        line.append(f" · “{row['reason']}”")
    return News(str(row["id"]), row["performed_at"], history(row["action"], by), line, by)


def _changes(action: str, old: Json, new: Json, prices: Mapping[str, str]) -> list[str]:
    """The fields of a change that a person wants to see."""
    tellers: dict[str, Callable[[Any, Any], str]] = {
        "status": lambda was, is_: f"{was} → {is_}" if was else str(is_),
        "items": lambda was, is_: _items(was, is_, prices),
        "default_payment_method": lambda was, is_: f"{_short(was)} → {_short(is_)}",
        "cancel_at": lambda _, is_: f"ends {day(datetime.fromisoformat(is_))}" if is_ else "goes on",
    }
    found = [tell(old.get(name), new[name]) for name, tell in tellers.items() if name in new]
    if action == "renewed":
        found.append(f"until {day(datetime.fromisoformat(new['period']['end']))}")
    return found if action != "canceled" else found[:1]


def _items(was: Any, is_: Any, prices: Mapping[str, str]) -> str:
    before, after = (
        ", ".join(f"{prices.get(item['price'], item['price'])} × {item['quantity']}" for item in items or ())
        for items in (was, is_)
    )
    return f"{before} → {after}" if before else after


def _invoice(row: Json) -> News:
    status, total = row["status"], int(row["total"])
    outcome = status
    if status == "open":
        upcoming = row["next_payment_attempt"]
        outcome = f"attempt {row['attempt_count']} failed{f', next on {day(upcoming)}' if upcoming else ''}"
    line = Text.assemble((usd(total), "bold"), " · ", (outcome, _STYLES.get(status, "")))
    key = f"{row['id']}:{status}:{row['attempt_count'] if status == 'open' else ''}"
    return News(key, row["state_at"], invoice(status, total), line, row["number"] or "")


def _mail(row: Json) -> News:
    context = _object(row["context"])
    amount = {"invoice_receipt": "amount_paid", "invoice_payment_failed": "amount_due"}.get(row["template"])
    fact = mail(row["template"], int(context[amount]) if amount else None)
    return News(str(row["id"]), row["finished_at"], fact, Text(f"“{row['subject']}”"))


def _access(row: Json) -> News:
    what = row["type"].removeprefix("access.")
    line = Text.assemble((what, _STYLES[what]), f" · {row['name']}")
    return News(str(row["id"]), row["occurred_at"], ("access", what, row["name"]), line, f"webhook {row['type']}")


def _short(value: str | None) -> str:
    return short(value) if value else "none"


def _object(text: Any) -> Json:
    """A jsonb column as it comes from the driver."""
    value: Json = msgspec.json.decode(text) if text else {}
    return value

"""`Planner`: what a wish comes to at Stripe. A change and the preview of it are planned by the same code."""

import hashlib
from datetime import datetime
from typing import Any

import msgspec
from msgspec import UNSET, Struct

from tallystick.core.clock import to_unix
from tallystick.core.errors import InvalidRequest
from tallystick.platform.settings import Settings
from tallystick.products.models import PriceRow
from tallystick.stripe_gateway.dialect import Dialect
from tallystick.subscriptions.errors import (
    SeveralItems,
    SubscriptionEnded,
    SubscriptionIncomplete,
    SubscriptionOverdue,
)
from tallystick.subscriptions.models import OVERDUE, TERMINAL, SubscriptionRow
from tallystick.subscriptions.models_requests import ChangeRequest
from tallystick.subscriptions.service_terms import Terms, check_quantity, is_metered

__all__ = ["Plan", "Planner", "base_of"]


class Plan(Struct, frozen=True):
    """A change of what is billed.

    `items` are those of `POST /v1/subscriptions/{id}`, empty where they stay. `promotion_code` is Stripe's id, "" takes
    the discount off, None leaves it. `proration_date` is in Unix seconds. `bills_now`: an invoice comes of it at once.
    """

    items: list[dict[str, Any]]
    proration_behavior: str
    promotion_code: str | None
    bills_now: bool
    proration_date: int | None = None

    @property
    def empty(self) -> bool:
        """Whether nothing that is billed changes."""
        return not self.items and self.promotion_code is None

    def proration(self) -> dict[str, Any]:
        """The parameters that say how the items change."""
        if not self.items:
            return {}
        dated = {"proration_date": self.proration_date} if self.proration_date is not None else {}
        return {"items": self.items, "proration_behavior": self.proration_behavior, **dated}

    def update(self, dialect: Dialect) -> dict[str, Any]:
        """The parameters of `POST /v1/subscriptions/{id}`."""
        given = {} if self.promotion_code is None else dialect.promotion_code(self.promotion_code or None)
        return {**self.proration(), **given}

    def preview(self, dialect: Dialect) -> tuple[dict[str, Any], dict[str, Any]]:
        """The details and the rest of a preview's parameters."""
        given = {} if self.promotion_code is None else {"discounts": dialect.discounts(self.promotion_code or None)}
        return self.proration(), given


class Planner:
    """Plans changes by what the mirror shows, which the caller has brought up to date."""

    def __init__(self, settings: Settings, terms: Terms) -> None:
        self._default = settings.proration_behavior
        self._terms = terms

    async def plan(self, row: SubscriptionRow, wanted: ChangeRequest) -> Plan:
        """What `wanted` changes of what is billed; raises the errors of `Terms`, and those of the row's state."""
        if row.status in TERMINAL:
            raise SubscriptionEnded
        items, price = await self._items(row, wanted)
        behavior = wanted.proration_behavior or self._default
        code: str | None = None
        if wanted.promotion_code is not UNSET:
            text = wanted.promotion_code
            code = await self._terms.promotion_code(text, row.stripe_customer_id or "") if text else ""
        if row.status == "incomplete" and (items or code is not None):
            raise SubscriptionIncomplete
        if items and row.status in OVERDUE and wanted.when == "now":
            # Stripe counts the period as paid: it would credit, or pay with, money that has never come.
            raise SubscriptionOverdue(latest_invoice_id=row.latest_invoice_id)
        now = bool(items) and row.status in ("active", "past_due")
        bills_now = now and (behavior == "always_invoice" or _begins_anew(row, price))
        if bills_now and code is not None:
            raise InvalidRequest(
                "A promotion code and a change that is billed now are two requests: the code first.",
                field="promotion_code",
            )
        return Plan(items, behavior, code, bills_now)

    async def _items(self, row: SubscriptionRow, wanted: ChangeRequest) -> tuple[list[dict[str, Any]], PriceRow | None]:
        if wanted.price is None and wanted.quantity is None:
            return [], None
        if len(row.items) != 1:
            raise SeveralItems
        (item,) = row.items
        price: PriceRow | None = None
        if wanted.price is not None and wanted.price != item["price"]:
            price = await self._terms.price(wanted.price, currency=row.currency)
            check_quantity(price, wanted.quantity)
        elif wanted.quantity is not None and item.get("usage_type") == "metered":
            raise InvalidRequest("This price is billed by usage and takes no quantity.", field="quantity")
        change: dict[str, Any] = {"id": item["id"]}
        if price is not None:
            change["price"] = price.stripe_price_id
        metered = is_metered(price) if price else item.get("usage_type") == "metered"
        if not metered:
            # A new price without a quantity would be for one.
            change["quantity"] = wanted.quantity or item.get("quantity") or 1
        same = change.get("price", item["price"]) == item["price"] and change.get("quantity") == item.get("quantity")
        return ([], None) if same else ([change], price)


def _begins_anew(row: SubscriptionRow, price: PriceRow | None) -> bool:
    """Whether a new price begins a new period, billed at once: another interval, or the end of being free."""
    if price is None:
        return False
    (item,), recurring = row.items, price.recurring or {}
    interval = (recurring.get("interval"), recurring.get("interval_count"))
    was_free = item.get("unit_amount") == 0 and price.unit_amount != 0
    return was_free or interval != (item.get("interval"), item.get("interval_count"))


def base_of(row: SubscriptionRow) -> str:
    """What a change is planned on, in short: two rows of one base are billed alike."""
    shown = (
        row.status,
        [(item["id"], item["price"], item.get("quantity")) for item in row.items],
        [_unix(at) for at in (row.current_period_start, row.current_period_end, row.trial_end, row.cancel_at)],
        sorted(row.discounts),
        row.pause_collection is not None,
    )
    return hashlib.sha256(msgspec.json.encode(shown)).hexdigest()[:16]


def _unix(at: datetime | None) -> int | None:
    return None if at is None else to_unix(at)

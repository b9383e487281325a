"""Stripe's objects beside the rows that mirror them, field by field. Pure; see `compare_rules.py`."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec
from msgspec import Struct

from tallystick.reconciliation.compare_billing import INVOICE, SCHEDULE, SUBSCRIPTION
from tallystick.reconciliation.compare_catalogue import COUPON, PRICE, PRODUCT, PROMOTION_CODE
from tallystick.reconciliation.compare_customers import CUSTOMER, PAYMENT_METHOD, SETUP_INTENT
from tallystick.reconciliation.compare_payments import CHARGE, DISPUTE, PAYMENT_INTENT, REFUND
from tallystick.reconciliation.compare_rules import Expected, Mirrored, Row

__all__ = ["COMPARED", "ROW", "Compared", "FieldDifference", "compare", "expected_of", "plain"]

COMPARED: Mapping[str, Mirrored] = {
    "product": PRODUCT,
    "price": PRICE,
    "coupon": COUPON,
    "promotion_code": PROMOTION_CODE,
    "customer": CUSTOMER,
    "payment_method": PAYMENT_METHOD,
    "setup_intent": SETUP_INTENT,
    "payment_intent": PAYMENT_INTENT,
    "charge": CHARGE,
    "refund": REFUND,
    "dispute": DISPUTE,
    "subscription": SUBSCRIPTION,
    "invoice": INVOICE,
    "subscription_schedule": SCHEDULE,
}
"""The kinds that are compared, by Stripe's word. (A discount is told by the object it hangs on, and cannot be asked
for.)"""

ROW = "row"
"""The name of the field that differs where there is a row too few or too many."""

_AHEAD = timedelta(days=1)


class FieldDifference(Struct, frozen=True):
    """One field: what our row shows, and what Stripe says; as JSON has it."""

    field: str
    ours: Any
    stripe: Any


class Compared(Struct, frozen=True):
    """How many fields were compared, and which of them differ."""

    fields: int
    differences: list[FieldDifference]

    @property
    def equal(self) -> bool:
        return not self.differences


def expected_of(kind: str, value: Any, installation: str) -> Expected:
    """What the row of Stripe's object must show, by column."""
    return COMPARED[kind].expected(value, installation)


def compare(kind: str, value: Any, row: Row | None, installation: str, now: datetime) -> Compared | None:
    """Stripe's object beside its row; None where the mirror has no row of such an object, and needs none.

    `now` is business time: a row that claims to show a later state than there is would refuse every event to come.
    """
    mirrored = COMPARED[kind]
    expected = mirrored.expected(value, installation)
    fields = len(expected) + len(mirrored.derived) + 1
    if row is None:
        if not mirrored.kept(value):
            return None
        return Compared(fields, [FieldDifference(ROW, None, plain(expected))])
    wanted = {**expected, **{name: row[f"expected_{name}"] for name in mirrored.derived}}
    found = [
        FieldDifference(name, plain(row[name]), plain(wanted[name])) for name in wanted if row[name] != wanted[name]
    ]
    state_at = row["state_at"]
    if state_at is not None and state_at > now + _AHEAD:
        found.append(FieldDifference("state_at", plain(state_at), None))
    return Compared(fields, found)


def plain(value: Any) -> Any:
    """A value as JSON has it."""
    return msgspec.to_builtins(value)

"""`Dialect`: what has to be asked for differently at different API versions. Answers are read by the fields present."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

__all__ = ["NEWEST_READ", "OLDEST_READ", "Dialect", "can_read"]

OLDEST_READ, NEWEST_READ = "2023-10-16", "2026-10-28.endive"
_FORM = re.compile(r"\d{4}-\d{2}-\d{2}(\.[a-z]+)?\Z")
OLDEST = "2023-10-16"
NEWEST = "2026-10-28"
"""The first and the last day of the versions whose objects we have seen."""

_BASIL = "2025-03-31"
_BILLING_MODE = "2025-06-30"
_CLOVER = "2025-09-30"
_ENDIVE = "2026-09-30"
_EVENTS_SINCE = {"invoice_payment.paid": _BASIL}


def can_read(api_version: str) -> bool:
    """Whether objects of this API version can be read: those between the oldest and the newest that we know."""
    day = len(_BASIL)
    return _FORM.match(api_version) is not None and OLDEST_READ[:day] <= api_version[:day] <= NEWEST_READ[:day]


class Dialect:
    """How requests are written for one API version (`2023-10-16`, `2025-03-31.basil`)."""

    def __init__(self, api_version: str) -> None:
        day = api_version[: len(_BASIL)]
        self._day = day
        self.known = OLDEST <= day <= NEWEST
        self.basil = day >= _BASIL
        self._modes = day >= _BILLING_MODE
        self._clover = day >= _CLOVER
        self._endive = day >= _ENDIVE

    def known_events(self, event_types: Iterable[str]) -> list[str]:
        """Those of these types that this version has, sorted; an endpoint that names another one is refused."""
        return sorted(name for name in event_types if self._day >= _EVENTS_SINCE.get(name, ""))

    @property
    def invoice_expand(self) -> list[str]:
        """What makes an invoice name its payment intent."""
        return ["payments"] if self.basil else []

    @property
    def invoice_secret_expand(self) -> list[str]:
        """What makes an invoice name its payment intent and show that one's client secret."""
        return ["payments", "confirmation_secret"] if self.basil else ["payment_intent"]

    @property
    def subscription_secret_expand(self) -> list[str]:
        """What makes a subscription show the secrets of its newest invoice's payment and of its setup intent."""
        return [*(f"latest_invoice.{name}" for name in self.invoice_secret_expand), "pending_setup_intent"]

    @property
    def billing_mode(self) -> dict[str, Any]:
        """What a new subscription says to be billed alike at every version: as all were before there were two modes."""
        return {"billing_mode": {"type": "classic"}} if self._modes else {}

    def promotion_code(self, promotion_code_id: str | None) -> dict[str, Any]:
        """What puts a promotion code on a subscription; None takes off what discount there is."""
        if self.basil:
            return {"discounts": self.discounts(promotion_code_id)}
        return {"promotion_code": promotion_code_id} if promotion_code_id else {"coupon": ""}

    def discounts(self, promotion_code_id: str | None) -> Any:
        """The parameter `discounts`, which previews take at every version."""
        return [{"promotion_code": promotion_code_id}] if promotion_code_id else ""

    def anchor(self, kind: str) -> dict[str, Any]:
        """`billing_cycle_anchor` of an update or a resumption: `now` or `unchanged`."""
        return {"billing_cycle_anchor": {"type": kind} if self._endive else kind}

    def preview(self, params: dict[str, Any], details: dict[str, Any]) -> tuple[str, str, Any]:
        """Method, path and parameters that preview an invoice; `details` are of the subscription or its change."""
        if self.basil:
            given = {"subscription_details": details} if details else {}
            return "post", "/v1/invoices/create_preview", {**params, **given}
        return "get", "/v1/invoices/upcoming", {**params, **{f"subscription_{name}": details[name] for name in details}}

    def phase_length(self, interval: str, interval_count: int) -> dict[str, Any]:
        """What makes a phase of a schedule last one period of a price."""
        if self._clover:
            return {"duration": {"interval": interval, "interval_count": interval_count}}
        return {"iterations": 1}

    def phase_discounts(self, discount_ids: Sequence[str]) -> dict[str, Any]:
        """What keeps the discounts of a subscription through a phase."""
        return {"discounts": [{"discount": found} for found in discount_ids]} if discount_ids else {}

"""`SubscriptionPreviews`: what will be billed as things are, or by a change, and when.

The preview of a change ends in a token that holds the change, its moment and what it showed. A change that is made by
the token is previewed once more at that moment: what differs from what was shown is refused, the rest is billed so.
"""

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime, timedelta
from typing import Any

import msgspec
from msgspec import UNSET, Struct
from msgspec.structs import replace

from tallystick.core.clock import Clock, from_unix, to_unix
from tallystick.core.errors import InvalidRequest, Unavailable
from tallystick.platform.settings import Settings
from tallystick.stripe_gateway.errors import GatewayError, GatewayRejected
from tallystick.stripe_gateway.objects_billing import Invoice
from tallystick.stripe_gateway.service_subscriptions import SubscriptionCalls
from tallystick.subscriptions.errors import ChangeScheduled, NoUpcomingInvoice, PreviewStale, SubscriptionRejected
from tallystick.subscriptions.models import SubscriptionRow
from tallystick.subscriptions.models_requests import ChangeRequest
from tallystick.subscriptions.service_plan import Plan, Planner, base_of
from tallystick.subscriptions.views import preview_view

__all__ = ["SubscriptionPreviews"]

_HOLDS = timedelta(hours=1)


class _Token(Struct, frozen=True, array_like=True):
    """What a token holds; `shown` are the amounts that the customer saw."""

    subscription: str
    price: str | None
    quantity: int | None
    promotion_code: str | None
    proration_behavior: str
    proration_date: int
    base: str
    shown: str
    made_at: int


class SubscriptionPreviews:
    """Previews, and the tokens by which what was shown is what is billed."""

    def __init__(self, settings: Settings, clock: Clock, calls: SubscriptionCalls, planner: Planner) -> None:
        self._clock = clock
        self._calls = calls
        self.dialect = calls.dialect
        self._planner = planner
        secret = f"preview\x1f{settings.installation_id}\x1f{settings.stripe_secret_key.get_secret_value()}"
        self._secret = hashlib.sha256(secret.encode()).digest()

    async def show(self, row: SubscriptionRow, wanted: ChangeRequest) -> dict[str, Any]:
        """The next invoice of `row` (brought up to date before), or that of a change, as the API shows it.

        Raises:
            NoUpcomingInvoice: nothing will be billed.
            ChangeScheduled: a change waits for the period's end, and no other can be previewed.
            Unavailable: Stripe is away. Also the errors of planning.
        """
        if wanted.when == "period_end":
            return await self._show_later(row, wanted)
        plan = await self._planned(row, wanted)
        if plan.items:
            plan = replace(plan, proration_date=self._moment(row))
        invoice = await self._preview(row, plan)
        more: dict[str, Any] = {"due_now": None, "due_at_renewal": _at_renewal(row, invoice), "proration_date": None}
        if plan.bills_now:
            more["due_now"] = {"amount": invoice.amount_due}
            more["due_at_renewal"] = await self._renewal_after(row, plan, invoice)
        if plan.proration_date is not None:
            more["proration_date"] = from_unix(plan.proration_date)
        more["preview_token"] = None if plan.empty else self._token(row, wanted, plan, invoice)
        return preview_view(row, invoice, more)

    async def _show_later(self, row: SubscriptionRow, wanted: ChangeRequest) -> dict[str, Any]:
        """The renewal by which a change at the period's end is billed; what it costs is the price's, so no token."""
        plan = await self._planned(row, replace(wanted, proration_behavior="none"))
        # What would begin a new period now is shown by the renewals that follow it.
        invoice = await self._preview(row, plan, **({"preview_mode": "recurring"} if plan.bills_now else {}))
        amount = max(invoice.total + invoice.starting_balance, 0) if plan.bills_now else invoice.amount_due
        then = {"amount": amount, "at": _renewal_of(row)}
        more = {"due_now": None, "due_at_renewal": then, "proration_date": None, "preview_token": None}
        return preview_view(row, invoice, more)

    async def _planned(self, row: SubscriptionRow, wanted: ChangeRequest) -> Plan:
        plan = await self._planner.plan(row, wanted)
        if row.schedule_id is not None and not plan.empty:
            # Stripe previews what is scheduled, whatever else is asked for.
            raise ChangeScheduled
        return plan

    async def planned(self, row: SubscriptionRow, wanted: ChangeRequest) -> Plan:
        """The plan of a change that is made; by a token, only where it still costs what was shown.

        Raises:
            PreviewStale: it does not. Also the errors of planning.
        """
        if wanted.preview_token is None:
            return await self._planner.plan(row, wanted)
        token = self._read(wanted.preview_token)
        if token.subscription != str(row.id):
            raise InvalidRequest("This token is of another subscription's preview.", field="preview_token")
        meant = _meant(wanted, token)
        if token.base != base_of(row) or from_unix(token.made_at) + _HOLDS < self._clock.now():
            raise PreviewStale
        plan = await self._planner.plan(row, meant)
        if plan.items:
            plan = replace(plan, proration_date=token.proration_date)
        try:
            invoice = await self._preview(row, plan)
        except (NoUpcomingInvoice, SubscriptionRejected) as error:
            # Its moment, say, is not in the running period any more.
            raise PreviewStale from error
        if _shown(invoice, plan) != token.shown:
            raise PreviewStale
        return plan

    def _moment(self, row: SubscriptionRow) -> int:
        """Now, where now is inside the running period: its end may have come before the news of it."""
        now = self._clock.now()
        start, end = row.current_period_start or now, row.current_period_end
        if end is not None and now >= end:
            now = end - timedelta(seconds=1)
        return to_unix(max(now, start))

    async def _preview(self, row: SubscriptionRow, plan: Plan, **more: Any) -> Invoice:
        details, rest = plan.preview(self.dialect)
        try:
            answer = await self._calls.preview_invoice(str(row.stripe_subscription_id), details, {**rest, **more})
        except GatewayRejected as error:
            if error.code == "invoice_upcoming_none":
                raise NoUpcomingInvoice from error
            raise SubscriptionRejected from error
        except GatewayError as error:
            raise Unavailable(retry_after_s=1) from error
        return answer.value

    async def _renewal_after(self, row: SubscriptionRow, plan: Plan, now: Invoice) -> dict[str, Any] | None:
        """What the renewal after an invoice `now` takes: its lines, less the credit which that invoice leaves.

        None where there is none, or where an old API version does not know how to ask.
        """
        try:
            then = await self._preview(row, plan, preview_mode="recurring")
        except (NoUpcomingInvoice, SubscriptionRejected):
            return None
        left = now.starting_balance + now.total - now.amount_due
        ends = [line.period_start for line in then.lines if line.period_start is not None]
        return {"amount": max(then.total + left, 0), "at": max(ends, default=None)}

    def _token(self, row: SubscriptionRow, wanted: ChangeRequest, plan: Plan, invoice: Invoice) -> str:
        token = _Token(
            subscription=str(row.id),
            price=wanted.price,
            quantity=wanted.quantity,
            promotion_code=plan.promotion_code,
            proration_behavior=plan.proration_behavior,
            proration_date=plan.proration_date or 0,
            base=base_of(row),
            shown=_shown(invoice, plan),
            made_at=to_unix(self._clock.now()),
        )
        text = msgspec.json.encode(token)
        return f"{_encode(text)}.{_encode(self._sign(text))}"

    def _read(self, text: str) -> _Token:
        try:
            body, _, signature = text.partition(".")
            content = _decode(body)
            if hmac.compare_digest(_decode(signature), self._sign(content)):
                return msgspec.json.decode(content, type=_Token)
        except ValueError:
            pass
        raise InvalidRequest("This is not a token of a preview.", field="preview_token")

    def _sign(self, content: bytes) -> bytes:
        return hmac.digest(self._secret, content, "sha256")[:16]


def _meant(wanted: ChangeRequest, token: _Token) -> ChangeRequest:
    """The change that the token holds; raises `InvalidRequest` for one that says otherwise beside it."""
    code = UNSET if token.promotion_code is None else token.promotion_code or None
    for field in ("price", "quantity", "proration_behavior"):
        if getattr(wanted, field) not in (None, getattr(token, field)):
            raise InvalidRequest("The preview showed something else; leave it away.", field=field)
    if wanted.promotion_code is not UNSET:
        raise InvalidRequest("The token holds the promotion code already; leave it away.", field="promotion_code")
    return replace(
        wanted,
        price=token.price,
        quantity=token.quantity,
        proration_behavior=token.proration_behavior,
        promotion_code=code,
    )


def _shown(invoice: Invoice, plan: Plan) -> str:
    """What was shown, in short. Of an invoice that is made now, the moment of its new period may differ by seconds."""
    lines = [(line.amount, line.discount, line.price, line.quantity) for line in invoice.lines]
    amounts = (invoice.currency, invoice.subtotal, invoice.total, invoice.amount_due, plan.bills_now, lines)
    return hashlib.sha256(msgspec.json.encode(amounts)).hexdigest()[:16]


def _at_renewal(row: SubscriptionRow, invoice: Invoice) -> dict[str, Any]:
    return {"amount": invoice.amount_due, "at": _renewal_of(row)}


def _renewal_of(row: SubscriptionRow) -> datetime | None:
    return row.trial_end if row.status == "trialing" else row.current_period_end


def _encode(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))

"""`StripeService`: every call we make to Stripe, with a time-out, and with an idempotency key on every write."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from typing import Any, TypeVar, cast

import aiohttp
import stripe
import structlog

from tallystick.core.points import reach
from tallystick.platform.database import assert_no_transaction
from tallystick.platform.rate_budget import NoSlot, RateBudget
from tallystick.platform.settings import Settings
from tallystick.platform.telemetry import note_rate_limited
from tallystick.platform.tracing import Span
from tallystick.stripe_gateway import translate
from tallystick.stripe_gateway.dating import left_at, read_at
from tallystick.stripe_gateway.errors import (
    GatewayDeclined,
    GatewayError,
    GatewayKeyUsed,
    GatewayOutcomeUnknown,
    GatewayRejected,
    GatewayUnavailable,
)
from tallystick.stripe_gateway.leaving import may_leave
from tallystick.stripe_gateway.objects import (
    Answer,
    Charge,
    Customer,
    Dispute,
    PaymentIntent,
    PaymentMethod,
    Price,
    Product,
    Refund,
    StripeEvent,
)
from tallystick.stripe_gateway.observing import CallObserver, seen

__all__ = ["StripeService"]

log = structlog.get_logger()
Value = TypeVar("Value")
Json = Mapping[str, Any]

_TRIES = 3
_FIRST_WAIT_S = 0.25
# Work that waits for its turn holds a lease of a minute.
_SLOT_WAIT_S = 20.0
_TOO_MANY = 429
BROKEN = (
    TimeoutError, aiohttp.ClientError, OSError, KeyError, TypeError, ValueError, AttributeError, OverflowError,
)  # fmt: skip
"""What says that an answer did not come, did not come whole, or is not what it should be."""
_LOCKED = "lock_timeout"

_in_background: ContextVar[bool] = ContextVar("in_background", default=False)


class StripeService:
    """A client for one account and API version. All methods raise the four errors of `stripe_gateway.errors`.

    The SDK's own retries are off: only we can tell "the first try may have gone through" from "nothing happened",
    and that must survive a second try which is refused outright.
    """

    def __init__(self, settings: Settings, budget: RateBudget | None = None) -> None:
        self._budget = budget
        self._observer = CallObserver(settings)
        self._timeout_s = settings.stripe_timeout_s
        self._http = stripe.AIOHTTPClient(
            timeout=aiohttp.ClientTimeout(total=settings.stripe_timeout_s, sock_connect=5),
        )
        self._client = stripe.StripeClient(
            settings.stripe_secret_key.get_secret_value(),
            stripe_version=settings.stripe_api_version,
            base_addresses={"api": settings.stripe_api_base},
            max_network_retries=0,
            http_client=self._http,
        )

    @property
    def longest_call_s(self) -> float:
        """No call takes longer, retries included; leases on attempts must outlive it."""
        return self._timeout_s * 1.5 + 5

    async def close(self) -> None:
        if self._budget is not None:
            await self._budget.close()
        await cast("Any", self._http).close_async()

    @asynccontextmanager
    async def background(self) -> AsyncIterator[None]:
        """Around calls nobody waits for: each of them waits for room in the rate budget, so that live traffic keeps its
        share. One that finds none for a while raises GatewayUnavailable."""
        token = _in_background.set(True)
        try:
            yield
        finally:
            _in_background.reset(token)

    # Payment intents

    async def create_payment_intent(self, params: Json, key: str) -> Answer[PaymentIntent]:
        """`POST /v1/payment_intents`."""
        return await self.write("/v1/payment_intents", params, key, translate.payment_intent)

    async def confirm_payment_intent(self, intent_id: str, params: Json, key: str) -> Answer[PaymentIntent]:
        """`POST /v1/payment_intents/{id}/confirm`."""
        return await self.write(f"/v1/payment_intents/{intent_id}/confirm", params, key, translate.payment_intent)

    async def capture_payment_intent(self, intent_id: str, params: Json, key: str) -> Answer[PaymentIntent]:
        """`POST /v1/payment_intents/{id}/capture`."""
        return await self.write(f"/v1/payment_intents/{intent_id}/capture", params, key, translate.payment_intent)

    async def cancel_payment_intent(self, intent_id: str, params: Json, key: str) -> Answer[PaymentIntent]:
        """`POST /v1/payment_intents/{id}/cancel`."""
        return await self.write(f"/v1/payment_intents/{intent_id}/cancel", params, key, translate.payment_intent)

    async def retrieve_payment_intent(self, intent_id: str) -> Answer[PaymentIntent]:
        """`GET /v1/payment_intents/{id}`."""
        return await self.read(f"/v1/payment_intents/{intent_id}", {}, translate.payment_intent)

    async def list_payment_intents(self, customer_id: str, *, created_from: int) -> list[PaymentIntent]:
        """The customer's intents created at or after `created_from` (Unix seconds), newest first."""
        params = {"customer": customer_id, "created": {"gte": created_from}}
        return await self.list_all("/v1/payment_intents", params, translate.payment_intent)

    # Refunds

    async def create_refund(self, params: Json, key: str) -> Answer[Refund]:
        """`POST /v1/refunds`."""
        return await self.write("/v1/refunds", params, key, translate.refund)

    async def list_refunds(self, intent_id: str) -> list[Refund]:
        """The refunds of a payment intent, newest first."""
        return await self.list_all("/v1/refunds", {"payment_intent": intent_id}, translate.refund)

    async def retrieve_refund(self, refund_id: str) -> Answer[Refund]:
        """`GET /v1/refunds/{id}`."""
        return await self.read(f"/v1/refunds/{refund_id}", {}, translate.refund)

    async def retrieve_charge(self, charge_id: str) -> Answer[Charge]:
        """`GET /v1/charges/{id}`."""
        return await self.read(f"/v1/charges/{charge_id}", {}, translate.charge)

    async def retrieve_dispute(self, dispute_id: str) -> Answer[Dispute]:
        """`GET /v1/disputes/{id}`."""
        return await self.read(f"/v1/disputes/{dispute_id}", {}, translate.dispute)

    # Customers

    async def create_customer(self, params: Json, key: str) -> Answer[Customer]:
        """`POST /v1/customers`."""
        return await self.write("/v1/customers", params, key, translate.customer)

    async def update_customer(self, customer_id: str, params: Json, key: str) -> Answer[Customer]:
        """`POST /v1/customers/{id}`."""
        return await self.write(f"/v1/customers/{customer_id}", params, key, translate.customer)

    async def retrieve_customer(self, customer_id: str) -> Answer[Customer]:
        """`GET /v1/customers/{id}`; of a deleted one its stub."""
        return await self.read(f"/v1/customers/{customer_id}", {}, translate.customer)

    async def delete_customer(self, customer_id: str) -> Answer[Customer]:
        """`DELETE /v1/customers/{id}`; it bears no idempotency key, and a second one finds no such customer."""
        return await self.call("delete", f"/v1/customers/{customer_id}", {}, translate.customer)

    async def search_customers(self, query: str) -> list[Customer]:
        """`GET /v1/customers/search`. The index lags: finding nothing proves nothing about the last minute."""
        return (await self.list_page("/v1/customers/search", {"query": query, "limit": 10}, translate.customer)).value

    # Payment methods

    async def retrieve_payment_method(self, method_id: str) -> Answer[PaymentMethod]:
        """`GET /v1/payment_methods/{id}`; a test token (`pm_card_visa`) answers with a fresh method."""
        return await self.read(f"/v1/payment_methods/{method_id}", {}, translate.payment_method)

    async def attach_payment_method(self, method_id: str, customer_id: str, key: str) -> Answer[PaymentMethod]:
        """`POST /v1/payment_methods/{id}/attach`."""
        path = f"/v1/payment_methods/{method_id}/attach"
        return await self.write(path, {"customer": customer_id}, key, translate.payment_method)

    async def detach_payment_method(self, method_id: str, key: str) -> Answer[PaymentMethod]:
        """`POST /v1/payment_methods/{id}/detach`; it cannot be attached again."""
        return await self.write(f"/v1/payment_methods/{method_id}/detach", {}, key, translate.payment_method)

    # The catalogue

    async def create_product(self, params: Json, key: str) -> Answer[Product]:
        """`POST /v1/products`."""
        return await self.write("/v1/products", params, key, translate.product)

    async def archive_product(self, product_id: str, key: str) -> Answer[Product]:
        """`POST /v1/products/{id}` with `active=false`."""
        return await self.write(f"/v1/products/{product_id}", {"active": False}, key, translate.product)

    async def create_price(self, params: Json, key: str) -> Answer[Price]:
        """`POST /v1/prices`, answered with its tiers."""
        return await self.write("/v1/prices", {**params, "expand": ["tiers"]}, key, translate.price)

    async def retrieve_product(self, product_id: str) -> Answer[Product]:
        """`GET /v1/products/{id}`."""
        return await self.read(f"/v1/products/{product_id}", {}, translate.product)

    async def retrieve_price(self, price_id: str) -> Answer[Price]:
        """`GET /v1/prices/{id}`, with its tiers."""
        return await self.read(f"/v1/prices/{price_id}", {"expand": ["tiers"]}, translate.price)

    async def list_prices(self, product_id: str) -> list[Price]:
        """The newest 100 prices of a product, active or not."""
        return (await self.list_page("/v1/prices", {"product": product_id, "limit": 100}, translate.price)).value

    # Events

    async def list_events(
        self,
        *,
        created_from: int,
        created_until: int,
        starting_after: str | None = None,
        ending_before: str | None = None,
    ) -> Answer[list[StripeEvent]]:
        """A page (100) of the events created in [from, until) Unix seconds, newest first; `raw["has_more"]` tells of
        others."""
        params: dict[str, Any] = {"limit": 100, "created": {"gte": created_from, "lt": created_until}}
        cursors = {"starting_after": starting_after, "ending_before": ending_before}
        params |= {name: cursor for name, cursor in cursors.items() if cursor is not None}
        return await self.list_page("/v1/events", params, translate.event)

    # The account

    async def retrieve_account(self) -> Answer[str]:
        """`GET /v1/account`: the id of the account that the key is of."""
        return await self.read("/v1/account", {}, lambda raw: str(raw["id"]))

    # The wire

    async def write(self, path: str, params: Json, key: str, read: Callable[[Json], Value]) -> Answer[Value]:
        """A POST under an idempotency key; `read` makes our object of the answer."""
        return await self.call("post", path, {**params, "idempotency_key": key}, read)

    async def read(self, path: str, params: Json, read: Callable[[Json], Value]) -> Answer[Value]:
        """A GET; it may be tried again whatever happens, so it never ends unknown."""
        return await self.call("get", path, params, read)

    async def list_page(self, path: str, params: Json, read: Callable[[Json], Value]) -> Answer[list[Value]]:
        """One page of a list; `raw["has_more"]` tells of others."""
        return await self.call("get", path, params, lambda raw: [read(item) for item in raw["data"]])

    async def list_all(self, path: str, params: Json, read: Callable[[Json], Value]) -> list[Value]:
        """A list to its end: whoever looks for one of its objects must not overlook it."""
        found: list[Value] = []
        params = {"limit": 100, **params}
        while True:
            page = await self.list_page(path, params, read)
            found += page.value
            if not page.raw.get("has_more") or not page.value:
                return found
            params["starting_after"] = page.raw["data"][-1]["id"]

    async def call(self, method: str, path: str, params: Json, read: Callable[[Json], Value]) -> Answer[Value]:
        """One call with its tries; the classes of calls beside this one (`service_invoices.py`) use these four."""
        assert_no_transaction()
        with self._observer.calling(method, path) as traced:
            return await self._call(method, path, params, read, traced)

    async def _call(
        self, method: str, path: str, params: Json, read: Callable[[Json], Value], traced: Span
    ) -> Answer[Value]:
        maybe_sent = False
        await self._take_turn()
        ends_at = time.monotonic() + self._timeout_s * 1.5
        for number in range(1, _TRIES + 1):
            try:
                async with asyncio.timeout(max(ends_at - time.monotonic(), 0.1)):
                    await reach("stripe.before")
                    if not may_leave():
                        raise GatewayOutcomeUnknown("too late to be sent again")
                    asked = time.monotonic()
                    response = await self._client.raw_request_async(method, path, **params)
                    took_s = time.monotonic() - asked
                await reach("stripe.after")
                seen(traced, status=response.code, request_id=response.request_id)
                return _answer(response, read, took_s if method == "get" else None)
            except stripe.StripeError as error:
                seen(traced, status=error.http_status)
                failure, retryable = _classify(error), _retryable(error)
                self._note_limit(error)
            except BROKEN as error:
                # Time ran out, the line broke inside the answer, or the answer is not what it should be.
                failure, retryable = GatewayOutcomeUnknown(f"no whole answer ({type(error).__name__})"), True
            if method != "get" and isinstance(failure, GatewayOutcomeUnknown):
                maybe_sent = True
            elif maybe_sent and _proves_nothing(failure):
                failure = GatewayOutcomeUnknown("a first try may have gone through", request_id=failure.request_id)
            if not retryable or number == _TRIES or time.monotonic() + _FIRST_WAIT_S * 2**number >= ends_at:
                break
            await asyncio.sleep(_FIRST_WAIT_S * 2 ** (number - 1))
            traced.set("http.request.resend_count", number)
        if method == "get" and isinstance(failure, GatewayOutcomeUnknown):
            failure = GatewayUnavailable(str(failure), request_id=failure.request_id)
        log.info("stripe.failed", path=path, outcome=type(failure).__name__, stripe_request_id=failure.request_id)
        raise failure

    async def _take_turn(self) -> None:
        if self._budget is None:
            return
        if not _in_background.get():
            self._budget.note_live()
            return
        try:
            await self._budget.slot(_SLOT_WAIT_S)
        except NoSlot as error:
            raise GatewayUnavailable(str(error)) from error

    def _note_limit(self, error: stripe.StripeError) -> None:
        """A 429 of a limiter; one that says that somebody else has the object locked is none."""
        if error.http_status == _TOO_MANY and _error_body(error).get("code") != _LOCKED:
            note_rate_limited()
            if self._budget is not None:
                self._budget.slow_down()


def _proves_nothing(failure: GatewayError) -> bool:
    """Whether this failure of a later try says nothing about an earlier one that may have gone through."""
    return isinstance(failure, GatewayUnavailable) or (
        isinstance(failure, GatewayRejected) and failure.status in (401, 403)
    )


def _answer(response: Any, read: Callable[[Json], Value], took_s: float | None) -> Answer[Value]:
    """`took_s`: how long it took to read something; None of a write."""
    raw = cast("dict[str, Any]", response.data)
    if not isinstance(raw, dict):
        raise TypeError("not an object")
    left = left_at(response.headers)
    at = left if took_s is None else read_at(left, took_s, raw)
    return Answer(read(raw), at, response.request_id, raw)


def _retryable(error: stripe.StripeError) -> bool:
    if isinstance(error, stripe.APIConnectionError):
        return True
    should = (error.headers or {}).get("stripe-should-retry")
    if should is not None:
        return should == "true"
    status = error.http_status or 0
    return status == 409 or status >= 500 or status < 400


def _classify(error: stripe.StripeError) -> GatewayError:
    request_id = error.request_id
    if isinstance(error, stripe.APIConnectionError):
        if _never_connected(error):
            return GatewayUnavailable("no connection to Stripe")
        return GatewayOutcomeUnknown("the connection broke")
    status = error.http_status or 0
    body = _error_body(error)
    if isinstance(error, stripe.CardError) or status == 402:
        return GatewayDeclined(
            body.get("code") or "card_declined",
            body.get("decline_code"),
            charge_id=translate.reference(body.get("charge")),
            payment_intent=_intent_of(body),
            at=left_at(error.headers),
            request_id=request_id,
        )
    if isinstance(error, stripe.RateLimitError) or status == _TOO_MANY:
        return GatewayUnavailable("Stripe's rate limit", request_id=request_id)
    if status == 400 and body.get("type") == "idempotency_error":
        return GatewayKeyUsed("the key was used with other parameters", request_id=request_id)
    if status in (400, 401, 403, 404) and body:
        return GatewayRejected(
            str(body.get("message") or "rejected"),
            status=status,
            code=body.get("code"),
            param=body.get("param"),
            payment_intent=_intent_of(body),
            at=left_at(error.headers),
            request_id=request_id,
        )
    # 409 (the first try with this key still runs), 424, 5xx, and answers that are no JSON, whatever their status.
    return GatewayOutcomeUnknown(f"HTTP {status}", request_id=request_id)


def _never_connected(error: stripe.APIConnectionError) -> bool:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, aiohttp.ClientConnectorError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _error_body(error: stripe.StripeError) -> dict[str, Any]:
    body = error.json_body.get("error") if isinstance(error.json_body, dict) else None
    return body if isinstance(body, dict) else {}


def _intent_of(body: Mapping[str, Any]) -> PaymentIntent | None:
    intent = body.get("payment_intent")
    if not isinstance(intent, dict):
        return None
    with suppress(*BROKEN):
        return translate.payment_intent(intent)
    return None

"""Making a product with its prices: one request, one attempt, several calls to Stripe under keys derived from it.

The product's id at Stripe is derived from the request, so that a repeat can neither make a second one nor miss the
first. Prices have no ids of one's own at Stripe; each bears its place in the request in its metadata.
"""

from typing import Any
from uuid import UUID

from msgspec import Struct

from tallystick.attempts.models import Attempt, Refusal, Settled
from tallystick.attempts.service import AttemptService
from tallystick.core.clock import Clock
from tallystick.core.errors import DomainError, InvalidRequest
from tallystick.core.money import AmountProblem, check_amount
from tallystick.platform.auth import Actor
from tallystick.platform.database import Transaction
from tallystick.platform.idempotency import IdempotentRequest
from tallystick.products.errors import ProductRejected
from tallystick.products.models import CatalogueFacts, PriceFacts, ProductFacts
from tallystick.products.repository import ProductRepository
from tallystick.products.service_record import ProductRecorder
from tallystick.products.views import product_view
from tallystick.stripe_gateway.errors import GatewayOutcomeUnknown, GatewayRejected, GatewayUnavailable
from tallystick.stripe_gateway.objects import Answer, Price, Product
from tallystick.stripe_gateway.ordering import Source
from tallystick.stripe_gateway.service import StripeService

__all__ = ["KIND", "ProductCreation", "ProductOperation"]

KIND = "product.create"
_PLACE = "tallystick_price"


class Made(Struct, frozen=True):
    """A product and its prices as Stripe answered them."""

    product: Product
    prices: list[Price]


class ProductCreation:
    """The command; administrators only."""

    def __init__(self, attempts: AttemptService, installation_id: str) -> None:
        self._attempts = attempts
        self._installation = installation_id

    async def create(self, actor: Actor, request: IdempotentRequest, wanted: dict[str, Any]) -> Settled:
        """Create the product `wanted` (the request's body, its shape checked); returns how the attempt was settled.

        Raises:
            Forbidden, InvalidRequest: nothing was stored.
            Unavailable: nothing happened.
        """
        actor.require_admin()
        for place, price in enumerate(wanted["prices"]):
            _check_price(place, price)
        product_id = f"prod_{request.derive('product', self._installation)[:24]}"
        prices = _prices_params(product_id, wanted["prices"])
        stored = {"product": _product_params(product_id, wanted), "prices": prices}

        async def prepare(tx: Transaction, key_id: UUID) -> Attempt:
            lock = f"product:{product_id}"
            return await self._attempts.store(
                tx, request, key_id, KIND, stored, user_id=actor.user_id, subject_id=None, lock_key=lock
            )

        return await self._attempts.execute(request, prepare)


class ProductOperation:
    """How a product with its prices is made at Stripe, recorded, and looked for."""

    success_status = 201

    def __init__(
        self, clock: Clock, stripe: StripeService, repository: ProductRepository, recorder: ProductRecorder
    ) -> None:
        self._clock = clock
        self._stripe = stripe
        self._repository = repository
        self._recorder = recorder

    async def send(self, attempt: Attempt) -> Answer[Made]:
        key = attempt.stripe_idempotency_key
        product = await self._stripe.create_product(attempt.request["product"], key)
        prices, at = [], product.at
        for place, params in enumerate(attempt.request["prices"]):
            try:
                price = await self._stripe.create_price(params, f"{key}-{place}")
            except GatewayRejected:
                # A product without the prices it was asked for is not on offer.
                await self._archive(product.value.id, key)
                raise
            except GatewayUnavailable as error:
                # Of this price nothing happened; of the request as a whole something did.
                raise GatewayOutcomeUnknown(str(error), request_id=error.request_id) from error
            prices.append(price.value)
            at = price.at
        return Answer(Made(product.value, prices), at, product.request_id, product.raw)

    async def _archive(self, product_id: str, key: str) -> None:
        try:
            await self._stripe.archive_product(product_id, f"{key}-archive")
        except GatewayUnavailable as error:
            # Of the archiving nothing happened; the product is on offer.
            raise GatewayOutcomeUnknown(str(error), request_id=error.request_id) from error

    async def look(self, attempt: Attempt) -> Answer[Made] | None:
        try:
            product = await self._stripe.retrieve_product(attempt.request["product"]["id"])
        except GatewayRejected as error:
            if error.missing:
                return None
            raise
        prices = [price for price in await self._stripe.list_prices(product.value.id) if _PLACE in price.metadata]
        wanted = len(attempt.request["prices"])
        # Prices that are missing were never made; what is there is recorded, and told as it is.
        prices.sort(key=lambda price: price.metadata[_PLACE])
        return Answer(Made(product.value, prices[:wanted]), product.at, product.request_id, product.raw)

    async def record(self, tx: Transaction, attempt: Attempt, answer: Answer[Made]) -> None:
        made = answer.value
        source = Source("answer", answer.at or made.product.created)
        facts: list[CatalogueFacts] = [ProductFacts(made.product, source)]
        facts += [PriceFacts(price, source) for price in made.prices]
        await self._recorder.record(tx, facts)

    async def record_refusal(self, tx: Transaction, attempt: Attempt, refusal: Refusal) -> None:
        """Nothing to record: the archived product comes by its events."""

    async def undo(self, tx: Transaction, attempt: Attempt) -> None:
        """Nothing was stored beside the attempt."""

    async def abandon(self, tx: Transaction, attempt: Attempt) -> None:
        """Nothing was stored beside the attempt."""

    def error(self, refusal: Refusal) -> DomainError:
        return ProductRejected(field=getattr(refusal, "param", None))

    async def view(self, tx: Transaction, attempt: Attempt) -> dict[str, Any]:
        product = await self._repository.find_product(tx, attempt.request["product"]["id"])
        if product is None:
            return {}
        return product_view(product, await self._repository.prices_of(tx, [product.stripe_product_id]))

    def secret_of(self, answer: Answer[Made]) -> tuple[str, dict[str, Any]] | None:
        return None


def _check_price(place: int, price: dict[str, Any]) -> None:
    amount, currency = price["unit_amount"], price["currency"]
    if amount == 0:
        return  # a free plan
    problem = check_amount(amount, currency)
    if problem is AmountProblem.UNKNOWN_CURRENCY:
        raise InvalidRequest("Stripe does not take this currency.", field=f"prices.{place}.currency")
    if problem is AmountProblem.NOT_A_STEP:
        raise InvalidRequest("Amounts in this currency end in a zero.", field=f"prices.{place}.unit_amount")


def _product_params(product_id: str, wanted: dict[str, Any]) -> dict[str, Any]:
    params = {"id": product_id, "name": wanted["name"], "metadata": wanted["metadata"]}
    optional = {name: wanted[name] for name in ("description", "unit_label") if wanted[name] is not None}
    return params | optional


def _prices_params(product_id: str, prices: list[dict[str, Any]]) -> list[dict[str, Any]]:
    made = []
    for place, price in enumerate(prices):
        params = {name: value for name, value in price.items() if value is not None}
        # Two digits, so that they sort.
        params["metadata"] = {**price["metadata"], _PLACE: f"{place:02}"}
        made.append({**params, "product": product_id})
    return made

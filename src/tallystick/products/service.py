"""`ProductService`: the catalogue from the mirror, and one object of it from Stripe where the mirror is in doubt."""

from collections.abc import Sequence
from typing import TypeVar
from uuid import UUID

from tallystick.core.errors import InvalidRequest, NotFound, Unavailable
from tallystick.core.ids import parse_uuid
from tallystick.core.pages import Page
from tallystick.platform.database import Database, Transaction
from tallystick.platform.work import Retry
from tallystick.products.models import CatalogueFacts, PriceFacts, PriceRow, ProductFacts, ProductRow
from tallystick.products.repository import ProductRepository
from tallystick.products.service_record import ProductRecorder
from tallystick.stripe_gateway.errors import GatewayError, GatewayRejected
from tallystick.stripe_gateway.fetching import fetching
from tallystick.stripe_gateway.objects import Answer, Price, Product
from tallystick.stripe_gateway.ordering import Source, fetched
from tallystick.stripe_gateway.service import StripeService
from tallystick.webhooks.service import StripeWebhookService

__all__ = ["ProductService"]

Object = TypeVar("Object", Product, Price)


class ProductService:
    """Reads of products and prices; both are public."""

    PREFIXES = ("prod_", "price_")

    def __init__(
        self,
        database: Database,
        stripe: StripeService,
        repository: ProductRepository,
        recorder: ProductRecorder,
        webhooks: StripeWebhookService,
    ) -> None:
        self._database = database
        self._stripe = stripe
        self._repository = repository
        self._recorder = recorder
        self._webhooks = webhooks

    # Reads

    async def listed(
        self, *, limit: int, starting_after: str | None, ending_before: str | None
    ) -> tuple[Page[ProductRow], Sequence[PriceRow]]:
        """A page of the products on offer, newest first, and all their prices; raises `InvalidRequest`."""
        if starting_after and ending_before:
            raise InvalidRequest("starting_after and ending_before exclude each other.", field="ending_before")
        async with self._database.connection() as connection:
            edges = []
            for field, cursor in (("starting_after", starting_after), ("ending_before", ending_before)):
                edge = await self._repository.find_product(connection, _reference(cursor)) if cursor else None
                if cursor and edge is None:
                    raise InvalidRequest("There is no such product.", field=field)
                edges.append(edge)
            page = await self._repository.listed(connection, limit=limit, after=edges[0], before=edges[1])
            ids = [product.stripe_product_id for product in page.data]
            return page, await self._repository.prices_of(connection, ids)

    async def get(self, product_id: str) -> tuple[ProductRow, Sequence[PriceRow]]:
        """A product that is not deleted, and its prices on offer; raises `NotFound`."""
        async with self._database.connection() as connection:
            product = await self._repository.find_product(connection, _reference(product_id))
            if product is None or product.deleted:
                raise NotFound("There is no such product.", field="id")
            return product, await self._repository.prices_of(connection, [product.stripe_product_id])

    async def find_price(self, price_id: str) -> tuple[PriceRow, ProductRow | None]:
        """A price, on offer or not, by our id or Stripe's, and its product where it is known; raises `NotFound`."""
        async with self._database.connection() as connection:
            price = await self._repository.find_price(connection, parse_uuid(price_id) or price_id)
            if price is None:
                raise NotFound("There is no such price.", field="price")
            return price, await self._repository.find_product(connection, price.stripe_product_id)

    async def names(self, tx: Transaction, stripe_product_ids: Sequence[str]) -> dict[str, str]:
        """The names of these products; unknown ones have no entry."""
        return await self._repository.names(tx, stripe_product_ids)

    async def prices(self, tx: Transaction, stripe_price_ids: Sequence[str]) -> dict[str, PriceRow]:
        """These prices, inactive ones too; unknown ones have no entry."""
        return await self._repository.prices(tx, stripe_price_ids)

    async def refresh(self, object_id: str) -> None:
        """Fetch one object while somebody waits; nothing changes where Stripe does not know it.

        Raises:
            Unavailable: Stripe is away.
        """
        try:
            await self._refresh(object_id)
        except GatewayRejected as error:
            if not error.missing:
                raise Unavailable(retry_after_s=1) from error
        except GatewayError as error:
            raise Unavailable(retry_after_s=1) from error

    # In the background

    async def fetch(self, object_id: str) -> None:
        """Fetch a product or a price and record it; raises `Retry` where that must be done again."""
        async with fetching(self._stripe, object_id):
            await self._refresh(object_id)
            row = await self._find(object_id)
            if row is not None and row.unsure:
                raise Retry("still in doubt", counted=False)

    async def _refresh(self, object_id: str) -> None:
        # The revision is read before the call: the answer replaces the row only if nothing moved it meanwhile.
        row = await self._find(object_id)
        if object_id.startswith("price_"):
            price = await self._stripe.retrieve_price(object_id)
            await self._record(price, PriceFacts(price.value, _source(price, row)))
        else:
            product = await self._stripe.retrieve_product(object_id)
            await self._record(product, ProductFacts(product.value, _source(product, row)))

    async def _find(self, object_id: str) -> ProductRow | PriceRow | None:
        async with self._database.connection() as connection:
            if object_id.startswith("price_"):
                return await self._repository.find_price(connection, object_id)
            return await self._repository.find_product(connection, object_id)

    async def _record(self, answer: Answer[Object], fact: CatalogueFacts) -> None:
        async def record(tx: Transaction) -> None:
            await self._recorder.record(tx, [fact])
            await self._webhooks.record_applied(
                tx,
                event_type=f"{answer.raw['object']}.fetched",
                object_id=answer.value.id,
                object_key=answer.value.id,
                obj=answer.raw,
                at=fact.source.at,
            )

        await self._database.run(record)


def _source(answer: Answer[Object], row: ProductRow | PriceRow | None) -> Source:
    return fetched(answer.at or answer.value.created, row)


def _reference(text: str) -> UUID | str:
    """Our id or Stripe's: Stripe lets products have ids of one's own choice, so any text may be one."""
    if "\x00" in text or len(text) > 255:
        raise NotFound("There is no such product.", field="id")
    return parse_uuid(text) or text

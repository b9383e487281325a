"""`ProductRecorder`: products and prices from Stripe into the mirror, in whatever order they come."""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import UnsetType
from msgspec.structs import replace

from tallystick.core.clock import Clock
from tallystick.core.ids import new_id
from tallystick.platform.database import Transaction, await_makers
from tallystick.products.models import CatalogueFacts, PriceFacts, PriceRow, ProductFacts, ProductRow
from tallystick.products.repository import ProductRepository
from tallystick.stripe_gateway.objects import Price, Product, pick
from tallystick.stripe_gateway.ordering import Source, Verdict, judge, later
from tallystick.webhooks.service import queue_fetches

__all__ = ["ProductRecorder"]


class ProductRecorder:
    """Applies products and prices to the mirror."""

    def __init__(self, clock: Clock, repository: ProductRepository) -> None:
        self._clock = clock
        self._repository = repository

    async def record(self, tx: Transaction, facts: Sequence[CatalogueFacts]) -> None:
        """Apply `facts` in their order; doing it again changes nothing."""
        await self._record_products(tx, [fact for fact in facts if isinstance(fact, ProductFacts)])
        await self._record_prices(tx, [fact for fact in facts if isinstance(fact, PriceFacts)])

    async def _record_products(self, tx: Transaction, facts: Sequence[ProductFacts]) -> None:
        if not facts:
            return
        ids = [fact.value.id for fact in facts]
        rows = await self._repository.lock_products(tx, ids)
        if await await_makers(tx, set(ids) - rows.keys()):
            rows = await self._repository.lock_products(tx, ids)
        changed: dict[str, ProductRow] = {}
        for fact in facts:
            row = rows.get(fact.value.id)
            verdict = _judge_product(row, fact) if row else Verdict.APPLY
            if verdict is Verdict.KEEP:
                continue
            changed[fact.value.id] = rows[fact.value.id] = self._product(row, fact, verdict)
        await self._repository.save_products(tx, list(changed.values()))
        await queue_fetches(tx, [id_ for id_, row in changed.items() if row.unsure], self._clock)

    async def _record_prices(self, tx: Transaction, facts: Sequence[PriceFacts]) -> None:
        if not facts:
            return
        ids = [fact.value.id for fact in facts]
        rows = await self._repository.lock_prices(tx, ids)
        if await await_makers(tx, set(ids) - rows.keys()):
            rows = await self._repository.lock_prices(tx, ids)
        changed: dict[str, PriceRow] = {}
        for fact in facts:
            row = rows.get(fact.value.id)
            verdict = _judge_price(row, fact) if row else Verdict.APPLY
            if verdict is Verdict.KEEP:
                continue
            changed[fact.value.id] = rows[fact.value.id] = self._price(row, fact, verdict)
        await self._repository.save_prices(tx, list(changed.values()))
        # Events do not print tiers; a tiered price without them would be shown untruly.
        wanting = [
            id_ for id_, row in changed.items() if row.unsure or (row.billing_scheme == "tiered" and not row.tiers)
        ]
        await queue_fetches(tx, wanting, self._clock)

    def _product(self, row: ProductRow | None, fact: ProductFacts, verdict: Verdict) -> ProductRow:
        product = fact.value
        return ProductRow(
            id=row.id if row else new_id(),
            stripe_product_id=product.id,
            name=product.name,
            active=product.active,
            deleted=product.deleted,
            description=pick(product.description, row.description if row else None),
            unit_label=pick(product.unit_label, row.unit_label if row else None),
            default_price_id=pick(product.default_price, row.default_price_id if row else None),
            images=pick(product.images, row.images if row else []),
            features=pick(product.features, row.features if row else []),
            metadata=product.metadata,
            revision=row.revision + 1 if row else 0,
            state_at=later(row.state_at if row else None, fact.source),
            unsure=verdict is Verdict.UNSURE,
            created_at=product.created,
            updated_at=self._clock.now(),
        )

    def _price(self, row: PriceRow | None, fact: PriceFacts, verdict: Verdict) -> PriceRow:
        price = fact.value
        return PriceRow(
            id=row.id if row else new_id(),
            stripe_price_id=price.id,
            stripe_product_id=price.product,
            active=price.active,
            deleted=price.deleted,
            currency=price.currency,
            type=price.type,
            billing_scheme=price.billing_scheme,
            unit_amount=price.unit_amount,
            unit_amount_decimal=price.unit_amount_decimal,
            recurring=price.recurring,
            tiers_mode=price.tiers_mode,
            tiers=pick(price.tiers, row.tiers if row else None),
            transform_quantity=price.transform_quantity,
            nickname=pick(price.nickname, row.nickname if row else None),
            lookup_key=pick(price.lookup_key, row.lookup_key if row else None),
            tax_behavior=pick(price.tax_behavior, row.tax_behavior if row else None),
            metadata=price.metadata,
            revision=row.revision + 1 if row else 0,
            state_at=later(row.state_at if row else None, fact.source),
            unsure=verdict is Verdict.UNSURE,
            created_at=price.created,
            updated_at=self._clock.now(),
        )


def _judge(row: ProductRow | PriceRow, source: Source, shown: Mapping[str, Any], state: Mapping[str, Any]) -> Verdict:
    return judge(source, row_at=row.state_at, revision=row.revision, shown=shown, state=state)


def _judge_product(row: ProductRow, fact: ProductFacts) -> Verdict:
    if fact.source.mends(row.revision):
        return Verdict.APPLY
    if fact.value.deleted or row.deleted:
        return Verdict.KEEP if row.deleted else Verdict.APPLY
    source, previous = fact.source, dict(fact.source.previous or {})
    listed = previous.pop("marketing_features", previous.get("features"))
    if isinstance(listed, list):
        source = replace(source, previous={**previous, "features": [item.get("name") for item in listed]})
    return _judge(row, source, _shown_product(row), _state_of(fact.value, row))


def _shown_product(row: ProductRow) -> Mapping[str, Any]:
    return {
        "name": row.name,
        "active": row.active,
        "description": row.description,
        "unit_label": row.unit_label,
        "default_price": row.default_price_id,
        "images": row.images,
        "features": row.features,
        "metadata": row.metadata,
    }


def _state_of(product: Product, row: ProductRow) -> Mapping[str, Any]:
    return {
        "name": product.name,
        "active": product.active,
        "description": pick(product.description, row.description),
        "unit_label": pick(product.unit_label, row.unit_label),
        "default_price": pick(product.default_price, row.default_price_id),
        "images": pick(product.images, row.images),
        "features": pick(product.features, row.features),
        "metadata": product.metadata,
    }


def _judge_price(row: PriceRow, fact: PriceFacts) -> Verdict:
    if fact.source.mends(row.revision):
        return Verdict.APPLY
    if fact.value.deleted or row.deleted:
        return Verdict.KEEP if row.deleted else Verdict.APPLY
    if row.tiers is None and not isinstance(fact.value.tiers, UnsetType):
        return Verdict.APPLY
    return _judge(row, fact.source, _shown_price(row), _state_of_price(fact.value, row))


def _shown_price(row: PriceRow) -> Mapping[str, Any]:
    return {
        "active": row.active,
        "nickname": row.nickname,
        "lookup_key": row.lookup_key,
        "tax_behavior": row.tax_behavior,
        "metadata": row.metadata,
    }


def _state_of_price(price: Price, row: PriceRow) -> Mapping[str, Any]:
    return {
        "active": price.active,
        "nickname": pick(price.nickname, row.nickname),
        "lookup_key": pick(price.lookup_key, row.lookup_key),
        "tax_behavior": pick(price.tax_behavior, row.tax_behavior),
        "metadata": price.metadata,
    }

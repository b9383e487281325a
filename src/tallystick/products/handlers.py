"""Stripe's events about the catalogue, each into typed facts."""

from collections.abc import Callable, Mapping, Sequence

from tallystick.products.models import CatalogueFacts, PriceFacts, ProductFacts
from tallystick.stripe_gateway import translate
from tallystick.webhooks.handlers import source_of
from tallystick.webhooks.models import StoredEvent

__all__ = ["HANDLERS"]


def on_product(event: StoredEvent) -> Sequence[CatalogueFacts]:
    deleted = event.type == "product.deleted"
    return [ProductFacts(translate.product(event.object, deleted=deleted), source_of(event))]


def on_price(event: StoredEvent) -> Sequence[CatalogueFacts]:
    deleted = event.type == "price.deleted"
    return [PriceFacts(translate.price(event.object, deleted=deleted), source_of(event))]


HANDLERS: Mapping[str, Callable[[StoredEvent], Sequence[CatalogueFacts]]] = {
    "product.created": on_product,
    "product.updated": on_product,
    "product.deleted": on_product,
    "price.created": on_price,
    "price.updated": on_price,
    "price.deleted": on_price,
}

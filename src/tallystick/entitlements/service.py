"""`EntitlementService`: what a user may use now and until when, and the features that products have."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from tallystick.core.clock import Clock
from tallystick.core.errors import Forbidden, InvalidRequest, NotFound
from tallystick.customers.service import StripeCustomerService
from tallystick.entitlements.errors import FeatureInUse, TooManyFeatures
from tallystick.entitlements.models import (
    Entitlement,
    Feature,
    FeatureValue,
    Grant,
    GrantedFeature,
    ProductFeature,
)
from tallystick.entitlements.repository import EntitlementRepository
from tallystick.platform.auth import Actor
from tallystick.platform.database import Database, Transaction
from tallystick.products.service import ProductService

__all__ = ["PATIENCE", "EntitlementService"]

PATIENCE = timedelta(hours=1)
"""How long access outlives its end while Stripe is asked whether it is so."""

_MOST = 1000


class EntitlementService:
    """Keeps grants and features, and answers from them."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        repository: EntitlementRepository,
        customers: StripeCustomerService,
        products: ProductService,
    ) -> None:
        self._database = database
        self._clock = clock
        self._repository = repository
        self._customers = customers
        self._products = products

    # What users may use

    async def of(self, actor: Actor, user: str | None) -> tuple[str, Entitlement]:
        """Whose entitlements, and what they are. Staff may name any `user` by the host application's id.

        Raises `Forbidden`, `NotFound`.
        """
        subject, user_id = await self._whose(actor, user)
        async with self._database.connection() as connection:
            products, features = await self._repository.entitled(connection, user_id, self._clock.now() - PATIENCE)
        return subject, Entitlement(products, _best(features))

    async def check(self, actor: Actor, key: str, user: str | None) -> tuple[str, GrantedFeature | None]:
        """Whose entitlement to a feature, and the best there is, or None; raises `Forbidden`, `NotFound`."""
        subject, user_id = await self._whose(actor, user)
        async with self._database.connection() as connection:
            found = await self._repository.entitled_to(connection, user_id, self._clock.now() - PATIENCE, key)
        if found is None:
            raise NotFound("There is no such feature.", field="feature")
        best = _best(found)
        return subject, best[0] if best and best[0].value is not False else None

    async def _whose(self, actor: Actor, user: str | None) -> tuple[str, UUID]:
        if user is None or user == actor.subject:
            return actor.subject, actor.user_id
        if not actor.staff:
            raise Forbidden("Only staff may name another user.", field="user")
        found = await self._customers.find_user(user) if "\x00" not in user else None
        if found is None:
            raise NotFound("There is no such user.", field="user")
        return user, found.id

    # Grants

    async def grants_of(self, tx: Transaction, subscription_ids: Sequence[UUID]) -> dict[UUID, dict[str, Grant]]:
        """What these subscriptions were last said to grant, ended grants too, by Stripe's product id."""
        found: dict[UUID, dict[str, Grant]] = {}
        for grant in await self._repository.grants_of(tx, subscription_ids):
            found.setdefault(grant.subscription_id, {})[grant.stripe_product_id] = grant
        return found

    async def record(self, tx: Transaction, grants: Sequence[Grant]) -> None:
        """Store grants as they are now; the caller has their subscriptions locked."""
        if grants:
            await self._repository.save_grants(tx, grants)

    async def features_of(
        self, tx: Transaction, stripe_product_ids: Sequence[str]
    ) -> Mapping[str, Sequence[ProductFeature]]:
        """The features of products; one that has none has no entry."""
        return await self._repository.features_of(tx, stripe_product_ids)

    # Features

    async def listed(self) -> Sequence[Feature]:
        """All features, by key; there are few."""
        async with self._database.connection() as connection:
            return await self._repository.features(connection)

    async def get(self, key: str) -> Feature:
        """A feature; raises `NotFound`."""
        async with self._database.connection() as connection:
            feature = await self._repository.find_feature(connection, key)
        if feature is None:
            raise NotFound("There is no such feature.", field="key")
        return feature

    async def put(self, actor: Actor, key: str, name: str) -> tuple[Feature, bool]:
        """Make a feature, or name it anew; and whether it was made. Raises `Forbidden`, `TooManyFeatures`."""
        actor.require_admin()
        async with self._database.transaction() as tx:
            feature, made = await self._repository.put_feature(tx, key, name, self._clock.now())
            if made and len(await self._repository.features(tx)) > _MOST:
                raise TooManyFeatures(f"There are {_MOST} features already.")
        return feature, made

    async def delete(self, actor: Actor, key: str) -> Feature:
        """Delete a feature that no product has; raises `Forbidden`, `NotFound`, `FeatureInUse`."""
        actor.require_admin()
        feature = await self.get(key)
        async with self._database.transaction() as tx:
            if products := await self._repository.products_with(tx, feature.id, limit=20):
                raise FeatureInUse(products=products)
            await self._repository.delete_feature(tx, feature.id)
        return feature

    async def of_product(self, product_id: str) -> tuple[str, Sequence[ProductFeature]]:
        """Stripe's id of a product, and its features by key; raises `NotFound`."""
        product, _ = await self._products.get(product_id)
        async with self._database.connection() as connection:
            found = await self._repository.features_of(connection, [product.stripe_product_id])
        return product.stripe_product_id, found.get(product.stripe_product_id, [])

    async def set_of_product(
        self, actor: Actor, product_id: str, values: Sequence[tuple[str, FeatureValue]]
    ) -> tuple[str, Sequence[ProductFeature]]:
        """Give a product exactly these features; users of the product have them at once.

        Raises `Forbidden`, `NotFound`, and `InvalidRequest` for a key that is no feature, or comes twice.
        """
        actor.require_admin()
        keys = [key for key, _ in values]
        for place, key in enumerate(keys):
            if key in keys[:place]:
                raise InvalidRequest(f"The feature {key} is there twice.", field=f"features.{place}.key")
        product, _ = await self._products.get(product_id)
        async with self._database.transaction() as tx:
            unknown = await self._repository.replace_features(tx, product.stripe_product_id, dict(values))
        if unknown:
            raise InvalidRequest(
                f"There is no feature {unknown[0]}.",
                field=f"features.{keys.index(unknown[0])}.key",
                action=f"Make it first: PUT /api/features/{unknown[0]}.",
            )
        return await self.of_product(product.stripe_product_id)


def _best(features: Sequence[GrantedFeature]) -> list[GrantedFeature]:
    """Of each feature the best; `features` come newest first."""
    best: dict[str, GrantedFeature] = {}
    for feature in features:
        known = best.get(feature.feature)
        if known is None or _better(feature, known):
            best[feature.feature] = feature
    return [best[key] for key in sorted(best)]


def _better(one: GrantedFeature, newer: GrantedFeature) -> bool:
    """Whether `one` gives more than a newer one: the larger number, or true; else the newer wins.

    Where they give the same, the one wins that lasts longer.
    """
    if one.value == newer.value and type(one.value) is type(newer.value):
        mine, others = one.by.until, newer.by.until
        return others is not None and (mine is None or mine > others)
    if isinstance(one.value, bool) and isinstance(newer.value, bool):
        return one.value
    if isinstance(one.value, bool) or isinstance(newer.value, bool):
        return False
    return isinstance(one.value, int) and isinstance(newer.value, int) and one.value > newer.value

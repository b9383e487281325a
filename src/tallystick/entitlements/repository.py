"""SQL of features and grants."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from tallystick.core.ids import new_id
from tallystick.entitlements.models import (
    Feature,
    FeatureValue,
    Grant,
    GrantedFeature,
    GrantedProduct,
    ProductFeature,
)
from tallystick.platform.database import Connection, Transaction
from tallystick.platform.mirror_table import RowTable

__all__ = ["EntitlementRepository"]

_GRANTS = RowTable("access_grants", Grant, ["subscription_id", "stripe_product_id"])
_FEATURES = f"SELECT {', '.join(Feature.__struct_fields__)} FROM features"

# Both reads: `$1` is the user, `$2` the moment after which access that ends by itself has to end.
_GRANTED = """
    g.stripe_product_id, p.name, g.subscription_id, g.price_id, g.quantity, g.state, g.access_until, g.since
"""
_STILL = "g.user_id = $1 AND g.access AND (g.access_until IS NULL OR g.access_until > $2)"
_EVERYTHING = f"""
    SELECT {_GRANTED}, f.key, f.name, pf.value
    FROM access_grants g
    LEFT JOIN products p ON p.stripe_product_id = g.stripe_product_id
    LEFT JOIN product_features pf ON pf.stripe_product_id = g.stripe_product_id
    LEFT JOIN features f ON f.id = pf.feature_id
    WHERE {_STILL}
    ORDER BY g.since DESC, g.subscription_id, g.stripe_product_id, f.key
"""
_ONE_FEATURE = f"""
    SELECT {_GRANTED}, f.key, f.name, pf.value
    FROM features f
    LEFT JOIN (
        access_grants g
        JOIN product_features pf ON pf.stripe_product_id = g.stripe_product_id AND {_STILL}
        LEFT JOIN products p ON p.stripe_product_id = g.stripe_product_id
    ) ON pf.feature_id = f.id
    WHERE f.key = $3
    ORDER BY g.since DESC, g.subscription_id, g.stripe_product_id
"""


class EntitlementRepository:
    """Reads and writes `access_grants`, `features` and `product_features`."""

    # Grants

    async def grants_of(self, connection: Connection, subscription_ids: Sequence[UUID]) -> list[Grant]:
        rows = await connection.fetch(f"{_GRANTS.select} WHERE subscription_id = ANY($1)", subscription_ids)
        return [_GRANTS.read(row) for row in rows]

    async def save_grants(self, tx: Transaction, grants: Sequence[Grant]) -> None:
        await _GRANTS.save(tx, grants)

    async def entitled(
        self, connection: Connection, user_id: UUID, after: datetime
    ) -> tuple[list[GrantedProduct], list[GrantedFeature]]:
        """The products that a user may use and their features, newest first; access that ends, ends after `after`."""
        products: dict[tuple[UUID, str], GrantedProduct] = {}
        features = []
        for row in await connection.fetch(_EVERYTHING, user_id, after):
            by = products.setdefault((row[2], row[0]), GrantedProduct(*row[:8]))
            if row[8] is not None:
                features.append(GrantedFeature(row[8], row[9], row[10], by))
        return list(products.values()), features

    async def entitled_to(
        self, connection: Connection, user_id: UUID, after: datetime, key: str
    ) -> list[GrantedFeature] | None:
        """By what a user may use one feature; None where there is no such feature."""
        rows = await connection.fetch(_ONE_FEATURE, user_id, after, key)
        found = [GrantedFeature(row[8], row[9], row[10], GrantedProduct(*row[:8])) for row in rows if row[0]]
        return found if rows else None

    # Features

    async def features(self, connection: Connection) -> list[Feature]:
        return [Feature(*row) for row in await connection.fetch(f"{_FEATURES} ORDER BY key")]

    async def find_feature(self, connection: Connection, key: str) -> Feature | None:
        row = await connection.fetchrow(f"{_FEATURES} WHERE key = $1", key)
        return Feature(*row) if row else None

    async def put_feature(self, tx: Transaction, key: str, name: str, now: datetime) -> tuple[Feature, bool]:
        """Make a feature, or name it anew; and whether it was made."""
        row = await tx.fetchrow(
            f"""
            INSERT INTO features (id, key, name, created_at, updated_at) VALUES ($1, $2, $3, $4, $4)
            ON CONFLICT (key) DO UPDATE SET name = excluded.name, updated_at = excluded.updated_at
            RETURNING {", ".join(Feature.__struct_fields__)}, xmax = 0
            """,
            new_id(),
            key,
            name,
            now,
        )
        assert row is not None
        return Feature(*row[:5]), row[5]

    async def delete_feature(self, tx: Transaction, feature_id: UUID) -> None:
        await tx.execute("DELETE FROM features WHERE id = $1", feature_id)

    async def products_with(self, tx: Transaction, feature_id: UUID, limit: int) -> list[str]:
        """Products that have a feature; the feature is locked, so that no other gets it."""
        await tx.execute("SELECT 1 FROM features WHERE id = $1 FOR UPDATE", feature_id)
        rows = await tx.fetch(
            "SELECT stripe_product_id FROM product_features WHERE feature_id = $1 ORDER BY 1 LIMIT $2",
            feature_id,
            limit,
        )
        return [row[0] for row in rows]

    async def features_of(
        self, connection: Connection, stripe_product_ids: Sequence[str]
    ) -> dict[str, list[ProductFeature]]:
        """The features of products, by key."""
        rows = await connection.fetch(
            """
            SELECT pf.stripe_product_id, f.key, f.name, pf.value
            FROM product_features pf JOIN features f ON f.id = pf.feature_id
            WHERE pf.stripe_product_id = ANY($1) ORDER BY f.key
            """,
            stripe_product_ids,
        )
        found: dict[str, list[ProductFeature]] = {}
        for row in rows:
            found.setdefault(row[0], []).append(ProductFeature(*row[1:]))
        return found

    async def replace_features(
        self, tx: Transaction, stripe_product_id: str, values: Mapping[str, FeatureValue]
    ) -> list[str]:
        """Give a product exactly these features; the keys that are no features (then nothing is changed)."""
        rows = await tx.fetch(
            "SELECT key, id FROM features WHERE key = ANY($1) ORDER BY id FOR KEY SHARE", list(values)
        )
        ids = {row[0]: row[1] for row in rows}
        if unknown := [key for key in values if key not in ids]:
            return unknown
        # Two at once would mix their lists.
        await tx.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 1))", stripe_product_id)
        await tx.execute("DELETE FROM product_features WHERE stripe_product_id = $1", stripe_product_id)
        await tx.executemany(
            "INSERT INTO product_features (stripe_product_id, feature_id, value) VALUES ($1, $2, $3)",
            [(stripe_product_id, ids[key], value) for key, value in values.items()],
        )
        return []

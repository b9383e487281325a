"""SQL of products and prices."""

from collections.abc import Sequence
from uuid import UUID

from tallystick.core.pages import Page
from tallystick.platform.database import Connection, Transaction
from tallystick.platform.mirror_table import MirrorTable
from tallystick.products.models import PriceRow, ProductRow

__all__ = ["ProductRepository"]

_PRODUCTS = MirrorTable("products", ProductRow, "stripe_product_id")
_PRICES = MirrorTable("prices", PriceRow, "stripe_price_id")


class ProductRepository:
    """Reads and writes `products` and `prices`."""

    async def lock_products(self, tx: Transaction, stripe_ids: Sequence[str]) -> dict[str, ProductRow]:
        return await _PRODUCTS.lock(tx, stripe_ids)

    async def lock_prices(self, tx: Transaction, stripe_ids: Sequence[str]) -> dict[str, PriceRow]:
        return await _PRICES.lock(tx, stripe_ids)

    async def save_products(self, tx: Transaction, rows: Sequence[ProductRow]) -> None:
        await _PRODUCTS.save(tx, rows)

    async def save_prices(self, tx: Transaction, rows: Sequence[PriceRow]) -> None:
        await _PRICES.save(tx, rows)

    async def find_product(self, connection: Connection, product_id: UUID | str) -> ProductRow | None:
        """A product by our id or Stripe's, deleted ones too."""
        return await _PRODUCTS.find(connection, product_id)

    async def names(self, connection: Connection, stripe_product_ids: Sequence[str]) -> dict[str, str]:
        """The names of these products; unknown ones have no entry."""
        rows = await connection.fetch(
            "SELECT stripe_product_id, name FROM products WHERE stripe_product_id = ANY($1)", stripe_product_ids
        )
        return {row[0]: row[1] for row in rows}

    async def prices(self, connection: Connection, stripe_price_ids: Sequence[str]) -> dict[str, PriceRow]:
        """These prices, inactive ones too; unknown ones have no entry."""
        rows = await connection.fetch(f"{_PRICES.select} WHERE stripe_price_id = ANY($1)", stripe_price_ids)
        return {row.stripe_price_id: row for row in map(_PRICES.read, rows)}

    async def find_price(self, connection: Connection, price_id: UUID | str) -> PriceRow | None:
        """A price by our id or Stripe's, inactive ones too."""
        return await _PRICES.find(connection, price_id)

    async def listed(
        self,
        connection: Connection,
        *,
        limit: int,
        after: ProductRow | None = None,
        before: ProductRow | None = None,
    ) -> Page[ProductRow]:
        """A page of the products on offer, newest first."""
        edge, comparison, direction = (before, ">", "ASC") if before else (after, "<", "DESC")
        values: list[object] = [limit + 1]
        beyond = ""
        if edge is not None:
            values += [edge.created_at, edge.id]
            beyond = f"AND (created_at, id) {comparison} ($2, $3)"
        rows = await connection.fetch(
            f"""
            {_PRODUCTS.select} WHERE active AND NOT deleted {beyond}
            ORDER BY created_at {direction}, id {direction} LIMIT $1
            """,
            *values,
        )
        found = [_PRODUCTS.read(row) for row in rows[:limit]]
        return Page(found[::-1] if before else found, len(rows) > limit)

    async def prices_of(self, connection: Connection, stripe_product_ids: Sequence[str]) -> list[PriceRow]:
        """The prices on offer of these products, newest first."""
        rows = await connection.fetch(
            f"""
            {_PRICES.select} WHERE stripe_product_id = ANY($1) AND active AND NOT deleted
            ORDER BY created_at DESC, id DESC
            """,
            stripe_product_ids,
        )
        return [_PRICES.read(row) for row in rows]

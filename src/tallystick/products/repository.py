"""SQL of products and prices."""

from collections.abc import Sequence
from typing import Generic, TypeVar
from uuid import UUID

from tallystick.core.pages import Page
from tallystick.platform.database import Connection, Transaction
from tallystick.products.models import PriceRow, ProductRow

__all__ = ["ProductRepository"]

Row = TypeVar("Row", ProductRow, PriceRow)


class _Table(Generic[Row]):
    def __init__(self, table: str, stripe_id: str, names: Sequence[str]) -> None:
        columns = ", ".join(f"{name}::bigint AS {name}" if name == "unit_amount" else name for name in names)
        marks = ", ".join(f"${n}" for n in range(1, len(names) + 1))
        changes = ", ".join(f"{name} = excluded.{name}" for name in names if name not in ("id", "created_at"))
        self.select = f"SELECT {columns} FROM {table}"
        self.lock = f"{self.select} WHERE {stripe_id} = ANY($1) ORDER BY id FOR UPDATE"
        values = f"({', '.join(names)}) VALUES ({marks})"
        self.upsert = f"INSERT INTO {table} {values} ON CONFLICT ({stripe_id}) DO UPDATE SET {changes}"


_PRODUCTS = _Table[ProductRow]("products", "stripe_product_id", ProductRow.__struct_fields__)
_PRICES = _Table[PriceRow]("prices", "stripe_price_id", PriceRow.__struct_fields__)


class ProductRepository:
    """Reads and writes `products` and `prices`."""

    async def lock_products(self, tx: Transaction, stripe_ids: Sequence[str]) -> dict[str, ProductRow]:
        rows = [ProductRow(*row) for row in await tx.fetch(_PRODUCTS.lock, stripe_ids)]
        return {row.stripe_product_id: row for row in rows}

    async def lock_prices(self, tx: Transaction, stripe_ids: Sequence[str]) -> dict[str, PriceRow]:
        rows = [PriceRow(*row) for row in await tx.fetch(_PRICES.lock, stripe_ids)]
        return {row.stripe_price_id: row for row in rows}

    async def save_products(self, tx: Transaction, rows: Sequence[ProductRow]) -> None:
        names = ProductRow.__struct_fields__
        await tx.executemany(_PRODUCTS.upsert, [[getattr(row, name) for name in names] for row in rows])

    async def save_prices(self, tx: Transaction, rows: Sequence[PriceRow]) -> None:
        names = PriceRow.__struct_fields__
        await tx.executemany(_PRICES.upsert, [[getattr(row, name) for name in names] for row in rows])

    async def find_product(self, connection: Connection, product_id: UUID | str) -> ProductRow | None:
        """A product by our id or Stripe's, deleted ones too."""
        column = "id" if isinstance(product_id, UUID) else "stripe_product_id"
        row = await connection.fetchrow(f"{_PRODUCTS.select} WHERE {column} = $1", product_id)
        return ProductRow(*row) if row else None

    async def find_price(self, connection: Connection, price_id: UUID | str) -> PriceRow | None:
        """A price by our id or Stripe's, inactive ones too."""
        column = "id" if isinstance(price_id, UUID) else "stripe_price_id"
        row = await connection.fetchrow(f"{_PRICES.select} WHERE {column} = $1", price_id)
        return PriceRow(*row) if row else None

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
        found = [ProductRow(*row) for row in rows[:limit]]
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
        return [PriceRow(*row) for row in rows]

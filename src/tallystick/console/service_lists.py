"""`ListReader`: pages of the console's lists, and whole lists as CSV."""

import csv
import io
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from tallystick.console.errors import ListTooSlow
from tallystick.console.listing import Column, Cursor, Listing, Order
from tallystick.console.models import Listed
from tallystick.console.repository import ConsoleRepository
from tallystick.core.errors import NotFound
from tallystick.core.money import Money
from tallystick.platform.database import Database

__all__ = ["CSV_MOST", "ListReader", "csv_line", "order_of"]

CSV_MOST = 100_000
_CSV_BATCH = 1000
_ROWS = 25
# As spreadsheets take them, also in the width of Japanese keyboards.
_ASKS_TO_CALCULATE = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


class ListReader:
    """Reads lists."""

    def __init__(self, database: Database, listings: Mapping[str, Listing]) -> None:
        self._database = database
        self._listings = listings
        self._repository = ConsoleRepository()

    def listing(self, name: str) -> Listing:
        """The list of this name; raises NotFound."""
        if name not in self._listings:
            raise NotFound("There is no such list.")
        return self._listings[name]

    async def page(self, listing: Listing, wanted: Mapping[str, str], rows: int = _ROWS) -> Listed:
        """The page that `wanted` asks for: filters by name, `order`, and `cursor`.

        Raises FilterInvalid, CursorInvalid, and ListTooSlow where no index helps.
        """
        cursor = Cursor.read(wanted["cursor"]) if wanted.get("cursor") else None
        try:
            async with self._database.reading() as connection:
                return await self._repository.page(
                    connection, listing, wanted, order=order_of(listing, wanted), cursor=cursor, limit=rows
                )
        except TimeoutError:
            raise ListTooSlow from None

    async def csv(self, listing: Listing, wanted: Mapping[str, str]) -> AsyncIterator[str]:
        """The list as CSV, at most 100,000 rows, some at a time. What a spreadsheet would calculate is made text."""
        columns, left, cursor = listing.columns, CSV_MOST, ""
        yield csv_line([column.name for column in columns])
        while left > 0:
            # Whoever reads slowly holds no connection meanwhile.
            page = await self.page(listing, {**wanted, "cursor": cursor}, rows=min(_CSV_BATCH, left))
            yield "".join(csv_line([_cell(column, row) for column in columns]) for row in page.rows)
            left -= len(page.rows)
            if page.next is None:
                return
            cursor = page.next


def order_of(listing: Listing, wanted: Mapping[str, str]) -> Order:
    """The order that is asked for, else the usual one."""
    return next((order for order in listing.orders if order.name == wanted.get("order")), listing.orders[0])


def _cell(column: Column, row: Mapping[str, Any]) -> str:
    value = row[column.name]
    if value is None:
        return ""
    if column.shown == "money":
        return f"{Money(value, row['currency']).major()} {row['currency']}"
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    text = str(value)
    return f"'{text}" if text.startswith(_ASKS_TO_CALCULATE) else text


def csv_line(cells: Sequence[str]) -> str:
    """A line of CSV (RFC 4180)."""
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\r\n").writerow(cells)
    return out.getvalue()

"""Comparing the live mirror with a rebuilt one, row by row and field by field, both read in the order of their keys."""

from collections.abc import AsyncIterator
from typing import Any

from asyncpg.cursor import Cursor

from tallystick.platform.database import Database, Record, Transaction
from tallystick.rebuilding.models import COMPARED, Difference, Progress, Rebuilt, TableResult
from tallystick.rebuilding.repository import RebuildRepository

__all__ = ["compare"]

_ROWS = 500
_SHOWN = 200


async def compare(
    snapshot: Transaction, scratch: Database, repository: RebuildRepository, result: Rebuilt, progress: Progress
) -> None:
    """Add to `result` what is the same and what is not."""
    counts = [await repository.count(snapshot, table) for table in COMPARED]
    progress.phase("compare", sum(counts))
    for compared in COMPARED:
        table = TableResult(compared.table)
        result.tables.append(table)
        async with scratch.transaction() as tx:
            live = _pairs(await repository.compared(snapshot, compared))
            rebuilt = _pairs(await repository.compared(tx, compared))
            async for key, ours, theirs in _merged(live, rebuilt):
                _compare_row(result, table, key, ours, theirs)
                if ours is not None:
                    progress.advance(1)


def _compare_row(
    result: Rebuilt, table: TableResult, key: str, live: dict[str, Any] | None, rebuilt: dict[str, Any] | None
) -> None:
    if live is not None:
        table.rows += 1
    if live is None or rebuilt is None:
        found = [Difference(table.table, key, None, live, rebuilt)]
    else:
        table.fields += len(live)
        found = [
            Difference(table.table, key, name, live[name], rebuilt.get(name))
            for name in live
            if live[name] != rebuilt.get(name)
        ]
    if found:
        table.different += 1
        result.differences += found[: max(0, _SHOWN - len(result.differences))]


async def _pairs(cursor: "Cursor[Record]") -> AsyncIterator[tuple[str, dict[str, Any]]]:
    while rows := await cursor.fetch(_ROWS):
        for row in rows:
            yield row["key"], row["fields"]


async def _merged(
    one: AsyncIterator[tuple[str, dict[str, Any]]], other: AsyncIterator[tuple[str, dict[str, Any]]]
) -> AsyncIterator[tuple[str, dict[str, Any] | None, dict[str, Any] | None]]:
    """Rows of both with the same key side by side; None where a side has no such row."""
    left, right = await anext(one, None), await anext(other, None)
    while left is not None or right is not None:
        if right is None or (left is not None and left[0] < right[0]):
            assert left is not None
            yield left[0], left[1], None
            left = await anext(one, None)
        elif left is None or right[0] < left[0]:
            yield right[0], None, right[1]
            right = await anext(other, None)
        else:
            yield left[0], left[1], right[1]
            left, right = await anext(one, None), await anext(other, None)

"""Cursor pages, as Stripe has them: `{data, has_more}`, newest first."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["LIMIT_DEFAULT", "LIMIT_MAX", "Page"]

LIMIT_DEFAULT = 20
LIMIT_MAX = 100

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """One page of a list; `has_more` tells whether the next one in the same direction has rows."""

    data: Sequence[Row]
    has_more: bool

"""What comparing a kind of object means: which columns of its row mirror Stripe, and what they must show.

The rules beside this page (`compare_payments.py`, …) say it anew, on purpose not by what the recorders are made of:
a fault there would hide itself. Pure.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from msgspec import UNSET

__all__ = ["OWN", "Expected", "Mirrored", "Row", "printed"]

Row: TypeAlias = Mapping[str, Any]
"""A row of the mirror: its columns, with what `Mirrored.extra` adds."""

Expected: TypeAlias = dict[str, Any]
"""What a row must show, by column."""

OWN = frozenset({"id", "user_id", "revision", "state_at", "unsure", "updated_at"})
"""Columns that every table may have and that are ours: `state_at` is looked at in a way of its own."""


@dataclass(frozen=True, slots=True)
class Mirrored:
    """How one kind of object is compared.

    `expected` takes Stripe's object and the id of this installation; a field that the object does not print (UNSET) is
    not compared. `derived` names columns that follow from other rows of ours (compared one by one themselves): what
    they must be stands in the row as `expected_<column>`. `extra` is SQL that adds such columns to `t.*`, or puts
    another one in a column's place. `own` are the columns of this table that are ours, beside `OWN`.
    `kept` says whether the mirror holds such an object at all where there is no row of it.
    """

    expected: Callable[[Any, str], Expected]
    own: frozenset[str] = field(default_factory=frozenset)
    derived: tuple[str, ...] = ()
    extra: str = ""
    kept: Callable[[Any], bool] = lambda _: True


def printed(fields: Mapping[str, Any]) -> Expected:
    """The fields that Stripe printed."""
    return {name: value for name, value in fields.items() if value is not UNSET}

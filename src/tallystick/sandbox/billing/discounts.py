"""What discounts take off an invoice's lines: those of a line first, then those of the whole, in order.

Published example: 5.00 off lines of 10.00 and 20.00 are 1.66 and 3.34, so a split rounds down and the largest line
takes the rest.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from tallystick.sandbox.billing.money import rounded

__all__ = ["Discountable", "Reduction", "reduce_lines", "single"]


@dataclass(frozen=True, slots=True)
class Reduction:
    """One discount: a share of the price or an amount; `products` limits it to some."""

    id: str
    percent: Fraction | None = None
    amount: int | None = None
    products: frozenset[str] | None = None

    def takes(self, total: int, currency: str) -> int:
        """What it takes off `total`."""
        if self.percent is not None:
            return min(total, -rounded(-total * self.percent / 100, currency))
        return min(total, self.amount or 0)


@dataclass(frozen=True, slots=True)
class Discountable:
    """A line as discounts see it."""

    amount: int
    product: str | None
    discountable: bool = True
    own: Sequence[Reduction] = field(default_factory=tuple)


Taken = list[tuple[str, int]]


def reduce_lines(lines: Sequence[Discountable], whole: Sequence[Reduction], currency: str) -> list[Taken]:
    """For each line, what each discount takes off it."""
    left = [line.amount for line in lines]
    taken: list[Taken] = [[] for _ in lines]
    for index, line in enumerate(lines):
        for reduction in line.own:
            _take(reduction, [index], left, taken, currency)
    for reduction in whole:
        fitting = [index for index, line in enumerate(lines) if _fits(line, reduction)]
        _take(reduction, fitting, left, taken, currency)
    return taken


def single(amount: int, reductions: Sequence[Reduction], product: str | None, currency: str) -> int:
    """`amount` after discounts that have nothing else to be taken from: how classic prorations see them."""
    for reduction in reductions:
        if _fits(Discountable(amount, product), reduction):
            amount -= reduction.takes(amount, currency)
    return amount


def _fits(line: Discountable, reduction: Reduction) -> bool:
    within = reduction.products is None or line.product in reduction.products
    return line.discountable and line.amount > 0 and within


def _take(reduction: Reduction, indices: list[int], left: list[int], taken: list[Taken], currency: str) -> None:
    indices = [index for index in indices if left[index] > 0]
    total = sum(left[index] for index in indices)
    off = reduction.takes(total, currency) if total else 0
    parts = {index: off * left[index] // total for index in indices}
    if parts:
        largest = max(indices, key=lambda index: left[index])
        parts[largest] += off - sum(parts.values())
    for index, part in parts.items():
        taken[index].append((reduction.id, part))
        left[index] -= part

"""What actions have in common: who acts, on what, and by which chance."""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from tallystick.simulation.book import Order

if TYPE_CHECKING:
    from tallystick.simulation.world import World

__all__ = ["Act", "Acting", "Action", "told"]


@dataclass(frozen=True)
class Acting:
    """One step as it is made: all that it chooses comes from `rng`."""

    world: "World"
    number: int
    user: str
    rng: random.Random

    async def order(
        self,
        kind: str,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        of: Order | None = None,
        **marks: Any,
    ) -> str:
        """Send a request that changes something until its user knows what became of it, and tell.

        What is about an earlier order is sent by that one's user.
        """
        made = Order(
            number=self.number, kind=kind, user=of.user if of else self.user, method=method, path=path,
            body=body or {}, key=f"order-{self.number}", marks=marks,
        )  # fmt: skip
        self.world.book.add(made)
        await self.world.send(made)
        return told(made)

    @property
    def token(self) -> str:
        """What marks the objects that this step makes at Stripe. Letters: digits may be taken for a card's number."""
        return "step-" + "".join(chr(ord("a") + int(digit)) for digit in str(self.number))


Act: TypeAlias = Callable[[Acting], Awaitable[str]]


@dataclass(frozen=True)
class Action:
    """Something that may happen, and how often beside the others; `alone`: nothing else happens meanwhile."""

    weight: int
    act: Act
    alone: bool = False


def told(order: Order) -> str:
    """One line about an order."""
    what = " ".join(f"{name}={value}" for name, value in order.body.items() if name != "metadata")
    what = f"{what} as {order.user}"
    if not order.done:
        return f"{order.method} {order.path} {what}: no answer yet, after {order.tries} tries"
    said = order.answer.get("code") or order.answer.get("status") or "done"
    return f"{order.method} {order.path} {what}: {order.status} {said}"

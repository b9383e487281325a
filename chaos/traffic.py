"""Customers at full speed: they pay, subscribe, change their minds, and repeat each request until they know."""

import asyncio
import random
import time
import uuid
from dataclasses import dataclass, field

from chaos.world import Target
from simulation.kill_load import CARDS, Done, Load, Story, Write
from system import Answer

__all__ = ["Traffic"]

SUBSCRIPTIONS = "/api/subscriptions"
SLOW_CARD = "pm_card_chargeCustomerFail"
"""Attaches, and is declined when it is charged: renewals fail."""


@dataclass
class Traffic(Load):
    """The load of the kills, with subscriptions and cards, and with a book of what is under way."""

    system: Target
    prices: list[str] = field(default_factory=list)
    # A door whose clock is wrong refuses tokens; the customer tries another door.
    ask_again: tuple[int, ...] = (202, 401, 429)
    under_way: dict[int, Write] = field(default_factory=dict)
    last_begun_and_answered: float = 0.0
    """When that of the answered requests was begun which was begun last (of this program's own time)."""
    open_gate: asyncio.Event = field(default_factory=asyncio.Event)
    _playing: int = 0
    _number: int = 0

    def __post_init__(self) -> None:
        self.open_gate.set()

    @property
    def at_rest(self) -> bool:
        """Whether nobody is in the middle of a story."""
        return self._playing == 0

    @property
    def begins_more(self) -> bool:
        """Whether customers begin anything now."""
        return self.open_gate.is_set() and not self.stopping.is_set()

    async def prepare(self, count: int = 3) -> None:
        """Make prices at Stripe, as a shop does in the dashboard."""
        product = (await self.system.stripe("/v1/products", {"name": "Gold"}))["id"]
        for number in range(count):
            data = {"product": product, "currency": "usd", "unit_amount": str(1000 * (number + 1))}
            made = await self.system.stripe("/v1/prices", {**data, "recurring[interval]": "month"})
            self.prices.append(str(made["id"]))

    async def run(self, users: int) -> None:
        names = [f"user{number}-{self.rng.getrandbits(24):06x}" for number in range(users)]
        await asyncio.gather(*(self._tell_stories(name, random.Random(self.rng.random())) for name in names))

    async def _tell_stories(self, user: str, rng: random.Random) -> None:
        while not self.stopping.is_set():
            await self.open_gate.wait()
            self._playing += 1
            try:
                # One answer that nobody expected ends a story, never a customer.
                await self._play_one(user, rng)
            finally:
                self._playing -= 1

    def _stories(self) -> list[Story]:
        return [*super()._stories(), self._pay, self._subscribe, self._subscribe, self._trial, self._card]

    # What customers do

    async def _subscribe(self, user: str, rng: random.Random) -> None:
        """A user of its own, as a user has one subscription."""
        user = f"{user}-{rng.getrandbits(24):06x}"
        made = await self._start(user, rng, payment_method=rng.choice(CARDS), trial_period_days=0)
        if made.status == 402:
            return
        path = f"{SUBSCRIPTIONS}/{made.body['id']}"
        if rng.random() < 0.5:
            body = {"quantity": rng.randint(2, 5), "proration_behavior": "always_invoice"}
            await self._send(Write("change", user, uuid.uuid4().hex, path, body, "PUT"))
        if rng.random() < 0.3:
            await self._send(Write("pause", user, uuid.uuid4().hex, f"{path}/pause", None))
            await self._send(Write("resume", user, uuid.uuid4().hex, f"{path}/resume", None))
        if rng.random() < 0.4:
            when = rng.choice(("now", "period_end"))
            await self._send(Write("end", user, uuid.uuid4().hex, path, {"when": when}, "DELETE"))

    async def _trial(self, user: str, rng: random.Random) -> None:
        card = rng.choice((*CARDS, SLOW_CARD))
        user = f"{user}-{rng.getrandbits(24):06x}"
        await self._start(user, rng, payment_method=card, trial_period_days=rng.randint(1, 20))

    async def _card(self, user: str, rng: random.Random) -> None:
        await self._send(Write("customer", user, uuid.uuid4().hex, "/api/customers", {}))
        body = {"payment_method": rng.choice(CARDS), "default": True}
        await self._send(Write("card", user, uuid.uuid4().hex, "/api/customers/me/payment-methods", body))

    async def _start(self, user: str, rng: random.Random, **body: object) -> Answer:
        price = rng.choice(self.prices)
        return await self._send(Write("subscribe", user, uuid.uuid4().hex, SUBSCRIPTIONS, {"price": price, **body}))

    # The client

    async def _until_definite(self, write: Write) -> Done:
        self._number += 1
        number, began = self._number, time.monotonic()
        self.under_way[number] = write
        try:
            done = await super()._until_definite(write)
        finally:
            del self.under_way[number]
        self.last_begun_and_answered = max(self.last_begun_and_answered, began)
        return done

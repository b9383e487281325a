"""Customers who pay while processes die around them, each through a client that repeats until it knows."""

import asyncio
import random
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from string import ascii_lowercase
from typing import Any, TypeAlias

import aiohttp

from system import Answer, System

__all__ = ["Done", "Load", "Story", "Write"]

PAYMENTS = "/api/payments/payment-intent"
CARDS = ("pm_card_visa", "pm_card_mastercard", "pm_card_amex")
DECLINED = ("pm_card_visa_chargeDeclined", "pm_card_visa_chargeDeclinedInsufficientFunds")
_ASK_AGAIN = ("IDEMPOTENCY_KEY_IN_PROGRESS", "OPERATION_IN_PROGRESS")
_EXPECTED = {
    "create": (201, 402), "confirm": (200, 402), "capture": (200,), "cancel": (200,), "refund": (200,),
    "customer": (200, 201), "card": (200,), "subscribe": (200, 201, 402), "change": (200, 402), "pause": (200,),
    "resume": (200,), "end": (200,),
}  # fmt: skip


Story: TypeAlias = Callable[[str, random.Random], Awaitable[None]]
"""What a user does, one write after the other."""


@dataclass(frozen=True)
class Write:
    """One request that moves money, repeated under one key."""

    kind: str
    user: str
    key: str
    path: str
    body: dict[str, Any] | None
    method: str = "POST"


@dataclass(frozen=True)
class Done:
    """A write with its definite answer."""

    write: Write
    answer: Answer
    tries: int
    took_s: float

    @property
    def expected(self) -> bool:
        """Whether such a request may end so."""
        return self.answer.status in _EXPECTED[self.write.kind]


@dataclass
class Load:
    """Some users at once, until told to stop; then each finishes the request in hand."""

    system: System
    rng: random.Random
    done: list[Done] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    ask_again: tuple[int, ...] = (202, 429)
    """Answers after which a client asks again, beside errors of the server."""

    async def run(self, users: int) -> None:
        """Play as so many users."""
        names = [f"user{number}-{self.rng.getrandbits(24):06x}" for number in range(users)]
        await asyncio.gather(*(self._play(name, random.Random(self.rng.random())) for name in names))

    async def repeat_all(self) -> list[str]:
        """Send every write once more, long after; what was answered otherwise than at first."""
        return await self.repeat(self.done)

    async def repeat(self, writes: Sequence[Done]) -> list[str]:
        """The same for some of them."""
        different = []
        for done in writes:
            again = await self._until_definite(done.write)
            if (again.answer.status, _lasting(again.answer.body)) != (done.answer.status, _lasting(done.answer.body)):
                different.append(f"{done.write}: first {done.answer}, then {again.answer}")
        return different

    async def _play(self, user: str, rng: random.Random) -> None:
        while not self.stopping.is_set() and await self._play_one(user, rng):
            await asyncio.sleep(rng.uniform(0, 0.2))

    async def _play_one(self, user: str, rng: random.Random) -> bool:
        """One story; False where it came to no end."""
        try:
            await rng.choice(self._stories())(user, rng)
        except _Stopped:
            return False
        return True

    def _stories(self) -> list[Story]:
        return [self._pay, self._pay, self._decline, self._decline_then_pay, self._capture, self._cancel, self._refund]

    # What customers do

    async def _pay(self, user: str, rng: random.Random) -> None:
        await self._create(user, rng, payment_method=rng.choice(CARDS), confirm=True)

    async def _decline(self, user: str, rng: random.Random) -> None:
        await self._create(user, rng, payment_method=rng.choice(DECLINED), confirm=True)

    async def _decline_then_pay(self, user: str, rng: random.Random) -> None:
        refused = await self._create(user, rng, payment_method=rng.choice(DECLINED), confirm=True)
        await self._act("confirm", user, refused.body["payment"]["id"], {"payment_method": rng.choice(CARDS)})

    async def _capture(self, user: str, rng: random.Random) -> None:
        card = rng.choice(CARDS)
        made = await self._create(user, rng, payment_method=card, confirm=True, capture_method="manual")
        body = {"amount": made.body["amount"] // 2} if rng.random() < 0.5 else {}
        await self._act("capture", user, made.body["id"], body)

    async def _cancel(self, user: str, rng: random.Random) -> None:
        made = await self._create(user, rng)
        await self._act("cancel", user, made.body["id"], {})

    async def _refund(self, user: str, rng: random.Random) -> None:
        made = await self._create(user, rng, payment_method=rng.choice(CARDS), confirm=True)
        for _ in range(rng.choice((1, 2))):
            await self._act("refund", user, made.body["id"], {"amount": made.body["amount"] // 3})

    async def _create(self, user: str, rng: random.Random, **options: Any) -> Answer:
        # Letters only: long runs of digits in metadata are refused where they could be a card's number.
        key = "".join(rng.choices(ascii_lowercase, k=24))
        body = {"amount": rng.randint(100, 90_000), "currency": "usd", "metadata": {"client_key": key}, **options}
        return await self._send(Write("create", user, key, PAYMENTS, body))

    async def _act(self, kind: str, user: str, payment: str, body: dict[str, Any]) -> Answer:
        return await self._send(Write(kind, user, uuid.uuid4().hex, f"{PAYMENTS}/{payment}/{kind}", body))

    # The client

    async def _send(self, write: Write) -> Answer:
        if self.stopping.is_set():
            raise _Stopped
        done = await self._until_definite(write)
        self.done.append(done)
        if not done.expected:
            raise _Stopped
        return done.answer

    async def _until_definite(self, write: Write) -> Done:
        began, tries = time.monotonic(), 0
        while True:
            tries += 1
            answer = await self._once(write)
            if answer is not None:
                return Done(write, answer, tries, time.monotonic() - began)
            await asyncio.sleep(random.uniform(0.1, 0.4))

    async def _once(self, write: Write) -> Answer | None:
        """One try; None where it is to be repeated."""
        try:
            answer = await self.system.call(write.method, write.path, write.body, user=write.user, key=write.key)
        except (aiohttp.ClientError, TimeoutError, OSError):
            self.answers["no answer"] += 1
            return None
        code = str(answer.body.get("code", "")) if isinstance(answer.body, dict) else ""
        self.answers[f"{answer.status} {code}".strip()] += 1
        return None if answer.status in self.ask_again or answer.status >= 500 or code in _ASK_AGAIN else answer


class _Stopped(Exception):
    """Time to go home."""


def _lasting(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name != "request_id"}

"""What users asked for and what they were told: the simulator's own book, kept outside of the application."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Book", "Order"]

Json = dict[str, Any]
_ASK_AGAIN = ("IDEMPOTENCY_KEY_IN_PROGRESS", "OPERATION_IN_PROGRESS")


@dataclass
class Order:
    """One request that changes something, sent under one key until it has a definite answer."""

    number: int
    kind: str
    user: str
    method: str
    path: str
    body: Json
    key: str
    status: int | None = None
    answer: Json = field(default_factory=dict)
    tries: int = 0
    last: str = "no answer"
    marks: Json = field(default_factory=dict)
    """What those who made it remember of it, such as which order it is about."""

    @property
    def done(self) -> bool:
        """Whether its user knows what became of it."""
        return self.status is not None

    @property
    def fine(self) -> bool:
        """Whether its user was told that it was done."""
        return self.status in (200, 201)

    @property
    def payment(self) -> Json:
        """The payment that an answer tells of, also one that says that it was declined."""
        found: Json = self.answer if self.answer.get("object") == "payment" else self.answer.get("payment", {})
        return found

    def take(self, status: int, answer: Any) -> bool:
        """An answer has come; whether it is a definite one."""
        code = answer.get("code") if isinstance(answer, dict) else None
        self.last = f"{status} {code or ''}".strip()
        if status in (202, 429) or status >= 500 or code in _ASK_AGAIN:
            return False
        self.status, self.answer = status, answer
        return True


@dataclass
class Book:
    """All orders of a story, in the order of its steps."""

    orders: dict[int, Order] = field(default_factory=dict)
    answers: dict[str, int] = field(default_factory=dict)
    replays: int = 0

    def add(self, order: Order) -> Order:
        self.orders[order.number] = order
        return order

    def count(self, what: str) -> None:
        """Note an answer, whoever got it."""
        self.answers[what] = self.answers.get(what, 0) + 1

    def of(self, *kinds: str, user: str | None = None) -> Iterator[Order]:
        """Orders of these kinds, of everybody or one user, oldest first."""
        for number in sorted(self.orders):
            order = self.orders[number]
            if order.kind in kinds and user in (None, order.user):
                yield order

    def open(self) -> list[Order]:
        """Those whose users do not know yet."""
        return [self.orders[number] for number in sorted(self.orders) if not self.orders[number].done]

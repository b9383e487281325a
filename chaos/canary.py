"""Planted wrongs, by which a run must fail: what is never seen to fail proves nothing."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeAlias

from simulation.kill_load import Done
from system import System

__all__ = ["CANARIES"]

Plant: TypeAlias = Callable[[System, Sequence[Done]], Awaitable[None]]


async def _lost(system: System, done: Sequence[Done]) -> None:
    """A payment that a client was told of is no more in our half."""
    told = [one.answer.body["id"] for one in done if one.write.kind == "create" and one.answer.status == 201]
    # Without the rules that would not let it go.
    async with system.pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute("DELETE FROM payments WHERE id = $1::text::uuid", told[0])


async def _doubled(system: System, done: Sequence[Done]) -> None:
    """An order is paid a second time at Stripe."""
    first = next(one for one in done if one.write.kind == "create" and one.answer.body.get("status") == "succeeded")
    intent = await system.stripe(f"/v1/payment_intents/{first.answer.body['stripe_payment_intent_id']}")
    metadata = {f"metadata[{name}]": value for name, value in intent["metadata"].items()}
    order = {"amount": str(intent["amount"]), "currency": intent["currency"], **metadata}
    pay = {"payment_method": "pm_card_visa", "payment_method_types[]": "card", "confirm": "true"}
    made = await system.stripe("/v1/payment_intents", order | pay)
    assert made.get("status") == "succeeded", made


CANARIES: Mapping[str, Plant] = {"lost": _lost, "doubled": _doubled}
"""By name; each is planted when all is quiet and nothing of ours runs that could mend it."""

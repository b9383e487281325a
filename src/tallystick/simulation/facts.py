"""What the host application heard beside Stripe's ledger: every fact once, in its order, and of all that happened."""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

import asyncpg
import msgspec

from tallystick.sandbox.engine import Engine
from tallystick.simulation.ledger import Ledger
from tallystick.simulation.receiver import Heard, Receiver

__all__ = ["Facts", "find_untold", "read_facts"]

Json = dict[str, Any]
_CLOSED = ("won", "lost", "warning_closed", "prevented")
_FACTS = """
    SELECT f.id, f.type, f.data::text AS data, NOT EXISTS (SELECT FROM outbound_deliveries d WHERE d.fact_id = f.id)
        AND EXISTS (SELECT FROM event_gaps g
                    WHERE f.created_at BETWEEN g.found_at AND coalesce(g.walked_at, 'infinity')) AS silent
    FROM outbound_facts f
"""
_EVENTS = """
    SELECT b.body FROM objects o JOIN event_bodies b ON b.event = o.id
    WHERE o.object = 'event' AND o.created BETWEEN ? AND ?
"""
_BEGUN = ("active", "trialing", "past_due", "unpaid")


class Facts(msgspec.Struct, frozen=True):
    """The facts that are stored, by their ids, and what of them may have been stored in silence.

    Of what happened while nobody read Stripe's events for more than 30 days nobody hears, nor of what the walk over all
    lists finds that follows on it; `unread` are the ids of objects of which there were events in that time.
    """

    stored: frozenset[str] = frozenset()
    silent: tuple[Heard, ...] = ()
    unread: frozenset[str] = frozenset()


async def read_facts(pool: "asyncpg.Pool[Any]", engine: Engine, before: Facts) -> Facts:
    """All there are; of what is old its key is kept only, and the rest known from `before`."""
    rows = await pool.fetch(_FACTS)
    silent = {one.id: one for one in before.silent}
    for row in rows:
        if row["silent"]:
            silent.setdefault(_named(row), Heard(_named(row), row["type"], "", msgspec.json.decode(row["data"])))
    unread = set(before.unread)
    for gap in await pool.fetch("SELECT from_at, coalesce(walked_at, found_at) AS until_at FROM event_gaps"):
        since, until = int(gap["from_at"].timestamp()), int(gap["until_at"].timestamp())
        for (body,) in engine.store.execute(_EVENTS, since, until):
            unread.add(str(msgspec.json.decode(body)["data"]["object"].get("id")))
    return Facts(frozenset(map(_named, rows)), tuple(silent.values()), frozenset(unread))


def find_untold(ledger: Ledger, receiver: Receiver, facts: Facts, replayed: Collection[str]) -> list[str]:
    """All that is wrong with what was heard.

    `replayed`: the ids of facts that the operator had delivered again, for which nothing has waited.
    """
    heard = list(receiver.heard.values())
    silent = [one for one in facts.silent if one.id not in receiver.heard]
    told = facts.stored - {one.id for one in silent}
    known = [*heard, *(one for one in silent if one.data)]
    return [
        *receiver.wrong,
        *(f"{one} was never delivered" for one in sorted(told - receiver.heard.keys())),
        *(f"{one} was delivered, and is no fact" for one in sorted(receiver.heard.keys() - facts.stored)),
        *_order([one for one in heard if one.id not in replayed]),
        *_once_for_all(known),
        *_happened(ledger, known, facts.unread),
        *_access([one for one in known if one.type.startswith("access.")]),
    ]


def _named(row: asyncpg.Record) -> str:
    return f"fact_{row['id'].hex}"


def _order(heard: Iterable[Heard]) -> Iterable[str]:
    """Of one object they come as they were stored: by their ids, which one process makes in their order."""
    last: dict[str, Heard] = {}
    for one in heard:
        about = _object(one.data)
        if about in last and one.id < last[about].id:
            yield f"{one.type} {one.id} of {about} came after {last[about].type} {last[about].id}"
        last[about] = one


def _object(data: Json) -> str:
    """What a fact is about: what is told of it is told in order."""
    if "payment" in data:
        return f"payment {data['payment']['id']}"
    if "subscription" in data:
        return f"subscription {data['subscription']['id']}"
    if "access" in data:
        return f"subscription {data['access']['subscription']}"
    return f"subscription {data['subscription_id']}" if data["subscription_id"] else f"invoice {data['invoice']['id']}"


def _keys(one: Heard) -> str | None:
    """What a fact tells that can be told only once; None: it may be told any number of times."""
    name = _NAMES.get(one.type)
    return name(one.data) if name else None


_NAMES: dict[str, Callable[[Json], str]] = {
    "payment.succeeded": lambda data: data["payment"]["stripe_payment_intent_id"],
    "payment.canceled": lambda data: data["payment"]["stripe_payment_intent_id"],
    "payment.refunded": lambda data: data["refund"]["stripe_refund_id"],
    "refund.failed": lambda data: data["refund"]["stripe_refund_id"],
    "dispute.created": lambda data: data["dispute"]["stripe_dispute_id"],
    "dispute.closed": lambda data: data["dispute"]["stripe_dispute_id"],
    "invoice.paid": lambda data: data["invoice"]["stripe_invoice_id"],
    "subscription.created": lambda data: data["subscription"]["stripe_subscription_id"],
    "subscription.activated": lambda data: data["subscription"]["stripe_subscription_id"],
    "subscription.canceled": lambda data: data["subscription"]["stripe_subscription_id"],
}


def _once_for_all(heard: Iterable[Heard]) -> Iterable[str]:
    told = Counter((one.type, key) for one in heard if (key := _keys(one)) is not None)
    yield from (f"{times} facts tell {type_} of {key}" for (type_, key), times in told.items() if times > 1)


def _happened(ledger: Ledger, heard: Iterable[Heard], unread: Collection[str]) -> Iterable[str]:
    """What happened was told, but for what nobody has read of, and what did not happen was not."""
    told: dict[str, set[str]] = defaultdict(set)
    for one in heard:
        if key := _keys(one):
            told[one.type].add(key)
    for type_, (must, may) in _expected(ledger).items():
        yield from (f"nobody was told {type_} of {one}" for one in sorted(must - told[type_] - set(unread)))
        yield from (f"{type_} was told of {one}, which it was not" for one in sorted(told[type_] - must - may))


def _expected(ledger: Ledger) -> dict[str, tuple[set[str], set[str]]]:
    """By type what must have been told, and what may have been, as it was so once."""
    intents = [one for one in ledger.intents if "step" in one["metadata"]]
    ours = {one["id"] for one in intents}
    refunds = [one for one in ledger.refunds if one["payment_intent"] in ours and not _is_release(one)]
    disputes = [one for one in ledger.disputes if one["payment_intent"] in ours]
    begun = _ids(ledger.subscriptions, *_BEGUN)
    return {
        "payment.succeeded": (_ids(intents, "succeeded"), set()),
        "payment.canceled": (_ids(intents, "canceled"), set()),
        "payment.refunded": (_ids(refunds, "pending", "succeeded"), _ids(refunds)),
        "refund.failed": (_ids(refunds, "failed"), set()),
        "dispute.created": (_ids(disputes), set()),
        "dispute.closed": (_ids(disputes, *_CLOSED), set()),
        "invoice.paid": (_ids(ledger.invoices, "paid"), set()),
        "subscription.created": (_ids(ledger.subscriptions), set()),
        "subscription.activated": (begun, _ids(ledger.subscriptions)),
        "subscription.canceled": (_ids(ledger.subscriptions, "canceled"), set()),
    }


def _ids(objects: Iterable[Json], *statuses: str) -> set[str]:
    """Stripe's ids of those in one of these states, or of all."""
    return {one["id"] for one in objects if not statuses or one["status"] in statuses}


def _is_release(refund: Json) -> bool:
    return bool(((refund.get("destination_details") or {}).get("card") or {}).get("type") == "reversal")


def _access(heard: Sequence[Heard]) -> Iterable[str]:
    """Of each product of a subscription it is given, taken, given, … and never twice the same."""
    had: dict[tuple[str, str], bool] = {}
    for one in sorted(heard, key=lambda one: one.id):
        access = one.data["access"]
        about = (access["stripe_subscription_id"], access["product"])
        if access["access"] == had.get(about, False):
            yield f"{one.type} was told of {about[1]} by {about[0]}, which was so before"
        had[about] = access["access"]

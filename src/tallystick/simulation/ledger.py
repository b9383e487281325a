"""The book beside Stripe's ledger: what was acknowledged to a user is there exactly once, and nobody paid twice."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tallystick.simulation.book import Book, Order
from tallystick.simulation.mails import ReceivedMail
from tallystick.simulation.mirror import Lists, everything

__all__ = ["Ledger", "find_wrong"]

Json = dict[str, Any]


@dataclass(frozen=True)
class Ledger:
    """What Stripe lists."""

    intents: Sequence[Json]
    charges: Sequence[Json]
    refunds: Sequence[Json]
    disputes: Sequence[Json]
    subscriptions: Sequence[Json]
    invoices: Sequence[Json]

    @classmethod
    async def read(cls, get: Lists) -> "Ledger":
        """Read all of it."""
        return cls(
            await everything(get, "payment_intents"),
            await everything(get, "charges"),
            await everything(get, "refunds"),
            await everything(get, "disputes"),
            await everything(get, "subscriptions", "&status=all"),
            await everything(get, "invoices"),
        )


def find_wrong(ledger: Ledger, book: Book, mails: Sequence[ReceivedMail]) -> list[str]:
    """Everything that is not in the ledger as it was told to users."""
    return [
        *_payments(ledger, book),
        *_steps(ledger, book),
        *_refunds(ledger, book),
        *_subscriptions(ledger, book),
        *_invoices(ledger),
        *_mails(ledger, book, mails),
    ]


def _by_step(objects: Iterable[Json]) -> dict[str, list[Json]]:
    found: dict[str, list[Json]] = defaultdict(list)
    for one in objects:
        if "step" in one["metadata"]:
            found[one["metadata"]["step"]].append(one)
    return found


def _payments(ledger: Ledger, book: Book) -> Iterable[str]:
    """One payment intent an order, and at most one charge of it that succeeded."""
    made = _by_step(ledger.intents)
    taken = Counter(one["payment_intent"] for one in ledger.charges if one["status"] == "succeeded")
    for order in book.of("pay"):
        found = made.pop(order.marks["token"], [])
        if len(found) > 1:
            yield f"order {order.number} has {len(found)} payment intents"
        wanted = order.payment.get("stripe_payment_intent_id")
        if wanted and [one["id"] for one in found] != [wanted]:
            yield f"order {order.number} was told {wanted}, Stripe has {[one['id'] for one in found]}"
        for intent in found:
            yield from _payment(order, intent, taken[intent["id"]])
    for token, intents in made.items():
        yield f"{[one['id'] for one in intents]} of {token}, which is no order"
    ours = {one["id"] for one in ledger.intents if "step" in one["metadata"]}
    billed = {one["id"] for one in ledger.intents if not one["metadata"].get("step") and _is_billed(one, ledger)}
    for intent, times in taken.items():
        if intent not in ours | billed:
            yield f"{intent} was charged {times} times, and nobody has ordered it"


def _is_billed(intent: Json, ledger: Ledger) -> bool:
    """Whether an intent is of an invoice; its description tells, whatever the version."""
    return bool(intent["customer"]) and any(one["customer"] == intent["customer"] for one in ledger.invoices)


def _payment(order: Order, intent: Json, times: int) -> Iterable[str]:
    if times > 1:
        yield f"order {order.number} was charged {times} times by {intent['id']}"
    if intent["amount"] != order.body["amount"]:
        yield f"order {order.number} is of {order.body['amount']}, {intent['id']} of {intent['amount']}"
    if order.fine and order.payment.get("status") == "succeeded" and times != 1:
        yield f"order {order.number} was told that it is paid; {intent['id']} was charged {times} times"


def _steps(ledger: Ledger, book: Book) -> Iterable[str]:
    """Captures, confirmations and cancellations that were acknowledged."""
    intents = {one["id"]: one for one in ledger.intents}
    for order in book.of("confirm", "capture", "cancel"):
        if not order.fine:
            continue
        intent = intents[order.payment["stripe_payment_intent_id"]]
        wanted = {"capture": "succeeded", "cancel": "canceled"}.get(order.kind)
        if order.kind == "confirm" and order.payment["status"] == "succeeded":
            wanted = "succeeded"
        if wanted and intent["status"] != wanted:
            yield f"order {order.number} ({order.kind}) was acknowledged; {intent['id']} is {intent['status']}"
        asked = order.body.get("amount")
        if order.kind == "capture" and asked and intent["amount_received"] != asked:
            yield f"order {order.number} captured {asked}, {intent['id']} says {intent['amount_received']}"


def _refunds(ledger: Ledger, book: Book) -> Iterable[str]:
    made, intents = _by_step(ledger.refunds), {one["id"]: one for one in ledger.intents}
    for order in book.of("refund"):
        found = made.pop(order.marks["token"], [])
        if len(found) > 1 or (order.fine and not found):
            yield f"order {order.number} (refund) was answered {order.status}, and there are {len(found)} refunds"
        asked = order.body.get("amount")
        if found and asked and found[0]["amount"] != asked:
            yield f"order {order.number} refunds {asked}, {found[0]['id']} {found[0]['amount']}"
    yield from (f"refunds of {token}, which is no order" for token in made)
    back: Counter[str] = Counter()
    for one in ledger.refunds:
        release = ((one.get("destination_details") or {}).get("card") or {}).get("type") == "reversal"
        if one["status"] in ("succeeded", "pending") and not release:
            back[one["payment_intent"]] += one["amount"]
    for intent, amount in back.items():
        if amount > intents[intent]["amount_received"]:
            yield f"{amount} of {intent} went back, {intents[intent]['amount_received']} had come in"


def _subscriptions(ledger: Ledger, book: Book) -> Iterable[str]:
    made, known = _by_step(ledger.subscriptions), {one["id"]: one for one in ledger.subscriptions}
    for order in book.of("subscribe"):
        found = made.pop(order.marks["token"], [])
        if len(found) > 1:
            yield f"order {order.number} made {len(found)} subscriptions"
        told = (order.answer.get("subscription") or order.answer).get("stripe_subscription_id")
        if told and told not in known:
            yield f"order {order.number} was told {told}, which Stripe does not know"
    yield from (f"subscriptions of {token}, which is no order" for token in made)
    for order in book.of("end"):
        told = order.answer.get("stripe_subscription_id")
        if order.fine and told and known[told]["status"] not in ("canceled", "incomplete_expired"):
            yield f"order {order.number} ended {told}, which is {known[told]['status']}"


def _invoices(ledger: Ledger) -> Iterable[str]:
    """One invoice a period for each renewal, and no more paid of any than it is of."""
    periods: Counter[tuple[str | None, int]] = Counter()
    for one in ledger.invoices:
        parent = (one.get("parent") or {}).get("subscription_details") or {}
        subscription = one.get("subscription") or parent.get("subscription")
        # What is due is the total and what the customer still owed, such as an amount too small to be charged alone.
        if one["amount_paid"] > max(one["amount_due"], 0):
            yield f"{one['id']} asks for {one['amount_due']}, and {one['amount_paid']} was paid"
        if one["billing_reason"] == "subscription_cycle" and one["status"] != "void":
            periods[subscription, one["period_end"]] += 1
    yield from (f"{key[0]} was billed {count} times for one period" for key, count in periods.items() if count > 1)


def _mails(ledger: Ledger, book: Book, mails: Sequence[ReceivedMail]) -> Iterable[str]:
    """Who has paid gets one mail that tells so, with one Message-ID however often it came; of a refund, at most one."""
    paid, refunded = _told_of(mails, "Payment received"), _told_of(mails, "Refund of")
    ours = {one["id"]: one["metadata"].get("tallystick_payment") for one in ledger.intents}
    succeeded = {
        ours[one["id"]] for one in ledger.intents if one["status"] == "succeeded" and "step" in one["metadata"]
    }
    for payment in sorted(filter(None, succeeded)):
        if (times := len(paid.pop(payment, ()))) != 1:
            yield f"payment {payment} succeeded, and {times} mails tell so"
    yield from (f"a mail tells that {payment} was paid, which it was not" for payment in paid)
    yield from (f"{len(ids)} mails tell of {what}" for what, ids in refunded.items() if len(ids) > 1)


def _told_of(mails: Sequence[ReceivedMail], subject: str) -> dict[str, set[str]]:
    """The Message-IDs of mails with this subject, by the first id that each names."""
    found: dict[str, set[str]] = defaultdict(set)
    for mail in mails:
        if mail.subject.startswith(subject):
            named = _ID.findall(mail.text)
            found[named[0] if named else "nothing"].add(mail.message_id)
    return found


_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|re_[A-Za-z0-9]+")

"""What must be true when all is quiet again, whatever was killed meanwhile: each check tells what is wrong."""

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulation.kill_load import Done
from simulation.mirror import assert_same, everything, mirror_rows, stripe_rows
from system import System

__all__ = ["Deliveries", "deliveries", "find_problems", "received_mails"]

Json = dict[str, Any]

_ABOUT_PAYMENTS = ("payment_confirmation:", "payment_failed:", "refund:")
_RECEIPTS = ("payment_confirmation:", "refund:")


@dataclass(frozen=True)
class Deliveries:
    """The sandbox's own book of what it sent to the API."""

    acknowledged: set[str]
    pending: int
    failed_tries: int


def deliveries(sandbox_store: Path) -> Deliveries:
    """Read the book while the sandbox runs."""
    book = sqlite3.connect(f"file:{sandbox_store}?mode=ro", uri=True)
    try:
        rows = book.execute("SELECT event, state, tries FROM deliveries").fetchall()
    finally:
        book.close()
    acknowledged, failed = set(), 0
    for event, _, tries in rows:
        for one in json.loads(tries):
            if isinstance(one["status"], int) and 200 <= one["status"] < 300:
                acknowledged.add(event)
            else:
                failed += 1
    return Deliveries(acknowledged, sum(1 for row in rows if row[1] == "pending"), failed)


async def find_problems(
    system: System, done: Sequence[Done], told: Deliveries, received: Mapping[str, int]
) -> list[str]:
    """Everything that is not as it must be; what is lost or doubled begins with that word.

    `received` is how often each Message-ID came.
    """
    problems = [f"unexpected answer to {one.write}: {one.answer}" for one in done if not one.expected]
    # Those of invoices are the business of whoever checks subscriptions.
    intents = [one for one in await everything(system.stripe, "payment_intents") if not one.get("invoice")]
    charges = [one for one in await everything(system.stripe, "charges") if not one.get("invoice")]
    problems += await _inbox(system, told)
    problems += _money(done, intents, charges)
    problems += await _attempts(system, done, intents)
    problems += await _stored(system, done)
    problems += await _mails(system, intents, charges, received)
    problems += await _leftovers(system)
    installation = system.settings.installation_id
    try:
        assert_same(await mirror_rows(system.database_url), await stripe_rows(system.stripe, installation))
    except AssertionError as error:
        problems.append(f"the mirror is not Stripe: {error}")
    return problems


async def _inbox(system: System, told: Deliveries) -> list[str]:
    """No acknowledged event is missing, and in the end none at all."""
    stored = {row[0] for row in await system.fetch("SELECT stripe_event_id FROM webhook_events")}
    happened = {event["id"] for event in await everything(system.stripe, "events")}
    gone = sorted(told.acknowledged - stored)
    problems = [f"lost: the event {event} was acknowledged and is not stored" for event in gone]
    if missing := happened - stored:
        problems.append(f"lost: {len(missing)} events never arrived: {sorted(missing)[:5]}")
    return problems


def _money(done: Sequence[Done], intents: Sequence[Json], charges: Sequence[Json]) -> list[str]:
    """One intent for each key, and no more money taken by it than the client knows of."""
    problems = []
    by_key = defaultdict(list)
    for intent in intents:
        by_key[intent["metadata"].get("client_key")].append(intent)
    taken: Counter[str] = Counter()
    for charge in charges:
        if charge["status"] == "succeeded":
            taken[charge["payment_intent"]] += 1
    creates = {one.write.key: one for one in done if one.write.kind == "create"}
    for key, one in creates.items():
        found = by_key.pop(key, [])
        if len(found) != 1:
            what = "lost" if not found else "doubled"
            problems.append(f"{what}: {len(found)} intents for one key: {one.write}")
            continue
        payment = one.answer.body if one.answer.status == 201 else one.answer.body["payment"]
        if payment["stripe_payment_intent_id"] != found[0]["id"] or payment["amount"] != found[0]["amount"]:
            problems.append(f"answered with {payment}, but Stripe has {found[0]['id']}")
        if taken[found[0]["id"]] > 1:
            problems.append(f"doubled: {found[0]['id']} was charged {taken[found[0]['id']]} times")
    # A client that was never answered may have paid; what nobody asked for must not be there.
    problems += [f"intents that no client asked for: {key}" for key in by_key if key is None]
    problems += [f"doubled: {len(found)} intents for the key {key}" for key, found in by_key.items() if len(found) > 1]
    return problems


async def _stored(system: System, done: Sequence[Done]) -> list[str]:
    """Every payment that a client was told of is one row."""
    told = {one.answer.body["id"]: one.write for one in done if one.write.kind == "create" and one.answer.status == 201}
    rows = await system.fetch("SELECT id::text FROM payments WHERE id = ANY ($1::uuid[])", list(told))
    return [f"lost: no row for {told[key]}" for key in told.keys() - {row["id"] for row in rows}]


async def _attempts(system: System, done: Sequence[Done], intents: Sequence[Json]) -> list[str]:
    """Every attempt has ended, as Stripe says it did and as the client was told."""
    problems = []
    rows = await system.fetch(
        """
        SELECT a.kind, a.state, a.stripe_idempotency_key AS sent_as, k.key, k.status_code,
            p.stripe_payment_intent_id AS intent, r.stripe_refund_id AS refund,
            split_part(a.kind, '.', 1) IN ('payment', 'refund') AS is_payment
        FROM attempts a LEFT JOIN idempotency_keys k ON k.id = a.idempotency_key_id
        LEFT JOIN payments p ON p.id = a.subject_id LEFT JOIN refunds r ON r.id = a.part_id
        """
    )
    answered = {one.write.key: one.answer.status for one in done}
    states = {intent["id"]: intent["status"] for intent in intents}
    refunds = {refund["id"] for refund in await everything(system.stripe, "refunds")}
    for row in rows:
        wanted = {"payment.capture": "succeeded", "payment.cancel": "canceled"}.get(row["kind"])
        if row["state"] not in ("succeeded", "declined"):
            problems.append(f"an attempt that is {row['state']}: {dict(row)}")
        elif row["state"] == "declined" and row["status_code"] != 402:
            problems.append(f"declined, and answered with {row['status_code']}: {dict(row)}")
        elif row["is_payment"] and states.get(row["intent"]) not in ((wanted,) if wanted else states.values()):
            problems.append(f"not so at Stripe: {dict(row)}, {states.get(row['intent'])}")
        elif row["kind"] == "refund.create" and row["refund"] not in refunds:
            problems.append(f"no such refund at Stripe: {dict(row)}")
        if row["key"] in answered and answered[row["key"]] != row["status_code"]:
            problems.append(f"the client was told {answered[row['key']]}: {dict(row)}")
    kept = {row["key"] for row in rows}
    problems += [f"no attempt for {one.write}" for one in done if one.expected and one.write.key not in kept]
    return problems


async def _mails(
    system: System, intents: Sequence[Json], charges: Sequence[Json], received: Mapping[str, int]
) -> list[str]:
    """Each outcome has its one mail, and each mail that was sent is one message, however often it came."""
    ours = {intent["id"]: intent["metadata"]["tallystick_payment"] for intent in intents}
    expected = {f"payment_confirmation:{ours[intent['id']]}" for intent in intents if intent["status"] == "succeeded"}
    expected |= {f"payment_failed:{charge['id']}" for charge in charges if charge["status"] == "failed"}
    released = {
        refund["id"] for refund in await everything(system.stripe, "refunds") if not refund["balance_transaction"]
    }
    refunds = {refund["id"] for refund in await everything(system.stripe, "refunds")} - released
    expected |= {f"refund:{refund}" for refund in refunds}
    rows = await system.fetch("SELECT business_key, state, message_id FROM mails")
    queued = {row["business_key"] for row in rows if row["business_key"].startswith(_ABOUT_PAYMENTS)}
    problems = [f"lost: no mail was queued: {key}" for key in sorted(expected - queued)]
    problems += [f"a mail about nothing: {key}" for key in sorted(queued - expected)]
    sent = {row["message_id"]: row["business_key"] for row in rows if row["state"] == "sent"}
    problems += [f"lost: sent, but not received: {sent[one]}" for one in sorted(sent.keys() - received.keys())]
    known = {row["message_id"] for row in rows}
    problems += [f"received, but never queued: {one}" for one in sorted(received.keys() - known)]
    # A mail that asks for action may be pointless by the time it is sent; a receipt never is.
    problems += [
        f"a mail that is {row['state']}: {row['business_key']}"
        for row in rows
        if row["state"] != "sent"
        and not (row["state"] == "superseded" and not row["business_key"].startswith(_RECEIPTS))
    ]
    return problems


async def received_mails(system: System, mailbox_url: str) -> Counter[str]:
    """How often each Message-ID came."""
    found: Counter[str] = Counter()
    before = ""
    while True:
        async with system.http.get(f"{mailbox_url}/api/messages?limit=500{before}") as response:
            page = await response.json()
        found.update(message["message_id"] for message in page["data"])
        if not page["has_more"]:
            return found
        before = f"&before={page['data'][-1]['id']}"


async def _leftovers(system: System) -> list[str]:
    """Nothing dead, in doubt or waiting."""
    rows = await system.fetch(
        """
        SELECT 'event ' || state || ' ' || event_type || coalesce(' ' || error_message, '') AS what
            FROM webhook_events WHERE state NOT IN ('processed', 'unhandled')
        UNION ALL SELECT 'work ' || state || ' ' || kind || coalesce(' ' || last_error, '')
            FROM work WHERE state <> 'done' AND (state = 'dead' OR due_at <= $1)
        UNION ALL SELECT 'parked ' || object_key FROM webhook_parked_objects
        UNION ALL SELECT 'unsure payment ' || id FROM payments WHERE unsure
        UNION ALL SELECT 'unsure charge ' || stripe_charge_id FROM charges WHERE unsure
        UNION ALL SELECT 'unsure refund ' || id FROM refunds WHERE unsure
        UNION ALL SELECT 'key in progress ' || key FROM idempotency_keys WHERE state <> 'done'
        UNION ALL SELECT 'reservation ' || id FROM refunds WHERE stripe_refund_id IS NULL
        UNION ALL SELECT 'payment ' || id FROM payments WHERE stripe_payment_intent_id IS NULL
        UNION ALL SELECT 'two customers for ' || user_id FROM payments GROUP BY user_id
            HAVING count(DISTINCT stripe_customer_id) > 1
        """,
        system.now(),
    )
    return [row["what"] for row in rows]

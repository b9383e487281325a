"""A person's story, then its export and its erasure: nothing tells who it was, and the books stand as they stood."""

import json
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from erasing import ADMIN, Someone, books, erase, erased, everywhere, send_event, someone, user_id
from subscribing import SUBSCRIPTIONS
from system import System, unique
from tallystick.app.parts import build_parts
from tallystick.app.rebuilding import rebuild
from tallystick.core.clock import SystemClock
from tallystick.core.errors import Unavailable
from tallystick.importing.service_record import PageRecorder
from tallystick.invariants.checks import check
from tallystick.platform.auth import Identity
from tallystick.platform.database import Database
from tallystick.privacy.service_walk import ErasureWalk
from tallystick.rebuilding.models import Progress
from tallystick.reconciliation.kinds import kind_named
from tallystick.webhooks.service_archive import PayloadArchiver


async def export(system: System, user: str, **more: Any) -> Any:
    answer = await system.call("GET", f"/api/users/{user}/export", user="grace", roles=ADMIN, **more)
    assert answer.status == 200, answer.body
    assert answer.body["complete"] is True
    return answer.body


def late_events(who: Someone) -> list[dict[str, Any]]:
    """News of a person, as Stripe may still deliver it: old, doubled, of kinds known and unknown."""
    created = 1_790_000_000
    details = who.billing_details
    intent = {
        "id": who.intent, "object": "payment_intent", "amount": 2000, "currency": "usd", "status": "succeeded",
        "customer": who.customer, "description": who.name, "receipt_email": who.email, "shipping": details,
        "metadata": {"deliver_to": who.street, "tallystick_user": who.user}, "created": created,
        "capture_method": "automatic", "amount_received": 2000, "amount_capturable": 0,
    }  # fmt: skip
    objects: list[tuple[str, dict[str, Any]]] = [
        ("customer.updated", {"id": who.customer, "object": "customer", "created": created, "metadata": {}, **details}),
        ("payment_intent.succeeded", intent),
        ("charge.dispute.updated", {
            "id": "dp_late" + who.user[-8:], "object": "dispute", "payment_intent": who.intent, "amount": 5,
            "currency": "usd", "reason": "general", "status": "won", "created": created, "charge": "ch_x",
            "evidence": {"customer_purchase_ip": who.ip, "customer_name": who.name},
            "evidence_details": {"due_by": None}, "metadata": {},
        }),
        ("customer.tax_id.created", {
            "id": "txi_late" + who.user[-8:], "object": "tax_id", "customer": who.customer,
            "verification": {"verified_name": who.name, "verified_address": who.street}, "value": "DE1",
        }),
    ]  # fmt: skip
    return [
        {
            "id": f"evt_late{number}{who.user[-10:]}", "object": "event", "type": kind, "created": created,
            "api_version": "2023-10-16", "request": {"id": None, "idempotency_key": None}, "data": {"object": obj},
        }
        for number, (kind, obj) in enumerate(objects)
    ]  # fmt: skip


@pytest.fixture(scope="module")
async def gone(system: System) -> tuple[Someone, UUID, Any, list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Somebody who was erased: the person, our id, the erasure, and the books before and after."""
    who = await someone(system)
    unmirrored = late_events(who)[3]
    await send_event(system, {**unmirrored, "id": "evt_before" + who.user[-10:]})
    await system.quiet()
    user = await user_id(system, who)
    found = await everywhere(system.database_url, who.marks)
    assert set(found) == {*who.marks} - {who.ip}, "the test knows where to look"
    before = await books(system, user)
    await erase(system, who.user, cancel_subscriptions=True)
    await system.quiet()
    erasure = await erased(system, user)
    return who, user, erasure, before, await books(system, user)


async def test_nothing_tells_who_it_was(system: System, gone: Any) -> None:
    who, user, erasure, _, _ = gone
    assert await everywhere(system.database_url, who.marks) == {}
    assert erasure["kept"]["payments"] == 3
    assert erasure["removed"]["payments"] == 3
    assert erasure["removed"]["webhook_events"] > 10
    assert await system.value("SELECT external_id FROM users WHERE id = $1", user) == f"erased:{user}"
    customer = await system.stripe(f"/v1/customers/{who.customer}")
    assert customer.get("deleted") is True


async def test_the_books_stand(system: System, gone: Any) -> None:
    _, user, _, before, after = gone
    assert {row[0] for row in before} == {"payment", "charge", "refund", "invoice", "line"}
    # The subscription's end may add to them, and a payment that was open is canceled; what was paid stands.
    settled = {row for row in before if row[7] not in ("failed", "requires_payment_method")}
    assert settled <= set(after)
    database = await Database.connect(system.database_url)
    try:
        async with database.connection() as connection:
            assert await check(connection) == []
    finally:
        await database.close()
    assert (
        await system.value("SELECT count(*) FROM subscriptions WHERE user_id = $1 AND status <> 'canceled'", user) == 0
    )


async def test_late_news_brings_nobody_back(system: System, gone: Any) -> None:
    who, user, _, _, after = gone
    for event in late_events(who):
        await send_event(system, event)
        await send_event(system, {**event, "id": event["id"].replace("late", "again")})
    await system.quiet()
    assert await everywhere(system.database_url, who.marks) == {}
    assert await books(system, user) == after
    assert await system.value("SELECT count(*) FROM webhook_events WHERE stripe_event_id LIKE 'evt_late%'") == 4
    row = await system.fetch("SELECT payload FROM webhook_events WHERE stripe_event_id = $1", late_events(who)[1]["id"])
    shown = json.loads(row[0]["payload"])["data"]["object"]
    assert (shown["amount"], shown["description"], shown["shipping"]) == (2000, None, None)
    assert shown["metadata"] == {"tallystick_user": f"erased:{user}"}


async def test_a_fetch_brings_nobody_back(system: System, gone: Any) -> None:
    who = gone[0]
    parts = build_parts(system.settings, system.clock, "tests")
    await parts.database.open()
    try:
        await parts.registry.fetch(who.intent)
        stripe = await system.stripe(f"/v1/payment_intents/{who.intent}")
        assert who.email in stripe["description"], "Stripe still knows"
        # A page of an import finds what it shows to be here already.
        pages = PageRecorder(system.clock, parts.registry, parts.webhooks, parts.reconciling.installation.mark)
        async with parts.database.transaction() as tx:
            counts, _ = await pages.record(tx, kind_named("payment_intent"), [stripe], system.now())
        assert (counts.listed, counts.changed, counts.added) == (1, 0, 0)
    finally:
        await parts.close()
    assert await everywhere(system.database_url, who.marks) == {}
    assert await system.value("SELECT count(*) FROM users WHERE external_id = $1", who.user) == 0


async def test_reconcile_and_rebuild_find_the_same_and_bring_nobody_back(system: System, gone: Any) -> None:
    who = gone[0]
    rows = await system.fetch(
        "SELECT i.stripe_subscription_id, i.stripe_invoice_id FROM invoices i JOIN subscriptions s"
        " USING (stripe_subscription_id) WHERE s.id = $1",
        who.subscription,
    )
    parts = build_parts(system.settings, system.clock, "tests")
    await parts.database.open()
    try:
        ids = [who.intent, who.customer, *rows[0]]
        compared = await parts.reconciling.reconciler.check(ids, by="cli:tests")
        assert (compared.objects, compared.differences) == (4, 0), compared.found
    finally:
        await parts.close()
    rebuilt = await rebuild(system.settings, "again", Progress())
    assert (rebuilt.failures, rebuilt.differences) == ([], [])
    assert await everywhere(system.database_url, who.marks) == {}


async def test_who_comes_back_is_somebody_new(system: System, gone: Any) -> None:
    who, user, _, _, _ = gone
    paid = await system.pay(user=who.user)
    assert paid.status == 201, paid.body
    again = await user_id(system, who)
    assert again != user
    history = await system.call("GET", "/api/payments/history", user=who.user)
    assert [payment["id"] for payment in history.body["data"]] == [paid.body["id"]]
    customer = await system.value("SELECT stripe_customer_id FROM users WHERE id = $1", again)
    assert customer not in (None, who.customer)
    await system.quiet()
    await erase(system, who.user)
    await system.quiet()
    await erased(system, again)
    assert await everywhere(system.database_url, who.marks) == {}


async def test_an_export_shows_all_and_after_the_erasure_what_is_kept(system: System) -> None:
    who = await someone(system, subscribe=False)
    user = await user_id(system, who)
    told = await export(system, who.user)
    assert (told["user"]["external_id"], told["user"]["email"]) == (who.user, f"{who.user}@example.com")
    assert told["customers"][0]["address"]["line1"] == who.street
    paid = next(payment for payment in told["payments"] if payment["id"] == who.payment)
    assert (len(paid["charges"]), len(paid["refunds"]), paid["disputes"]) == (1, 1, [])
    assert {mail["template"] for mail in told["mails"]} >= {"payment_confirmation", "refund"}
    assert {fact["type"] for fact in told["facts"]} >= {"payment.succeeded", "payment.refunded"}
    assert {event["type"] for event in told["events"]} >= {"customer.created", "payment_intent.succeeded"}
    assert "payload" not in told["events"][0]
    assert told["requests"]
    assert "card_fingerprint" not in json.dumps(told)
    own = await system.call("GET", "/api/me/export", user=who.user)
    assert own.body["payments"] == told["payments"]
    whole = await system.call("GET", f"/api/users/{user}/export?payloads=true", user="grace", roles=ADMIN)
    assert who.phone in json.dumps([event["payload"] for event in whole.body["events"]])
    # Reading it is an act of staff's that is kept; what a person reads of itself is none.
    assert [(act["action"], act["by"]) for act in whole.body["audit"]] == [("export_user", "admin")] * 2

    await erase(system, who.user)
    await system.quiet()
    await erased(system, user)
    left = await export(system, str(user))
    assert left["erased"] is True
    assert not [mark for mark in who.marks if mark in json.dumps(left, ensure_ascii=False)]
    assert [(p["id"], p["amount"]) for p in left["payments"]] == [(p["id"], p["amount"]) for p in told["payments"]]
    actions = [act["action"] for act in left["audit"]]
    assert actions[:2] == ["export_user", "export_user"]
    assert "erase_user" in actions


async def test_what_is_not_over_stands_in_the_way(system: System) -> None:
    who = await someone(system)
    answer = await system.call("POST", f"/api/users/{who.user}/erase", {}, user="grace", roles=ADMIN)
    assert (answer.status, answer.code, answer.body["subscriptions"]) == (409, "ERASURE_REFUSED", [who.subscription])
    held = await system.pay(user=who.user, capture_method="manual")
    assert held.body["status"] == "requires_capture"
    body = {"cancel_subscriptions": True}
    answer = await system.call("POST", f"/api/users/{who.user}/erase", body, user="grace", roles=ADMIN)
    assert (answer.status, answer.body["payments"]) == (409, [held.body["id"]])
    assert await system.value("SELECT count(*) FROM erasures WHERE user_id = $1", await user_id(system, who)) == 0
    canceled = await system.call("POST", f"/api/payments/payment-intent/{held.body['id']}/cancel", {}, user=who.user)
    assert canceled.status == 200, canceled.body
    dry = await system.call(
        "POST", f"/api/users/{who.user}/erase", {**body, "dry_run": True}, user="grace", roles=ADMIN
    )
    assert (dry.status, dry.body["state"], dry.body["ends"]["subscriptions"]) == (
        200, "not_begun", [who.subscription],
    )  # fmt: skip
    assert (await system.call("GET", f"{SUBSCRIPTIONS}/{who.subscription}", user=who.user)).body["status"] == "active"


@pytest.mark.parametrize(
    ("method", "path", "roles", "status"),
    [
        ("POST", "/api/users/{user}/erase", ("support",), 403),
        ("POST", "/api/users/{user}/erase", ("service",), 403),
        ("POST", "/api/users/{user}/erase", (), 403),
        ("GET", "/api/users/{user}/export", ("support",), 403),
        ("GET", "/api/users/{user}/export", (), 403),
        ("GET", "/api/users/{user}/export", ("service",), 200),
        ("GET", "/api/users/nobody-at-all/export", ("admin",), 404),
        ("POST", "/api/users/nobody-at-all/erase", ("admin",), 404),
        ("GET", "/api/users/{user}/erasure", ("admin",), 404),
    ],
)
async def test_who_may(system: System, method: str, path: str, roles: tuple[str, ...], status: int) -> None:
    user = unique("may")
    await system.call("GET", "/api/payments/history", user=user)
    caller = user if not roles else unique("staff")
    answer = await system.call(
        method, path.format(user=user), {} if method == "POST" else None, user=caller, roles=roles
    )
    assert answer.status == status, answer.body


class NextMonth(SystemClock):
    """Wall time, a month from now."""

    def wall(self) -> datetime:
        return super().wall() + timedelta(days=31)


async def archive(system: System) -> None:
    """Have the payloads of all events that are over moved to the archive."""
    database = await Database.connect(system.database_url)
    try:
        assert await PayloadArchiver(database, NextMonth(), system.settings).sweep() > 10
    finally:
        await database.close()


async def test_killed_in_the_middle_it_goes_on(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    who = await someone(system, subscribe=False)
    user = await user_id(system, who)
    await system.stop_workers()
    await archive(system)
    monkeypatch.setattr("tallystick.privacy.service_walk._BATCH", 2)
    monkeypatch.setattr("tallystick.privacy.service_walk._OBJECTS", 2)
    monkeypatch.setattr("tallystick.privacy.service_walk._LOOKED_AT", 50)
    parts = build_parts(system.settings, system.clock, "tests")
    await parts.database.open()
    steps = 0
    try:
        erasures = parts.privacy.erasures
        await erase(system, who.user)
        # Nobody has told Stripe yet, and the id is free already.
        assert await system.value("SELECT count(*) FROM users WHERE external_id = $1", who.user) == 0

        class Killed(Exception):
            pass

        advance = ErasureWalk.advance

        async def dies_after(self: ErasureWalk, erasure_id: UUID) -> bool:
            nonlocal steps
            more = await advance(self, erasure_id)
            steps += 1
            if steps % 7 == 0 and more:
                raise Killed
            return more

        monkeypatch.setattr(ErasureWalk, "advance", dies_after)
        person = await erasures.person(str(user))
        deaths = 0
        while (erasure := await erasures.erasure_of(person)).state == "open":
            try:
                await erasures.carry_out(erasure)
            except Killed:
                deaths += 1
        assert deaths >= 3
    finally:
        await parts.close()
        system.start_worker()
    await system.quiet()
    assert await everywhere(system.database_url, who.marks) == {}


async def test_who_still_knows_the_old_user_is_told(system: System) -> None:
    user = unique("known")
    await system.call("GET", "/api/payments/history", user=user)
    other = build_parts(system.settings, system.clock, "another process")
    await other.database.open()
    try:
        identity = Identity(user, None, frozenset())
        before = await other.customers.actor(identity, None)
        await erase(system, user)
        assert await other.customers.actor(identity, None) == before, "it has it in mind"
        with pytest.raises(Unavailable):
            await other.customers.ensure_customer(before.user_id)
        after = await other.customers.actor(identity, None)
        assert after.user_id != before.user_id
    finally:
        await other.close()


async def test_an_outcome_that_nobody_knows_is_found_out(system: System) -> None:
    who = await someone(system, subscribe=False)
    user = await user_id(system, who)
    # Stripe deletes the customer, and the answer is lost, as often as it is asked at once.
    path = f"/v1/customers/{who.customer}"
    await system.fault(target="api", kind="cut", method="DELETE", path=path, when="after", times=4)
    await erase(system, who.user)
    await erased(system, user)
    assert (await system.stripe(path)).get("deleted") is True
    assert await everywhere(system.database_url, who.marks) == {}
    attempts = await system.fetch(
        "SELECT kind, state FROM attempts WHERE user_id = $1 AND kind = 'customer.delete'", user
    )
    assert [tuple(row) for row in attempts] == [("customer.delete", "succeeded")]


async def test_a_restored_database_learns_of_it_from_stripe(system: System) -> None:
    who = await someone(system, subscribe=False)
    user = await user_id(system, who)
    # What this database knows of an erasure is lost with it; Stripe's mark and its events are not.
    customer = await system.stripe(f"/v1/customers/{who.customer}", {"metadata[tallystick_erased]": "true"})
    assert customer["metadata"]["tallystick_erased"] == "true"
    await system.quiet()
    await erased(system, user)
    assert await everywhere(system.database_url, who.marks) == {}

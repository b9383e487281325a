"""Telling, replaying and rebuilding what happened: a payment that was declined first, a refund, and a subscription."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from subscribing import SUBSCRIPTIONS, plan, post, subscribed
from system import Answer, System, unique
from tallystick.app.rebuilding import rebuild
from tallystick.core.clock import SystemClock
from tallystick.platform.database import Database
from tallystick.rebuilding.errors import SchemaRefused
from tallystick.rebuilding.models import COMPARED, MARK, Progress, Rebuilt
from tallystick.stripe_gateway.dating import read_at
from tallystick.webhooks.models import EventFilter
from tallystick.webhooks.service_archive import PayloadArchiver
from tallystick.webhooks.service_replay import EventReplayer

pytestmark = pytest.mark.timeout(120)

SCRATCH = "again"
WAY = ["updated_at", "state_at", "revision"]
"""What tells of the way a row came, not of what it says: of two events of one second a fetch may decide again."""
TABLES = [compared.table for compared in COMPARED]


class Later(SystemClock):
    """Forty days from now, by the wall."""

    def wall(self) -> Any:
        return super().wall() + timedelta(days=40)


@pytest_asyncio.fixture(scope="module")
async def user(system: System) -> str:
    """Somebody who has paid, been refunded, subscribed and left."""
    name = unique("ann")
    declined = await system.pay("pm_card_visa_chargeDeclinedInsufficientFunds", user=name)
    assert declined.status == 402
    paid = await system.pay(user=name)
    refund = f"/api/payments/payment-intent/{paid.body['id']}/refund"
    assert (await system.call("POST", refund, {"amount": 250}, user=name)).status == 200
    made = await subscribed(system, name, await plan(system))
    await system.quiet()
    left = await system.call("DELETE", f"{SUBSCRIPTIONS}/{made['id']}", {"when": "now", "comment": "bye"}, user=name)
    assert left.status == 200, left.body
    # A refund has a late event.
    await system.advance("1m")
    return name


async def told(system: System, reference: str, query: str = "", roles: tuple[str, ...] = ("support",)) -> Answer:
    return await system.call("GET", f"/api/timeline{reference}{query}", user="staff", roles=roles)


async def built(system: System, **options: Any) -> Rebuilt:
    return await rebuild(system.settings, SCRATCH, Progress(), replace=True, **options)


async def everything(system: System) -> dict[str, list[Any]]:
    """All rows that replaying could touch."""
    rows = {}
    for table in (*TABLES, "mails", "outbound_facts", "outbound_deliveries", "attempts"):
        found = await system.fetch(f"SELECT to_jsonb(t) - $1::text[] AS row FROM {table} t", WAY)
        rows[table] = sorted(row["row"] for row in found)
    return rows


async def test_the_story_is_told_in_order(system: System, user: str) -> None:
    answer = await told(system, f"/user:{user}", "?limit=100")
    assert answer.status == 200, answer.body
    page = answer.body
    assert (page["subject"], page["has_more"], page["next"]) == ({"kind": "user", "name": user}, False, None)
    story = page["data"][::-1]
    places = [(entry["at"][:19], entry["kind"], entry["title"]) for entry in story]
    assert [at for at, *_ in places] == sorted(at for at, *_ in places)
    whats = [(kind, title) for _, kind, title in places]
    assert ("call", "payment.create") in whats[:3]
    assert whats.count(("call", "payment.create")) == 2
    for cause, effect in (
        (("call", "payment.create"), ("event", "payment_intent.payment_failed")),
        (("event", "payment_intent.created"), ("event", "payment_intent.succeeded")),
        (("event", "payment_intent.payment_failed"), ("mail", "payment_failed")),
        (("call", "subscription.create"), ("event", "customer.subscription.created")),
        (("event", "customer.subscription.created"), ("change", "created")),
        (("call", "subscription.cancel"), ("change", "canceled")),
    ):
        assert whats.index(cause) < whats.index(effect), (cause, effect)
    declined = next(entry for entry in story if entry["kind"] == "call")
    assert declined["state"] == "declined"
    assert "insufficient_funds" in declined["summary"]
    assert declined["details"]["stripe_request_id"].startswith("req_")
    ended = next(entry for entry in story if entry["title"] == "canceled")
    assert "status active → canceled" in ended["summary"]
    assert ended["summary"].endswith("by the user · bye")
    event = next(entry for entry in story if entry["title"] == "payment_intent.succeeded")
    assert event["summary"] == "$10.50 · succeeded"
    assert event["details"]["processed_at"] is not None


async def test_it_is_read_page_by_page(system: System, user: str) -> None:
    whole = (await told(system, "", f"?user={user}&limit=100")).body["data"]
    pages, cursor = [], ""
    while True:
        page = (await told(system, f"/user:{user}", f"?limit=7{cursor}")).body
        pages += page["data"]
        assert page["has_more"] == (page["next"] is not None)
        if page["next"] is None:
            break
        assert len(page["data"]) == 7
        cursor = f"&before={page['next']}"
    assert pages == whole
    assert len(whole) > 20


async def test_staff_and_differences_are_part_of_it(system: System, user: str) -> None:
    [payment] = await system.fetch(
        "SELECT p.id, stripe_payment_intent_id AS intent FROM payments p JOIN users u ON u.id = p.user_id "
        "WHERE external_id = $1 AND amount_refunded > 0",
        user,
    )
    refund = f"/api/payments/payment-intent/{payment['id']}/refund"
    assert (await system.call("POST", refund, {"amount": 50}, user="grace", roles=("admin",))).status == 200
    await system.advance("1m")
    await system.fetch(
        """
        INSERT INTO reconcile_differences (id, object, stripe_id, field, ours, stripe, cause, state, found_at, seen_at)
        VALUES (gen_random_uuid(), 'payment_intent', $1, 'status', '"processing"', '"succeeded"', 'missed_event',
            'repaired', $2, $2)
        """,
        payment["intent"],
        system.now(),
    )
    story = (await told(system, f"/{payment['id']}", "?limit=100")).body["data"]
    [staff] = [entry for entry in story if entry["kind"] == "staff"]
    assert (staff["state"], staff["summary"]) == ("done", "by admin:grace")
    [differs] = [entry for entry in story if entry["kind"] == "difference"]
    assert (differs["title"], differs["summary"]) == (
        "payment_intent.status",
        "here processing, at Stripe succeeded · missed event",
    )
    of_user = (await told(system, f"/user:{user}", "?limit=100")).body["data"]
    assert {staff["id"], differs["id"]} <= {entry["id"] for entry in of_user}


async def test_an_object_has_a_story_of_its_own(system: System, user: str) -> None:
    [row] = await system.fetch(
        "SELECT s.id, stripe_subscription_id AS stripe_id FROM subscriptions s JOIN users u ON u.id = s.user_id "
        "WHERE external_id = $1",
        user,
    )
    by_ours, by_stripes = [(await told(system, f"/{id_}", "?limit=100")).body for id_ in (row["id"], row["stripe_id"])]
    assert by_ours == by_stripes
    titles = {entry["title"] for entry in by_ours["data"]}
    assert {"subscription.create", "invoice.paid", "payment_intent.succeeded", "canceled"} <= titles
    assert {"refund.created", "payment_failed"}.isdisjoint(titles)
    mails = {entry["title"] for entry in by_ours["data"] if entry["kind"] == "mail"}
    assert mails == {"subscription_welcome", "subscription_canceled", "invoice_receipt"}
    charge = await system.value("SELECT stripe_charge_id FROM charges WHERE status = 'failed' LIMIT 1")
    story = (await told(system, f"/{charge}")).body
    assert story["subject"]["kind"] == "payment"
    assert "payment_failed" in {entry["title"] for entry in story["data"]}


@pytest.mark.parametrize(
    ("reference", "roles", "status", "code"),
    [
        ("/user:nobody", ("admin",), 404, "NOT_FOUND"),
        ("/pi_nowhere", ("admin",), 404, "NOT_FOUND"),
        ("/user:{user}?before=nonsense", ("admin",), 422, "INVALID_REQUEST"),
        ("/user:{user}?limit=101", ("admin",), 422, "VALIDATION_ERROR"),
        ("", ("admin",), 422, "INVALID_REQUEST"),
        ("/user:{user}", (), 403, "FORBIDDEN"),
        ("/user:{user}", ("service",), 403, "FORBIDDEN"),
    ],
)
async def test_who_asks_for_what(
    system: System, user: str, reference: str, roles: tuple[str, ...], status: int, code: str
) -> None:
    answer = await told(system, reference.format(user=user), roles=roles)
    assert answer.status == status, answer.body
    if status != 422:
        assert answer.code == code


async def test_replaying_everything_changes_nothing(system: System, user: str) -> None:
    database = await Database.connect(system.database_url)
    try:
        replayer = EventReplayer(database, system.clock)
        # Half of them from the archive.
        await PayloadArchiver(database, Later(), system.settings).sweep()
        count = await replayer.count(EventFilter())
        before, mails = await everything(system), len(system.mails)
        assert await replayer.replay_all(EventFilter()) == count > 25
        await system.quiet()
        assert await everything(system) == before
        assert len(system.mails) == mails
        assert (
            await replayer.count(EventFilter(state="processed")) + await replayer.count(EventFilter(state="unhandled"))
            == count
        )
    finally:
        await database.close()


async def test_what_the_filters_mean(system: System, user: str) -> None:
    database = await Database.connect(system.database_url)
    try:
        replayer = EventReplayer(database, system.clock)
        now, hour = system.clock.now(), timedelta(hours=1)
        wanted = EventFilter(type="payment_intent.succeeded")
        some = await replayer.count(wanted)
        [intent] = await system.fetch(
            "SELECT stripe_payment_intent_id AS id FROM payments p JOIN users u ON u.id = p.user_id "
            "WHERE external_id = $1 AND amount_refunded > 0",
            user,
        )
        own = await system.value("SELECT count(*) FROM webhook_events WHERE source IN ('fetch', 'answer')")
        assert own > 0
        everything = await system.value("SELECT count(*) FROM webhook_events")
        assert await replayer.count(EventFilter()) == everything - own
        assert some >= 2
        assert await replayer.count(replace(wanted, object_id=intent["id"])) == 1
        assert await replayer.count(EventFilter(object_id=intent["id"])) > 3
        assert await replayer.count(replace(wanted, created=(now - hour, now + hour))) == some
        assert await replayer.count(replace(wanted, received=(now - hour, now + hour))) == some
        assert await replayer.count(EventFilter(received=(None, now - hour))) == 0
        assert await replayer.count(EventFilter(created=(now + hour, None))) == 0
        assert await replayer.count(EventFilter(state="dead")) == 0
    finally:
        await database.close()


async def test_the_same_rows_come_out_and_planted_differences_are_found(system: System, user: str) -> None:
    before, mails = await everything(system), len(system.mails)
    same = await built(system)
    # Nothing is told to anybody, and the live schema is as it was.
    assert await system.value(f"SELECT count(*) FROM {SCRATCH}.outbound_deliveries") == 0
    assert await system.value(f"SELECT count(*) FROM {SCRATCH}.mails WHERE state = 'queued'") == 0
    await system.quiet()
    assert await everything(system) == before
    assert len(system.mails) == mails
    assert (same.differences, same.failures, same.gone) == ([], [], 0)
    rows = {table.table: table.rows for table in same.tables}
    assert list(rows) == TABLES
    assert rows["payments"] >= 3
    assert rows["subscription_history"] >= 2
    # A compare that finds nothing has looked.
    assert sum(table.fields for table in same.tables) > 300

    [charge] = await system.fetch("SELECT * FROM charges WHERE status = 'failed' LIMIT 1")
    [refund] = await system.fetch("SELECT * FROM refunds LIMIT 1")
    await system.fetch("UPDATE charges SET status = 'succeeded' WHERE id = $1", charge["id"])
    await system.fetch("DELETE FROM refunds WHERE id = $1", refund["id"])
    await system.fetch(
        "INSERT INTO coupons (id, stripe_coupon_id, valid, state_at, created_at, updated_at) "
        "VALUES (gen_random_uuid(), 'FOREIGN', true, now(), now(), now())"
    )
    try:
        found = await built(system)
    finally:
        await system.fetch("UPDATE charges SET status = 'failed' WHERE id = $1", charge["id"])
        await system.fetch("DELETE FROM coupons WHERE stripe_coupon_id = 'FOREIGN'")
        names = ", ".join(refund.keys())
        marks = ", ".join(f"${number}" for number in range(1, len(refund) + 1))
        await system.fetch(f"INSERT INTO refunds ({names}) VALUES ({marks})", *refund.values())
    assert found.different == 3
    assert {(each.table, each.key, each.field) for each in found.differences} == {
        ("charges", charge["stripe_charge_id"], "status"),
        ("refunds", refund["stripe_refund_id"], None),
        ("coupons", "FOREIGN", None),
    }
    [status] = [each for each in found.differences if each.field == "status"]
    assert (status.live, status.rebuilt) == ("succeeded", "failed")


async def editable(system: System) -> dict[str, tuple[str, str]]:
    """One object of each kind that can be fetched and edited: its path at Stripe, with the table that mirrors it and
    the column of its id."""
    name = unique("ben")
    paid = (await system.pay(user=name)).body
    refund = f"/api/payments/payment-intent/{paid['id']}/refund"
    assert (await system.call("POST", refund, {"amount": 100}, user=name)).status == 200
    price = await plan(system)
    subscription = (await subscribed(system, name, price))["stripe_subscription_id"]
    setup = await system.call("POST", "/api/customers/me/setup-intents", user=name)
    schedule = await post(system, "/v1/subscription_schedules", from_subscription=subscription)
    await system.advance("1m")
    rows = await system.fetch(
        "SELECT i.stripe_invoice_id AS invoice, i.stripe_customer_id AS customer, r.stripe_refund_id AS refund "
        "FROM invoices i, refunds r WHERE i.stripe_subscription_id = $1 AND r.payment_id = $2::text::uuid",
        subscription,
        paid["id"],
    )
    product = (await system.stripe(f"/v1/prices/{price}"))["product"]
    return {
        f"/v1/customers/{rows[0]['customer']}": ("customers", "stripe_customer_id"),
        f"/v1/products/{product}": ("products", "stripe_product_id"),
        f"/v1/prices/{price}": ("prices", "stripe_price_id"),
        f"/v1/setup_intents/{setup.body['stripe_setup_intent_id']}": ("setup_intents", "stripe_setup_intent_id"),
        f"/v1/payment_intents/{paid['stripe_payment_intent_id']}": ("payments", "stripe_payment_intent_id"),
        f"/v1/refunds/{rows[0]['refund']}": ("refunds", "stripe_refund_id"),
        f"/v1/invoices/{rows[0]['invoice']}": ("invoices", "stripe_invoice_id"),
        f"/v1/subscription_schedules/{schedule['id']}": ("subscription_schedules", "stripe_schedule_id"),
        f"/v1/subscriptions/{subscription}": ("subscriptions", "stripe_subscription_id"),
    }


async def test_what_a_fetch_has_decided_is_rebuilt_however_long_its_answer_took(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It bears the time of asking, and that may be before the last event that its row was told."""
    objects = await editable(system)
    for path in objects:
        await post(system, path, **{"metadata[note]": "told"})
    await system.quiet()
    await system.fault(target="webhook", kind="drop", times=None)
    try:
        for path in objects:
            await post(system, path, **{"metadata[note]": "fetched"})
        monkeypatch.setattr("tallystick.stripe_gateway.service.read_at", lambda left, _, raw: read_at(left, 30, raw))
        for path in objects:
            await system.fetch(
                "INSERT INTO work (id, kind, business_key, payload, due_at) VALUES "
                "(gen_random_uuid(), 'stripe.fetch', 'stripe.fetch:' || $1, jsonb_build_object('object', $1::text), "
                "now())",
                path.rpartition("/")[2],
            )
        await system.quiet()
    finally:
        await system.sandbox("DELETE", "/_sandbox/faults")
    for path, (table, column) in objects.items():
        note = f"SELECT metadata ->> 'note' FROM {table} WHERE {column} = $1"
        assert await system.value(note, path.rpartition("/")[2]) == "fetched", path
    assert (await built(system)).differences == []


async def test_what_it_may_not_write_into(system: System) -> None:
    await system.fetch("CREATE SCHEMA theirs")
    for schema, why in (("public", "live schema"), ("theirs", "no rebuild has made it")):
        with pytest.raises(SchemaRefused, match=why):
            await rebuild(system.settings, schema, Progress(), replace=True)
    await system.fetch("CREATE SCHEMA earlier")
    await system.fetch(f"COMMENT ON SCHEMA earlier IS '{MARK} of public'")
    with pytest.raises(SchemaRefused, match="--replace"):
        await rebuild(system.settings, "earlier", Progress())
    await rebuild(system.settings, "earlier", Progress(), replace=True, comparing=False, drop=True)
    assert await system.value("SELECT to_regnamespace('earlier')") is None
    assert await system.value("SELECT to_regnamespace('theirs')") is not None


async def test_with_a_month_of_the_archive_gone_it_says_that_it_cannot_be_whole(system: System, user: str) -> None:
    database = await Database.connect(system.database_url)
    try:
        moved = await PayloadArchiver(database, Later(), system.settings).sweep()
        assert moved > 0
        from_archive = await built(system)
        assert (from_archive.gone, from_archive.differences) == (0, [])
        async with database.transaction() as tx:
            await tx.execute("DELETE FROM webhook_payloads WHERE event_id IN (SELECT id FROM webhook_events LIMIT 3)")
            lost = await tx.fetchval(
                "SELECT count(*) FROM webhook_events WHERE archived_at IS NOT NULL"
            ) - await tx.fetchval("SELECT count(*) FROM webhook_payloads")
        assert lost
        assert (await built(system, comparing=False)).gone == lost
    finally:
        await database.close()

"""Reconcile and what happens meanwhile: missed events, changes that no event tells, calls that fail, runs that end."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from reconciling import ASKED_BY, attached, new_customer, reconciling_parts, without_webhooks
from subscribers import DECLINES_LATER, make_price, stripe
from subscribing import delete, subscribed
from system import MakeDatabase, System, running_system, unique
from tallystick.app.parts import Parts
from tallystick.reconciliation import service_ask
from tallystick.reconciliation.errors import ReconcileRunning
from tallystick.reconciliation.models import Progress, Result
from tallystick.reconciliation.service_ask import StripeReader
from tallystick.reconciliation.service_repair import Repairer
from tallystick.stripe_gateway.objects import Answer


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def system(make_database: MakeDatabase) -> AsyncIterator[System]:
    async with running_system(await make_database(), EVENT_CATCH_UP_S="0", RECONCILE_EVERY_S="0") as running:
        await stripe(running, "/v1/products", name="One")
        await running.quiet()
        async with reconciling_parts(running) as parts:
            await parts.reconciling.reconciler.reconcile("full", by=ASKED_BY)
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def parts(system: System) -> AsyncIterator[Parts]:
    async with reconciling_parts(system) as found:
        yield found


def causes_of(result: Result) -> dict[tuple[str, str], str]:
    return {(one.stripe_id, field): one.causes[field] for one in result.found for field in one.causes}


async def changes(parts: Parts, **more: Any) -> Result:
    return await parts.reconciling.reconciler.reconcile("incremental", by=ASKED_BY, **more)


async def check(parts: Parts, object_id: str, **more: Any) -> Result:
    return await parts.reconciling.reconciler.check([object_id], by=ASKED_BY, **more)


async def test_missed_events_are_named_and_what_they_tell_is_told_once(system: System, parts: Parts) -> None:
    _, price = await make_price(system)
    user = unique("missed")
    made = await subscribed(system, user, price)
    await system.quiet()
    async with without_webhooks(system):
        await delete(system, f"/v1/subscriptions/{made['stripe_subscription_id']}")
    # A webhook of this minute may still be on its way.
    assert causes_of(await changes(parts, dry_run=True))[made["stripe_subscription_id"], "status"] == "in_flight"
    await system.advance("2m")
    preview = await changes(parts, dry_run=True)
    assert causes_of(preview)[made["stripe_subscription_id"], "status"] == "missed_event"
    assert await system.value("SELECT status FROM subscriptions WHERE id = $1", made["id"]) == "active"
    found = await changes(parts)
    assert causes_of(found)[made["stripe_subscription_id"], "status"] == "missed_event"
    assert (found.left_open, found.in_flight) == (0, 0), found.found
    await system.quiet()
    assert await system.value("SELECT status FROM subscriptions WHERE id = $1", made["id"]) == "canceled"
    told = "SELECT count(*) FROM outbound_facts WHERE type = 'subscription.canceled' AND data ->> 'user' = $1"
    mails = "SELECT count(*) FROM mails WHERE template = 'subscription_canceled' AND recipient = $1"
    assert await system.value(told, user) == 1
    assert await system.value(mails, f"{user}@example.com") == 1
    assert (await changes(parts)).differences == 0
    # The event itself is in the inbox, and has been applied.
    states = await system.fetch(
        "SELECT state, source FROM webhook_events WHERE event_type = $1 AND object_id = $2",
        "customer.subscription.deleted",
        made["stripe_subscription_id"],
    )
    assert [tuple(row) for row in states] == [("processed", "reconcile")]


async def test_a_change_that_no_event_tells_is_the_dashboards(system: System, parts: Parts) -> None:
    customer = await new_customer(system)
    await system.quiet()
    async with without_webhooks(system):
        await system.fault(target="event", kind="late", type="customer.updated", delay_s=10**9)
        await stripe(system, f"/v1/customers/{customer}", name="Renamed", metadata__desk="7")
        found = await check(parts, customer)
    assert causes_of(found) == {(customer, "name"): "dashboard", (customer, "metadata"): "dashboard"}
    assert found.repaired == 2
    rows = await system.fetch("SELECT * FROM reconcile_differences WHERE stripe_id = $1 ORDER BY field", customer)
    assert [(row["field"], row["state"], row["closed_by"]) for row in rows] == [
        ("metadata", "repaired", ASKED_BY),
        ("name", "repaired", ASKED_BY),
    ]
    assert json.loads(rows[1]["stripe"]) == "Renamed"
    assert (await check(parts, customer)).differences == 0


async def test_one_difference_is_one_row_with_its_history(system: System, parts: Parts) -> None:
    customer = await new_customer(system)
    await system.quiet()
    for wrong in ("one", "two"):
        await system.fetch("UPDATE customers SET name = $2 WHERE stripe_customer_id = $1", customer, wrong)
        assert causes_of(await check(parts, customer)) == {(customer, "name"): "ours"}
    rows = await system.fetch("SELECT * FROM reconcile_differences WHERE stripe_id = $1", customer)
    assert [(row["field"], row["times_seen"], json.loads(row["ours"])) for row in rows] == [("name", 2, "two")]
    story = json.loads(rows[0]["history"])
    assert [(one["what"], one["ours"], one["by"]) for one in story] == [
        ("repaired", "one", ASKED_BY),
        ("repaired", "two", ASKED_BY),
    ]


async def test_what_the_policy_leaves_stays_open_until_it_passes(system: System) -> None:
    customer = await new_customer(system)
    await system.quiet()
    await system.fetch("UPDATE customers SET phone = '1' WHERE stripe_customer_id = $1", customer)
    async with reconciling_parts(system, reconcile_repair=["missed_event"]) as parts:
        found = await check(parts, customer)
        assert (found.repaired, found.left_open, found.found[0].state) == (0, 1, "open")
        share = await parts.reconciling.reconciler.share()
        assert share.equal is not None
        assert share.compared is not None
        assert share.equal == share.compared - 1
        await system.fetch("UPDATE customers SET phone = NULL WHERE stripe_customer_id = $1", customer)
        # Whatever was last seen to differ is looked at again.
        assert (await changes(parts)).differences == 0
    state = await system.value("SELECT state FROM reconcile_differences WHERE stripe_id = $1", customer)
    assert state == "passed"


async def test_deleted_at_stripe_and_nobody_was_told(system: System, parts: Parts) -> None:
    product = (await stripe(system, "/v1/products", name="Soon gone"))["id"]
    coupon = (await stripe(system, "/v1/coupons", percent_off=10))["id"]
    customer = await new_customer(system)
    method = await attached(system, customer)
    await stripe(system, "/v1/invoiceitems", customer=customer, amount=500, currency="usd")
    draft = (await stripe(system, "/v1/invoices", customer=customer, auto_advance="false"))["id"]
    await system.quiet()
    async with without_webhooks(system):
        for path in (f"products/{product}", f"coupons/{coupon}", f"invoices/{draft}", f"customers/{customer}"):
            await delete(system, f"/v1/{path}")
    await system.advance("2m")
    found = await changes(parts)
    expected = {(product, "deleted"), (coupon, "deleted"), (draft, "deleted"), (customer, "deleted")}
    causes = causes_of(found)
    assert {key: causes.get(key) for key in expected} == dict.fromkeys(expected, "missed_event")
    assert found.left_open == 0, found.found
    await system.quiet()
    for table, column, object_id in (
        ("products", "stripe_product_id", product),
        ("coupons", "stripe_coupon_id", coupon),
        ("invoices", "stripe_invoice_id", draft),
        ("customers", "stripe_customer_id", customer),
    ):
        assert await system.value(f"SELECT deleted FROM {table} WHERE {column} = $1", object_id) is True
    detached = "SELECT stripe_customer_id FROM payment_methods WHERE stripe_payment_method_id = $1"
    assert await system.value(detached, method) is None
    assert (await changes(parts)).differences == 0


async def test_made_in_the_dashboard_for_a_customer_whom_we_do_not_know(system: System, parts: Parts) -> None:
    _, price = await make_price(system)
    async with without_webhooks(system):
        await system.fault(target="event", kind="late", delay_s=10**9)
        customer = await new_customer(system)
        await attached(system, customer)
        made = await stripe(system, "/v1/subscriptions", customer=customer, items__0__price=price)
        # Just the invoice: what it hangs on comes with it.
        found = await check(parts, made["latest_invoice"])
    assert causes_of(found) == {(made["latest_invoice"], "row"): "dashboard"}
    assert found.repaired == 1
    assert await system.value("SELECT count(*) FROM customers WHERE stripe_customer_id = $1", customer) == 1
    assert await system.value("SELECT status FROM subscriptions WHERE stripe_subscription_id = $1", made["id"])
    invoice = "SELECT status FROM invoices WHERE stripe_invoice_id = $1"
    assert await system.value(invoice, made["latest_invoice"]) == "paid"
    # Now that its events can be seen, they were missed.
    await system.advance("2m")
    await parts.reconciling.reconciler.reconcile("full", by=ASKED_BY)


async def test_what_moves_while_it_is_compared_is_looked_at_again(
    system: System, parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    customer = await new_customer(system)
    await system.quiet()
    retrieve = StripeReader.retrieve
    looks = 0

    async def slow(self: StripeReader, kind: Any, object_id: str) -> Answer[Any] | None:
        nonlocal looks
        answer = await retrieve(self, kind, object_id)
        looks += 1
        if looks == 1:
            # The answer is on its way; a webhook is quicker.
            await stripe(system, f"/v1/customers/{customer}", name="Meanwhile")
            await system.quiet()
        return answer

    monkeypatch.setattr(StripeReader, "retrieve", slow)
    found = await check(parts, customer)
    assert (looks, found.objects, found.differences) == (2, 1, 0)


async def test_a_webhook_that_comes_before_the_repair_wins(
    system: System, parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    customer = await new_customer(system)
    await system.quiet()
    await system.fetch("UPDATE customers SET name = 'Wrong' WHERE stripe_customer_id = $1", customer)
    mend = Repairer.mend
    tries = 0

    async def slow(self: Repairer, *words: Any) -> bool:
        nonlocal tries
        tries += 1
        if tries == 1:
            await stripe(system, f"/v1/customers/{customer}", name="Newer")
            await system.quiet()
        return await mend(self, *words)

    monkeypatch.setattr(Repairer, "mend", slow)
    found = await check(parts, customer)
    assert (found.objects, found.differences) == (1, 0)
    assert await system.value("SELECT name FROM customers WHERE stripe_customer_id = $1", customer) == "Newer"


async def test_what_is_under_way_is_waited_for(system: System, parts: Parts) -> None:
    customer = await new_customer(system)
    await system.quiet()
    await system.stop_workers()
    try:
        await stripe(system, f"/v1/customers/{customer}", name="Under way")
        await system.sandbox("POST", "/_sandbox/quiet")
        found = await check(parts, customer)
        assert causes_of(found) == {(customer, "name"): "in_flight"}
        assert (found.repaired, found.in_flight, found.left_open) == (0, 1, 0)
        # What waits for an hour is stuck, and that is our fault.
        await system.fetch("UPDATE webhook_events SET created_at = created_at - interval '1 hour'")
        stuck = await check(parts, customer)
        assert (causes_of(stuck), stuck.repaired) == ({(customer, "name"): "ours"}, 1)
    finally:
        system.start_worker()
        await system.quiet()


async def test_a_foreign_row_is_removed_whole_and_kept_whole(system: System, parts: Parts) -> None:
    paid = await system.pay(user=unique("foreign"), amount=4321)
    await system.quiet()
    forge = """
        INSERT INTO {0} SELECT (jsonb_populate_record(NULL::{0}, to_jsonb(t) || $2::text::jsonb)).* FROM {0} t
        WHERE {1} = $1::text::uuid
    """
    payment = {"id": "00000000-0000-7000-8000-000000000001", "stripe_payment_intent_id": "pi_forged"}
    charge = {"id": "00000000-0000-7000-8000-000000000002", "stripe_charge_id": "ch_forged"}
    await system.fetch(forge.format("payments", "id"), paid.body["id"], json.dumps(payment))
    own = {**charge, "payment_id": payment["id"], "stripe_payment_intent_id": "pi_forged"}
    await system.fetch(forge.format("charges", "payment_id"), paid.body["id"], json.dumps(own))
    # Something real that hangs on it keeps it.
    real = "UPDATE charges SET payment_id = $1::text::uuid WHERE payment_id = $2::text::uuid AND stripe_charge_id <> $3"
    await system.fetch(real, payment["id"], paid.body["id"], "ch_forged")
    found = await check(parts, "pi_forged")
    assert (causes_of(found), found.left_open) == ({("pi_forged", "row"): "foreign"}, 1)
    await system.fetch(real, paid.body["id"], payment["id"], "ch_forged")
    found = await check(parts, "pi_forged")
    assert (found.repaired, found.left_open) == (1, 0)
    kept = json.loads(await system.value("SELECT ours FROM reconcile_differences WHERE stripe_id = 'pi_forged'"))
    assert (kept["payments"]["amount"], kept["charges"][0]["stripe_charge_id"]) == (4321, "ch_forged")
    assert await system.value("SELECT count(*) FROM payments WHERE stripe_payment_intent_id = 'pi_forged'") == 0
    assert await system.value("SELECT count(*) FROM charges WHERE payment_id = $1::text::uuid", paid.body["id"]) == 1


async def test_a_row_that_stripe_once_told_of_is_not_removed(system: System, parts: Parts) -> None:
    paid = await system.pay(user=unique("gone"))
    await system.quiet()
    intent = paid.body["stripe_payment_intent_id"]
    # As if the test account had been emptied: Stripe knows none of these ids.
    await system.fetch("UPDATE payments SET stripe_payment_intent_id = 'pi_emptied' WHERE id = $1", paid.body["id"])
    await system.fetch("UPDATE webhook_events SET object_id = 'pi_emptied', object_key = 'pi_emptied' "
                       "WHERE object_id = $1", intent)  # fmt: skip
    found = await check(parts, "pi_emptied")
    assert (causes_of(found), found.left_open) == ({("pi_emptied", "row"): "gone"}, 1)
    assert await system.value("SELECT count(*) FROM payments WHERE id = $1", paid.body["id"]) == 1
    kept = await system.value("SELECT ours FROM reconcile_differences WHERE stripe_id = 'pi_emptied'")
    assert json.loads(kept)["amount"] == 1050
    await system.fetch("UPDATE payments SET stripe_payment_intent_id = $2 WHERE id = $1", paid.body["id"], intent)
    await system.fetch("UPDATE webhook_events SET object_id = $1, object_key = $1 WHERE object_id = 'pi_emptied'",
                       intent)  # fmt: skip
    await changes(parts)
    assert (await changes(parts)).differences == 0


async def test_states_that_no_event_leads_away_from(system: System, parts: Parts) -> None:
    """Where a row says that all is over, or that it is of a time to come, every event would be turned away."""
    user = unique("final")
    _, price = await make_price(system)
    made = await subscribed(system, user, price)
    opened = await system.call("POST", "/api/payments/payment-intent", {"amount": 900, "currency": "usd"}, user=user)
    paid = await system.pay(user=user, amount=700)
    refund = f"/api/payments/payment-intent/{paid.body['id']}/refund"
    assert (await system.call("POST", refund, {"amount": 100}, user=user)).status == 200
    await system.quiet()
    customer = await system.value("SELECT stripe_customer_id FROM users WHERE external_id = $1", user)
    setup = (await stripe(system, "/v1/setup_intents", customer=customer))["id"]
    draft = (await stripe(system, "/v1/invoices", customer=customer, auto_advance="false"))["id"]
    await system.quiet()
    damages = {
        ("subscriptions", made["stripe_subscription_id"]): "status = 'canceled'",
        ("payments", opened.body["stripe_payment_intent_id"]): "stripe_status = 'succeeded', status = 'succeeded'",
        ("refunds", None): "status = 'failed'",
        ("setup_intents", setup): "status = 'canceled'",
        ("invoices", draft): "status = 'void'",
        ("customers", customer): "deleted = true, state_at = state_at + interval '10 years'",
    }
    columns = {
        "subscriptions": "stripe_subscription_id",
        "payments": "stripe_payment_intent_id",
        "refunds": "stripe_refund_id",
        "setup_intents": "stripe_setup_intent_id",
        "invoices": "stripe_invoice_id",
        "customers": "stripe_customer_id",
    }
    ids = []
    for (table, known), change in damages.items():
        column = columns[table]
        object_id = known or await system.value(f"SELECT {column} FROM refunds WHERE payment_id = $1", paid.body["id"])
        await system.fetch(f"UPDATE {table} SET {change} WHERE {column} = $1", object_id)
        ids.append(object_id)
    found = await parts.reconciling.reconciler.check(ids, by=ASKED_BY)
    assert found.left_open == 0, found.found
    assert {(one.stripe_id, one.state) for one in found.found} == {(object_id, "repaired") for object_id in ids}
    assert (customer, "state_at") in causes_of(found)
    assert (await parts.reconciling.reconciler.check(ids, by=ASKED_BY)).differences == 0
    # And events are heard again.
    await stripe(system, f"/v1/customers/{customer}", name="Heard")
    await system.quiet()
    assert await system.value("SELECT name FROM customers WHERE stripe_customer_id = $1", customer) == "Heard"


async def test_a_lost_row_gets_back_what_only_its_events_tell(system: System, parts: Parts) -> None:
    user = unique("lost")
    _, price = await make_price(system)
    made = await subscribed(system, user, price)
    await stripe(system, f"/v1/subscriptions/{made['stripe_subscription_id']}", metadata__desk="7")
    customer = await new_customer(system)
    await attached(system, customer, DECLINES_LATER)
    await stripe(system, "/v1/invoiceitems", customer=customer, amount=500, currency="usd")
    form = {"customer": customer, "pending_invoice_items_behavior": "include"}
    invoice = (await stripe(system, "/v1/invoices", **form))["id"]
    assert "error" in await system.stripe(f"/v1/invoices/{invoice}/pay", {})
    await system.quiet()

    async def only_told() -> tuple[Any, ...]:
        failed = await system.value("SELECT first_failed_at FROM invoices WHERE stripe_invoice_id = $1", invoice)
        rows = await system.fetch(
            """
            SELECT action, old_values, new_values, performed_at, actor, cause, stripe_event_id, activated_at
            FROM subscription_history h JOIN subscriptions s ON s.id = subscription_id
            WHERE stripe_subscription_id = $1 ORDER BY performed_at, action
            """,
            made["stripe_subscription_id"],
        )
        return failed, [tuple(row) for row in rows]

    before = await only_told()
    assert before[0] is not None
    assert len(before[1]) == 3
    for table in ("access_grants", "subscription_history"):
        await system.fetch(f"DELETE FROM {table} WHERE subscription_id = $1", made["id"])
    await system.fetch("DELETE FROM subscriptions WHERE id = $1", made["id"])
    await system.fetch("DELETE FROM invoice_lines USING invoices i WHERE i.id = invoice_id AND stripe_invoice_id = $1",
                       invoice)  # fmt: skip
    await system.fetch("DELETE FROM invoices WHERE stripe_invoice_id = $1", invoice)
    ids = [made["stripe_subscription_id"], invoice]
    found = await parts.reconciling.reconciler.check(ids, by=ASKED_BY)
    assert causes_of(found) == {(object_id, "row"): "ours" for object_id in ids}
    assert found.repaired == 2
    assert await only_told() == before
    access = "SELECT access FROM access_grants WHERE subscription_id = $1"
    assert await system.value(access, made["id"]) is True


async def test_objects_of_a_test_clock_are_not_listed_and_not_gone(system: System, parts: Parts) -> None:
    clock = await stripe(system, "/v1/test_helpers/test_clocks", frozen_time=int(system.now().timestamp()))
    customer = await new_customer(system, test_clock=clock["id"])
    await attached(system, customer)
    await system.quiet()
    listed = [one["id"] for one in (await system.stripe("/v1/customers?limit=100"))["data"]]
    assert customer not in listed
    found = await parts.reconciling.reconciler.reconcile("full", by=ASKED_BY)
    assert found.differences == 0, found.found
    assert await system.value("SELECT count(*) FROM customers WHERE stripe_customer_id = $1", customer) == 1


async def test_rate_limits_in_the_middle_change_nothing(
    system: System, parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_ask, "_WAITS_S", (0.01,) * 30)
    whole = await parts.reconciling.reconciler.reconcile("full", by=ASKED_BY)
    waits: list[float] = []

    def report(progress: Progress) -> None:
        if progress.waiting_s:
            waits.append(progress.waiting_s)

    await system.fault(target="api", kind="status", status=429, path="/v1/prices*", times=1)
    limited = await parts.reconciling.reconciler.reconcile("full", by=ASKED_BY, report=report)
    assert waits
    assert (limited.objects, limited.fields, limited.differences) == (whole.objects, whole.fields, 0)


async def test_killed_in_the_middle_it_goes_on_where_it_was(system: System, parts: Parts) -> None:
    reconciler = parts.reconciling.reconciler
    whole = await reconciler.reconcile("full", by=ASKED_BY)

    class Killed(BaseException):
        pass

    def killed_at(kind: str, seen: list[str]) -> Any:
        def report(progress: Progress) -> None:
            seen.append(progress.kind)
            if progress.kind == kind:
                raise Killed

        return report

    seen: list[str] = []
    for kind in ("customer", "invoice"):
        with pytest.raises(Killed):
            await reconciler.reconcile("full", by=ASKED_BY, report=killed_at(kind, seen := []))
    assert "product" not in seen
    rest = await reconciler.reconcile("full", by=ASKED_BY)
    assert (rest.objects, rest.fields, rest.differences) == (whole.objects, whole.fields, 0)
    assert rest.calls < whole.calls
    assert await system.value("SELECT count(*) FROM reconcile_runs WHERE state = 'running'") == 0
    assert await system.value("SELECT count(*) FROM reconcile_seen") == 0


async def test_of_two_at_once_the_second_is_told_so(system: System, parts: Parts) -> None:
    product = (await system.stripe("/v1/products?limit=1"))["data"][0]["id"]
    seconds: list[asyncio.Task[str]] = []
    go_on = asyncio.Event()
    retrieve = StripeReader.page

    async def second() -> str:
        async with reconciling_parts(system) as others:
            try:
                await changes(others)
            except ReconcileRunning as error:
                # One object may be looked at whatever runs.
                assert (await check(others, product)).objects == 1
                return error.code
            finally:
                go_on.set()
        return "ran"

    async def waiting(self: StripeReader, *words: Any, **more: Any) -> Any:
        if not seconds:
            seconds.append(asyncio.create_task(second()))
        await go_on.wait()
        return await retrieve(self, *words, **more)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(StripeReader, "page", waiting)
        first = await parts.reconciling.reconciler.reconcile("full", by=ASKED_BY)
    assert first.finished
    assert await seconds[0] == "RECONCILE_RUNNING"

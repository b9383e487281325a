"""What always holds, does on a busy system; and each invariant is found when somebody breaks it by hand."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from subscribing import create, plan
from system import MakeDatabase, System, running_system, unique
from tallystick.core.clock import SystemClock
from tallystick.core.ids import new_id
from tallystick.invariants.checks import ALWAYS, EVERYTHING, INVARIANTS, check, scope_of
from tallystick.invariants.models import FOUND_MOST, Scope
from tallystick.invariants.service import InvariantKeeper
from tallystick.platform.database import Connection, Database

PAYMENTS = "/api/payments/payment-intent"


async def act(system: System, number: int) -> None:
    """What a user may do: pay, be declined, refund, subscribe, change, and end it."""
    user = unique("busy")
    await system.pay("pm_card_chargeDeclined", user=user)
    paid = (await system.pay(user=user, amount=3000)).body
    for amount in (1000, 500):
        done = await system.call("POST", f"{PAYMENTS}/{paid['id']}/refund", {"amount": amount}, user=user)
        assert done.status == 200, done.body
    held = (await system.pay(user=user, capture_method="manual")).body
    await system.call("POST", f"{PAYMENTS}/{held['id']}/{'capture' if number % 2 else 'cancel'}", {}, user=user)
    price = await plan(system)
    made = await create(system, user, price, payment_method="pm_card_visa", trial_period_days=7 * (number % 2))
    url = f"/api/subscriptions/{made.body['id']}"
    assert (await system.call("PUT", url, {"quantity": 3}, user=user)).status == 200
    if number % 3 == 0:
        assert (await system.call("DELETE", url, {"when": "now"}, user=user)).status == 200


@pytest_asyncio.fixture(scope="module", name="system")
async def busy_system(make_database: MakeDatabase) -> AsyncIterator[System]:
    """One on which much has happened; while it did, the invariants were looked at all the time."""
    async with running_system(await make_database()) as running:
        database = await Database.connect(running.database_url, size=2)
        await running.fault(target="webhook", kind="shuffle", window_s=0.3, times=None)
        await running.fault(target="webhook", kind="duplicate", probability=0.3, seed=1, times=None)
        traffic = asyncio.gather(*(act(running, number) for number in range(4)))
        looks = 0
        while not traffic.done():
            async with database.connection() as connection:
                assert told(await check(connection, ALWAYS)) == {}
            looks += 1
            await asyncio.sleep(0.05)
        await traffic
        assert looks > 3
        await running.quiet()
        await database.close()
        yield running


@pytest_asyncio.fixture(scope="module", name="database")
async def one_connection(system: System) -> AsyncIterator[Database]:
    opened = await Database.connect(system.database_url, size=4)
    yield opened
    await opened.close()


@pytest_asyncio.fixture
async def connection(database: Database) -> AsyncIterator[Connection]:
    """In a transaction that is undone, so that whatever a test breaks is whole again."""
    async with database.connection() as opened:
        planting = opened.transaction()
        await planting.start()
        yield opened
        await planting.rollback()


def told(violations: Any) -> dict[str, tuple[str, ...]]:
    return {violation.invariant.name: violation.found for violation in violations}


async def test_none_is_violated_when_all_is_quiet(system: System, connection: Connection) -> None:
    await system.advance("40d")
    await system.quiet()
    assert told(await check(connection)) == {}
    counted = await connection.fetchrow(
        """
        SELECT (SELECT count(*) FROM webhook_events WHERE state = 'processed') AS events,
               (SELECT count(*) FROM subscription_history) AS history, (SELECT count(*) FROM refunds) AS refunds
        """
    )
    assert min(counted or [0]) > 5, "there was nothing to look at"


def first(event_type: str) -> str:
    """The first applied event of this type."""
    return (
        f"(SELECT id FROM webhook_events WHERE event_type = '{event_type}' AND state = 'processed' ORDER BY id LIMIT 1)"
    )


SUCCEEDED = "(SELECT id FROM payments WHERE status = 'succeeded' AND amount_refunded = 0 ORDER BY id LIMIT 1)"
CHARGED = "SELECT {} FROM charges WHERE status = 'succeeded' ORDER BY id"
PLANTED = {
    "events_keep_their_payload": f"""
        UPDATE webhook_events SET state = 'dead', payload = NULL, processed = false, processed_at = NULL
        WHERE id = {first("product.created")}
    """,
    "events_bear_their_marks": f"UPDATE webhook_events SET processed_at = NULL WHERE id = {first('charge.succeeded')}",
    "waiting_events_wait_for_something": f"""
        UPDATE webhook_events SET state = 'pending', processed = false, processed_at = NULL, not_before = 'infinity'
        WHERE id = {first("price.created")}
    """,
    "applied_events_left_their_row": f"""
        UPDATE invoices SET stripe_invoice_id = 'in_gone'
        WHERE stripe_invoice_id = (SELECT object_id FROM webhook_events WHERE id = {first("invoice.created")})
    """,
    "final_states_stay": f"""
        UPDATE payments SET status = 'processing', stripe_status = 'processing' WHERE id = {SUCCEEDED}
    """,
    "one_open_operation": """
        DROP INDEX attempts_one_open_operation;
        UPDATE idempotency_keys SET state = 'in_progress'
        WHERE id IN (SELECT idempotency_key_id FROM attempts WHERE kind = 'payment.capture');
        UPDATE attempts SET state = 'unknown', lock_key = 'payment:1' WHERE kind = 'payment.capture'
    """,
    "ended_attempts_are_answered": """
        UPDATE idempotency_keys SET state = 'in_progress' WHERE id = (SELECT id FROM idempotency_keys LIMIT 1)
    """,
    "one_attempt_per_key": """
        UPDATE attempts SET idempotency_key_id =
            (SELECT idempotency_key_id FROM attempts WHERE kind = 'refund.create' LIMIT 1)
        WHERE kind = 'refund.create'
    """,
    "one_charge_per_payment": f"""
        UPDATE charges SET stripe_payment_intent_id = 'pi_other',
            payment_id = ({CHARGED.format("payment_id")} DESC LIMIT 1)
        WHERE id = ({CHARGED.format("id")} LIMIT 1)
    """,
    # Our ids sort by time; these are of the end of time.
    "one_customer_per_user": """
        INSERT INTO customers (id, stripe_customer_id, user_id, state_at, created_at, updated_at)
        SELECT 'ffffffff-ffff-7fff-bfff-ffffffffffff', 'cus_second', user_id, now(), now(), now()
        FROM customers LIMIT 1
    """,
    "one_live_subscription_per_user": """
        UPDATE subscriptions SET user_id =
            (SELECT user_id FROM subscriptions WHERE status = 'active' ORDER BY id LIMIT 1)
        WHERE status IN ('active', 'trialing')
    """,
    "each_fact_is_told_once": """
        ALTER TABLE mails DROP CONSTRAINT mails_business_key_key;
        UPDATE mails SET business_key = 'twice' WHERE template = 'payment_confirmation'
    """,
    "captured_within_amount": f"UPDATE payments SET amount_received = amount + 1 WHERE id = {SUCCEEDED}",
    "refunds_within_captured": """
        UPDATE refunds SET amount = 2501 WHERE id = (SELECT id FROM refunds WHERE amount = 1000 LIMIT 1)
    """,
    "history_leads_to_the_subscription": """
        UPDATE subscriptions SET cancel_at_period_end = NOT cancel_at_period_end
        WHERE id = (SELECT id FROM subscriptions LIMIT 1)
    """,
    "no_event_is_left": f"""
        UPDATE webhook_events SET state = 'dead', processed = false, processed_at = NULL
        WHERE id = {first("product.created")}
    """,
    "nothing_is_unsure": "UPDATE invoices SET unsure = true WHERE id = (SELECT id FROM invoices LIMIT 1)",
    "no_secret_is_stored": f"""
        UPDATE webhook_events SET payload = payload || '{{"client_secret": "pi_1Abc_secret_Def"}}'
        WHERE id = {first("product.created")}
    """,
}
ALSO = {
    # A dead letter whose payload is gone is a dead letter; an event that waits for nothing is left.
    "events_keep_their_payload": {"no_event_is_left"},
    "waiting_events_wait_for_something": {"no_event_is_left"},
}


def test_each_invariant_has_its_canary() -> None:
    assert PLANTED.keys() == {invariant.name for invariant in INVARIANTS}
    assert {invariant.number for invariant in INVARIANTS} == set(range(1, 11))
    assert len({invariant.name for invariant in INVARIANTS}) == len(INVARIANTS)


@pytest.mark.parametrize("name", PLANTED)
async def test_what_is_broken_by_hand_is_found(system: System, connection: Connection, name: str) -> None:
    """By whoever looks at all rows, and by whoever looks at those of the last hour, though the clock was moved."""
    status = await connection.execute(PLANTED[name])
    assert not status.endswith(" 0"), "nothing was planted"
    for scope in (EVERYTHING, scope_of(system.clock, timedelta(hours=1))):
        found = told(await check(connection, scope=scope))
        assert found.keys() == {name} | ALSO.get(name, set())
        assert 1 <= len(found[name]) <= FOUND_MOST


async def test_a_refund_in_the_dashboard_may_come_between_asking_for_one_and_making_it(
    system: System, connection: Connection
) -> None:
    ask = """
        INSERT INTO refunds (id, payment_id, amount, currency, status, metadata, created_at, updated_at)
        SELECT $1, payment_id, 2000, currency, $2, $3, now(), now() FROM refunds WHERE amount = 1000 LIMIT 1
    """
    ours, dashboard = {"tallystick_refund": "ours"}, dict[str, str]()
    row = new_id()
    await connection.execute(ask, row, "requested", ours)
    assert told(await check(connection, ALWAYS)).keys() == {"refunds_within_captured"}
    await connection.execute("UPDATE refunds SET amount = 1200 WHERE id = $1", row)
    assert told(await check(connection, ALWAYS)) == {}
    await connection.execute(ask.replace("2000", "1400"), new_id(), "succeeded", dashboard)
    assert told(await check(connection, ALWAYS)) == {}
    await connection.execute("UPDATE refunds SET status = 'succeeded' WHERE id = $1", row)
    assert told(await check(connection, ALWAYS)).keys() == {"refunds_within_captured"}


async def test_several_subscriptions_may_be_allowed(system: System, connection: Connection) -> None:
    await connection.execute(PLANTED["one_live_subscription_per_user"])
    assert told(await check(connection, scope=Scope(EVERYTHING.first_id, EVERYTHING.since, True))) == {}


@pytest.mark.parametrize(
    ("number", "is_one"),
    [("4242424242424242", True), ("4242 4242 4242 4242", True), ("4242424242424241", False), ("INV-0001", False)],
)
async def test_the_number_of_a_card_is_known_by_its_check_digit(
    connection: Connection, number: str, *, is_one: bool
) -> None:
    await connection.execute(
        "INSERT INTO outbound_facts (id, business_key, type, object_key, data, occurred_at, created_at) "
        "VALUES ($1, 'x', 'x', 'x', $2, now(), now())",
        new_id(),
        {"card": {"number": number}},
    )
    found = told(await check(connection, ["no_secret_is_stored"]))
    assert bool(found) is is_one
    assert number not in str(found)


async def test_what_is_found_tells_ids_and_no_secret(connection: Connection) -> None:
    await connection.execute(PLANTED["no_secret_is_stored"])
    (line,) = told(await check(connection, ["no_secret_is_stored"]))["no_secret_is_stored"]
    assert re.fullmatch(r"webhook_events \w+ holds a secret", line)


async def test_a_name_that_there_is_not(connection: Connection) -> None:
    with pytest.raises(KeyError, match="no such invariant"):
        await check(connection, ["nonsense"])


class Later(SystemClock):
    """Wall time can be moved, which only a test can."""

    ahead = timedelta()

    def wall(self) -> datetime:
        return super().wall() + self.ahead


async def test_the_worker_tells_staff_once_per_incident(
    system: System, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The rows stay as old as they are while hours pass for the keeper.
    monkeypatch.setattr("tallystick.invariants.service._OVERLAP", timedelta(days=1))
    clock = Later()
    settings = system.settings
    keepers = [InvariantKeeper(database, clock, settings) for _ in range(2)]
    told_of = "SELECT count(*) FROM work WHERE kind = 'alert.invariant' AND payload->>'invariant' = $1"
    broken = f"UPDATE payments SET amount_received = amount + 1 WHERE id = {SUCCEEDED}"
    name = "captured_within_amount"
    await system.stop_workers()

    async def look_an_hour_later() -> Any:
        clock.ahead += timedelta(minutes=61)
        looks = await asyncio.gather(*(keeper.look_due() for keeper in keepers))
        assert sum(1 for look in looks if look) == 1, "one process looks"
        return next(look for look in looks if look)

    assert not any((await look_an_hour_later()).values())
    for incident in (1, 2):
        await system.pool.execute(broken)
        for _ in range(2):
            found = await look_an_hour_later()
            assert {one: count for one, count in found.items() if count} == {name: 1}
            assert await system.value(told_of, name) == incident
        assert await keepers[0].look_due() is None, "it is not time"
        await system.pool.execute("UPDATE payments SET amount_received = amount WHERE amount_received > amount")
        assert not any((await look_an_hour_later()).values())
    system.start_worker()
    await system.quiet()
    alerts = [mail for mail in system.mails if mail.to == "ops@acme.test"]
    assert [mail.subject for mail in alerts].count("[Acme] Something that must always hold does not") == 2

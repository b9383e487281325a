"""What no webhook brought arrives by the list of events, through the same inbox and once."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from catching_up import assert_equal_to_stripe, changes, forward, parts_of, unknown_events
from simulation.world import stop_deliveries
from subscribers import make_price, stripe
from system import LONG, MakeDatabase, System, running_system, unique
from tallystick.catch_up import service_read
from tallystick.catch_up.models import CatchUpState
from tallystick.stripe_gateway.errors import GatewayUnavailable
from tallystick.stripe_gateway.objects import StripeEvent

CHANGES = 5000 if LONG else 150


async def state_of(system: System) -> CatchUpState:
    async with parts_of(system) as parts:
        found = await parts.reconciling.catch_up.state()
    assert found is not None
    return found


async def read_to_the_end(system: System, timeout_s: float = 20) -> None:
    """Wait until a worker has read the list to an end that is after now."""
    before = await system.value("SELECT clock_timestamp()")
    ends = asyncio.get_running_loop().time() + timeout_s
    while not await system.value("SELECT read_at > $1 FROM event_cursors", before):
        assert asyncio.get_running_loop().time() < ends, "it was never read to its end"
        await asyncio.sleep(0.05)


def with_catch_up(system: System, **changes: object) -> None:
    """From now on workers follow the list of events."""
    system.settings = system.settings.model_copy(update={"event_catch_up_s": 0.2, **changes})


async def users_with_customers(system: System, count: int) -> list[str]:
    """Customers of users of ours, with a card."""
    customers = []
    for number in range(count):
        made = await system.call("POST", "/api/customers", {}, user=unique(f"user{number}"))
        customer = made.body["stripe_customer_id"]
        method = await stripe(system, "/v1/payment_methods/pm_card_visa/attach", customer=customer)
        await stripe(system, f"/v1/customers/{customer}", invoice_settings__default_payment_method=method["id"])
        customers.append(customer)
    return customers


@pytest.mark.slow
async def test_an_outage_of_three_days(make_database: MakeDatabase) -> None:
    async with running_system(await make_database(), STRIPE_BACKGROUND_RATE="100") as system:
        _, daily = await make_price(system, interval="day")
        _, monthly = await make_price(system)
        customers = await users_with_customers(system, 6)
        await changes(system, customers, daily, 9)
        await system.quiet()
        told = Counter(mail.message_id for mail in system.mails)
        assert told

        await system.stop_workers()
        await stop_deliveries(system)
        for _ in range(3):
            await changes(system, customers, monthly, CHANGES // 3)
            await forward(system, "1d")
        await forward(system, "1m")
        missed = await unknown_events(system)
        assert len(missed) > CHANGES

        with_catch_up(system)
        system.start_worker()
        await read_to_the_end(system, 600)
        await system.quiet(600)
        assert await unknown_events(system) == set()
        state = await state_of(system)
        assert state.recovered == len(missed)
        assert not state.gaps
        await assert_equal_to_stripe(system)
        by_source = await system.fetch("SELECT source, count(*) FROM webhook_events GROUP BY source")
        assert dict(map(tuple, by_source))["poll"] == len(missed)

        # The webhooks come after all, as Stripe repeats them.
        mails = await system.value("SELECT count(*) FROM mails")
        for event_id in sorted(missed)[:50]:
            await system.sandbox("POST", f"/_sandbox/events/{event_id}/resend", {})
        await system.quiet()
        assert await system.value("SELECT count(*) FROM mails") == mails
        assert set(Counter(mail.message_id for mail in system.mails).values()) == {1}
        assert len(system.mails) > len(told)


@pytest_asyncio.fixture(scope="module")
async def quiet_system(make_database: MakeDatabase) -> AsyncIterator[System]:
    """A system that no webhook reaches, and whose workers do not follow the list: the tests do."""
    async with running_system(await make_database()) as system:
        await stop_deliveries(system)
        async with parts_of(system) as parts:
            await parts.reconciling.catch_up.catch_up()
        yield system


async def customer_events(system: System, customer: str) -> list[str]:
    rows = await system.fetch("SELECT event_type FROM webhook_events WHERE object_id = $1 ORDER BY seq", customer)
    return [row["event_type"] for row in rows]


async def test_the_first_time_begins_at_the_mark_and_the_next_where_the_last_ended(quiet_system: System) -> None:
    system = quiet_system
    async with parts_of(system) as parts:
        catch_up = parts.reconciling.catch_up
        made = await stripe(system, "/v1/customers", name="Ann")
        assert await catch_up.catch_up() == 0, "the webhooks of the last seconds may be on their way"
        await system.advance("1m")
        assert await catch_up.catch_up() == 1
        assert await catch_up.catch_up() == 0
        await system.quiet()
        assert await customer_events(system, made["id"]) == ["customer.created"]
        cursor = (await catch_up.state()).cursor_at  # type: ignore[union-attr]
        assert system.now() - timedelta(minutes=2) < cursor < system.now()
        await system.advance("20d")
        assert await catch_up.catch_up() == 0
        calls = (await system.sandbox("GET", "/_sandbox/requests?limit=1"))["data"]
        assert calls[0]["path"].startswith("/v1/events")


async def test_events_that_become_visible_late(quiet_system: System) -> None:
    system = quiet_system
    made = await stripe(system, "/v1/customers", name="Late")
    async with parts_of(system) as parts:
        catch_up = parts.reconciling.catch_up
        await system.fault(target="event", kind="late", type="customer.updated", delay_s=80)
        try:
            await stripe(system, f"/v1/customers/{made['id']}", name="Later")
            other = await stripe(system, "/v1/customers", name="After")
            await system.advance("1m")
            await catch_up.catch_up()
            assert await customer_events(system, other["id"]) == ["customer.created"]
            assert await customer_events(system, made["id"]) == ["customer.created"]
            await system.advance("1m")
            assert await catch_up.catch_up() == 1
        finally:
            await system.sandbox("DELETE", "/_sandbox/faults")
    assert await customer_events(system, made["id"]) == ["customer.created", "customer.updated"]


async def test_a_flood_read_by_two_processes_of_which_one_dies_in_the_middle(
    quiet_system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = quiet_system
    # Windows of a page each, so that there are many of them.
    monkeypatch.setattr(service_read, "_PAGES", 1)
    monkeypatch.setattr(service_read, "_AIM", 60)
    made = await stripe(system, "/v1/customers", name="Flood")
    for _ in range(3):
        for number in range(60):
            await stripe(system, f"/v1/customers/{made['id']}", name=f"Name {number}")
        await system.advance("1h")
    missed = await unknown_events(system)
    assert len(missed) == 181
    async with parts_of(system) as one, parts_of(system) as other:
        before = (await state_of(system)).recovered
        store, third = one.reconciling.catch_up._store, asyncio.Event()
        windows: list[int] = []

        async def store_two_windows(events: Sequence[StripeEvent]) -> int:
            if len(windows) == 2:
                third.set()
                await asyncio.Event().wait()
            windows.append(await store(events))
            return windows[-1]

        with monkeypatch.context() as patched:
            patched.setattr(one.reconciling.catch_up, "_store", store_two_windows)
            dying = asyncio.create_task(one.reconciling.catch_up.catch_up())
            await third.wait()
        assert await other.reconciling.catch_up.catch_up() is None, "one at a time"
        dying.cancel()
        await asyncio.gather(dying, return_exceptions=True)
        rest = len(await unknown_events(system))
        assert 0 < rest < len(missed)
        found = await asyncio.gather(one.reconciling.catch_up.catch_up(), other.reconciling.catch_up.catch_up())
        assert sum(count or 0 for count in found) == rest
    assert await unknown_events(system) == set()
    assert (await state_of(system)).recovered == before + len(missed)
    # Oldest first, whatever the windows were; what is fetched meanwhile shows a later state.
    stored = await system.fetch(
        "SELECT event_created_at FROM webhook_events WHERE object_id = $1 AND source <> 'fetch' ORDER BY seq",
        made["id"],
    )
    assert len(stored) == len(missed)
    assert [row[0] for row in stored] == sorted(row[0] for row in stored)


async def test_a_process_that_was_killed_is_followed_when_its_lease_runs_out(quiet_system: System) -> None:
    system = quiet_system
    async with parts_of(system) as parts:
        await system.pool.execute(
            "INSERT INTO leases VALUES ('events.catch_up', gen_random_uuid(), now() + interval '30 seconds')"
        )
        assert await parts.reconciling.catch_up.catch_up() is None
        ours = "WHERE name = 'events.catch_up'"
        await system.pool.execute(f"UPDATE leases SET leased_until = now() - interval '1 second' {ours}")
        assert await parts.reconciling.catch_up.catch_up() is not None
    assert await system.value(f"SELECT count(*) FROM leases {ours}") == 0


async def test_a_leap_of_business_time_is_no_outage(make_database: MakeDatabase) -> None:
    async with running_system(await make_database(), EVENT_CATCH_UP_S="3600") as system:
        ends = asyncio.get_running_loop().time() + 20
        while not await system.value("SELECT count(read_at) FROM event_cursors"):
            assert asyncio.get_running_loop().time() < ends, "a worker reads it when it starts"
            await asyncio.sleep(0.05)
        await system.advance("100d")
        state = await state_of(system)
        assert not state.gaps
        assert state.cursor_at > system.now() - timedelta(days=21)


async def test_stripe_answers_429_for_an_hour(quiet_system: System) -> None:
    system = quiet_system
    made = await stripe(system, "/v1/customers", name="Limited")
    await system.advance("1m")
    await system.fault(target="api", kind="status", method="GET", status=429, path="/v1/events", times=None)
    async with parts_of(system) as parts:
        catch_up = parts.reconciling.catch_up
        try:
            with pytest.raises(GatewayUnavailable):
                await catch_up.catch_up()
            while not await system.value("SELECT count(*) FROM stripe_slowdown"):
                await asyncio.sleep(0.01)
            # What somebody waits for is neither slowed down nor refused by us.
            paid = await system.pay(user=unique("live"))
            assert (paid.status, paid.body["status"]) == (201, "succeeded")
            for _ in range(4):
                await system.pool.execute("UPDATE stripe_slowdown SET slow_until = now() - interval '1 ms'")
                with pytest.raises(GatewayUnavailable):
                    await catch_up.catch_up()
                while await system.value("SELECT slow_until < now() FROM stripe_slowdown"):
                    await asyncio.sleep(0.01)
            assert await system.value("SELECT step_s FROM stripe_slowdown") == 16
        finally:
            await system.sandbox("DELETE", "/_sandbox/faults")
        await system.pool.execute("UPDATE stripe_slowdown SET slow_until = now() - interval '1 hour'")
        await catch_up.catch_up()
    assert await customer_events(system, made["id"]) == ["customer.created"]


async def test_past_thirty_days_the_gap_is_told_and_the_lists_are_walked(quiet_system: System) -> None:
    system = quiet_system
    lost = await stripe(system, "/v1/customers", name="Lost")
    await forward(system, "20d")
    kept = await stripe(system, "/v1/customers", name="Kept")
    await forward(system, "15d")
    async with parts_of(system) as parts:
        state = await parts.reconciling.catch_up.state()
        assert state is not None
        cursor = state.cursor_at
        assert await parts.reconciling.catch_up.catch_up() == 1
        assert await parts.reconciling.catch_up.catch_up() == 0
        state = await parts.reconciling.catch_up.state()
    assert state is not None
    [gap] = state.gaps
    assert gap.from_at == cursor
    assert timedelta(days=29, hours=23) < system.now() - gap.until_at < timedelta(days=30, minutes=1)
    assert await customer_events(system, kept["id"]) == ["customer.created"]
    await system.quiet()
    assert await customer_events(system, lost["id"]) == []
    assert await system.value("SELECT count(*) FROM customers WHERE stripe_customer_id = $1", lost["id"]) == 0
    [alert] = await system.fetch("SELECT context FROM mails WHERE template = 'staff_alert'")
    assert '"events_missed"' in alert["context"]
    # What no event tells any more is found on the lists.
    async with parts_of(system) as parts, parts_of(system) as other:
        closed = await asyncio.gather(parts.reconciling.gaps.close_gaps(), other.reconciling.gaps.close_gaps())
        assert sum(closed) == 1
        assert await parts.reconciling.gaps.close_gaps() == 0
    assert await system.value("SELECT name FROM customers WHERE stripe_customer_id = $1", lost["id"]) == "Lost"
    assert not (await state_of(system)).gaps


async def test_what_the_list_forgets_while_somebody_stands_still_is_a_gap(
    quiet_system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A paused machine looks how far the list goes back, sleeps, and reads when it goes back less far. (Seed 22.)"""
    system = quiet_system
    lost = await stripe(system, "/v1/customers", name="Forgotten")
    await forward(system, "29d")
    kept = await stripe(system, "/v1/customers", name="Remembered")
    stood, ask = False, service_read.EventReader._page

    async def stand_still(*asked: Any, **more: Any) -> Any:
        nonlocal stood
        if not stood:
            stood = True
            await forward(system, "3d")
        return await ask(*asked, **more)

    monkeypatch.setattr(service_read.EventReader, "_page", stand_still)
    async with parts_of(system) as parts:
        state = await parts.reconciling.catch_up.state()
        await parts.reconciling.catch_up.catch_up()
        assert state is not None
        [gap] = (await state_of(system)).gaps
        assert gap.from_at == state.cursor_at
        assert timedelta(days=29, hours=23) < system.now() - gap.until_at < timedelta(days=30, minutes=1)
        await system.quiet()
        assert await customer_events(system, kept["id"]) == ["customer.created"]
        assert await parts.reconciling.gaps.close_gaps() == 1
    assert await system.value("SELECT name FROM customers WHERE stripe_customer_id = $1", lost["id"]) == "Forgotten"

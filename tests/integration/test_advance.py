"""The clock that moves: both halves go from due moment to due moment together, and wall time stays where it is."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from system import MakeDatabase, System, free_port, running_system, serving, token_for, unique
from tallystick.app import Parts, build_parts, create_app
from tallystick.core.clock import SharedClock, SystemClock
from tallystick.notifications.models import MailRequest
from tallystick.notifications.samples import SAMPLES
from tallystick.platform.work import enqueue
from tallystick.sandbox.engine import Engine
from tallystick.sandbox.settings import SandboxConfig

DAY = timedelta(days=1)
CLOSE = timedelta(minutes=1)
"""What the wall clock may add while a moment is being settled."""


@asynccontextmanager
async def parts_of(system: System) -> AsyncIterator[Parts]:
    """The application's services, in this process, on its clock."""
    parts = build_parts(system.settings, system.clock, "test")
    await parts.database.open()
    try:
        yield parts
    finally:
        await parts.close()


async def queue_timer(parts: Parts, key: str, due_at: datetime) -> None:
    """Work that ends in a mail to the administrator under the same key."""
    async with parts.database.transaction() as tx:
        await enqueue(tx, "alert.timer", key, {}, due_at=due_at)


async def queue_mail(parts: Parts, key: str, due_at: datetime) -> None:
    template = "payment_confirmation"
    request = MailRequest(key, template, "late@example.com", None, SAMPLES[template], user_id=None, due_at=due_at)
    async with parts.database.transaction() as tx:
        await parts.notifications.queue_mails(tx, [request])


async def sent_at(system: System, key: str) -> datetime:
    """The business time at which the mail of this key left; fails unless it has."""
    at = await system.value("SELECT finished_at FROM mails WHERE business_key = $1 AND state = 'sent'", key)
    assert isinstance(at, datetime), key
    return at


async def test_both_halves_go_from_due_moment_to_due_moment(system: System) -> None:
    start = system.now()
    await system.fault(target="webhook", kind="delay", type="charge.dispute.*", delay_s=2 * 86400, times=None)
    payment = (await system.pay("pm_card_createDispute", user=unique("ann"))).body
    keys = [unique("timer") for _ in range(4)]
    mail = unique("mail")
    async with parts_of(system) as parts:
        for key, days in zip(keys, (1, 3, 10, 50), strict=True):
            await queue_timer(parts, key, start + days * DAY)
        await queue_mail(parts, mail, start + 3 * DAY)
    moved = await system.advance("40d")
    await system.sandbox("DELETE", "/_sandbox/faults")
    assert abs(system.now() - start - 40 * DAY) < CLOSE
    assert abs(datetime.fromtimestamp(moved["now"], UTC) - system.now()) < CLOSE
    # The alert came with the dispute's events, which the sandbox sent two days late.
    alert = await system.value(
        "SELECT business_key FROM mails WHERE context #>> '{facts,payment_id}' = $1", payment["id"]
    )
    expected = {keys[0]: 1, alert: 2, keys[1]: 3, mail: 3, keys[2]: 10}
    for key, days in expected.items():
        assert timedelta() <= await sent_at(system, key) - (start + days * DAY) < CLOSE, (key, days)
    queued = await system.fetch("SELECT due_at FROM work WHERE state = 'queued' AND business_key = $1", keys[3])
    assert [row["due_at"] for row in queued] == [start + 50 * DAY]
    assert moved["steps"] >= 4
    await system.advance(to=start + 50 * DAY)
    assert await sent_at(system, keys[3]) - (start + 50 * DAY) < CLOSE


async def test_a_year_of_renewals_arrives_in_order(system: System) -> None:
    method = {"payment_method": "pm_card_visa", "invoice_settings[default_payment_method]": "pm_card_visa"}
    customer = (await system.stripe("/v1/customers", method))["id"]
    monthly = {"currency": "usd", "unit_amount": "900", "recurring[interval]": "month", "product_data[name]": "Tea"}
    price = (await system.stripe("/v1/prices", monthly))["id"]
    await system.stripe("/v1/subscriptions", {"customer": customer, "items[0][price]": price})
    await system.advance("366d")
    events = await system.fetch(
        """
        SELECT event_type, event_created_at FROM webhook_events
        WHERE payload #>> '{data,object,customer}' = $1 ORDER BY seq
        """,
        customer,
    )
    paid = [event["event_created_at"] for event in events if event["event_type"] == "invoice.paid"]
    assert len(paid) == 13
    assert all(27 * DAY < later - earlier < 32 * DAY for earlier, later in pairwise(paid))
    times = [event["event_created_at"] for event in events]
    # Deliveries of one moment overtake each other, those of two moments never.
    assert all(later > earlier - CLOSE for earlier, later in pairwise(times))
    assert await system.value("SELECT count(*) FROM webhook_events WHERE state = 'pending'") == 0


async def test_what_is_wall_time_does_not_jump(system: System) -> None:
    user = unique("ann")
    token = token_for(user, email=f"{user}@example.com")
    order = {"amount": 700, "currency": "usd", "payment_method": "pm_card_visa", "confirm": True}
    path = "/api/payments/payment-intent"
    first = await system.call("POST", path, order, token=token, key="order-1")
    await system.fault(target="api", kind="slow", method="POST", path="/v1/payment_intents*", delay_s=1.0)
    slow = asyncio.create_task(system.call("POST", path, order, token=token, key="order-2"))
    while not await system.value("SELECT count(*) FROM attempts WHERE state = 'requested'"):
        await asyncio.sleep(0.01)
    await system.advance("400d")
    # The move waited for the request that was under way; nobody took its lease for run out.
    assert (await slow).status == 201
    # An old token is as good as before, a key still replays, and so does the key at Stripe of one that is lost.
    again = await system.call("POST", path, order, token=token, key="order-1")
    assert (again.status, again.body["id"]) == (first.status, first.body["id"])
    fresh = await system.pay(user=user)
    assert fresh.status == 201
    assert abs(datetime.fromisoformat(fresh.body["created_at"]) - system.now()) < CLOSE
    await system.quiet()
    # Webhooks were signed by wall time and came through; their content is of business time.
    event = (
        await system.fetch(
            "SELECT created_at, event_created_at FROM webhook_events WHERE payload #>> '{data,object,id}' = $1",
            fresh.body["stripe_payment_intent_id"],
        )
    )[0]
    assert abs(event["created_at"] - datetime.now(UTC)) < CLOSE
    assert abs(event["event_created_at"] - system.now()) < CLOSE
    assert await system.value("SELECT count(*) FROM attempts WHERE state IN ('requested', 'unknown')") == 0
    assert len(system.mails_to(user)) == 3


async def test_processes_that_start_later_are_on_the_same_time(system: System) -> None:
    await system.advance("3d")
    await system.stop_workers()
    system.start_worker()
    port, user, key = free_port(), unique("ann"), unique("timer")
    async with serving(create_app(system.settings), port), parts_of(system) as parts:
        await queue_timer(parts, key, system.now())
        headers = {"Authorization": f"Bearer {token_for(user)}"}
        body = {"amount": 500, "currency": "usd"}
        url = f"http://127.0.0.1:{port}/api/payments/payment-intent"
        async with system.http.post(url, json=body, headers=headers) as response:
            created = datetime.fromisoformat((await response.json())["created_at"])
    assert abs(created - system.now()) < CLOSE
    await system.quiet()
    assert abs(await sent_at(system, key) - system.now()) < CLOSE


async def test_two_advances_at_once_go_one_after_the_other(system: System) -> None:
    start = system.now()
    await asyncio.gather(system.advance("2d"), system.advance("3d"))
    assert abs(system.now() - start - 5 * DAY) < CLOSE


async def test_a_receiver_that_fails_holds_nobody_up(system: System) -> None:
    admin = ("admin",)
    dead = {"url": f"http://127.0.0.1:{free_port()}/", "events": ["*"]}
    endpoint = (await system.call("POST", "/api/webhook-endpoints", dead, roles=admin)).body
    await system.pay(user=unique("ann"))
    await system.advance("30d")
    rows = await system.fetch("SELECT state, attempts FROM outbound_deliveries")
    assert rows
    # Its retries are of wall time: none of the thirty days has passed for it.
    assert {row["state"] for row in rows} == {"queued"}
    assert any(row["attempts"] >= 1 for row in rows)
    await system.call("DELETE", f"/api/webhook-endpoints/{endpoint['id']}", roles=admin)


async def test_only_the_sandbox_may_ask_and_nobody_sees_it_in_the_api(system: System) -> None:
    async with system.http.post(f"{system.api_url}/internal/settle") as response:
        standing = await response.json()
    assert (standing["quiet"], standing["waiting"]) == (True, [])
    assert abs(datetime.fromtimestamp(standing["now"], UTC) - system.now()) < CLOSE
    async with system.http.get(f"{system.api_url}/internal/settle") as response:
        assert response.status == 404
    assert "/internal/settle" not in str((await system.call("GET", "/api/openapi.json")).body)


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ({}, "Send"),
        ({"by": 1, "to": 2}, "Send"),
        ({"by": "soon"}, "no span of time"),
        ({"by": "-1d"}, "only moves forward"),
        ({"by": "5000w", "timeout_s": "x"}, "no span of time"),
        ({"by": "6000w"}, "century"),
        ({"to": "tomorrow"}, "Unix seconds or an ISO 8601 time"),
        ({"to": "2031-01-01T00:00:00"}, "time zone"),
        ({"to": 1}, "only moves forward"),
    ],
)
async def test_what_cannot_be_meant_is_refused(system: System, body: dict[str, Any], complaint: str) -> None:
    before = system.now()
    async with system.http.post(f"{system.sandbox_url}/_sandbox/clock/advance", json=body) as response:
        assert response.status == 400
        assert complaint in (await response.json())["error"]
    assert system.now() - before < CLOSE


async def test_what_is_not_done_in_time_is_named(make_database: MakeDatabase) -> None:
    async with running_system(await make_database(), workers=0) as system, parts_of(system) as parts:
        await system.sandbox("PUT", "/_sandbox/application", {"url": system.api_url})
        start, key = system.now(), unique("timer")
        await queue_timer(parts, key, start + DAY)
        async with system.http.post(
            f"{system.sandbox_url}/_sandbox/clock/advance", json={"by": "9d", "timeout_s": 0.2}
        ) as response:
            answer = await response.json()
        assert (response.status, answer["waiting"]) == (504, [f"work {key}"])
        # Time stands at the moment whose work is not done.
        assert timedelta() <= system.now() - (start + DAY) < CLOSE
        system.start_worker()
        await system.advance("1d")
        assert await sent_at(system, key) - (start + DAY) < CLOSE


async def test_an_application_that_cannot_be_asked(make_database: MakeDatabase) -> None:
    async with running_system(await make_database(), workers=0) as system:

        async def advance_with(url: str | None) -> Any:
            await system.sandbox("PUT", "/_sandbox/application", {"url": url})
            return await system.sandbox("POST", "/_sandbox/clock/advance", {"by": "1d", "timeout_s": 0.2})

        assert (await advance_with(None))["application"] == "none"
        nobody = f"http://127.0.0.1:{free_port()}"
        answer = await advance_with(nobody)
        assert (answer["application"], nobody in answer["problem"]) == ("unreachable", True)
        # One that has not the same clock file is on another time, and knows nothing of the question.
        port = free_port()
        apart = system.settings.model_copy(update={"clock_file": None})
        async with serving(create_app(apart), port):
            answer = await advance_with(f"http://127.0.0.1:{port}")
        assert (answer["application"], "CLOCK_FILE" in answer["problem"]) == ("unreachable", True)
        with pytest.raises(AssertionError, match="400"):
            await advance_with("127.0.0.1:8000")


def test_the_sandbox_keeps_its_time_and_tells_it_anew(tmp_path: Path) -> None:
    config = SandboxConfig(database=str(tmp_path / "sandbox.db"), clock_file=tmp_path / "clock")
    shared = SharedClock(tmp_path / "clock")
    assert abs(shared.now() - shared.wall()) < CLOSE
    engine = Engine(config)
    engine.move_clock(engine.clock.exact() + 40 * 86400)
    assert abs(shared.now() - SystemClock(40 * DAY).now()) < CLOSE
    engine.close()
    # Whatever became of the file meanwhile.
    (tmp_path / "clock").unlink()
    again = Engine(config)
    assert abs(again.clock.now() - SystemClock(40 * DAY).now()) < CLOSE
    assert abs(SharedClock(tmp_path / "clock").now() - again.clock.now()) < CLOSE
    again.reset()
    assert abs(SharedClock(tmp_path / "clock").now() - shared.wall()) < CLOSE
    again.close()

"""Yesterday's backup: clients repeat requests that the database has never heard of, and pay once all the same."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
import pytest_asyncio

from simulation.mirror import assert_same, everything, mirror_rows, stripe_rows
from simulation.world import all_delivered, copy_database, drop_database
from simulation.writes import PAY, PAYMENTS, Write, prepared, repeat_until_final
from system import Answer, MakeDatabase, System, running_system, unique


@pytest_asyncio.fixture
async def system(make_database: MakeDatabase) -> AsyncIterator[System]:
    async with running_system(await make_database()) as running:
        yield running


async def restore(system: System, backup: str) -> None:
    """Lose the database and put the backup in its place, under the running API."""
    await system.stop_workers()
    await drop_database(system.database_url)
    name = system.database_url.rpartition("/")[2]
    await copy_database(backup, to=name)
    system.start_worker()


async def resend(system: System, already: Sequence[dict[str, Any]]) -> None:
    """Have Stripe send every event again that happened since."""
    known = {event["id"] for event in already}
    fresh = [event["id"] for event in await everything(system.stripe, "events") if event["id"] not in known]
    for event_id in reversed(fresh):
        await system.sandbox("POST", f"/_sandbox/events/{event_id}/resend", {})
    await all_delivered(system, fresh)
    await system.quiet(60)


def same(one: Answer, other: Answer) -> bool:
    """Equal but for the times at which rows were written, and the id of the request."""
    return one.status == other.status and _lasting(one.body) == _lasting(other.body)


def _lasting(body: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in body.items() if name not in ("updated_at", "created_at", "request_id")}
    return {
        name: _lasting(value) if isinstance(value, dict) and name == "payment" else value
        for name, value in kept.items()
    }


@pytest.mark.parametrize("told", [False, True], ids=["silent", "told of all events"])
async def test_a_payment_of_a_user_whom_nobody_knows_any_more(system: System, *, told: bool) -> None:
    backup = await copy_database(system.database_url)
    user = unique("lost")
    pay = Write("create", user, unique("key"), PAYMENTS, PAY, "/v1/payment_intents", None)
    first = await pay.send(system)
    assert first.status == 201
    await system.quiet()
    await restore(system, backup)
    if told:
        await resend(system, [])
    again = await repeat_until_final(system, pay)
    assert same(again, first), (first, again)
    await system.quiet()
    assert await pay.effects(system) == 1
    assert len((await system.stripe(f"/v1/customers?email={user}@example.com"))["data"]) == 1
    assert_same(
        await mirror_rows(system.database_url), await stripe_rows(system.stripe, system.settings.installation_id)
    )


@pytest.mark.parametrize("told", [False, True], ids=["silent", "told of all events"])
async def test_writes_on_payments_that_the_backup_knows(system: System, *, told: bool) -> None:
    sent = [await prepared(system, name) for name in ("confirm", "capture", "refund", "cancel")]
    sent += [
        await prepared(system, "create", payment_method="pm_card_visa_chargeDeclined"),
        await prepared(system, "create", payment_method="pm_card_authenticationRequired"),
        await prepared(system, "create", confirm=False),
    ]
    await system.quiet()
    already = await everything(system.stripe, "events")
    backup = await copy_database(system.database_url)
    firsts = [await write.send(system) for write in sent]
    assert [answer.status for answer in firsts] == [200, 200, 200, 200, 402, 201, 201]
    await system.quiet()
    truth = await stripe_rows(system.stripe, system.settings.installation_id)
    await restore(system, backup)
    if told:
        await resend(system, already)
    for write, first in zip(sent, firsts, strict=True):
        again = await write.send(system)
        if told and write.name in ("confirm", "capture", "cancel"):
            # The payment's own state tells that there is nothing left to do.
            assert (again.status, again.code) == (409, f"PAYMENT_NOT_{write.name.upper()}ABLE".replace("EABLE", "ABLE"))
        else:
            assert same(again, first), (write.name, first, again)
    await system.quiet()
    # Nothing has happened at Stripe by all the repeats.
    assert_same(await stripe_rows(system.stripe, system.settings.installation_id), truth)
    if told:
        assert_same(await mirror_rows(system.database_url), truth)
    keys = [row["business_key"] for row in await system.fetch("SELECT business_key FROM mails")]
    assert len(keys) == len(set(keys))


async def test_a_refund_that_the_restored_database_learns_of_first(system: System) -> None:
    """Told by webhook of a whole refund, the repeat of its request is not "more than what is left"."""
    write = await prepared(system, "refund")
    await system.quiet()
    already = await everything(system.stripe, "events")
    backup = await copy_database(system.database_url)
    first = await write.send(system)
    await system.quiet()
    await restore(system, backup)
    await resend(system, already)
    assert same(await write.send(system), first)
    assert await write.effects(system) == 1

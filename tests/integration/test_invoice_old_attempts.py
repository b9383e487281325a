"""A payment of an invoice of which nobody knows for ten minutes is never sent again, only looked for."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from invoicing import INVOICES, SLOW_CARD, customer, get, open_invoice, pay
from simulation.writes import Write, break_line, ended, mend, posts
from system import VERSIONS, MakeDatabase, System, running_system, unique


@pytest_asyncio.fixture(params=VERSIONS[:2], ids=lambda pair: pair[0][:4])
async def system(make_database: MakeDatabase, request: pytest.FixtureRequest) -> AsyncIterator[System]:
    api, webhooks = request.param
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tallystick.attempts.service._POLL_S", 0.1)
        database = await make_database()
        async with running_system(
            database, api_version=api, webhook_version=webhooks, workers=1, STRIPE_TIMEOUT_S="1"
        ) as running:
            yield running


async def to_pay(system: System, card: str) -> Write:
    """The payment of an invoice, ready to be sent."""
    user = unique("old")
    invoice = await open_invoice(system, await customer(system, user, card), 1700)
    await system.quiet()
    return Write("pay", user, unique("key"), f"{INVOICES}/{invoice}/pay", {}, f"/v1/invoices/{invoice}/pay", invoice)


async def test_found_or_given_up(system: System) -> None:
    paid, declined = await to_pay(system, "pm_card_visa"), await to_pay(system, SLOW_CARD)
    asked, lost = await to_pay(system, "pm_card_authenticationRequired"), await to_pay(system, "pm_card_visa")
    await system.stop_workers()
    sent = [paid, declined, asked, lost]
    for write in sent:
        await break_line(system, write, "before" if write is lost else "after", "cut")
        assert (await write.send(system)).status == 202
    await mend(system)
    old = "UPDATE attempts SET sent_at = sent_at - interval '15 minutes', lease_until = now() - interval '1 second' "
    await system.fetch(f"{old} WHERE state = 'unknown'")
    seen = [await posts(system, write) for write in sent]
    system.start_worker()
    await system.quiet(60)
    assert [await ended(system, write) for write in sent] == ["succeeded", "declined", "declined", "abandoned"]
    answers = [await write.send(system) for write in sent]
    assert [answer.status for answer in answers] == [200, 402, 402, 409]
    assert [answer.code for answer in answers[1:]] == ["CARD_DECLINED", "AUTHENTICATION_REQUIRED", "ATTEMPT_ABANDONED"]
    assert answers[2].body["client_secret"]
    assert [await posts(system, write) for write in sent] == seen
    statuses = [(await get(system, write.user, str(write.intent)))["status"] for write in sent]
    assert statuses == ["paid", "open", "open", "open"]
    # What was given up can be paid anew.
    assert (await pay(system, lost.user, str(lost.intent))).status == 200

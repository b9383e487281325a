"""Queueing: once for each business key, in the caller's transaction, whatever the request looks like."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from integration.notifications.mail_world import World, new_mail
from tallystick.notifications.models import MailRequest, UnknownTemplate
from tallystick.notifications.service import NotificationService
from tallystick.platform.work import WorkItem


def alert_item(**payload: Any) -> WorkItem:
    return WorkItem(uuid4(), "alert.dead_letter", "alert.dead_letter:evt_1", payload, 0)


async def test_a_mail_is_queued_once_for_its_key(world: World) -> None:
    service = world.service()
    await world.queue(service, new_mail("k1"), new_mail("k1", locale="de"), new_mail("k2"))
    await world.queue(service, new_mail("k1", locale="ja"))
    rows = await world.rows()
    assert [row["business_key"] for row in rows] == ["k1", "k2"]
    assert {row["state"] for row in rows} == {"queued"}
    assert rows[0]["message_id"] == f"<{rows[0]['id']}@shop.example>"
    assert rows[0]["context"]["amount"] == 123450


async def test_nothing_is_queued_where_the_cause_is_rolled_back(world: World) -> None:
    service = world.service()

    async def cause() -> None:
        async with world.database.transaction() as tx:
            await service.queue_mails(tx, [new_mail("k1")])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await cause()
    await world.queue(service)
    assert await world.rows() == []


async def test_two_transactions_with_the_same_keys_make_one_mail_each_and_no_deadlock(world: World) -> None:
    service = world.service()
    keys = [f"k{number}" for number in range(20)]

    async def queue(order: list[str]) -> None:
        async with world.database.transaction() as tx:
            await service.queue_mails(tx, [new_mail(key) for key in order])
            await asyncio.sleep(0.05)

    await asyncio.gather(*(queue(order) for order in (keys, keys[::-1], keys[10:] + keys[:10])))
    assert len(await world.rows()) == len(keys)


async def test_the_second_waits_for_the_first_and_takes_over_if_it_fails(world: World) -> None:
    service = world.service()
    first_inserted = asyncio.Event()

    async def first() -> None:
        async with world.database.transaction() as tx:
            await service.queue_mails(tx, [new_mail("k1", locale="de")])
            first_inserted.set()
            await asyncio.sleep(0.1)
            raise RuntimeError

    async def second() -> None:
        await first_inserted.wait()
        await world.queue(service, new_mail("k1", locale="ja"))

    await asyncio.gather(first(), second(), return_exceptions=True)
    assert (await world.row())["locale"] == "ja"


async def test_an_unknown_mail_is_a_mistake_of_the_caller(world: World) -> None:
    service = world.service()
    bad = MailRequest("k", "no_such_mail", "a@example.com", None, {}, None, datetime.now(UTC))
    with pytest.raises(UnknownTemplate, match="no_such_mail"):
        await world.queue(service, new_mail(), bad)
    with pytest.raises(UnknownTemplate):
        service.register_check("no_such_mail", lambda _: asyncio.sleep(0, True))
    assert await world.rows() == []


async def test_a_mail_that_is_switched_off_takes_its_key(world: World) -> None:
    off = world.service(MAILS_DISABLED="payment_confirmation, refund")
    await world.queue(off, new_mail("k1"), new_mail("k2", "payment_failed"))
    await world.queue(world.service(), new_mail("k1"))
    rows = await world.rows()
    assert [row["state"] for row in rows] == ["disabled", "queued"]
    assert rows[0]["finished_at"] == world.clock.now()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MAILS_DISABLED", "payment_confirmaton"),
        ("MAIL_TEMPLATES_DIR", "/no/such/folder"),
        ("MAIL_FROM", "nobody"),
        ("ADMIN_EMAIL", "admin@example.com, other@example.com"),
    ],
)
async def test_settings_that_cannot_be_used_are_named(world: World, name: str, value: str) -> None:
    settings = world.settings(**{name: value})
    with pytest.raises(ValueError, match=name):
        NotificationService(world.database, world.clock, settings, None)


@pytest.mark.parametrize(
    "recipient",
    ["a@example.com\r\nBcc: b@example.com", "a@example.com\n", "", "nobody", "a\x00@example.com", "a@ex\ud800.com"],
)
async def test_a_recipient_that_cannot_be_is_stored_dead(world: World, recipient: str) -> None:
    await world.queue(world.service(), new_mail("bad", recipient=recipient), new_mail("good"))
    bad, good = await world.rows()
    assert (bad["state"], good["state"]) == ("dead", "queued")
    assert bad["last_error"].startswith("recipient: ")
    assert "\n" not in bad["recipient"]
    assert await world.work() == []


async def test_operators_texts_that_cannot_be_read_are_named(world: World, tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "de.json").write_text("{")
    with pytest.raises(ValueError, match=r"MAIL_TEMPLATES_DIR: texts/de\.json"):
        world.service(MAIL_TEMPLATES_DIR=str(tmp_path))


async def test_a_mail_that_is_switched_off_needs_no_address(world: World) -> None:
    await world.queue(world.service(MAILS_DISABLED="refund"), new_mail("k1", "refund", recipient=""))
    assert (await world.row())["state"] == "disabled"


async def test_text_that_json_in_postgresql_cannot_hold_is_cleaned(world: World) -> None:
    context = {"description": "a\x00b\ud800c", "extra": [{"x\x00": "\x00y"}]}
    await world.queue(world.service(), new_mail("k1", context=context, locale="de\x00\ud800"))
    row = await world.row()
    assert row["context"]["description"] == "a b c"
    assert row["context"]["extra"] == [{"x": "y"}]


async def test_an_alert_is_a_mail_to_the_administrator_once(world: World) -> None:
    service = world.service(MAIL_LOCALE="de")
    item = alert_item(event_id="evt_1", error="cannot read bob@example.com")
    await service.alert(item)
    await service.alert(item)
    row = await world.row()
    assert (row["template"], row["recipient"], row["locale"]) == ("staff_alert", "admin@shop.example", "de")
    assert row["business_key"] == item.business_key
    assert row["context"]["facts"]["error"] == "cannot read [removed]"


async def test_an_alert_without_an_administrator_is_only_logged(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    await world.service(ADMIN_EMAIL="").alert(alert_item(event_id="evt_1"))
    assert await world.rows() == []
    assert "alert.no_admin" in "".join(capsys.readouterr())


async def test_a_mail_for_later_waits_for_business_time(world: World) -> None:
    service = world.service()
    await world.queue(service, new_mail("k1", due_at=world.clock.now() + timedelta(days=2)))
    world.start(service)
    await asyncio.sleep(0.2)
    assert (await world.row())["state"] == "queued"
    world.clock.business += timedelta(days=2)
    await world.until_state("sent")
    assert world.mailbox.messages[0]["Date"] == "Fri, 06 Mar 2026 14:05:00 +0000"

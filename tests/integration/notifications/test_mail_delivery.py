"""Sending: every mail that is due reaches the server, once if nothing dies, under one Message-ID if something does."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from integration.notifications.mail_world import World, new_mail
from tallystick.core.ids import new_id
from tallystick.notifications.service import NotificationService
from tallystick.platform import work
from tallystick.platform.database import Database
from tallystick.platform.mail import SmtpTransport
from tallystick.platform.work import WorkItem


async def test_a_mail_arrives_as_it_was_meant(world: World) -> None:
    service = world.service()
    world.start(service)
    description = "Bücher\r\nBcc: spy@example.com <b>本</b>"
    await world.queue(service, new_mail("k1", locale="de-DE", context={"description": description}))
    await world.until_state("sent")
    message, row = world.mailbox.messages[0], await world.row()
    assert world.mailbox.recipients == ["customer@example.com"]
    assert message["From"] == "Example Shop <pay@shop.example>"
    assert message["To"] == "customer@example.com"
    assert message["Bcc"] is None
    assert message["Message-ID"] == row["message_id"] == f"<{row['id']}@shop.example>"
    assert message["Subject"] == row["subject"] == "Zahlung eingegangen: 1.234,50\xa0€ an Example Shop"
    assert (message["Auto-Submitted"], message["Content-Language"]) == ("auto-generated", "de-DE")
    assert message.get_content_type() == "multipart/alternative"
    text, html = message.get_body(("plain",)), message.get_body(("html",))
    assert text is not None
    assert html is not None
    assert text.get_content_charset() == html.get_content_charset() == "utf-8"
    assert "Für: Bücher Bcc: spy@example.com <b>本</b>" in text.get_content()
    assert "&lt;b&gt;本&lt;/b&gt;" in html.get_content()
    assert (row["attempts"], row["leased_until"], row["finished_at"]) == (0, None, world.clock.now())


async def test_names_and_addresses_of_all_scripts_travel(world: World) -> None:
    service = world.service(MAIL_FROM="株式会社サンプル, Köln <pay@shop.example>")
    world.start(service)
    await world.queue(service, new_mail("k1", locale="ja", recipient="anna@bücher.example"))
    await world.until_state("sent")
    message = world.mailbox.messages[0]
    assert message["From"].addresses[0].display_name == "株式会社サンプル, Köln"
    assert "株式会社サンプル, Köln" in message["Subject"]
    assert world.mailbox.recipients == ["anna@xn--bcher-kva.example"]


async def test_a_queued_mail_wakes_the_sender(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "_POLL_S", 60)
    service = world.service()
    world.start(service)
    await asyncio.sleep(0.2)
    for number in range(3):
        await world.queue(service, new_mail())
        await world.until_state("sent", number + 1)


async def test_connections_are_reused(world: World) -> None:
    service = world.service()
    await world.queue(service, *(new_mail() for _ in range(40)))
    world.start(service)
    await world.until_state("sent", 40)
    assert world.mailbox.connections <= 4


async def test_three_senders_deliver_each_mail_once(world: World) -> None:
    databases = [world.database, await world.connect(), await world.connect()]
    services = [world.service(database=database) for database in databases]
    await world.queue(services[0], *(new_mail() for _ in range(60)))
    for service in services:
        world.start(service)
    await world.until_state("sent", 60)
    ids = [message["Message-ID"] for message in world.mailbox.messages]
    assert len(ids) == len(set(ids)) == 60


class _Crash(BaseException):
    """The process is gone: nothing after it runs."""


class _DiesAfterSending(SmtpTransport):
    async def send(self, message: EmailMessage) -> None:
        await super().send(message)
        raise _Crash


async def test_a_crash_between_send_and_mark_repeats_the_same_message(world: World) -> None:
    dying = world.service(transport=_DiesAfterSending(f"smtp://127.0.0.1:{world.mailbox.port}"))
    await world.queue(dying, new_mail("k1"))
    with pytest.raises(_Crash):
        await dying.run(asyncio.Event())
    assert (await world.row())["state"] == "queued"
    world.start(world.service())
    await asyncio.sleep(0.2)
    # The dead sender's lease still runs.
    assert len(world.mailbox.messages) == 1
    world.clock.ahead += timedelta(seconds=61)
    await world.until_state("sent")
    first, second = world.mailbox.messages
    assert first["Message-ID"] == second["Message-ID"]


async def test_a_temporary_refusal_counts_and_is_tried_again(world: World) -> None:
    world.mailbox.at_rcpt = ["451 greylisted customer@example.com"]
    service = world.service()
    world.start(service)
    await world.queue(service, new_mail("k1"))

    async def refused() -> bool:
        return bool((await world.row())["last_error"])

    await world.until(refused)
    row = await world.row()
    assert (row["state"], row["attempts"]) == ("queued", 1)
    assert row["last_error"] == "451 greylisted [removed]"
    assert row["not_before"] > world.clock.wall() + timedelta(seconds=25)
    world.clock.ahead += timedelta(seconds=40)
    await world.until_state("sent")
    assert await world.work() == []


@pytest.mark.parametrize("phase", ["at_rcpt", "at_data"])
async def test_a_final_refusal_is_dead_and_alerts_once(world: World, phase: str) -> None:
    getattr(world.mailbox, phase).append("550 5.1.1 <customer@example.com>: no such user")
    service = world.service()
    running = world.start(service)
    await world.queue(service, new_mail("k1"))
    await world.until_state("dead")
    row, (item,) = await world.row(), await world.work()
    assert (row["attempts"], row["last_error"]) == (1, "550 5.1.1 <[removed]>: no such user")
    assert item["kind"] == "alert.mail_dead"
    assert item["business_key"].startswith(f"alert.mail_dead:{row['id']}:")
    await service.alert(WorkItem(item["id"], item["kind"], item["business_key"], item["payload"], 0))
    await world.until_state("sent")
    await running.stop()
    (alert,) = world.mailbox.messages
    assert alert["To"] == "admin@shop.example"
    assert str(row["id"]) in str(alert.get_body(("plain",)))


async def test_there_is_no_alert_about_an_alert(world: World) -> None:
    world.mailbox.at_rcpt = ["550 no such user"]
    service = world.service()
    world.start(service)
    await service.alert(WorkItem(new_id(), "alert.mail_dead", "alert.mail_dead:1", {"mail_id": "1"}, 0))
    await world.until_state("dead")
    assert await world.work() == []


async def test_after_twenty_tries_a_mail_is_given_up(world: World) -> None:
    service = world.service()
    await world.queue(service, new_mail("k1"))
    async with world.database.connection() as connection:
        await connection.execute("UPDATE mails SET attempts = 19")
    world.mailbox.at_data = ["452 mailbox full"]
    world.start(service)
    await world.until_state("dead")
    row, (item,) = await world.row(), await world.work()
    assert (row["attempts"], row["last_error"]) == (20, "452 mailbox full (after 20 tries)")
    assert item["payload"]["template"] == "payment_confirmation"


async def test_while_the_server_is_away_mails_wait_uncounted(world: World) -> None:
    world.mailbox.close()
    transport = _Counting(f"smtp://127.0.0.1:{world.mailbox.port}")
    service = world.service(transport=transport)
    await world.queue(service, *(new_mail() for _ in range(20)))
    world.start(service)

    async def tried(times: int) -> bool:
        return transport.tries == times

    await world.until(lambda: tried(4))
    await asyncio.sleep(0.1)
    world.clock.ahead += timedelta(seconds=30)
    await world.until(lambda: tried(5))
    assert {(row["state"], row["attempts"]) for row in await world.rows()} == {("queued", 0)}
    world.mailbox.open()
    world.clock.ahead += timedelta(minutes=2)
    await world.until_state("sent", 20)
    assert len(world.mailbox.messages) == 20


class _Counting(SmtpTransport):
    tries = 0

    async def send(self, message: EmailMessage) -> None:
        self.tries += 1
        await super().send(message)


async def test_a_mail_that_no_longer_holds_is_superseded(world: World) -> None:
    service = world.service()
    asked: list[Mapping[str, Any]] = []

    async def still_failed(context: Mapping[str, Any]) -> bool:
        # The check is outside any transaction: it may open its own.
        await world.database.ping()
        asked.append(context)
        return bool(context["payment_id"] == "open")

    service.register_check("payment_failed", still_failed)
    world.start(service)
    await world.queue(
        service,
        new_mail("k1", "payment_failed", context={"payment_id": "paid"}),
        new_mail("k2", "payment_failed", context={"payment_id": "open"}),
        new_mail("k3"),
    )
    await world.until_state("sent", 2)
    assert [row["state"] for row in await world.rows()] == ["superseded", "sent", "sent"]
    assert len(asked) == 2


async def test_a_broken_template_waits_to_be_mended(world: World, tmp_path: Path) -> None:
    (tmp_path / "refund").mkdir()
    subject = tmp_path / "refund" / "subject.txt"
    subject.write_text("{{ oops }}")
    service = world.service(MAIL_TEMPLATES_DIR=str(tmp_path))
    world.start(service)
    await world.queue(service, new_mail("k1", "refund"), new_mail("k2"))
    await world.until_state("sent")

    async def put_back() -> bool:
        return bool((await world.rows())[0]["attempts"] == 1)

    await world.until(put_back)
    assert "oops" in (await world.rows())[0]["last_error"]
    subject.write_text("Mended {{ money(amount, currency) }}")
    world.clock.ahead += timedelta(minutes=1)
    await world.until_state("sent", 2)
    assert world.mailbox.messages[-1]["Subject"] == "Mended ¥500"


class _Blinks(Database):
    """Loses its connection for the first marks after a send."""

    blinks = 0

    def connection(self) -> Any:
        if self.blinks:
            self.blinks -= 1
            raise ConnectionResetError
        return super().connection()


async def test_a_database_that_blinks_after_a_send_makes_no_second_copy(world: World) -> None:
    database = _Blinks(world.url)
    await database.open()
    world.stack.push_async_callback(database.close)

    class Transport(SmtpTransport):
        async def send(self, message: EmailMessage) -> None:
            await super().send(message)
            database.blinks = 3

    service = world.service(database=database, transport=Transport(f"smtp://127.0.0.1:{world.mailbox.port}"))
    await world.queue(service, new_mail("k1"))
    world.start(service)
    await world.until_state("sent")
    assert len(world.mailbox.messages) == 1


async def test_without_a_server_mails_wait(world: World) -> None:
    service = NotificationService(world.database, world.clock, world.settings(), None)
    await world.queue(service, new_mail("k1"))
    running = world.start(service)
    await asyncio.sleep(0.1)
    await running.stop()
    assert ((await world.row())["state"], (await world.row())["leased_until"]) == ("queued", None)


async def test_logs_have_no_addresses(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.mailbox.at_rcpt = ["451 try later customer@example.com", "550 never customer@example.com"]
    service = world.service()
    world.start(service)
    await world.queue(service, new_mail("k1", recipient="customer@example.com"))
    await world.queue(service, new_mail("k2", recipient="not an address@example.com"))
    world.clock.ahead += timedelta(minutes=1)

    async def dead() -> bool:
        world.clock.ahead += timedelta(minutes=1)
        return bool((await world.rows())[0]["state"] == "dead")

    await world.until(dead)
    logged = "".join(capsys.readouterr())
    assert "mail.dead" in logged
    assert "@example.com" not in logged

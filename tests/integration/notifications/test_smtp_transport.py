"""The transport against a real server: what is temporary, what is final, and what is nobody's fault."""

import asyncio
from email.message import EmailMessage

import pytest

from integration.notifications.mail_world import Mailbox, World
from tallystick.platform import mail
from tallystick.platform.mail import MailDelayed, MailRejected, SmtpTransport


def message() -> EmailMessage:
    built = EmailMessage()
    built["From"], built["To"], built["Subject"] = "a@example.com", "b@example.com", "Hello"
    built.set_content("Hello")
    return built


@pytest.mark.parametrize(
    ("phase", "answer", "error", "counted"),
    [
        ("at_mail", "550 not you", MailDelayed, True),
        ("at_mail", "451 later", MailDelayed, True),
        ("at_mail", "421 too many", MailDelayed, False),
        ("at_rcpt", "450 greylisted", MailDelayed, True),
        ("at_rcpt", "421 closing", MailDelayed, True),
        ("at_rcpt", "550 unknown", MailRejected, None),
        ("at_data", "451 later", MailDelayed, True),
        ("at_data", "554 spam", MailRejected, None),
    ],
)
async def test_answers_of_the_server(
    mailbox: Mailbox, phase: str, answer: str, error: type[Exception], counted: bool | None
) -> None:
    getattr(mailbox, phase).append(answer)
    transport = SmtpTransport(f"smtp://127.0.0.1:{mailbox.port}")
    with pytest.raises(error, match=answer) as caught:
        await transport.send(message())
    assert getattr(caught.value, "counted", None) is counted
    await transport.send(message())
    await transport.close()
    assert len(mailbox.messages) == 1


@pytest.mark.parametrize("url", ["smtp://127.0.0.1:1", "smtp://no-such-host.invalid:25"])
async def test_no_server_counts_against_no_message(url: str) -> None:
    with pytest.raises(MailDelayed, match="no connection") as caught:
        await SmtpTransport(url).send(message())
    assert not caught.value.counted


@pytest.mark.parametrize("options", ["?starttls=required", "u:hunter2@"], ids=["no TLS offered", "no AUTH offered"])
async def test_a_server_that_cannot_do_what_is_asked_counts_against_no_message(mailbox: Mailbox, options: str) -> None:
    address = f"127.0.0.1:{mailbox.port}"
    url = f"smtp://{options}{address}" if "@" in options else f"smtp://{address}{options}"
    with pytest.raises(MailDelayed) as caught:
        await SmtpTransport(url).send(message())
    assert not caught.value.counted
    assert "hunter2" not in str(caught.value)
    assert mailbox.messages == []


async def test_a_connection_is_reused_and_replaced_when_it_is_gone(mailbox: Mailbox) -> None:
    transport = SmtpTransport(f"smtp://127.0.0.1:{mailbox.port}")
    await transport.send(message())
    await transport.send(message())
    assert mailbox.connections == 1
    mailbox.close()
    mailbox.open()
    await transport.send(message())
    await transport.close()
    assert mailbox.connections == 2
    assert len(mailbox.messages) == 3


async def test_a_server_that_takes_for_ever_is_left(mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail, "_SEND_TIMEOUT_S", 0.3)
    mailbox.delay_s = 1
    with pytest.raises(MailDelayed, match="in time") as caught:
        await SmtpTransport(f"smtp://127.0.0.1:{mailbox.port}").send(message())
    assert caught.value.counted


async def test_a_server_that_says_nothing_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail, "_SEND_TIMEOUT_S", 0.2)
    writers: list[asyncio.StreamWriter] = []
    silent = await asyncio.start_server(lambda _, writer: writers.append(writer), "127.0.0.1", 0)
    async with silent:
        port = silent.sockets[0].getsockname()[1]
        with pytest.raises(MailDelayed) as caught:
            await SmtpTransport(f"smtp://127.0.0.1:{port}").send(message())
    assert not caught.value.counted
    for writer in writers:
        writer.close()


async def test_no_message_is_sent_inside_a_transaction(world: World) -> None:
    with pytest.raises(AssertionError, match="inside a database transaction"):
        async with world.database.transaction():
            await world.transport().send(message())
    assert world.mailbox.messages == []

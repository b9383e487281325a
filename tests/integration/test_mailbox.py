"""The mail catcher: what is sent by SMTP is on the disk, in JSON and on a page that runs nothing of it."""

import asyncio
import json
import smtplib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import uvicorn

from tallystick.mailbox.app import create_mailbox
from tallystick.mailbox.server import serve_smtp
from tallystick.mailbox.store import MailStore

pytestmark = pytest.mark.timeout(60)


class Mailbox:
    """A running catcher: SMTP on `smtp_port`, pages below `url`."""

    def __init__(self, store: MailStore, smtp_port: int, url: str, web: aiohttp.ClientSession) -> None:
        self.store = store
        self.smtp_port = smtp_port
        self.url = url
        self.web = web

    async def send(self, *mails: EmailMessage) -> None:
        def deliver() -> None:
            with smtplib.SMTP("127.0.0.1", self.smtp_port, timeout=10) as smtp:
                for mail in mails:
                    smtp.send_message(mail)

        await asyncio.to_thread(deliver)

    async def send_raw(self, content: bytes, *to: str) -> None:
        def deliver() -> None:
            with smtplib.SMTP("127.0.0.1", self.smtp_port, timeout=10) as smtp:
                smtp.sendmail("app@example.com", list(to), content)

        await asyncio.to_thread(deliver)

    async def get(self, path: str, **options: Any) -> tuple[int, Any, str]:
        async with self.web.get(self.url + path, **options) as answer:
            return answer.status, answer.headers, await answer.text(errors="replace")

    async def messages(self, query: str = "") -> dict[str, Any]:
        status, _, text = await self.get(f"/api/messages{query}")
        assert status == 200, text
        found: dict[str, Any] = json.loads(text)
        return found


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Mailbox]:
    store = MailStore(folder)
    smtp = await serve_smtp(store, 0)
    config = uvicorn.Config(create_mailbox(store), port=0, log_level="warning", lifespan="off")
    server = uvicorn.Server(config)
    serving = asyncio.ensure_future(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    async with aiohttp.ClientSession() as web:
        yield Mailbox(store, smtp.sockets[0].getsockname()[1], f"http://127.0.0.1:{port}", web)
    server.should_exit = True
    await serving
    smtp.close()
    await smtp.wait_closed()


@pytest.fixture
async def mailbox(tmp_path: Path) -> AsyncIterator[Mailbox]:
    async with running(tmp_path / "mail") as made:
        yield made


def receipt(number: int = 1, to: str = "jo@example.com", subject: str = "Receipt") -> EmailMessage:
    mail = EmailMessage()
    mail["From"] = "Payments <pay@example.com>"
    mail["To"] = f"Jö <{to}>"
    mail["Subject"] = f"{subject} {number} – 12,50 €"
    mail["Message-ID"] = f"<receipt-{number}@example.com>"
    mail["Date"] = "Mon, 23 Nov 2026 10:00:00 +0100"
    mail.set_content("Thank you,\nyou paid 12,50 €.\n")
    mail.add_alternative(
        "<!doctype html><html><head><title>R</title></head><body>"
        '<p style="color:red">You paid <b>12,50 €</b></p><script>alert(1)</script>'
        '<img src="https://tracker.example/x.png"></body></html>',
        subtype="html",
    )
    return mail


async def test_a_mail_is_there_as_json(mailbox: Mailbox) -> None:
    await mailbox.send(receipt())
    found = await mailbox.messages()
    assert found["has_more"] is False
    (mail,) = found["data"]
    assert set(mail) == {"id", "message_id", "from", "to", "subject", "date", "size", "text", "html"}
    assert mail["message_id"] == "<receipt-1@example.com>"
    assert mail["from"] == "Payments <pay@example.com>"
    assert mail["to"] == ["jo@example.com"]
    assert mail["subject"] == "Receipt 1 – 12,50 €"
    assert mail["date"] == "2026-11-23T09:00:00Z"
    assert mail["text"] == "Thank you,\nyou paid 12,50 €.\n"
    assert "<b>12,50 €</b>" in mail["html"]
    assert mail["size"] > 300


async def test_mails_are_found_by_receiver_subject_and_place(mailbox: Mailbox) -> None:
    await mailbox.send(*(receipt(number) for number in range(3)), receipt(7, "ann@example.org", "Refund"))
    assert [mail["to"] for mail in (await mailbox.messages("?to=ANN@"))["data"]] == [["ann@example.org"]]
    assert len((await mailbox.messages("?subject=receipt"))["data"]) == 3
    assert (await mailbox.messages("?to=nobody"))["data"] == []
    first = await mailbox.messages("?limit=2")
    assert first["has_more"] is True
    subjects = [mail["subject"].split(" –")[0] for mail in first["data"]]
    assert subjects == ["Refund 7", "Receipt 2"], "newest first"
    older = await mailbox.messages(f"?limit=2&before={first['data'][-1]['id']}")
    assert [mail["subject"].split(" –")[0] for mail in older["data"]] == ["Receipt 1", "Receipt 0"]
    newer = await mailbox.messages(f"?after={first['data'][-1]['id']}")
    assert [mail["subject"].split(" –")[0] for mail in newer["data"]] == ["Refund 7"]


@pytest.mark.parametrize("limit", ["0", "501", "x", "-1"])
async def test_a_bad_limit_is_told(mailbox: Mailbox, limit: str) -> None:
    assert (await mailbox.get(f"/api/messages?limit={limit}"))[0] == 422


async def test_mails_survive_a_restart_and_keep_their_order(tmp_path: Path) -> None:
    async with running(tmp_path) as first:
        await first.send(*(receipt(number) for number in range(5)))
        before = await first.messages()
    async with running(tmp_path) as second:
        assert await second.messages() == before
        await second.send(receipt(9))
        assert (await second.messages())["data"][0]["message_id"] == "<receipt-9@example.com>"


async def test_the_pages_show_a_mail_and_run_nothing_of_it(mailbox: Mailbox) -> None:
    _, _, empty = await mailbox.get("/")
    assert "No mails yet" in empty
    await mailbox.send(receipt(subject="<script>alert(1)</script>"))
    mail = (await mailbox.messages())["data"][0]
    _, headers, inbox = await mailbox.get("/")
    assert "&lt;script&gt;" in inbox
    assert "<script>" not in inbox
    assert f"/messages/{mail['id']}" in inbox
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "script-src 'self';" in f"{headers['content-security-policy']};"
    status, headers, page = await mailbox.get(f"/messages/{mail['id']}")
    assert status == 200
    assert "you paid 12,50 €" in page
    assert "<script" not in page
    assert "frame-src 'self'" in headers["content-security-policy"]
    assert 'sandbox="allow-popups' in page
    _, headers, html = await mailbox.get(f"/messages/{mail['id']}/html")
    assert "You paid <b>" in html
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "sandbox" in policy
    assert "script-src" not in policy
    assert "img-src data:" in policy, "opening a mail tells nobody"
    _, headers, raw = await mailbox.get(f"/messages/{mail['id']}/raw")
    assert "Message-ID: <receipt-1@example.com>" in raw
    assert headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize(
    "mail_id", ["nothing", "..%2F..%2Fetc%2Fpasswd", "0" * 19 + "-aaaaaa", "1795457279123456789-ab12cd.eml"]
)
async def test_there_is_nothing_but_mails(mailbox: Mailbox, mail_id: str) -> None:
    for path in (f"/messages/{mail_id}", f"/messages/{mail_id}/raw", f"/messages/{mail_id}/html"):
        assert (await mailbox.get(path))[0] == 404


async def test_mails_can_be_deleted_but_not_by_another_site(mailbox: Mailbox) -> None:
    await mailbox.send(receipt())
    async with mailbox.web.post(f"{mailbox.url}/clear", headers={"Origin": "https://evil.example"}) as refused:
        assert refused.status == 403
    async with mailbox.web.post(f"{mailbox.url}/clear") as refused:
        assert refused.status == 403
    assert len((await mailbox.messages())["data"]) == 1
    async with mailbox.web.post(f"{mailbox.url}/clear", headers={"Origin": mailbox.url}) as done:
        assert done.status == 200
    await mailbox.send(receipt(), receipt(2))
    async with mailbox.web.delete(f"{mailbox.url}/api/messages") as cleared:
        assert await cleared.json() == {"deleted": 2}
    assert (await mailbox.messages())["data"] == []


async def test_a_foreign_host_name_is_refused(mailbox: Mailbox) -> None:
    assert (await mailbox.get("/api/messages", headers={"Host": "evil.example"}))[0] == 400


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no header at all",
        b"Subject: =?nope?q?x?=\r\nContent-Type: text/plain; charset=unheard-of\r\nDate: never\r\n\r\n\xff\xfe",
        b"From: =?utf-8?b?!!!?=\r\nTo: <<>>\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\n--x",
        b"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n%%%%",
        b"Message-ID: broken\r\nSubject: " + b"a" * 900 + b"\r\n\r\nx",
    ],
)
async def test_what_is_hardly_a_mail_is_shown_as_well_as_it_goes(mailbox: Mailbox, content: bytes) -> None:
    await mailbox.send_raw(content, "jo@example.com")
    (mail,) = (await mailbox.messages())["data"]
    assert mail["to"] == ["jo@example.com"]
    for path in ("/", f"/messages/{mail['id']}", f"/messages/{mail['id']}/raw"):
        assert (await mailbox.get(path))[0] == 200


async def test_the_receivers_are_those_of_the_envelope(mailbox: Mailbox) -> None:
    await mailbox.send_raw(b"To: everybody@example.com\r\n\r\nx", "jo@example.com", "ann@example.com")
    assert (await mailbox.messages("?to=ann"))["data"][0]["to"] == ["jo@example.com", "ann@example.com"]


async def test_too_large_a_mail_is_refused(mailbox: Mailbox) -> None:
    with pytest.raises(smtplib.SMTPException):
        await mailbox.send_raw(b"Subject: big\r\n\r\n" + (b"a" * 900 + b"\r\n") * 13_000, "jo@example.com")
    assert (await mailbox.messages())["data"] == []


async def test_many_at_once_are_all_kept(mailbox: Mailbox) -> None:
    await asyncio.gather(*(mailbox.send(*(receipt(100 * lot + n) for n in range(20))) for lot in range(5)))
    found = await mailbox.messages("?limit=500")
    assert len({mail["message_id"] for mail in found["data"]}) == 100
    assert [mail["id"] for mail in found["data"]] == sorted((m["id"] for m in found["data"]), reverse=True)

"""Webhooks never reach into our own network, however an address is written or a name answers."""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from standardwebhooks import Webhook

from tallystick.core.ids import new_id
from tallystick.notifications.errors import UrlRefused
from tallystick.notifications.outbound_models import Delivery, webhook_id
from tallystick.notifications.outbound_sender import WebhookSender, check_url, is_public, sign, system_lookup

NOW = datetime.now(UTC)
PRIVATE = [
    "127.0.0.1",
    "127.8.8.8",
    "0.0.0.0",  # noqa: S104  # refused, not bound
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.169.254",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "2001:db8::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::7f00:1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "fec0::1",
    "not an address",
]
PUBLIC = ["93.184.216.34", "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_of_our_own_network_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(address)


class Names:
    """A name server: each look-up gives the next answer, the last one for ever."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def __call__(self, host: str, port: int, family: int) -> Sequence[tuple[Any, ...]]:
        addresses = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        kinds = {True: socket.AF_INET6, False: socket.AF_INET}
        return [(kinds[":" in one], socket.SOCK_STREAM, 6, "", (one, port)) for one in addresses]


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/",
        "https://10.0.0.8:8443/hook",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/",
        "https://[::ffff:169.254.169.254]/",
        "https://2130706433/",
        "https://127.1/",
        "https://0x7f.0.0.1/",
        "https://0x7f000001/",
        "https://0177.0.0.1/",
        "https://127.0.0.1./",
        "https://localhost/",
        "http://example.com/",
        "https://user@example.com/",
        "https://example.com/#part",
        "https://example.com:0/",
        "https://exa mple.com/",
        "https://exämple.com/",
        "https:///nowhere",
        "file:///etc/passwd",
        "https://[bad/",
    ],
)
async def test_an_address_that_is_refused(url: str) -> None:
    with pytest.raises(UrlRefused):
        await check_url(url, https_only=True, allow_private=False, lookup=system_lookup)


async def test_a_name_is_judged_by_every_address_it_has() -> None:
    await check_url("https://a.test/x?y=z", https_only=True, allow_private=False, lookup=Names(PUBLIC[:2]))
    for addresses in (["10.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["::1"], []):
        with pytest.raises(UrlRefused):
            await check_url("https://a.test/", https_only=True, allow_private=False, lookup=Names(addresses))


@asynccontextmanager
async def victim() -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server of our own network, and what it heard."""
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(1000))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], heard
    finally:
        server.close()


def delivery(url: str) -> Delivery:
    secret = "whsec_" + "c2VjcmV0" * 6
    return Delivery(new_id(), "endpoint:x", NOW, NOW, 0, new_id(), "webhook.test", NOW, {}, new_id(), url, [secret])


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "2130706433", "0x7f.1", "localhost", "[::ffff:127.0.0.1]"])
async def test_nothing_is_sent_to_a_private_address(host: str) -> None:
    async with victim() as (port, heard):
        sender = WebhookSender(allow_private=False)
        try:
            outcome = await sender.send(delivery(f"http://{host}:{port}/"), NOW)
        finally:
            await sender.close()
        assert outcome.error
        assert outcome.status is None
        assert heard == []


async def test_a_name_that_turns_private_after_it_was_checked_is_refused() -> None:
    names = Names(["8.8.8.8"], ["127.0.0.1"])
    async with victim() as (port, heard):
        url = f"http://rebinds.test:{port}/"
        await check_url(url, https_only=False, allow_private=False, lookup=names)
        sender = WebhookSender(allow_private=False, lookup=names)
        try:
            outcome = await sender.send(delivery(url), NOW)
        finally:
            await sender.close()
        assert outcome.error == "the host resolves to an address that is not public"
        assert heard == []


async def test_what_was_judged_is_what_is_connected_to() -> None:
    """One look-up for each connection: the address of that answer is used, whatever the name would say next."""
    names = Names(["127.0.0.1"], ["192.0.2.1"])
    async with victim() as (port, heard):
        sender = WebhookSender(allow_private=True, lookup=names)
        try:
            outcome = await sender.send(delivery(f"http://pinned.test:{port}/"), NOW)
        finally:
            await sender.close()
        assert (outcome.error, outcome.status, names.asked) == (None, 200, 1)
        assert b"Host: pinned.test" in heard[0]


async def test_both_gates_see_the_address_that_is_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def judged(address: str) -> bool:
        seen.append(address)
        return True

    monkeypatch.setattr("tallystick.notifications.outbound_sender.is_public", judged)
    async with victim() as (port, heard):
        sender = WebhookSender(allow_private=False, lookup=Names(["127.0.0.1"]))
        try:
            outcome = await sender.send(delivery(f"http://judged.test:{port}/"), NOW)
        finally:
            await sender.close()
    assert (outcome.error, len(heard), seen) == (None, 1, ["127.0.0.1"] * 2)


async def test_an_error_does_not_tell_the_address() -> None:
    sender = WebhookSender(allow_private=True)
    try:
        outcome = await sender.send(delivery("http://127.0.0.1:1/token-in-path"), NOW)
    finally:
        await sender.close()
    assert outcome.error is not None
    assert "token-in-path" not in outcome.error


@asynccontextmanager
async def answering(raw: bytes, *, then_hang: bool = False) -> AsyncIterator[int]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10_000)
        writer.write(raw)
        await writer.drain()
        if then_hang:
            await asyncio.sleep(5)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def send_to(port: int) -> Any:
    sender = WebhookSender(allow_private=True)
    try:
        return await sender.send(delivery(f"http://127.0.0.1:{port}/"), NOW)
    finally:
        await sender.close()


async def test_of_an_answer_only_the_beginning_is_read() -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n"
    async with answering(head + b"a" * 5000, then_hang=True) as port:
        outcome = await asyncio.wait_for(send_to(port), 4)
    assert (outcome.error, outcome.status, outcome.body) == (None, 200, "a" * 1024)


async def test_an_answer_that_stops_in_the_middle_counts_by_its_status(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tallystick.notifications.outbound_sender._BODY_TIMEOUT_S", 0.2)
    async with answering(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\nbut", then_hang=True) as port:
        outcome = await asyncio.wait_for(send_to(port), 4)
    assert (outcome.error, outcome.status) == (None, 200)


@pytest.mark.parametrize("raw", [b"", b"garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000])
async def test_what_is_no_http_is_a_failure(raw: bytes) -> None:
    async with answering(raw) as port:
        outcome = await send_to(port)
    assert outcome.error
    assert outcome.status is None


async def test_zeros_and_secrets_of_an_answer_are_not_kept() -> None:
    async with answering(b"HTTP/1.1 500 X\r\nconnection: close\r\n\r\nwhsec_abc\x00\xff sk_test_1") as port:
        outcome = await send_to(port)
    assert outcome.body is not None
    assert not {"\x00", "whsec_abc", "sk_test_1"} & set(outcome.body.split())
    assert outcome.error == "answered 500"


async def test_no_answer_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    import aiohttp

    async with answering(b"", then_hang=True) as port:
        sender = WebhookSender(allow_private=True)
        monkeypatch.setattr(sender._session, "_timeout", aiohttp.ClientTimeout(total=0.2))
        try:
            outcome = await sender.send(delivery(f"http://127.0.0.1:{port}/"), NOW)
        finally:
            await sender.close()
    assert outcome.error == "no answer within 10 s"


def test_a_signature_for_each_secret() -> None:
    secrets = ["whsec_" + "b25l" * 8, "whsec_" + "dHdv" * 8]
    message, now = webhook_id(UUID(int=1)), datetime.now(UTC)
    headers = {
        "webhook-id": message,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": sign(secrets, message, now, '{"a":1}'),
    }
    for secret in secrets:
        assert Webhook(secret).verify('{"a":1}', headers) == {"a": 1}

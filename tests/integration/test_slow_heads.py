"""What comes without the application hearing of it is bounded: the head of a request, and what is around a body."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from system import free_port, serving
from tallystick.platform.http_protocol import BoundedHttp

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
CHUNKED = b"POST /%d HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
BLOCK = 8192
heard: list[tuple[str, dict[bytes, bytes], bytes]] = []
"""What the application was asked: path, headers once the body was here, body."""


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        for step in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{step}.complete"})
        return
    body, more = b"", scope["path"] != "/early"
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    heard.append((scope["path"], dict(scope["headers"]), body))
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@asynccontextmanager
async def connected() -> AsyncIterator[Streams]:
    port = free_port()
    heard.clear()
    async with serving(app, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            yield reader, writer
        finally:
            # Not `close`: what nobody reads would be waited for.
            writer.transport.abort()


async def answer(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(60):
        return await reader.readuntil(b"\r\n")


async def test_a_head_without_end_is_refused_and_not_kept() -> None:
    async with connected() as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\nx-long: ")
        for _ in range(9):
            writer.write(b"x" * 8192)
        await writer.drain()
        assert await answer(reader) == b"HTTP/1.1 431 Request Header Fields Too Large\r\n"


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (b"", b"^$"),
        (b"GET / HTTP/1.1\r\nhost", rb"^HTTP/1.1 408"),
        (b"GET / HTTP/1.1\r\nhost: x\r\n\r\nGET / HTTP/1.1\r\nhost", rb"okHTTP/1.1 408"),
    ],
    ids=["nothing", "half a head", "half a head at once after a whole one"],
)
async def test_who_does_not_go_on_is_hung_up_on(monkeypatch: pytest.MonkeyPatch, sent: bytes, said: bytes) -> None:
    monkeypatch.setattr(BoundedHttp, "head_timeout_s", 0.2)
    async with connected() as (reader, writer):
        writer.write(sent)
        async with asyncio.timeout(60):
            assert re.search(said, await reader.read())


async def test_heads_in_pieces_and_one_after_the_other_are_answered() -> None:
    head = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 200000\r\n\r\n"
    async with connected() as (reader, writer):
        for _ in range(3):
            for letter in range(0, len(head), 7):
                writer.write(head[letter : letter + 7])
                await writer.drain()
                await asyncio.sleep(0)
            writer.write(b"x" * 200_000)
            assert await answer(reader) == b"HTTP/1.1 200 OK\r\n"
            async with asyncio.timeout(60):
                assert (await reader.readuntil(b"ok")).endswith(b"ok")


async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, block: bytes) -> bytes:
    """Send a block again and again until the other end hangs up, for at most 16 MiB; what it said meanwhile."""
    for _ in range(16 * 1024 * 1024 // len(block)):
        writer.write(block)
        try:
            await writer.drain()
        except ConnectionError:
            break
    else:
        pytest.fail("nobody hung up")
    try:
        async with asyncio.timeout(60):
            return await reader.read()
    except ConnectionError:
        return b""


@pytest.mark.parametrize(
    ("begun", "block"),
    [
        (b"2\r\n{}\r\n0\r\n", b"a:b\r\n" * (BLOCK // 5)),
        (b"2\r\n{}\r\n0\r\nx-long: ", b"x" * BLOCK),
        (b"2\r\n{}\r\n2;", b"x" * BLOCK),
        (b"2;", b"x" * BLOCK),
        (b"2;name=", b"x" * BLOCK),
    ],
    ids=["trailers", "one trailer", "an extension", "the first extension", "a value of one"],
)
@pytest.mark.parametrize("path", [b"/0", b"/early"], ids=["read", "answered before"])
async def test_what_is_around_a_body_without_end_is_hung_up_on(path: bytes, begun: bytes, block: bytes) -> None:
    async with connected() as (reader, writer):
        writer.write(CHUNKED.replace(b"/%d", path) + begun)
        if path == b"/early":
            assert (await answer(reader), await reader.readuntil(b"ok"))[0] == b"HTTP/1.1 200 OK\r\n"
        # A request has one answer: whoever is in between would take another for the next one's.
        assert await flood(reader, writer, block) == b""


async def test_empty_lines_without_end_are_hung_up_on() -> None:
    async with connected() as (reader, writer):
        writer.write(b"GET /0 HTTP/1.1\r\nhost: x\r\n\r\n")
        await reader.readuntil(b"ok")
        assert await flood(reader, writer, b"\r\n" * (BLOCK // 2)) == b""


@pytest.mark.parametrize("piece", [1, 7, 100_000], ids=["by bytes", "in pieces", "at once"])
async def test_trailers_are_no_headers_and_what_follows_is_answered(piece: int) -> None:
    trailer = b"X-Forwarded-For: 198.51.100.99\r\nExpect: 100-continue\r\nHost: evil\r\n"
    asked = [CHUNKED % number + b"2;a=b\r\n{}\r\n1\r\n!\r\n0\r\n" + trailer + b"\r\n" for number in range(3)]
    sent = b"".join([*asked, b"GET /3 HTTP/1.1\r\nhost: y\r\nx-last: yes\r\n\r\n"])
    async with connected() as (reader, writer):
        for start in range(0, len(sent), piece):
            writer.write(sent[start : start + piece])
            await writer.drain()
            await asyncio.sleep(0)
        async with asyncio.timeout(60):
            said = [await reader.readuntil(b"ok") for _ in range(4)]
        assert all(each.startswith(b"HTTP/1.1 200 OK\r\n") for each in said)
    chunked = {b"host": b"x", b"transfer-encoding": b"chunked"}
    assert heard == [
        *((f"/{number}", chunked, b"{}!") for number in range(3)),
        ("/3", {b"host": b"y", b"x-last": b"yes"}, b""),
    ]


async def test_a_body_in_many_small_chunks_is_read() -> None:
    """What is around it is more than a head may be, but never without some body in between."""
    async with connected() as (reader, writer):
        writer.write(CHUNKED % 0)
        for _ in range(200):
            writer.write(b"0001;n=v\r\nx\r\n" * 100)
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        assert await answer(reader) == b"HTTP/1.1 200 OK\r\n"
    assert [len(body) for _, _, body in heard] == [20_000]


async def test_whoever_sends_empty_lines_is_idle_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that begins no request does not put off the end of a connection on which nothing happens."""
    briefly = property(lambda _: 0.5, lambda _, __: None)
    monkeypatch.setattr(BoundedHttp, "timeout_keep_alive", briefly, raising=False)
    async with connected() as (reader, writer):
        for _ in range(2):
            writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            async with asyncio.timeout(60):
                assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200 OK\r\n")
            writer.write(b"\r\n")
        async with asyncio.timeout(20):
            assert await reader.read() == b""

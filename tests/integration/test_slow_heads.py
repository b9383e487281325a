"""What comes before the application hears of it is bounded: the head of a request, in size and in time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from system import free_port, serving
from tallystick.platform.http_protocol import BoundedHttp

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        for step in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{step}.complete"})
        return
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@asynccontextmanager
async def connected() -> AsyncIterator[Streams]:
    port = free_port()
    async with serving(app, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        yield reader, writer
        writer.close()


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


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nhost"], ids=["nothing", "half a head"])
async def test_who_does_not_go_on_is_hung_up_on(monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    monkeypatch.setattr(BoundedHttp, "head_timeout_s", 0.05)
    async with connected() as (reader, writer):
        writer.write(sent)
        async with asyncio.timeout(60):
            told = await reader.read()
        assert told.startswith(b"HTTP/1.1 408") if sent else told == b""


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

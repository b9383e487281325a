"""Answers leave as uvicorn wrote them, whatever is joined; over real sockets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from system import free_port, until
from tallystick.platform.joined_writes import JoinedWrites

_LARGE = bytes(range(256)) * 40_000


async def _small(request: Request) -> Response:
    return PlainTextResponse(f"hello {request.query_params.get('n', '')}")


async def _large(_: Request) -> Response:
    return Response(_LARGE)


async def _slow(_: Request) -> Response:
    async def parts() -> AsyncIterator[bytes]:
        for number in range(5):
            yield b"part %d\n" % number
            await asyncio.sleep(0.001)

    return StreamingResponse(parts())


async def _flood(_: Request) -> Response:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(400):
            yield b"x" * 1000

    return StreamingResponse(parts())


_APP = Starlette(
    routes=[Route("/small", _small), Route("/large", _large), Route("/slow", _slow), Route("/flood", _flood)]
)


@asynccontextmanager
async def _serving(app: ASGIApp) -> AsyncIterator[int]:
    port = free_port()
    config = uvicorn.Config(app, port=port, http=JoinedWrites, log_level="error", access_log=False, lifespan="off")
    server: Any = uvicorn.Server(config)
    task = asyncio.create_task(server._serve())
    try:
        await until(lambda: server.started or task.done(), "the server starts")
        yield port
    finally:
        server.should_exit = True
        await task


async def _ask(port: int, *paths: str, method: str = "GET", close: bool = False) -> bytes:
    """All that comes back for these requests, sent in one go over one connection, the last of which ends it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for number, path in enumerate(paths, 1):
        last = "Connection: close\r\n" if close or number == len(paths) else ""
        writer.write(f"{method} {path} HTTP/1.1\r\nHost: t\r\n{last}\r\n".encode())
    answer = await asyncio.wait_for(reader.read(-1), 30)
    writer.close()
    return answer


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/small?n=1", b"hello 1"),
        ("/large", _LARGE),
        ("/slow", b"".join(b"7\r\npart %d\n\r\n" % n for n in range(5)) + b"0\r\n\r\n"),
        ("/flood", (b"3e8\r\n" + b"x" * 1000 + b"\r\n") * 400 + b"0\r\n\r\n"),
        ("/nothing", b"Not Found"),
    ],
)
async def test_whole_answers(path: str, body: bytes) -> None:
    async with _serving(_APP) as port:
        head, _, rest = (await _ask(port, path)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 404" if path == "/nothing" else b"HTTP/1.1 200")
    assert rest == body


async def test_one_connection_after_the_other_request_in_order() -> None:
    async with _serving(_APP) as port:
        paths = [f"/small?n={number}" for number in range(20)]
        answers = (await _ask(port, *paths)).split(b"HTTP/1.1 200 OK")[1:]
        assert [answer.rpartition(b"\r\n\r\n")[2] for answer in answers] == [b"hello %d" % n for n in range(20)]
        head = await _ask(port, "/small", method="HEAD")
        assert head.endswith(b"\r\n\r\n")
        assert b"content-length: 6" in head


async def test_a_reader_who_takes_his_time_gets_it_all() -> None:
    async with _serving(_APP) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(b"GET /large HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
        got = 0
        while part := await reader.read(100_000):
            got += len(part)
            if got < 500_000:
                await asyncio.sleep(0.005)
        assert got > len(_LARGE)
        writer.close()


async def test_a_small_answer_is_one_write(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[bytes] = []
    made = JoinedWrites.connection_made

    def watched(self: JoinedWrites, transport: asyncio.Transport) -> None:
        class Watch:
            def __getattr__(self, name: str) -> Any:
                return getattr(transport, name)

            def write(self, data: bytes) -> None:
                written.append(data)
                transport.write(data)

        watch: Any = Watch()
        made(self, watch)

    monkeypatch.setattr(JoinedWrites, "connection_made", watched)
    async with _serving(_APP) as port:
        await _ask(port, "/small")
    assert len(written) == 1

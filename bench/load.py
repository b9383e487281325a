"""The load: connections that send requests and time the answers; a server that does nothing, to show what it can."""

import asyncio
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import uvloop

__all__ = ["Client", "Load", "load", "pace", "run_null"]

_RETRY_S = 0.05
_ANSWER = b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 18\r\n\r\n{"received": true}'


@dataclass(frozen=True)
class Load:
    """One run: answers a second, latencies in ms, `cpu` of the generator as a share of one core.

    `refused` are answers that are no success; of those, `came_again` were 503 and taken when sent once more, and a
    latency runs from the first sending to the success.
    """

    per_s: float
    p50_ms: float
    p99_ms: float
    cpu: float
    refused: int
    came_again: int = 0


class Client(asyncio.Protocol):
    """One connection: sends a request, waits for its answer, sends the next."""

    def __init__(self, line: Iterator[bytes], results: "_Results") -> None:
        self._line = line
        self._results = results
        self._buffer = b""
        self._request = b""
        self._sent_at = 0.0
        self.busy = False
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def start(self) -> None:
        """Send the next request, or be done."""
        request = next(self._line, None)
        if request is None:
            if not self.done.done():
                self.done.set_result(None)
            return
        self.send(request)

    def send(self, request: bytes) -> None:
        self.busy = True
        self._request, self._sent_at = request, time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found or not _is_whole(head, body):
            return
        self._buffer = b""
        status = head[9:12]
        if status == b"503":
            self._results.came_again += 1
            asyncio.get_running_loop().call_later(_RETRY_S, self._transport.write, self._request)
            return
        self._results.latencies.append(time.perf_counter() - self._sent_at)
        if not status.startswith(b"2"):
            self._results.refused.append(head + b"\r\n\r\n" + body)
        self.busy = False
        self.start()

    def connection_lost(self, _: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(ConnectionError("the server hung up"))


class _Results:
    def __init__(self) -> None:
        self.latencies: list[float] = []
        self.refused: list[bytes] = []
        self.came_again = 0


def _is_whole(head: bytes, body: bytes) -> bool:
    _, _, length = head.lower().partition(b"content-length: ")
    return len(body) >= int(length.partition(b"\r\n")[0])


async def _connect(port: int, connections: int, line: Iterator[bytes], results: _Results) -> list[Client]:
    loop = asyncio.get_running_loop()
    return [
        (await loop.create_connection(lambda: Client(line, results), "127.0.0.1", port))[1] for _ in range(connections)
    ]


async def load(port: int, connections: int, requests: Sequence[bytes]) -> dict[str, Any]:
    """Send `requests` over `connections`, each sending its next when its last is answered; the fields of a `Load`."""
    results = _Results()
    clients = await _connect(port, connections, iter(requests), results)
    began, cpu = time.perf_counter(), time.process_time()
    for each in clients:
        each.start()
    await asyncio.gather(*(each.done for each in clients))
    return _told(results, began, cpu)


async def pace(port: int, connections: int, requests: Sequence[bytes], per_s: float) -> dict[str, Any]:
    """Send `requests` at a steady rate, each over a connection that is idle; latencies as for `load`.

    A request for which no connection is idle is late, and its latency does not tell: see that there are enough.
    """
    results = _Results()
    clients = await _connect(port, connections, iter(()), results)
    loop = asyncio.get_running_loop()
    began, cpu = time.perf_counter(), time.process_time()
    first = loop.time()
    for number, request in enumerate(requests):
        if (wait := first + number / per_s - loop.time()) > 0:
            await asyncio.sleep(wait)
        while (idle := next((each for each in clients if not each.busy), None)) is None:
            await asyncio.sleep(0.001)
        idle.send(request)
    while any(each.busy for each in clients):
        await asyncio.sleep(0.001)
    return _told(results, began, cpu)


def _told(results: _Results, began: float, cpu: float) -> dict[str, Any]:
    took, used = time.perf_counter() - began, time.process_time() - cpu
    if results.refused:
        raise SystemExit(f"{len(results.refused)} refused, the first with {results.refused[0][:500]!r}")
    parts = statistics.quantiles(results.latencies, n=100)
    return asdict(
        Load(
            len(results.latencies) / took,
            parts[49] * 1000,
            parts[98] * 1000,
            used / took,
            len(results.refused),
            results.came_again,
        )
    )


def run_null(port: int) -> None:
    """Answer every request at once with the same bytes, unread but for its length, until SIGTERM."""

    class Null(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self._transport: Any = transport
            self._buffer = b""

        def data_received(self, data: bytes) -> None:
            self._buffer += data
            head, found, body = self._buffer.partition(b"\r\n\r\n")
            if not found:
                return
            _, named, length = head.lower().partition(b"content-length: ")
            if not named or len(body) >= int(length.partition(b"\r\n")[0]):
                self._buffer = b""
                self._transport.write(_ANSWER)

    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(Null, "127.0.0.1", port)
        await server.serve_forever()

    uvloop.run(serve())

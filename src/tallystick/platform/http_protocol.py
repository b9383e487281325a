"""uvicorn's HTTP, with bounds on what a caller may send before the application hears of it."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from tallystick.platform.joined_writes import JoinedWrites

__all__ = ["BoundedHttp"]

# The door takes 32 KiB of headers and 10 KiB of address.
_HEAD_MOST = 64 * 1024
_HEAD_TIMEOUT_S = 15.0
_REFUSALS = {
    408: b"Request Timeout",
    431: b"Request Header Fields Too Large",
}


class BoundedHttp(JoinedWrites):
    """Hangs up on who sends the head of a request too slowly, and on who sends without end what is neither a head nor a
    body: trailers, extensions of chunks, empty lines. Trailers are no headers: the application hears of none."""

    head_timeout_s = _HEAD_TIMEOUT_S

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._heading = True
        """Whether the head of a request is still to come, or to go on."""
        self._begun = False
        """Whether any request has begun."""
        self._anew = False
        """Whether a request began in what came last: only that ends the time for which a connection may be idle."""
        self._unheard = 0
        """How many bytes came since the last that the application hears of: a head, some of a body, its end."""
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._timer = self.loop.call_later(self.head_timeout_s, self._refuse, 408)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._unheard += len(data)
        idle, self._anew = self.timeout_keep_alive_task, False
        super().data_received(data)
        if idle is not None and not self._anew and not self.transport.is_closing():
            self.timeout_keep_alive_task = self.loop.call_at(idle.when(), self.timeout_keep_alive_handler)
        if self._unheard > _HEAD_MOST:
            self._refuse(431)
        # Nearly every head comes in one piece, and costs nothing here.
        elif not self._heading:
            if self._timer is not None:
                self._stop_timer()
        elif self._timer is None and not self.transport.is_closing():
            self._timer = self.loop.call_later(self.head_timeout_s, self._refuse, 408)

    def on_message_begin(self) -> None:
        self._heading = self._begun = self._anew = True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        # What bears the name of a header after the body was seen by no proxy: it could name another caller, or host.
        if self._heading:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._heading = False
        self._unheard = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unheard = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._unheard = 0
        super().on_message_complete()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse(self, status: int) -> None:
        self._stop_timer()
        if self.transport.is_closing():
            return
        # A request that has no head yet is answered, unless the answer to an earlier one may be on its way. Any other
        # has its answer from the application: a second one would be taken for the next request's.
        cycle: RequestResponseCycle | None = self.cycle
        if self._heading and self._begun and (cycle is None or cycle.response_complete):
            self.transport.write(
                b"HTTP/1.1 %d %b\r\ncontent-length: 0\r\nconnection: close\r\n\r\n" % (status, _REFUSALS[status])
            )
        self.transport.close()

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
    """Hangs up on who sends the head of a request too slowly, or without end."""

    head_timeout_s = _HEAD_TIMEOUT_S

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._heading = True
        """Whether the head of a request is still to come, or to go on."""
        self._head_bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._timer = self.loop.call_later(self.head_timeout_s, self._refuse, 408)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        # Nearly every head comes in one piece, and costs nothing here.
        if not self._heading:
            self._head_bytes = 0
            if self._timer is not None:
                self._stop_timer()
            return
        self._head_bytes += len(data)
        if self._head_bytes > _HEAD_MOST:
            self._refuse(431)
        elif self._timer is None and not self.transport.is_closing():
            self._timer = self.loop.call_later(self.head_timeout_s, self._refuse, 408)

    def on_message_begin(self) -> None:
        self._heading = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._heading = False
        super().on_headers_complete()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse(self, status: int) -> None:
        self._stop_timer()
        if self.transport.is_closing():
            return
        # An answer to an earlier request of this connection may be on its way.
        cycle: RequestResponseCycle | None = self.cycle
        if self._head_bytes and (cycle is None or cycle.response_complete):
            self.transport.write(
                b"HTTP/1.1 %d %b\r\ncontent-length: 0\r\nconnection: close\r\n\r\n" % (status, _REFUSALS[status])
            )
        self.transport.close()

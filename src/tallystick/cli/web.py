"""uvicorn as every server of ours runs it."""

import os
import signal
import sys
import time
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.supervisors import Multiprocess

from tallystick.platform.http_protocol import BoundedHttp
from tallystick.platform.stopping import begin_to_stop

__all__ = ["end_quietly", "hear_of_the_end", "run_web"]

_KEEP_ALIVE_S = 75
LEAVE_SIGNAL = signal.SIGUSR1


def end_quietly() -> None:
    """Make a stop by signal an ordinary end: uvicorn ends in order and then raises the signal once more."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)


def hear_of_the_end() -> None:
    """In one of several processes: learn from the one above that the end is near."""
    signal.signal(LEAVE_SIGNAL, lambda *_: begin_to_stop())


def run_web(app: Any, *, host: str, port: int, workers: int = 1, grace_s: float = 10, delay_s: float = 0) -> None:
    """Serve an ASGI application (or, for several workers, the import path of its factory) until SIGTERM.

    For `delay_s` it then goes on as before, but is not ready: whoever shares out the traffic has time to see that.
    After it nothing is accepted any more, and requests in progress get `grace_s` to finish.
    """
    end_quietly()
    config = uvicorn.Config(
        app,
        factory=workers > 1,
        host=host,
        port=port,
        workers=workers,
        http=BoundedHttp,
        # Nothing of ours talks that way, and the door does not watch it.
        ws="none",
        # The application writes its own structured access log.
        access_log=False,
        log_level="warning",
        log_config=None,
        # Longer than a proxy keeps a connection that nobody uses, so that it never sends into one that is closing.
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=max(int(grace_s), 1),
        # Its own address in front of every answer helps nobody but attackers.
        server_header=False,
        # Whom to believe is told by TRUSTED_PROXIES (`platform/door.py`).
        proxy_headers=False,
    )
    if workers > 1:
        _Several(config, delay_s).run()
        return
    server = _Server(config, delay_s)
    server.run()
    if not server.started:
        sys.exit(3)


class _Server(uvicorn.Server):
    """Goes on for a while after the first signal; a second one ends that."""

    def __init__(self, config: uvicorn.Config, delay_s: float) -> None:
        super().__init__(config)
        self._delay_s = delay_s
        self._ends: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        first = self._ends is None
        begin_to_stop()
        self._ends = time.monotonic() + self._delay_s
        if not first or not self._delay_s:
            super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        if self._ends is not None and time.monotonic() >= self._ends:
            self.should_exit = True
        return await super().on_tick(counter)


class _Several(Multiprocess):
    """The same for several processes: they are told that they will have to stop, and later to do it."""

    def __init__(self, config: uvicorn.Config, delay_s: float) -> None:
        super().__init__(config, [config.bind_socket()])
        self._delay_s = delay_s

    def terminate_all(self) -> None:
        if self._delay_s:
            for process in self.processes:
                if process.pid is not None and process.exitcode is None:
                    os.kill(process.pid, LEAVE_SIGNAL)
            time.sleep(self._delay_s)
        super().terminate_all()

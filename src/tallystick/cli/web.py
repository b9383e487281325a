"""uvicorn as every server of ours runs it."""

import signal
from typing import Any

__all__ = ["end_quietly", "run_web"]

_DRAIN_S = 10


def end_quietly() -> None:
    """Make a stop by signal an ordinary end: uvicorn ends in order and then raises the signal once more."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)


def run_web(app: Any, *, host: str, port: int, workers: int = 1) -> None:
    """Serve an ASGI application (or, for several workers, the import path of its factory) until SIGTERM.

    Requests in progress get ten seconds to finish.
    """
    import uvicorn

    end_quietly()
    uvicorn.run(
        app,
        factory=workers > 1,
        host=host,
        port=port,
        workers=workers,
        # The application writes its own structured access log.
        access_log=False,
        log_level="warning",
        log_config=None,
        timeout_graceful_shutdown=_DRAIN_S,
        # Its own address in front of every answer helps nobody but attackers.
        server_header=False,
    )

"""Leaving without anybody noticing: this process is not ready any more, and answers until all have gone elsewhere."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Leaving", "begin_to_stop", "is_stopping"]

_stopping = False


def begin_to_stop() -> None:
    """From now on `/readyz` says so, and each answer ends its connection: the next request goes elsewhere."""
    global _stopping  # noqa: PLW0603  # signals are the process's, too
    _stopping = True


def is_stopping() -> bool:
    """Whether this process was told to stop."""
    return _stopping


class Leaving:
    """Pure ASGI: once the process stops, no connection is kept open for another request that would find nobody."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_last(message: Message) -> None:
            # Asked when the answer begins: the signal may have come while it was made.
            if _stopping and message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], (b"connection", b"close")]}
            await send(message)

        await self._app(scope, receive, send_last)

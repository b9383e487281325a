"""The mail server of a simulation, in its own loop: takes what is handed in, or misbehaves when it is told to."""

import asyncio
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.smtp import SMTP

__all__ = ["MailServer", "ReceivedMail"]


@dataclass(frozen=True, slots=True)
class ReceivedMail:
    """A mail as it came."""

    to: str
    subject: str
    message_id: str
    text: str


@dataclass
class MailServer:
    """`refuse` and `cut`: so many of the next mails are turned away for now, or taken without saying so."""

    mails: list[ReceivedMail] = field(default_factory=list)
    refuse: int = 0
    cut: int = 0
    hits: int = 0
    port: int = 0
    _server: asyncio.Server | None = None
    _open: set[asyncio.BaseTransport] = field(default_factory=set)

    async def start(self) -> None:
        """Listen on a port that the system gives."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Session(self), "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Listen no more, and cut who is connected."""
        if self._server is not None:
            self._server.close()
        for transport in list(self._open):
            if isinstance(transport, asyncio.Transport):
                transport.abort()
        await asyncio.sleep(0)

    def mend(self) -> None:
        """Behave from now on."""
        self.refuse = self.cut = 0

    async def handle_DATA(self, session: Any, connection: Any, envelope: Any) -> str:
        """What aiosmtpd calls with a message."""
        if self.refuse:
            self.refuse -= 1
            self.hits += 1
            return "451 4.3.0 Come again later"
        message = message_from_bytes(envelope.content, policy=default)
        if isinstance(message, EmailMessage):
            body = message.get_body(("plain",))
            text = body.get_content() if body is not None else ""
            to, subject, mail_id = (str(message[name]) for name in ("To", "Subject", "Message-ID"))
            self.mails.append(ReceivedMail(to, subject, mail_id, text))
        if self.cut:
            self.cut -= 1
            self.hits += 1
            connection.transport.abort()
        return "250 OK"


class _Handler:
    def __init__(self, server: MailServer) -> None:
        self._server = server

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        return await self._server.handle_DATA(session, server, envelope)


class _Session(SMTP):
    def __init__(self, server: MailServer) -> None:
        super().__init__(_Handler(server), hostname="mail.test")
        self._owner = server

    def connection_made(self, transport: Any) -> None:
        self._owner._open.add(transport)  # noqa: SLF001  # the server's own sessions
        super().connection_made(transport)

    def connection_lost(self, error: Any) -> None:
        self._owner._open.discard(self.transport)  # noqa: SLF001
        super().connection_lost(error)

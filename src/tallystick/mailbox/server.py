"""The mail catcher: takes every mail by SMTP, delivers none, and shows them."""

import asyncio
import signal
from pathlib import Path

import uvicorn
from aiosmtpd.smtp import SMTP, Envelope, Session

from tallystick.mailbox.app import create_mailbox
from tallystick.mailbox.store import MailStore

__all__ = ["run", "serve_smtp"]

_MAX_BYTES = 10 * 1024 * 1024
_HOST = "127.0.0.1"


class _Catcher:
    """The SMTP side: answers 250 only once the mail is on the disk."""

    def __init__(self, store: MailStore) -> None:
        self._store = store

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        content = envelope.content or b""
        body = content.encode() if isinstance(content, str) else content
        try:
            mail_id = await asyncio.to_thread(self._store.add, envelope.mail_from or "", list(envelope.rcpt_tos), body)
        except OSError as error:
            return f"452 4.3.1 The mail could not be stored: {error.strerror}"
        return f"250 2.0.0 Stored as {mail_id}"


async def serve_smtp(store: MailStore, port: int) -> asyncio.Server:
    """Listen for SMTP on the loopback; port 0 takes a free one. Raises OSError when the port is taken."""
    loop = asyncio.get_running_loop()

    def session() -> SMTP:
        return SMTP(
            _Catcher(store),
            data_size_limit=_MAX_BYTES,
            enable_SMTPUTF8=True,
            hostname="localhost",
            ident="Tallystick mail catcher",
            loop=loop,
        )

    return await loop.create_server(session, _HOST, port)


async def _serve(store: MailStore, http_port: int, smtp_port: int) -> None:
    smtp = await serve_smtp(store, smtp_port)
    config = uvicorn.Config(
        create_mailbox(store), host=_HOST, port=http_port, log_level="warning", access_log=False, lifespan="off"
    )
    web = uvicorn.Server(config)
    try:
        await web.serve()
    finally:
        smtp.close()


def run(*, http_port: int, smtp_port: int, folder: Path) -> None:
    """Serve the mailbox page and SMTP on the loopback until SIGTERM or SIGINT; mails are kept in `folder`."""
    store = MailStore(folder)
    # uvicorn ends in order on a signal and then raises it again for whoever stands above; that is nobody.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    asyncio.run(_serve(store, http_port, smtp_port))

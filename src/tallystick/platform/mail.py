"""SMTP: one message at a time over connections that are kept and reused, with a time-out on everything.

The address says how: `smtp://user:password@host:587?starttls=required`, `smtps://…` (TLS from the first byte).
`starttls` is `required` (refuse a server without it), `optional` (use it where offered, trust any certificate:
it only protects against listeners) or `never`. The default is `required` when there is a password and the
server is another machine, so that the password is never sent in the clear, and `optional` otherwise.
"""

import asyncio
import socket
import ssl
import time
from dataclasses import dataclass, field
from email.header import Header
from email.message import EmailMessage
from email.policy import EmailPolicy
from typing import Any, Literal, NoReturn, get_args
from urllib.parse import parse_qs, unquote, urlsplit

import aiosmtplib

from tallystick.platform.database import assert_no_transaction
from tallystick.platform.logging import scrub

__all__ = ["MailDelayed", "MailRejected", "SmtpTransport", "SmtpUrl", "parse_smtp_url"]

_COMMAND_TIMEOUT_S = 15.0
_SEND_TIMEOUT_S = 25.0
_IDLE_S = 10.0
_MESSAGES_PER_CONNECTION = 50

StartTls = Literal["required", "optional", "never"]


class MailRejected(Exception):
    """The server will never take this message (5xx); the text has no addresses in it."""


class MailDelayed(Exception):
    """The message was not taken now and may be later.

    `counted` is False where the server could not be talked to at all: that is no fault of the message.
    """

    def __init__(self, reason: str, *, counted: bool) -> None:
        super().__init__(reason)
        self.counted = counted


@dataclass(frozen=True, slots=True)
class SmtpUrl:
    """Where and how to hand in mail; `password` stays out of the representation."""

    host: str
    port: int
    username: str | None
    password: str | None = field(repr=False)
    tls: bool
    starttls: StartTls


def parse_smtp_url(url: str) -> SmtpUrl:
    """The parts of an SMTP address; raises ValueError with a text that names SMTP_URL and repeats no secret."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("SMTP_URL: should be smtp://user:password@host:port (or smtps://)") from None
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname or parts.path.strip("/"):
        raise ValueError("SMTP_URL: should be smtp://user:password@host:port (or smtps://)")
    options = parse_qs(parts.query, keep_blank_values=True)
    if unknown := sorted(options.keys() - {"starttls"}):
        raise ValueError(f"SMTP_URL: has an unknown option ({', '.join(unknown)}); known: starttls")
    tls = parts.scheme == "smtps"
    username = unquote(parts.username) if parts.username else None
    return SmtpUrl(
        host=parts.hostname,
        port=port or (465 if tls else 25),
        username=username,
        password=unquote(parts.password or "") if username else None,
        tls=tls,
        starttls=_starttls(options.get("starttls"), tls=tls, secret=username is not None, host=parts.hostname),
    )


def _starttls(given: list[str] | None, *, tls: bool, secret: bool, host: str) -> StartTls:
    if tls:
        return "never"
    if given is None:
        return "required" if secret and host not in ("localhost", "127.0.0.1", "::1") else "optional"
    for known in get_args(StartTls):
        if given == [known]:
            choice: StartTls = known
            return choice
    raise ValueError("SMTP_URL: starttls should be required, optional or never")


class _WireFormat(EmailPolicy):
    """How messages are written: 7 bits, and headers beyond ASCII by the older of Python's two encoders.

    The newer one loses or adds spaces where it breaks a line between two encoded words ("BäckereiGrün").
    """

    def fold_binary(self, name: str, value: Any) -> bytes:
        addresses = getattr(value, "addresses", ())
        if self.utf8 or str(value).isascii() or len(addresses) > 1:
            return super().fold_binary(name, value)
        header = Header(header_name=name, maxlinelen=76)
        header.append(addresses[0].display_name if addresses else str(value), "utf-8")
        if addresses:
            header.append(f"<{addresses[0].addr_spec}>", "us-ascii")
        return f"{name}: {header.encode(linesep=self.linesep)}{self.linesep}".encode("ascii")


_WIRE = _WireFormat(linesep="\r\n", cte_type="7bit")


@dataclass(slots=True)
class _Kept:
    """An open connection: when it was last used (monotonic seconds) and for how many messages."""

    client: aiosmtplib.SMTP
    used_at: float
    messages: int = 0


class SmtpTransport:
    """Hands messages to one SMTP server. As many connections are open as callers send at once."""

    def __init__(self, url: str) -> None:
        self._url = parse_smtp_url(url)
        self._idle: list[_Kept] = []

    async def send(self, message: EmailMessage) -> None:
        """Hand in one message, within 25 s.

        Raises:
            MailRejected: the server said that it will not take it.
            MailDelayed: the server is away or asks to come again.
        """
        assert_no_transaction()
        kept: _Kept | None = None
        try:
            async with asyncio.timeout(_SEND_TIMEOUT_S):
                kept = await self._connection()
                await _hand_in(kept.client, message)
        except BaseException as error:
            if kept is not None:
                kept.client.close()
            if isinstance(error, TimeoutError):
                # Without a connection the server is away; with one, this message may be what it chokes on.
                raise MailDelayed("the mail server did not answer in time", counted=kept is not None) from error
            raise
        kept.messages += 1
        kept.used_at = time.monotonic()
        self._idle.append(kept)

    async def probe(self) -> None:
        """Connect and log in as for a message, and hand none in. Raises MailDelayed."""
        try:
            async with asyncio.timeout(_COMMAND_TIMEOUT_S):
                await _quit((await self._connection()).client)
        except TimeoutError as error:
            raise MailDelayed("the mail server did not answer in time", counted=False) from error

    async def close(self) -> None:
        """Say good-bye on the connections that are open."""
        while self._idle:
            await _quit(self._idle.pop().client)

    async def _connection(self) -> _Kept:
        while self._idle:
            kept = self._idle.pop()
            fresh = time.monotonic() - kept.used_at < _IDLE_S and kept.messages < _MESSAGES_PER_CONNECTION
            if fresh and await _answers(kept.client):
                return kept
            await _quit(kept.client)
        try:
            return _Kept(await self._connect(), time.monotonic())
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            # Refused, not resolved, no TLS, wrong password: true of every message, so it counts against none.
            raise MailDelayed(f"no connection to the mail server: {_reason(error)}", counted=False) from error

    async def _connect(self) -> aiosmtplib.SMTP:
        url = self._url
        client = aiosmtplib.SMTP(
            hostname=url.host,
            port=url.port,
            # The default asks the resolver for the full name, which can block for seconds.
            local_hostname=socket.gethostname(),
            use_tls=url.tls,
            start_tls=False,
            timeout=_COMMAND_TIMEOUT_S,
            tls_context=ssl.create_default_context() if url.tls else None,
        )
        try:
            await client.connect()
            await self._start_tls(client)
            if url.username is not None:
                await client.login(url.username, url.password or "")
        except BaseException:
            client.close()
            raise
        return client

    async def _start_tls(self, client: aiosmtplib.SMTP) -> None:
        if self._url.tls or self._url.starttls == "never":
            return
        await client.ehlo()
        required = self._url.starttls == "required"
        if required or client.supports_extension("starttls"):
            context = ssl.create_default_context()
            if not required:
                # Whoever can forge a certificate can also hide STARTTLS, so checking would protect from nothing.
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            await client.starttls(tls_context=context)


async def _send(client: aiosmtplib.SMTP, message: EmailMessage) -> None:
    sender, *_ = message["From"].addresses
    recipients = [address.addr_spec for address in message["To"].addresses]
    # An address beyond ASCII cannot be encoded; the message then goes as UTF-8, if the server knows how (RFC 6531).
    utf8 = not "".join([sender.addr_spec, *recipients]).isascii()
    content = message.as_bytes(policy=_WIRE.clone(utf8=utf8))
    await client.sendmail(sender.addr_spec, recipients, content, mail_options=["SMTPUTF8"] if utf8 else [])


async def _hand_in(client: aiosmtplib.SMTP, message: EmailMessage) -> None:
    try:
        await _send(client, message)
    except aiosmtplib.SMTPRecipientsRefused as error:
        _refuse(error.recipients[0])
    except aiosmtplib.SMTPSenderRefused as error:
        # The server refuses us, not the message: a setting is wrong, and somebody will put it right. With 421 it
        # is closing the channel on everybody.
        raise MailDelayed(f"the sender was refused: {_reason(error)}", counted=error.code != 421) from error
    except aiosmtplib.SMTPResponseException as error:
        _refuse(error)
    except aiosmtplib.SMTPNotSupported as error:
        raise MailRejected("the mail server cannot take an address with such letters") from error
    except (aiosmtplib.SMTPException, OSError) as error:
        if isinstance(error, TimeoutError):
            raise
        raise MailDelayed("the mail server broke the connection", counted=True) from error


def _refuse(error: aiosmtplib.SMTPResponseException) -> NoReturn:
    if 500 <= error.code < 600:
        raise MailRejected(_reason(error)) from error
    # Even "closing the channel" (421) counts here: if this message is what brings it on, it must come to an end.
    raise MailDelayed(_reason(error), counted=True) from error


def _reason(error: BaseException) -> str:
    """One short line, without addresses: it is stored, and shown to staff."""
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return " ".join(scrub(f"{error.code} {error.message}").split())[:300]
    return " ".join(scrub(f"{type(error).__name__}: {error}").split())[:300]


async def _answers(client: aiosmtplib.SMTP) -> bool:
    try:
        return client.is_connected and (await client.noop()).code == 250
    except (aiosmtplib.SMTPException, OSError, TimeoutError):
        return False


async def _quit(client: aiosmtplib.SMTP) -> None:
    try:
        async with asyncio.timeout(2):
            await client.quit()
    except (aiosmtplib.SMTPException, OSError, TimeoutError):
        client.close()

"""Caught mails as `.eml` files in a folder: written whole or not at all, named so that they sort by arrival."""

import contextlib
import os
import re
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage, Message
from email.policy import default as modern
from email.utils import getaddresses
from pathlib import Path

__all__ = ["Mail", "MailStore"]

_ID = re.compile(r"[0-9]{19}-[0-9a-f]{6}\Z")
_KEPT_PARSED = 1000
_ENVELOPE_FROM, _ENVELOPE_TO = "X-Envelope-From", "X-Envelope-To"


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail. `to` holds the addresses it was delivered to; `date` is its own, else that of its arrival."""

    id: str
    message_id: str
    sender: str
    to: tuple[str, ...]
    subject: str
    date: datetime
    received: datetime
    size: int
    text: str | None
    html: str | None
    headers: tuple[tuple[str, str], ...]
    attachments: tuple[str, ...]


class MailStore:
    """The mails in `folder`. Safe from several threads; another process may delete files meanwhile."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._last = 0
        self._parsed: OrderedDict[str, Mail] = OrderedDict()

    def add(self, sender: str, recipients: Sequence[str], content: bytes) -> str:
        """Store a mail and return its id; when this returns, it is on the disk.

        Raises OSError, e.g. when the disk is full; nothing is left behind then.
        """
        with self._lock:
            # Two mails of one instant keep their order.
            self._last = max(time.time_ns(), self._last + 1)
            mail_id = f"{self._last}-{secrets.token_hex(3)}"
        envelope = f"{_ENVELOPE_FROM}: {sender}\r\n{_ENVELOPE_TO}: {', '.join(recipients)}\r\n"
        path = self._path(mail_id)
        fresh = path.with_suffix(".part")
        try:
            with fresh.open("wb") as file:
                file.write(envelope.encode() + content)
                file.flush()
                os.fsync(file.fileno())
            fresh.rename(path)
        except OSError:
            fresh.unlink(missing_ok=True)
            raise
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return mail_id

    def raw(self, mail_id: str) -> bytes | None:
        """The mail as it was sent, below two lines that hold its envelope; None if there is no such mail."""
        if not _ID.match(mail_id):
            return None
        try:
            return self._path(mail_id).read_bytes()
        except FileNotFoundError:
            return None

    def get(self, mail_id: str) -> Mail | None:
        """The mail of this id, or None."""
        with self._lock:
            if mail_id in self._parsed and self._path(mail_id).exists():
                self._parsed.move_to_end(mail_id)
                return self._parsed[mail_id]
        content = self.raw(mail_id)
        if content is None:
            return None
        mail = _parse(mail_id, content)
        with self._lock:
            self._parsed[mail_id] = mail
            while len(self._parsed) > _KEPT_PARSED:
                self._parsed.popitem(last=False)
        return mail

    def find(
        self,
        *,
        to: str = "",
        subject: str = "",
        after: str = "",
        before: str = "",
        limit: int = 50,
    ) -> tuple[list[Mail], bool]:
        """Mails, newest first, and whether there are more.

        `to` and `subject` are looked for as parts, in any case. `after` and `before` are ids (of mails that
        may be gone): only later, only earlier ones.
        """
        found: list[Mail] = []
        for mail_id in self._ids():
            if (after and mail_id <= after) or (before and mail_id >= before):
                continue
            mail = self.get(mail_id)
            if mail is None or not _matches(mail, to.casefold(), subject.casefold()):
                continue
            if len(found) == limit:
                return found, True
            found.append(mail)
        return found, False

    def count(self) -> int:
        """How many mails there are."""
        return len(self._ids())

    def clear(self) -> int:
        """Delete all mails; how many there were."""
        ids = self._ids()
        for mail_id in ids:
            self._path(mail_id).unlink(missing_ok=True)
        with self._lock:
            self._parsed.clear()
        return len(ids)

    def _ids(self) -> list[str]:
        names = (name.removesuffix(".eml") for name in os.listdir(self._folder) if name.endswith(".eml"))
        return sorted(filter(_ID.match, names), reverse=True)

    def _path(self, mail_id: str) -> Path:
        return self._folder / f"{mail_id}.eml"


def _matches(mail: Mail, to: str, subject: str) -> bool:
    wanted = not to or any(to in address.casefold() for address in mail.to)
    return wanted and subject in mail.subject.casefold()


def _parse(mail_id: str, content: bytes) -> Mail:
    message = message_from_bytes(content, policy=modern)
    headers = tuple(_headers(message))
    named = {name.lower(): value for name, value in reversed(headers)}
    received = datetime.fromtimestamp(int(mail_id[:19]) / 1e9, UTC)
    to = [address for _, address in getaddresses([named.get(_ENVELOPE_TO.lower(), "")]) if address]
    return Mail(
        id=mail_id,
        message_id=named.get("message-id", ""),
        sender=named.get("from") or named.get(_ENVELOPE_FROM.lower(), ""),
        to=tuple(to),
        subject=named.get("subject", ""),
        date=_date(message) or received,
        received=received,
        size=len(content),
        text=_body(message, "plain"),
        html=_body(message, "html"),
        headers=tuple(h for h in headers if h[0] not in (_ENVELOPE_FROM, _ENVELOPE_TO)),
        attachments=tuple(_attachments(message)),
    )


def _headers(message: "Message[str, str]") -> Iterator[tuple[str, str]]:
    """Name and decoded value of each header. What cannot be decoded is shown as it came."""
    for name, value in message.raw_items():
        try:
            shown = str(modern.header_fetch_parse(name, value))
        except Exception:  # The standard library's parser fails in many ways on bad input.
            shown = value
        yield name, shown.encode(errors="replace").decode()


def _date(message: "Message[str, str]") -> datetime | None:
    with contextlib.suppress(Exception):
        found = getattr(message["date"], "datetime", None)
        if isinstance(found, datetime):
            return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    return None


def _body(message: "Message[str, str]", kind: str) -> str | None:
    """The decoded part `text/<kind>`, or None. A charset nobody knows is read as UTF-8 as far as it goes."""
    assert isinstance(message, EmailMessage)
    with contextlib.suppress(Exception):
        part = message.get_body((kind,))
        if part is None:
            return None
        try:
            # Lines of a mail end with CRLF; that is the wire's business.
            return str(part.get_content()).replace("\r\n", "\n")
        except (LookupError, UnicodeError):
            payload = part.get_payload(decode=True)
            return payload.decode(errors="replace") if isinstance(payload, bytes) else None
    return None


def _attachments(message: "Message[str, str]") -> Iterator[str]:
    assert isinstance(message, EmailMessage)
    with contextlib.suppress(Exception):
        for part in message.iter_attachments():
            payload = part.get_payload(decode=True)
            size = len(payload) if isinstance(payload, bytes) else 0
            yield f"{part.get_filename() or 'without a name'} ({part.get_content_type()}, {size} bytes)"

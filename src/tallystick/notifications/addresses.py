"""E-mail addresses: who sends, and what can be written to."""

import re
from dataclasses import dataclass
from email.headerregistry import Address
from typing import Self
from urllib.parse import urlsplit
from uuid import UUID

__all__ = ["InvalidAddress", "Sender", "parse_recipient", "printable"]

# RFC 5322 atoms, and letters beyond ASCII (RFC 6531). Quoted local parts and comments exist on paper only.
_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u00a1-\ud7ff\uf900-\uffef.-]{1,64}\Z")
_NAMED = re.compile(r'"?([^"<>]*?)"?\s*<([^<>]*)>\Z')
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\Z")
# Control characters, lone surrogates (not JSON), and the marks that turn the direction of the text around them.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]+")


class InvalidAddress(ValueError):
    """The text cannot be an e-mail address; the message does not repeat it."""


def printable(text: str, most: int) -> str:
    """`text` on one line, without control characters and direction marks, cut to `most` characters."""
    # No-break spaces stay: locales write amounts with them.
    line = text if text.isprintable() else _UNPRINTABLE.sub(" ", text)
    line = " ".join(part for part in line.split(" ") if part)
    return line if len(line) <= most else line[: most - 1] + "…"


def parse_recipient(text: str) -> Address:
    """The one address that `text` is; domains in other scripts become ASCII.

    Raises InvalidAddress for anything else: names, lists, line ends, white space.
    """
    local, at, domain = text.rpartition("@")
    if not at or len(text) > 254 or printable(text, 254) != text:
        raise InvalidAddress("is not an e-mail address")
    if not _LOCAL.match(local) or local.startswith(".") or local.endswith(".") or ".." in local:
        raise InvalidAddress("has a part before the @ that cannot be")
    try:
        ascii_domain = domain if domain.isascii() else domain.encode("idna").decode("ascii")
    except UnicodeError:
        raise InvalidAddress("has a domain that cannot be") from None
    if not all(_LABEL.match(label) for label in ascii_domain.split(".")):
        raise InvalidAddress("has a domain that cannot be")
    return Address(username=local, domain=ascii_domain)


@dataclass(frozen=True, slots=True)
class Sender:
    """Who mails are from: `name` is shown to people, `domain` is what our message ids end in."""

    name: str
    address: Address
    domain: str

    @classmethod
    def parse(cls, mail_from: str, public_url: str | None) -> Self:
        """The sender of `MAIL_FROM`; without a name in it, the host of `PUBLIC_URL` is shown.

        Raises ValueError (naming MAIL_FROM) when it is not an address.
        """
        found = _NAMED.match(mail_from.strip())
        name, spec = (found[1], found[2]) if found else ("", mail_from.strip())
        try:
            bare = parse_recipient(spec)
        except InvalidAddress as error:
            raise ValueError(f"MAIL_FROM: {error}; it should be like: Example Shop <shop@example.com>") from None
        host = urlsplit(public_url or "").hostname
        shown = printable(name, 100) or host or bare.domain
        domain = host if host and "." not in bare.domain else bare.domain
        return cls(shown, Address(shown, bare.username, bare.domain), domain)

    def message_id(self, mail_id: UUID) -> str:
        """The Message-ID of a mail: the same at every delivery of it."""
        return f"<{mail_id}@{self.domain}>"

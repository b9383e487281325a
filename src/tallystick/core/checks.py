"""Bounds on texts a caller may send: metadata by Stripe's rules, and no card numbers anywhere."""

import re
from collections.abc import Mapping

from tallystick.core.errors import InvalidRequest

__all__ = ["CardNumberRefused", "check_metadata", "check_text", "holds_card_number"]

# Stripe takes 50 keys; some are ours.
_METADATA_KEYS_MAX = 45
_DIGITS = re.compile(r"(?<!\d)\d(?:[ -]?\d){12,18}(?!\d)")
_UUID = re.compile(r"(?<![0-9a-f])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![0-9a-f])", re.IGNORECASE)
# Letters that only stand before or after the digits may be words: `card4242…`.
_HEX = re.compile(r"(?<![0-9a-f])(?![a-f]*\d*[a-f]*(?![0-9a-f]))[0-9a-f]{16,}", re.IGNORECASE)


class CardNumberRefused(InvalidRequest):
    code = "CARD_NUMBER_REFUSED"
    title = "A card number must never be sent to this service"
    action = "Collect cards with Stripe.js and send only the payment method's id (pm_…)."


def check_metadata(metadata: Mapping[str, str]) -> None:
    """Raise unless Stripe takes these pairs (docs.stripe.com/api/metadata) and none is ours or holds a card number."""
    if len(metadata) > _METADATA_KEYS_MAX:
        raise InvalidRequest(f"At most {_METADATA_KEYS_MAX} pairs are taken.", field="metadata")
    for key, value in metadata.items():
        if not 1 <= len(key) <= 40 or "[" in key or "]" in key or not key.strip():
            raise InvalidRequest("A key has 1 to 40 characters and no square brackets.", field="metadata")
        check_text("metadata", key)
        if key.startswith("tallystick_"):
            raise InvalidRequest("Keys that begin with tallystick_ are reserved.", field="metadata")
        if len(value) > 500:
            raise InvalidRequest("A value has at most 500 characters.", field=f"metadata.{key}")
        check_text(f"metadata.{key}", value)


def check_text(field: str, text: str | None) -> None:
    """Raise for text that no database or e-mail takes, or that holds a card number."""
    if text is None:
        return
    if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise InvalidRequest("The text has characters that cannot be stored.", field=field)
    if holds_card_number(text):
        raise CardNumberRefused(field=field)


def holds_card_number(text: str) -> bool:
    """Whether 13 to 19 digits in a row (blanks and dashes aside) pass the Luhn check and begin as cards do.

    UUIDs and hexadecimal tokens are ids: every thousandth of them has such digits by chance.
    """
    plain = _HEX.sub("x", _UUID.sub(_masked, text))
    return any(_is_card(re.sub(r"[ -]", "", found)) for found in _DIGITS.findall(plain))


def _masked(found: re.Match[str]) -> str:
    return "x" if re.search(r"[a-f]", found[0], re.IGNORECASE) else found[0]


def _is_card(digits: str) -> bool:
    if digits[0] not in "23456":
        return False
    doubled = (int(d) * 2 if place % 2 else int(d) for place, d in enumerate(reversed(digits)))
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0

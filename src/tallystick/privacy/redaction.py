"""What of Stripe's objects, and of our own, tells who somebody is; and taking it out. Pure.

By name, at any depth: names, addresses, what can be written or called to, texts that people typed, metadata that is not
ours, and pages of Stripe's on which all that is shown. What stays is what books are made of: ids, amounts, currencies,
times, statuses, taxes, what was sold, and the brand and last digits of the card that paid.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

from msgspec import UNSET, Struct
from msgspec.structs import replace

__all__ = ["META_ERASED", "Fact", "Redaction", "known_values", "mask", "redact", "redact_fact", "told_values"]

META_ERASED = "tallystick_erased"
"""In the metadata of a customer of Stripe's: it was erased here. A database restored from before then learns by it."""

_GONE = "[erased]"
_OURS = "tallystick_"
_NAMED = "tallystick_user"
_SUBJECTS = frozenset({_NAMED, "user", "external_id"})

_NULL = frozenset({
    "address", "billing_zip", "business_name", "cancel_url", "cashtag", "comment", "customer_shipping", "dob",
    "email", "email_address", "fingerprint", "first_name", "given_name", "hosted_instructions_url",
    "hosted_invoice_url", "hosted_verification_url", "iin", "individual_name", "instructions_email", "invoice_pdf",
    "ip", "ip_address", "ip_address_location", "issuer", "last_name", "locale", "name", "network_transaction_id",
    "next_action", "owner", "payer_email", "payer_id", "payer_name", "phone", "receipt_email", "receipt_url",
    "return_url", "shipping", "ssn_last_4", "success_url", "surname", "tax_id", "url", "user_agent", "wallet",
})  # fmt: skip
_ENDINGS = ("_email", "_phone", "_address", "_ip", "_comment", "_name")
_EMPTY: Mapping[str, Any] = {
    "evidence": {}, "customer_tax_ids": [], "custom_fields": None, "preferred_locales": [], "fraud_details": {},
}  # fmt: skip
_CARD = frozenset({"exp_month", "exp_year", "country", "funding", "checks", "description", "dynamic_last4"})
_TEXTS = frozenset({"description", "footer"})
# What these are called is what was sold, and nobody's name.
_CATALOGUE = frozenset({
    "product", "price", "plan", "coupon", "promotion_code", "tax_rate", "line_item", "invoiceitem", "feature",
})  # fmt: skip
_TELLING = frozenset({"email", "name", "phone", "line1", "line2", "receipt_email", "customer_email", "customer_name"})
_VALUE_FIELDS = frozenset({
    "email", "name", "phone", "address", "description", "hosted_invoice_url", "invoice_pdf", "cancellation_comment",
    "card_exp_month", "card_exp_year", "card_funding", "card_country", "card_fingerprint",
})  # fmt: skip
Fact = TypeVar("Fact", bound=Struct)
_ADDRESS = re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}")
_ROLES = ("user", "admin", "support", "service")


@dataclass(frozen=True, slots=True)
class Redaction:
    """Whom to take out: `pseudonym` stands for the host application's id of them from now on.

    `external_id` and `values` (names, addresses) are known while somebody is being erased, and forgotten then.
    """

    pseudonym: str
    external_id: str | None = None
    values: tuple[str, ...] = ()

    def subject(self, text: str) -> str:
        """The pseudonym for their id; of late news it is not known any more whose else the id could be."""
        return self.pseudonym if self.external_id in (None, text) else text

    def text(self, text: str) -> str:
        """A text without e-mail addresses and without what is known of them."""
        if self.external_id is not None:
            for role in _ROLES:
                if text == f"{role}:{self.external_id}":
                    return f"{role}:{self.pseudonym}"
        if self.values:
            text = _pattern(self.values).sub(_GONE, text)
        return _ADDRESS.sub(_GONE, text) if "@" in text else text


def redact(content: Any, who: Redaction) -> Any:
    """JSON without what tells who it is about; what is not there stays away, what is there stays as null or empty."""
    if isinstance(content, Mapping):
        return _redact_object(content, who)
    if isinstance(content, list):
        return [redact(item, who) for item in content]
    return who.text(content) if isinstance(content, str) else content


def mask(content: Any, who: Redaction) -> Any:
    """JSON that only mentions them: what is known of them is taken out of its texts, and all else stays."""
    if isinstance(content, Mapping):
        return {
            name: who.subject(value) if name in _SUBJECTS and isinstance(value, str) else mask(value, who)
            for name, value in content.items()
        }
    if isinstance(content, list):
        return [mask(item, who) for item in content]
    return who.text(content) if isinstance(content, str) else content


def redact_fact(fact: Fact, who: Redaction) -> Fact:
    """A fact whose `value`, an object of Stripe's as we read it, does not tell who it is about."""
    value: Struct = getattr(fact, "value")  # noqa: B009  # every area has facts of its own
    changes: dict[str, Any] = {}
    for name in value.__struct_fields__:
        shown = getattr(value, name)
        if shown is None or shown is UNSET:
            continue
        if name == "metadata":
            changes[name] = _redact_metadata(shown, who)
        elif name == "pending_update":
            changes[name] = redact(shown, who)
        elif name in _VALUE_FIELDS:
            changes[name] = None
    return replace(fact, value=replace(value, **changes)) if changes else fact


def _redact_object(content: Mapping[str, Any], who: Redaction) -> dict[str, Any]:
    kind = content.get("object")
    # What is still to be invoiced says what somebody typed, and of late news nobody knows whose name is in it.
    typed = kind == "invoiceitem" and who.external_id is None
    catalogue = isinstance(kind, str) and kind in _CATALOGUE and not typed
    card = "last4" in content
    found: dict[str, Any] = {}
    for name, value in content.items():
        if name == "metadata" and isinstance(value, Mapping):
            found[name] = _redact_metadata(value, who)
        elif name in _SUBJECTS and isinstance(value, str):
            found[name] = who.subject(value)
        elif name in _EMPTY and not catalogue:
            found[name] = _EMPTY[name] if value is not None else None
        elif _tells(name, catalogue=catalogue) or (card and name in _CARD):
            found[name] = None
        else:
            found[name] = redact(value, who)
    return found


def _tells(name: str, *, catalogue: bool) -> bool:
    if catalogue:
        return False
    return name in _NULL or name in _TEXTS or name.endswith(_ENDINGS)


def _redact_metadata(pairs: Mapping[str, Any], who: Redaction) -> dict[str, Any]:
    """Our own pairs; whose it is, by the pseudonym."""
    return {
        name: who.subject(value) if name == _NAMED else value for name, value in pairs.items() if name.startswith(_OURS)
    }


def told_values(content: Any) -> list[str]:
    """What JSON says about whom it is about: names, addresses, numbers."""
    if isinstance(content, list):
        return [value for item in content for value in told_values(item)]
    if not isinstance(content, Mapping):
        return []
    told = [value for name, value in content.items() if name in _TELLING and isinstance(value, str)]
    return told + [value for item in content.values() for value in told_values(item)]


def known_values(texts: Iterable[str | None]) -> tuple[str, ...]:
    """What to look for in free text, the longest first: long enough to mean somebody, and no word of Stripe's."""
    found = {text for text in texts if text and len(text) >= 4 and not re.fullmatch(r"[a-z_]+", text)}
    return tuple(sorted(found, key=lambda text: (-len(text), text)))


@lru_cache(maxsize=16)
def _pattern(values: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(r"(?<!\w)(?:" + "|".join(re.escape(value) for value in values) + r")(?!\w)", re.IGNORECASE)

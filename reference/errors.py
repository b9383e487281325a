"""docs/reference/errors.md: every code that an answer may bear, from the classes that are raised."""

from collections.abc import Iterator

import tallystick.app  # noqa: F401 (imports every area, and with it every class)
from reference.markdown import cell, code, page, table
from tallystick.core import declines
from tallystick.core.declines import Decline, PaymentDeclined
from tallystick.core.errors import DomainError

__all__ = ["errors_page"]


def errors_page() -> str:
    """The page."""
    return page(
        "Errors",
        "Every error is a problem document (RFC 9457, `application/problem+json`): a stable `code`, `detail` in words "
        "that may be shown to the customer, `suggested_action`, the `field` at fault where there is one, and the "
        "`request_id` that the log has too. Decide by `code`; words may change.",
        "```json\n"
        '{\n  "type": "urn:tallystick:error:INSUFFICIENT_FUNDS",\n  "title": "The payment failed",\n  "status": 402,\n'
        '  "code": "INSUFFICIENT_FUNDS",\n  "detail": "Your card has insufficient funds.",\n'
        '  "suggested_action": "Use another payment method, or try again later.",\n'
        '  "request_id": "0193f0c2-7a51-7d20-9b54-3f1c0a7d6e21"\n}\n```',
        "A 202 is no error: nobody knows yet whether it happened. Repeat the request with the same `Idempotency-Key`; "
        "see [exactly once](../exactly-once.md).",
        "## Declines (402)",
        "The customer's bank or card said no.",
        table(("code", "what the customer reads", "what to do"), ([*row[:3]] for row in _declines())),
        "All of Stripe's decline codes come out as one of these; which one Stripe gave is shown to staff only.",
        table(("code", "Stripe's codes"), ((row[0], row[3]) for row in _declines())),
        "## All others",
        table(("code", "status", "cause", "what to do"), _rows()),
    )


def _declines() -> Iterator[tuple[str, str, str, str]]:
    by_code: dict[str, list[tuple[str, Decline]]] = {}
    for stripe, decline in declines._DECLINES.items():
        by_code.setdefault(decline.code, []).append((stripe, decline))
    generic = declines.decline_of(None, None)
    yield code(generic.code), cell(generic.message), cell(generic.action), "all others"
    for name, found in sorted(by_code.items()):
        texts = list(dict.fromkeys(decline.message for _, decline in found))
        said = texts[0] if len(texts) == 1 else f"{texts[0].rstrip('.')} (or whatever else is wrong with it)."
        yield code(name), cell(said), cell(found[0][1].action), ", ".join(code(stripe) for stripe, _ in found)


def _rows() -> Iterator[tuple[str, str, str, str]]:
    found: dict[tuple[str, int], list[type[DomainError]]] = {}
    for kind in _every(DomainError):
        if kind is not DomainError and not issubclass(kind, PaymentDeclined) and "code" in vars(kind):
            found.setdefault((kind.code, kind.status), []).append(kind)
    for (name, status), kinds in sorted(found.items()):
        titles = list(dict.fromkeys(kind.title for kind in kinds))
        yield code(name), str(status), cell(". ".join(titles)), cell(kinds[0].action)


def _every(kind: type[DomainError]) -> list[type[DomainError]]:
    below = sorted(kind.__subclasses__(), key=lambda one: (one.__module__, one.__name__))
    kept = [one for one in below if one.__module__.startswith("tallystick.")]
    return [kind, *(deeper for one in kept for deeper in _every(one))]

"""What lines of invoices say, in news of an erased person: Stripe still knows the text that was masked here. Pure.

The description of a line is what was sold, so no rule by name takes it out; and whose name is in it nobody knows any
more. What is stored of the line, masked while it was known, is what is kept.
"""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from tallystick.privacy.redaction import Fact

__all__ = ["LINE", "Texts", "fact_with_texts", "invoices_in", "with_texts"]

LINE = "line_item"
Texts = Mapping[str, str | None]
"""What stored lines say, by Stripe's id of the line."""


def invoices_in(content: Any) -> set[str]:
    """Stripe's ids of the invoices in JSON, at any depth."""
    if isinstance(content, list):
        return {found for item in content for found in invoices_in(item)}
    if not isinstance(content, Mapping):
        return set()
    found = {one for item in content.values() for one in invoices_in(item)}
    invoice = content.get("id") if content.get("object") == "invoice" else None
    return found | {invoice} if isinstance(invoice, str) else found


def with_texts(content: Any, texts: Texts) -> Any:
    """JSON whose lines say what is stored of them; a line that is not stored stays as it is."""
    if isinstance(content, list):
        return [with_texts(item, texts) for item in content]
    if not isinstance(content, Mapping):
        return content
    kept = {name: with_texts(value, texts) for name, value in content.items()}
    if content.get("object") == LINE and "description" in content and content.get("id") in texts:
        kept["description"] = texts[content["id"]]
    return kept


def fact_with_texts(fact: Fact, texts: Texts) -> Fact:
    """A fact of an invoice whose lines say what is stored of them; any other fact as it is."""
    value: Struct = getattr(fact, "value")  # noqa: B009  # every area has facts of its own
    lines = getattr(value, "lines", None)
    if not isinstance(lines, list):
        return fact
    kept = [replace(line, description=texts[line.id]) if line.id in texts else line for line in lines]
    return replace(fact, value=replace(value, lines=kept))

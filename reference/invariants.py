"""docs/reference/invariants.md: what always holds, by name, with what to do where it does not."""

from reference.markdown import cell, code, page, table
from tallystick.invariants.checks import INVARIANTS

__all__ = ["invariants_page"]


def invariants_page() -> str:
    """The page."""
    rows = [
        (code(one.name), cell(one.sentence) + (" *(when all is quiet)*" if one.quiet else ""), cell(one.action))
        for one in INVARIANTS
    ]
    return page(
        "Invariants",
        "What is checked by the worker every hour, by `tallystick doctor`, and by the tests after every step. "
        "[Why these](../what-always-holds.md) is a page of its own. Those marked *when all is quiet* may be broken for "
        "a moment while events arrive.",
        table(("name", "what holds", "if it does not"), rows),
    )

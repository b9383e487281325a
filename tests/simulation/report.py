"""Lines that a test wants shown after the run: seeds, rates, tables."""

from system import LONG

__all__ = ["LINES", "LONG", "tell"]

LINES: list[str] = []


def tell(text: str) -> None:
    """Show `text` in the summary of the run, passed or failed."""
    LINES.extend(text.splitlines())

"""Lines that a test wants shown after the run: seeds, rates, tables."""

from system import LONG

__all__ = ["LINES", "LONG", "TOLD", "tell"]

LINES: list[str] = []
"""What the running test told."""

TOLD = "told"
"""Under this name they go with the test's report: it may have run in another process than the one that shows them."""


def tell(text: str) -> None:
    """Show `text` in the summary of the run, passed or failed."""
    LINES.extend(text.splitlines())

"""Lines that a test wants shown after the run, passed or failed: seeds, rates, tables."""

__all__ = ["LINES", "tell"]

LINES: list[str] = []


def tell(text: str) -> None:
    """Show `text` in the summary of the run."""
    LINES.extend(text.splitlines())

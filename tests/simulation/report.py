"""Whether this is a long run, and lines that a test wants shown after the run: seeds, rates, tables."""

import os

__all__ = ["LINES", "LONG", "tell"]

LONG = os.environ.get("TALLYSTICK_LONG", "") not in ("", "0")
"""`make test-all` does more of everything than `make test`."""

LINES: list[str] = []


def tell(text: str) -> None:
    """Show `text` in the summary of the run, passed or failed."""
    LINES.extend(text.splitlines())

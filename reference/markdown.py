"""What the pages are put together from."""

from collections.abc import Iterable, Sequence

__all__ = ["GENERATED", "cell", "code", "page", "table"]

GENERATED = "<!-- Made from the source by `make reference`; do not edit. -->"


def cell(text: object) -> str:
    """Text as it may stand in a cell of a table."""
    return " ".join(str(text).split()).replace("|", "\\|").replace("<", "&lt;")


def code(text: object) -> str:
    """Text as code, in a cell too; nothing for nothing."""
    return f"`{' '.join(str(text).split())}`".replace("|", "\\|") if str(text) else ""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; the cells are Markdown."""
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join(row)} |".replace("|  |", "| |") for row in rows]
    return "\n".join(lines)


def page(title: str, *parts: str) -> str:
    """A whole page."""
    return "\n\n".join([f"# {title}", GENERATED, *(part.strip("\n") for part in parts if part)]) + "\n"

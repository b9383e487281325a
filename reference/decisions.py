"""docs/decisions/index.md: the list of the decisions."""

import re
from pathlib import Path

from reference.markdown import page, table

__all__ = ["decisions_page"]


def decisions_page(folder: Path) -> str:
    """The page, from the titles of the files in `folder`."""
    rows = []
    for file in sorted(folder.glob("[0-9]*.md")):
        match = re.match(r"# (\d+)\. (.+)", file.read_text(encoding="utf-8"))
        if match is None:
            raise ValueError(f"{file.name} does not begin with its number and title")
        rows.append((match[1], f"[{match[2]}]({file.name})"))
    return page(
        "Decisions",
        "Why things are as they are, and what it costs. Each says what forced a choice, what was chosen, and which "
        "test would fail if somebody chose otherwise by accident.",
        table(("", "decision"), rows),
        "```{toctree}\n:hidden:\n:glob:\n\n[0-9]*\n```",
    )

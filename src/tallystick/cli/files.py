"""Small private files, replaced whole: a reader sees the old content or the new, never half of it."""

import json
import os
from pathlib import Path
from typing import Any

__all__ = ["read_json", "write_json", "write_private"]


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Replace `path`, readable by its owner only. Raises OSError."""
    write_private(path, json.dumps(value, indent=2))


def write_private(path: Path, text: str) -> None:
    """Replace `path` by one line or more, readable by its owner only. Raises OSError."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(f"{text}\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.rename(path)


def read_json(path: Path) -> dict[str, Any]:
    """The object in `path`; empty when there is no such file.

    Raises ValueError when it holds something else, OSError when it cannot be read.
    """
    try:
        found = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    if not isinstance(found, dict):
        raise ValueError(f"{path} should hold a JSON object")  # noqa: TRY004 (the content is wrong, not a type)
    return found

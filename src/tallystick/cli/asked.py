"""What commands ask a person, and read of what a person typed."""

import re
import sys
from datetime import UTC, datetime, timedelta

from tallystick.cli.errors import Problem

__all__ = ["confirm", "moment"]

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def confirm(question: str) -> None:
    """Ask for a yes; raises Problem for anything else, and where there is nobody to ask."""
    if not sys.stdin.isatty():
        raise Problem(f"{question} Say so with --yes.", 2)
    if input(f"{question} [y/N] ").strip().lower() not in ("y", "yes"):
        raise Problem("Nothing was done.")


def moment(text: str | None, option: str) -> datetime | None:
    """A time as a person writes it: a day, a time (UTC where none is named), or an age; raises Problem."""
    if text is None:
        return None
    try:
        if age := re.fullmatch(r"(\d{1,6})([mhdw])", text):
            return datetime.now(UTC) - timedelta(**{_UNITS[age[2]]: int(age[1])})
        found = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise Problem(f"{option}: should be a day (2026-11-20), a time (2026-11-20T08:30Z) or an age (7d)", 2) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)

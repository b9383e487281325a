"""How an import looks: bars in a terminal, a line now and then where there is none, and a table at the end."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from tallystick.importing.models import Summary
    from tallystick.importing.service import ImportProgress

__all__ = ["print_summary", "shown"]

_FRAME_S = 0.25
_LINE_S = 5.0
_PACE_S = 60.0
"""The pace is that of the last minute."""

_REASONS = {
    "no_email": "have no e-mail address",
    "no_user": "have an address that no user has",
    "several_users": "have an address that several users have",
    "several_customers": "share their address with another customer",
    "user_has_customer": "are of a user who has another customer",
    "other_installation": "were made by another installation",
    "not_asked": "would match by e-mail address",
}


class _Pace:
    """How fast it goes, and about how long it will."""

    def __init__(self, progress: "ImportProgress") -> None:
        self._progress = progress
        self._seen: list[tuple[float, int]] = []

    def look(self) -> tuple[int, int, float, float | None]:
        """Objects listed, expected, listed a second, and seconds left (None: nobody knows)."""
        kinds = self._progress.by_kind().values()
        listed = sum(counts.listed for counts, _, _ in kinds)
        expected = sum(expected for _, expected, _ in kinds)
        now = time.monotonic()
        if self._progress.walking:
            # What an earlier process listed says nothing about the pace of this one.
            self._seen = [*(seen for seen in self._seen if now - seen[0] < _PACE_S), (now, listed)]
        since, before = self._seen[0] if self._seen else (now, listed)
        pace = (listed - before) / (now - since) if now > since else 0.0
        return listed, expected, pace, (expected - listed) / pace if pace > 0 else None


@asynccontextmanager
async def shown(progress: "ImportProgress", *, quiet: bool) -> AsyncIterator[None]:
    """Show how far an import has come, for as long as the block lasts; `quiet`: only on a terminal, beside stdout."""
    console = Console(stderr=True, highlight=False)
    pace = _Pace(progress)
    if console.is_terminal:
        with Live(console=console, auto_refresh=False, transient=True) as live:
            async with _each(_FRAME_S, lambda: live.update(_picture(progress, pace), refresh=True)):
                yield
    elif quiet:
        yield
    else:
        async with _each(_LINE_S, lambda: print(_line(progress, pace), flush=True)):
            yield


@asynccontextmanager
async def _each(seconds: float, show: Callable[[], None]) -> AsyncIterator[None]:
    async def repeat() -> None:
        while True:
            await asyncio.sleep(seconds)
            show()

    task = asyncio.create_task(repeat())
    try:
        yield
    finally:
        task.cancel()


def _picture(progress: "ImportProgress", pace: _Pace) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    for justify in ("left", "left", "right", "right", "right"):
        table.add_column(justify=justify)
    for name, (counts, expected, done) in progress.by_kind().items():
        bar = ProgressBar(total=max(expected, 1), completed=counts.listed if not done else max(expected, 1), width=30)
        about = f"{counts.listed:,}" if done else f"{counts.listed:,} of about {expected:,}"
        changed = f"{counts.changed:,} changed" if counts.changed else ""
        table.add_row(f"  {name}", bar, about, f"{counts.added:,} new", changed)
    return Group(table, Text(f"  {_line(progress, pace)}", style="yellow" if progress.waits else "dim"))


def _line(progress: "ImportProgress", pace: _Pace) -> str:
    listed, expected, rate, left = pace.look()
    parts = [progress.phase, f"{listed:,} of about {expected:,} objects", f"{rate:,.0f} a second"]
    if left is not None:
        parts.append(f"about {_span(left)} left")
    if progress.waits:
        parts.append(f"waiting: {progress.waits}")
    return ", ".join(parts)


def _span(seconds: float) -> str:
    whole = timedelta(seconds=round(seconds))
    if seconds < 90:
        return f"{whole.seconds} s"
    return f"{whole.total_seconds() / 60:,.0f} min" if seconds < 5400 else f"{whole.total_seconds() / 3600:,.1f} h"


def print_summary(summary: "Summary", unmatched: Path | None) -> None:
    """The table by kind, who was matched and who was not, and what could not be stored."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    if summary.kinds:
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column("kind")
        for name in ("listed", "new", "equal", "changed", "left out", "refused", "without user"):
            table.add_column(name, justify="right")
        for kind in summary.kinds:
            counts = kind.counts
            numbers = [counts.listed, counts.added, counts.same, counts.changed, counts.left_out, kind.refused]
            owned = "" if kind.without_user is None else f"{kind.without_user:,}"
            table.add_row(kind.object, *(f"{number:,}" for number in numbers), owned)
        console.print(table)
        changed = sum(kind.counts.changed for kind in summary.kinds)
        if changed:
            console.print(f"{changed:,} changed since the mirror heard of them: the worker fetches them.")
    matched = summary.matched
    console.print(f"Matched now: {matched.by_map:,} by the map, {matched.by_email:,} by e-mail address.")
    for reason, count in summary.unmatched.items():
        console.print(f"{count:,} customers without a user {_REASONS[reason]}.")
    if summary.unmatched:
        place = f"They are in {unmatched}." if unmatched else "--unmatched FILE.csv writes them down."
        console.print(place)
    for refusal in summary.refusals:
        console.print(f"Not stored: {refusal.object} {refusal.object_id}: {refusal.reason}", markup=False)
    if summary.kinds:
        console.print(f"Done after {_span(summary.took_s)} of work.")

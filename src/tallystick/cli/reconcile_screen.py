"""How reconcile looks: a line that moves in a terminal, and what was found at the end."""

import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from tallystick.reconciliation.models import EqualShare, Found, Progress, Result

__all__ = ["print_result", "shown"]

_FRAME_S = 0.1
_ROWS = 50
_WIDE = 36
_WORDS = {
    "in_flight": ("under way", "yellow"),
    "missed_event": ("missed event", "magenta"),
    "ours": ("our fault", "red"),
    "dashboard": ("changed in the dashboard", "cyan"),
    "foreign": ("foreign row", "red"),
    "gone": ("gone at Stripe", "bold red"),
}
_DONE = {"repaired": "[green]repaired[/]", "open": "left", "passed": "equal now"}


@contextmanager
def shown(*, quiet: bool) -> "Iterator[Callable[[Progress], None]]":
    """What to tell how far it has come, for as long as the block lasts; `quiet`: only on a terminal, beside stdout."""
    console = Console(stderr=quiet, highlight=False)
    if not console.is_terminal:
        yield lambda _: None
        return
    began, last, kind = time.monotonic(), 0.0, ""
    with Live(console=console, auto_refresh=False, transient=True) as live:

        def report(progress: "Progress") -> None:
            nonlocal last, kind
            kind = progress.kind or kind
            if progress.waiting_s or time.monotonic() - last >= _FRAME_S:
                last = time.monotonic()
                live.update(Text(_line(progress, kind, last - began)), refresh=True)

        yield report


def _line(progress: "Progress", kind: str, seconds: float) -> str:
    parts = [f"  Comparing {kind.replace('_', ' ')}s", f"{progress.done:,} objects"]
    if progress.total > progress.done:
        parts[-1] += f" of about {progress.total:,}"
        if seconds > 2 and progress.done:
            parts.append(f"about {(progress.total - progress.done) / progress.done * seconds:,.0f} s left")
    if progress.differences:
        parts.append(f"{progress.differences:,} differences, {progress.repaired:,} repaired")
    if progress.waiting_s:
        parts.append(f"Stripe is away or limits us; asking again in {progress.waiting_s:.0f} s")
    return " · ".join(parts)


def print_result(result: "Result", share: "EqualShare", repairs: Sequence[str], *, dry_run: bool) -> None:
    """Differences with their causes, and the one number."""
    # Not a terminal: no wrapping at 80 columns, so that whoever reads it has whole lines.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 200)
    console.print()
    if result.found:
        console.print(_table(result, repairs, dry_run=dry_run))
        console.print()
    compared = f"{_many(result.objects, 'object')} and {_many(result.fields, 'field')}"
    console.print(f"  {compared} compared, with {_many(result.calls, 'call')}.")
    if not result.differences:
        console.print("  [green]No differences.[/]")
    else:
        console.print(f"  {_tally(result, repairs, dry_run=dry_run)}")
    if share.compared is not None and share.equal is not None and share.as_of is not None:
        # Rounded down: it says 100 % only where it is so.
        percent = int(share.equal * 100_000 / share.compared) / 1000 if share.compared else 100.0
        console.print(
            f"  [bold]{percent:g} %[/] of the mirror equals Stripe: {share.equal:,} of {share.compared:,} objects, "
            f"as of {share.as_of:%Y-%m-%d %H:%M:%S} UTC."
        )
    else:
        console.print("  [dim]How much of the mirror equals Stripe is known after a first --full.[/]")
    console.print()


def _tally(result: "Result", repairs: Sequence[str], *, dry_run: bool) -> str:
    if dry_run:
        would = sum(len(found.differences) for found in result.found if found.worst in repairs)
        return f"{_many(result.differences, 'difference')}, of which {would:,} would be repaired. Nothing was written."
    parts = [_many(result.differences, "difference"), f"[green]{result.repaired:,} repaired[/]"]
    if result.in_flight:
        parts.append(f"[yellow]{result.in_flight:,} under way[/]")
    if result.left_open:
        parts.append(f"[red]{result.left_open:,} left[/]")
    return ", ".join(parts) + "."


def _table(result: "Result", repairs: Sequence[str], *, dry_run: bool) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in ("  object", "field", "ours", "Stripe", "cause", ""):
        table.add_column(name, overflow="fold")
    rows = [(found, one) for found in result.found for one in found.differences]
    for found, one in rows[:_ROWS]:
        words, style = _WORDS[found.causes[one.field]]
        table.add_row(
            f"  {escape(found.stripe_id)}",
            one.field,
            *(_short(part) for part in _apart(one.ours, one.stripe)),
            f"[{style}]{words}[/]",
            _outcome(found, repairs, dry_run=dry_run),
        )
    if len(rows) > _ROWS:
        causes = Counter(_WORDS[found.causes[one.field]][0] for found, one in rows[_ROWS:])
        rest = ", ".join(f"{count:,} {words}" for words, count in causes.most_common())
        table.add_row(f"  … and {len(rows) - _ROWS:,} more", "", "", "", rest, "")
    return table


def _outcome(found: "Found", repairs: Sequence[str], *, dry_run: bool) -> str:
    if found.worst == "in_flight":
        return "[yellow]waited for[/]"
    if dry_run:
        return "[green]would be repaired[/]" if found.worst in repairs else "would be left"
    return _DONE[found.state]


def _apart(ours: Any, stripe: Any) -> tuple[Any, Any]:
    """Of two lists of things the first two that differ, with what differs; else both as they are."""
    if not (isinstance(ours, list) and isinstance(stripe, list)):
        return ours, stripe
    for number, (one, other) in enumerate(zip_longest(ours, stripe), 1):
        if one == other:
            continue
        if not (isinstance(one, dict) and isinstance(other, dict)):
            return f"{number}: {_text(one)}", f"{number}: {_text(other)}"
        names = [name for name in one if one[name] != other.get(name)]
        told = [", ".join(f"{name} {_text(thing.get(name))}" for name in names) for thing in (one, other)]
        return f"{number}: {told[0]}", f"{number}: {told[1]}"
    return ours, stripe


def _many(count: int, word: str) -> str:
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"


def _short(value: Any) -> str:
    if value is None:
        return "[dim]–[/]"
    text = _text(value)
    return escape(text if len(text) <= _WIDE else f"{text[: _WIDE - 1]}…")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

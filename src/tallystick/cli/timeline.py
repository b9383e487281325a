"""`tallystick timeline`: the story of a user or an object, a line for each thing that happened."""

from collections import Counter
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from tallystick.cli.errors import Problem
from tallystick.cli.stored import DataDir, builtins, print_json, run_on_database

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from tallystick.platform.database import Database
    from tallystick.timeline.models import Entry, Timeline

__all__ = ["timeline"]

_KINDS = {
    "staff": "bold magenta",
    "call": "cyan",
    "event": "blue",
    "read": "bright_black",
    "change": "bold yellow",
    "access": "bold green",
    "webhook": "bright_black",
    "mail": "magenta",
    "difference": "bold red",
}
_LABELS = {"difference": "differs", "webhook": "hook"}
_READ = ("fetch", "import", "repair", "answer")
_MARKS = {
    "✗": ("declined", "rejected", "abandoned", "dead", "failed", "refused", "lost", "open"),
    "…": ("requested", "unknown", "pending", "parked", "queued", "unavailable", "provisional"),
    "–": ("unhandled", "discarded", "disabled", "superseded", "passed"),
}
_WIDE = 100
"""From so many columns on there is room for seconds, and for the whole names of events."""
_MARK_STYLES = {"✗": "bold red", "…": "yellow", "–": "bright_black", "✓": "green"}


def timeline(
    subject: str,
    /,
    *,
    limit: int = 50,
    before: str | None = None,
    json: Annotated[bool, Parameter(negative=())] = False,
    data_dir: DataDir = None,
) -> None:
    """Tell the story of a user or an object: events, our calls, changes, access, mails, webhooks, staff.

    Parameters
    ----------
    subject
        A user by your id (user:ann, or ann), or an object by our id or Stripe's.
    limit
        How many of the last things, at most 1000.
    before
        What happened before a page; the page before it names it.
    json
        Print JSON, the last thing first, as the API does.
    """
    if not 1 <= limit <= 1000:
        raise Problem("--limit: should be 1 to 1000", 2)

    async def work(database: "Database") -> None:
        from tallystick.timeline.schemas import timeline_view
        from tallystick.timeline.service import TimelineService

        found = await TimelineService(database).tell(subject, before=before, limit=limit)
        if json:
            print_json(builtins(timeline_view(found)))
        else:
            _print(found, subject)

    run_on_database(data_dir, work)


# How it looks


def _print(found: "Timeline", asked: str) -> None:
    from rich.console import Console
    from rich.text import Text

    from tallystick.timeline.service import cursor_of

    console = Console(highlight=False)
    for line in _headline(found):
        console.print(line, no_wrap=True, overflow="ellipsis")
    if found.next is not None:
        # A line of its own, not broken: it is to be copied.
        line = Text(f"Earlier: tallystick timeline {asked} --before {cursor_of(found.next)}", style="bright_black")
        console.print(line, soft_wrap=True)
    day, second = "", ""
    wide = console.width >= _WIDE
    titles = min(max((len(_title(entry, wide=wide)) for entry in found.entries), default=0), 40 if wide else 29)
    for entry in reversed(found.entries):
        if (date := f"{entry.at:%A, %-d %B %Y}") != day:
            day, second = date, ""
            console.print()
            console.print(Text(date, style="bold"))
        time = f"{entry.at:%H:%M:%S}" if wide else f"{entry.at:%H:%M}"
        _print_line(console, entry, " " * len(time) if time == second else time, titles)
        second = time
    if not found.entries:
        console.print("Nothing has happened yet.")


def _headline(found: "Timeline") -> "list[Text]":
    from rich.text import Text

    lines = [Text.assemble((found.subject.name, "bold"), f"  {found.subject.kind}")]
    if found.subject.whole:
        counts = Counter(member.kind.replace("_", " ") for member in found.subject.members)
        parts = [f"{count} {kind}{'s' if count > 1 else ''}" for kind, count in counts.most_common()]
        lines.append(Text(", ".join(parts) or "nothing of their own yet", style="bright_black"))
    return lines


def _print_line(console: "Console", entry: "Entry", time: str, titles: int) -> None:
    from rich.text import Text

    from tallystick.timeline.telling import short_id

    read = entry.kind == "event" and entry.details["source"] in _READ
    kind = "read" if read else entry.kind
    state = entry.state or ""
    mark = next((mark for mark, states in _MARKS.items() if state in states), "✓")
    style = _KINDS[kind]
    quiet = "bright_black" if read or mark == "–" else ""
    line = Text.assemble((time, "bright_black"), "  ")
    line.append(mark, style=_MARK_STYLES[mark])
    line.append(f" {_LABELS.get(kind, kind):7} ", style=style)
    title = _title(entry, wide=console.width >= _WIDE)
    title = title if len(title) <= titles else f"{title[: titles - 1]}…"
    line.append(f"{title:{titles}}", style=quiet or ("bold" if kind in ("change", "access") else ""))
    if entry.object and entry.kind not in ("change", "access", "webhook"):
        line.append(f"  {short_id(entry.object):9}", style="bright_black")
    if state and mark in "✗…–" and kind not in ("access",):
        line.append(f"  {state}", style=_MARK_STYLES[mark])
    if entry.summary:
        line.append(f"  {entry.summary}", style=quiet)
    line.truncate(console.width, overflow="ellipsis")
    console.print(line, no_wrap=True, overflow="ellipsis")


def _title(entry: "Entry", *, wide: bool) -> str:
    return entry.title if wide else entry.title.replace("customer.subscription.", "subscription.")

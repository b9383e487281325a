"""How a demo looks: chapters of lines, each with its actor in a column of its own, at a pace that can be read."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.spinner import Spinner
from rich.text import Text

__all__ = ["DemoScreen", "dots"]

Found = TypeVar("Found")

_STYLES = {
    "app": "cyan",
    "browser": "magenta",
    "Stripe": "bright_blue",
    "webhook": "yellow",
    "worker": "yellow",
    "row": "green",
    "history": "green",
    "invoice": "yellow",
    "mail": "bright_cyan",
    "access": "bright_magenta",
}
_MARGIN = 2
_ACTOR = 9
_DATE = 8
_WIDEST, _NARROWEST = 100, 50
_LOOK_EVERY_S = 0.02
# How long the next thing waits for the last one to be read. What takes longer by itself is not waited for.
_LINE_S, _PROSE_S, _CONCLUSION_S = 0.12, 0.8, 0.6
_BRISK = 3
"""So many times faster where many months have to pass."""


def dots(number: int, of: int) -> Text:
    """How far a story is."""
    return Text.assemble(("●" * number, "cyan"), ("○" * (of - number), "dim"))


class DemoScreen:
    """Writes a story to the terminal, or plain lines where there is none.

    `dated`: there is a column for the business date, left of the actor's.
    """

    def __init__(self, *, fast: bool, plain: bool, dated: bool = False) -> None:
        if not sys.stdout.isatty() and hasattr(sys.stdout, "reconfigure"):
            # A pipe in a narrow encoding loses an arrow, not the story.
            sys.stdout.reconfigure(errors="replace")
        self._console = Console(
            highlight=False,
            markup=False,
            emoji=False,
            force_terminal=False if plain else None,
            color_system=None if plain else "auto",
        )
        # Colours may be forced through a pipe; what moves or waits is for somebody who watches.
        watched = sys.stdout.isatty()
        self._moves = watched and self._console.is_terminal
        self._paced = watched and not fast
        self._free_at = 0.0
        self._pace = 1 / _BRISK if dated else 1
        self._lead = _DATE if dated else 0
        self._actor = ""
        self._date = ""

    @property
    def width(self) -> int:
        """How wide the story is written."""
        return max(min(self._console.width, _WIDEST), _NARROWEST)

    async def opening(self, title: str, prose: str) -> None:
        """The first lines."""
        self._print()
        self._put(Text(title, "bold"))
        self._put(Text(prose, "dim"))
        self._hold(_PROSE_S)

    async def chapter(self, number: int, title: str, prose: str, progress: Text) -> None:
        """A new chapter: its heading, how far the story is, and what the chapter is about."""
        await self._turn()
        self._actor = self._date = ""
        rest = self.width - _MARGIN - len(f"{number}  {title}") - progress.cell_len - 4
        heading = Text.assemble(
            (f"{number}  ", "bold cyan"),
            (title, "bold"),
            (f"  {'─' * max(rest, 1)}  ", "dim"),
            progress,
        )
        self._print()
        self._print(Text(" " * _MARGIN).append_text(heading))
        self._put(Text(prose, "dim"))
        self._print()
        self._hold(_PROSE_S)

    async def line(
        self, actor: str, left: str | Text, right: str | Text = "", *, style: str = "", date: str = ""
    ) -> None:
        """What an actor did, and a remark at the right edge; date and actor are named where they change."""
        await self._turn()
        dated = "" if date == self._date else date
        named = actor if dated or actor != self._actor else ""
        self._actor, self._date = actor, date
        content = left if isinstance(left, Text) else Text(left, style)
        first = Text(f"{dated:{self._lead}}", "bold").append(f"{named:{_ACTOR}}", f"bold {_STYLES[actor]}")
        self._put(content, first, right if isinstance(right, Text) else Text(right, "dim"), hang=2)
        self._hold(_LINE_S)

    async def conclusion(self, text: str) -> None:
        """What has been shown."""
        await self._turn()
        self._actor = self._date = ""
        self._put(Text(text, "green"), Text("✓ ", "bold green"))
        self._hold(_CONCLUSION_S)

    def failure(self, where: str, what: str, hints: list[str]) -> None:
        """Where the story ended, and why."""
        self._print()
        self._put(Text(where, "bold red"), Text("✗ ", "bold red"))
        self._put(Text(what), Text("  "))
        for hint in hints:
            self._put(Text(hint, "dim"), Text("  "))
        self._print()

    def paragraph(self, text: str = "", style: str = "") -> None:
        """A paragraph, or an empty line."""
        self._put(Text(text, style))

    def block(self, rows: list[Text]) -> None:
        """Lines that are laid out already, such as a table's."""
        for row in rows:
            self._print(Text(" " * _MARGIN).append_text(row))

    async def until(self, what: str, look: Callable[[], Awaitable[Found | None]], patience_s: float) -> Found | None:
        """Look until something is found, with a spinner that counts the milliseconds; None when patience ends."""
        began = time.monotonic()
        with self._spinning(what, began):
            while True:
                found = await look()
                if found is not None:
                    return found
                if time.monotonic() - began > patience_s:
                    return None
                await asyncio.sleep(_LOOK_EVERY_S)

    async def meanwhile(self, work: Awaitable[Found], look: Callable[[], Awaitable[Text]]) -> Found:
        """The outcome of `work`; as long as it lasts, a watcher sees what `look` says."""
        if not self._moves:
            return await work
        working = asyncio.ensure_future(work)
        try:
            with Live(console=self._console, transient=True, auto_refresh=False) as live:
                while not working.done():
                    live.update(Padding(await look(), (0, 0, 0, _MARGIN)), refresh=True)
                    await asyncio.wait({working}, timeout=_LOOK_EVERY_S)
            return await working
        finally:
            working.cancel()

    @contextmanager
    def _spinning(self, what: str, began: float) -> Iterator[None]:
        if not self._moves:
            yield
            return
        edge = _MARGIN + self._lead + _ACTOR
        waiting = Padding(Spinner("dots", _Elapsed(what, began), style="yellow"), (0, 0, 0, edge))
        with Live(waiting, console=self._console, transient=True, refresh_per_second=25):
            yield

    # Pace: whatever is shown keeps the next thing waiting until it has been read.

    async def _turn(self) -> None:
        if self._paced:
            await asyncio.sleep(max(self._free_at - time.monotonic(), 0))

    def _hold(self, seconds: float) -> None:
        self._free_at = time.monotonic() + seconds * self._pace

    # Layout: no line is longer than the width, none ends with spaces, and what is wrapped hangs.

    def _put(self, content: Text, first: Text | None = None, right: Text | None = None, *, hang: int = 0) -> None:
        """`content` after `first`, and `right` at the edge of the last line; wrapped lines are indented by `hang`."""
        first, right = first or Text(), right or Text()
        room = self.width - _MARGIN - first.cell_len
        pieces = [content] if content.cell_len <= room else self._pieces(content, room, hang)
        if right and pieces[-1].cell_len + 2 + right.cell_len > room:
            pieces.append(Text())
        for index, piece in enumerate(pieces):
            line = Text(" " * _MARGIN) + (first if index == 0 else Text(" " * first.cell_len)) + piece
            if right and index == len(pieces) - 1:
                line.append(" " * (self.width - line.cell_len - right.cell_len)).append_text(right)
            line.rstrip()
            self._print(line)

    def _pieces(self, content: Text, room: int, hang: int) -> list[Text]:
        lead = len(content.plain) - len(content.plain.lstrip(" "))
        found: list[Text] = []
        for piece in content[lead:].wrap(self._console, max(room - lead - hang, 10), overflow="fold"):
            piece.rstrip()
            found.append(Text(" " * (lead + (hang if found else 0))) + piece)
        return found

    def _print(self, block: RenderableType = "") -> None:
        self._console.print(block, soft_wrap=True)


class _Elapsed:
    """A text that counts for as long as it is shown."""

    def __init__(self, what: str, began: float) -> None:
        self._what = what
        self._began = began

    def __rich__(self) -> Text:
        elapsed = f"{(time.monotonic() - self._began) * 1000:,.0f} ms"
        # One line, whatever the width: what moves has to find its place again.
        text = Text(no_wrap=True, overflow="ellipsis")
        return text.append(elapsed, "yellow").append(f"  waiting for {self._what}", "dim")

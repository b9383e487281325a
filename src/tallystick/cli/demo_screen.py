"""How a demo looks: chapters of lines, each with its actor in a column of its own, at a pace that can be read."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rich.console import RenderableType

from rich.console import Console
from rich.live import Live
from rich.padding import Padding
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

__all__ = ["STYLES", "DemoScreen"]

Found = TypeVar("Found")

STYLES = {
    "app": "cyan",
    "browser": "magenta",
    "bank": "magenta",
    "Stripe": "bright_blue",
    "webhook": "yellow",
    "worker": "yellow",
    "row": "green",
    "mail": "bright_cyan",
    "check": "green",
}
_WIDEST = 100
_ACTOR = 9
_LOOK_EVERY_S = 0.02
# Seconds to read one thing.
_LINE_S, _PROSE_S, _CHAPTER_S = 0.2, 0.9, 1.0


class DemoScreen:
    """Writes a story to the terminal, or plain lines where there is none."""

    def __init__(self, *, fast: bool, plain: bool) -> None:
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
        self._moves = self._console.is_terminal
        self._paced = sys.stdout.isatty() and not fast
        self._actor = ""

    @property
    def width(self) -> int:
        """How wide the story is written."""
        return max(min(self._console.width, _WIDEST), 40)

    async def opening(self, title: str, *lines: str) -> None:
        """The first lines."""
        self._console.print()
        self._console.print(Text(f"  {title}", style="bold"))
        for line in lines:
            self._put(Text(line, style="dim"))
        await self._pause(_PROSE_S)

    async def chapter(self, number: int, of: int, title: str, prose: str) -> None:
        """A new chapter: its heading, and what it is about."""
        self._actor = ""
        place = f"{number}/{of}"
        rest = self.width - 5 - len(title) - len(place) - 4
        heading = Text("  ")
        heading.append(f"{number}  ", style="bold cyan")
        heading.append(title, style="bold")
        heading.append(f"  {'─' * max(rest, 2)}  ", style="dim")
        heading.append(place, style="dim")
        self._console.print()
        self._console.print(heading, soft_wrap=True)
        self._put(Text(prose, style="dim"))
        self._console.print()
        await self._pause(_PROSE_S)

    async def line(self, actor: str, left: str | Text, right: str = "", *, style: str = "") -> None:
        """What an actor did; the actor is named where it changes."""
        named = "" if actor == self._actor else actor
        self._actor = actor
        table = Table.grid(expand=True)
        table.add_column(width=_ACTOR, no_wrap=True)
        table.add_column(ratio=1, overflow="fold")
        table.add_column(justify="right", no_wrap=True)
        content = left if isinstance(left, Text) else Text(left, style=style)
        table.add_row(Text(named, style=f"bold {STYLES[actor]}"), content, Text(f"  {right}" if right else "", "dim"))
        self._put(table)
        await self._pause(_LINE_S)

    async def conclusion(self, text: str) -> None:
        """What the chapter has shown."""
        self._actor = ""
        self._marked("✓", "bold green", Text(text, style="green"))
        await self._pause(_CHAPTER_S)

    def failure(self, where: str, what: str, hints: list[str]) -> None:
        """Where the story ended, and why."""
        self._console.print()
        self._marked("✗", "bold red", Text(where, style="bold red"))
        self._marked("", "", Text(what))
        for hint in hints:
            self._marked("", "", Text(hint, style="dim"))
        self._console.print()

    def show(self, block: "RenderableType") -> None:
        """A block of its own, such as a table."""
        self._console.print(Padding(block, (0, 0, 0, 2)))

    def text(self, text: str, style: str = "") -> None:
        """A paragraph, or an empty line."""
        self._put(Text(text, style=style))

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

    @contextmanager
    def _spinning(self, what: str, began: float) -> Iterator[None]:
        if not self._moves:
            yield
            return
        waiting = Padding(Spinner("dots", _Elapsed(what, began), style="yellow"), (0, 0, 0, 2 + _ACTOR - 2))
        with Live(waiting, console=self._console, transient=True, refresh_per_second=25):
            yield

    def _marked(self, mark: str, style: str, content: Text) -> None:
        table = Table.grid(expand=True)
        table.add_column(width=2)
        table.add_column(ratio=1, overflow="fold")
        table.add_row(Text(mark, style=style), content)
        self._put(table)

    def _put(self, block: "RenderableType") -> None:
        self._console.print(Padding(block, (0, 0, 0, 2)), width=self.width)

    async def _pause(self, seconds: float) -> None:
        if self._paced:
            await asyncio.sleep(seconds)


class _Elapsed:
    """A text that counts for as long as it is shown."""

    def __init__(self, what: str, began: float) -> None:
        self._what = what
        self._began = began

    def __rich__(self) -> Text:
        text = Text(f"waiting for {self._what}  ", style="dim")
        return text.append(f"{(time.monotonic() - self._began) * 1000:,.0f} ms", style="yellow")

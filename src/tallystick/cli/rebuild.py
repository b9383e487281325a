"""`tallystick rebuild`: the mirror once more, from the stored events alone, and what differs from the live one."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from tallystick.cli.configured import settings_of
from tallystick.cli.errors import Problem
from tallystick.cli.stored import DataDir, builtins, plain, print_json

if TYPE_CHECKING:
    from tallystick.rebuilding.models import Difference, Progress, Rebuilt

__all__ = ["rebuild"]

_SHOWN = 20


def rebuild(
    *,
    into: str,
    compare: bool = True,
    replace: Annotated[bool, Parameter(negative=())] = False,
    drop: Annotated[bool, Parameter(negative=())] = False,
    json: Annotated[bool, Parameter(negative=())] = False,
    data_dir: DataDir = None,
) -> None:
    """Build the mirror anew from the stored events, in a schema of its own, and compare it with the live one.

    Nothing is sent and nothing in the live schema is touched. Exits with 1 where something came out otherwise.

    Parameters
    ----------
    into
        The schema to build in; it must not be there.
    compare
        Compare every row with the live one of the moment at which the rebuild began.
    replace
        Drop the schema first, if an earlier rebuild has made it.
    drop
        Drop the schema in the end.
    json
        Print JSON.
    """
    from tallystick.app.rebuilding import rebuild as run
    from tallystick.platform.database import WEATHER

    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", into):
        raise Problem("--into: should be the name of a schema: lower-case letters, digits and _", 2)
    settings = settings_of(data_dir)
    try:
        with _watching(quiet=json) as progress:
            result = asyncio.run(run(settings, into, progress, replace=replace, comparing=compare, drop=drop))
    except WEATHER as error:
        raise Problem(f"The database cannot be reached, or failed ({type(error).__name__}: {error}).") from None
    if json:
        print_json(_as_json(result))
    else:
        _print(result, compared=compare, dropped=drop)
    _complain(result)


def _complain(result: "Rebuilt") -> None:
    """Raise Problem where it is not the same."""
    problems = [
        f"{result.different:,} rows differ" if result.different else None,
        f"{len(result.failures):,} events could not be applied" if result.failures else None,
    ]
    if told := [problem for problem in problems if problem]:
        raise Problem(f"{' and '.join(told)}.")


def _as_json(result: "Rebuilt") -> dict[str, Any]:
    whole: dict[str, Any] = builtins(result)
    whole["failures"] = [{"event": event, "error": error} for event, error in result.failures]
    return {**whole, "different": result.different}


@contextmanager
def _watching(*, quiet: bool) -> "Iterator[Progress]":
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    from tallystick.rebuilding.models import Progress

    class Watched(Progress):
        def phase(self, name: str, total: int) -> None:
            self.task = bars.add_task(name, total=total)

        def advance(self, steps: int) -> None:
            bars.advance(self.task, steps)

    columns = (TextColumn("{task.description:>8}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Bars(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as bars:
        yield Watched()


# How it looks


def _print(result: "Rebuilt", *, compared: bool, dropped: bool) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    own = f" and {result.own:,} fetches, imports and repairs" if result.own else ""
    console.print(f"[bold]{result.events:,}[/] events{own} applied again in schema [bold]{result.schema}[/].")
    if result.gone:
        console.print(f"[yellow]It cannot be whole:[/] {result.gone:,} payloads were dropped with the archive.")
    for event, error in result.failures[:_SHOWN]:
        console.print(f"[red]✗[/] {event}  {plain(error)}")
    if not compared:
        return
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 3, 0, 0))
    table.add_column("")
    table.add_column("table")
    for name in ("rows", "fields", "differ"):
        table.add_column(name, justify="right")
    for each in result.tables:
        mark = "[red]✗[/]" if each.different else "[green]✓[/]" if each.rows else "[dim]·[/]"
        different = f"[red]{each.different:,}[/]" if each.different else ""
        table.add_row(mark, each.table, f"{each.rows:,}", f"{each.fields:,}", different)
    console.print()
    console.print(table)
    console.print()
    for difference in result.differences[:_SHOWN]:
        console.print(_difference(difference))
    if not result.different:
        rows, fields = (sum(getattr(each, name) for each in result.tables) for name in ("rows", "fields"))
        console.print(f"[green]The same rows came out:[/] {rows:,} of them, {fields:,} fields.")
    elif len(result.differences) > _SHOWN:
        console.print("[dim]More with --json.[/]")
    if not dropped:
        console.print(f"[dim]The schema {result.schema} stays to be looked into; --replace or --drop removes it.[/]")


def _difference(found: "Difference") -> str:
    name = f"[bold]{found.table}[/] {plain(found.key)}"
    if found.field is None:
        return f"{name}  {'is not in the rebuilt mirror' if found.rebuilt is None else 'is only in the rebuilt mirror'}"
    return f"{name}  {found.field}: live {plain(_short(found.live))}, rebuilt {plain(_short(found.rebuilt))}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"

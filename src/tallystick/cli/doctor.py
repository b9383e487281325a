"""`tallystick doctor`: what is wrong, and what to do."""

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from tallystick.cli.configured import settings_of
from tallystick.cli.stored import DataDir, builtins, plain, print_json

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from rich.console import Console

    from tallystick.app.parts import Parts
    from tallystick.doctor.models import Report, Result
    from tallystick.doctor.service import Doctor

__all__ = ["doctor", "print_report", "with_doctor"]

_SIGNS = {"ok": "[green]✓[/]", "warn": "[yellow]![/]", "fail": "[bold red]✗[/]", "skipped": "[dim]–[/]"}
_INVARIANTS = "What always holds"


def doctor(*, json: Annotated[bool, Parameter(negative=())] = False, data_dir: DataDir = None) -> None:
    """Look at everything that can be wrong, and say what to do. Changes nothing; exits with 1 where something fails.

    Parameters
    ----------
    json
        Print JSON.
    """
    report = _examine(data_dir)
    if json:
        print_json({"healthy": report.healthy, "counts": report.counts, "checks": builtins(report.results)})
    else:
        print_report(report)
    if not report.healthy:
        sys.exit(1)


def _examine(data_dir: Path | None) -> "Report":
    async def look(doctor: "Doctor", parts: "Parts") -> "Report":
        return await doctor.examine()

    return with_doctor(data_dir, look)


def with_doctor(data_dir: Path | None, look: "Callable[[Doctor, Parts], Awaitable[Report]]") -> "Report":
    """What `look` finds with the doctor of an installation, or that its settings cannot be used."""
    from tallystick.doctor.service import unusable
    from tallystick.platform.settings import SettingsError

    try:
        settings = settings_of(data_dir)
    except SettingsError as error:
        return unusable("; ".join(line.strip() for line in str(error).splitlines()[1:]))

    async def run() -> "Report":
        from tallystick.app.parts import build_parts
        from tallystick.core.clock import clock_of
        from tallystick.doctor.service import Doctor
        from tallystick.platform.logging import configure_logging
        from tallystick.webhooks.service_endpoints import InstalledEndpoints

        configure_logging("error", "console", "doctor")
        clock = clock_of(settings.clock_file)
        parts = build_parts(settings, clock, "doctor")
        await parts.database.open()
        try:
            types = parts.registry.event_types()
            endpoints = InstalledEndpoints(parts.database, clock, settings, parts.stripe, types)
            tally = parts.reconciling
            doctor = Doctor(parts.database, clock, settings, parts.stripe, endpoints, tally.catch_up, tally.reconciler)
            return await look(doctor, parts)
        finally:
            await parts.close()

    try:
        return asyncio.run(run())
    except ValueError as error:
        # What the parts refuse of the settings when they are made.
        return unusable(str(error))


# How it looks


def print_report(report: "Report") -> None:
    """Print a report for people."""
    from rich.console import Console

    console = Console(highlight=False, width=None if sys.stdout.isatty() else max(Console().width, 80))
    group = ""
    for result in _shown(report):
        if result.group != group:
            group = result.group
            console.print(f"\n[bold]{group}[/]")
        _print_result(console, result)
    counts = report.counts
    told = [f"[green]{counts['ok']} ok[/]"]
    told += [f"[yellow]{counts['warn']} to be looked at[/]"] if counts["warn"] else []
    told += [f"[bold red]{counts['fail']} wrong[/]"] if counts["fail"] else []
    told += [f"[dim]{counts['skipped']} skipped[/]"] if counts["skipped"] else []
    console.print(f"\n{' · '.join(told)}")


def _shown(report: "Report") -> "list[Result]":
    """One line a result, but one for all of a group that say the same: what was skipped, what always holds."""
    from dataclasses import replace
    from itertools import groupby

    def alike(result: "Result") -> tuple[str, str]:
        if result.status == "skipped":
            return result.status, result.found
        return (result.status, "") if (result.group, result.status) == (_INVARIANTS, "ok") else ("", result.name)

    shown = []
    for _, group in groupby(report.results, key=lambda result: result.group):
        for _, same in groupby(sorted(group, key=_last_if_skipped), key=alike):
            first, *others = list(same)
            if not others:
                shown.append(first)
            elif first.status == "ok":
                shown.append(replace(first, title="Invariants", found=f"{len(others) + 1} hold (the last day's rows)"))
            else:
                shown.append(replace(first, title=f"{len(others) + 1} checks"))
    return shown


def _last_if_skipped(result: "Result") -> tuple[bool, bool]:
    return result.status == "skipped", result.group == _INVARIANTS and result.status == "ok"


def _print_result(console: "Console", result: "Result") -> None:
    from rich.padding import Padding
    from rich.table import Table

    table = Table.grid(padding=(0, 1))
    table.add_column(width=1)
    table.add_column(width=18, overflow="fold")
    table.add_column(overflow="fold", ratio=1)
    style = "dim" if result.status.value == "skipped" else "default"
    table.add_row(_SIGNS[result.status.value], plain(result.title), f"[{style}]{plain(result.found)}[/]")
    if result.todo is not None:
        table.add_row("", "", f"[cyan]→ {plain(result.todo)}[/]")
    console.print(Padding(table, (0, 0, 0, 2)))

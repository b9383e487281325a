"""What `tallystick dev` shows: one screen when it is ready, one line for whatever happens later."""

import os
import shutil
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.status import Status
from rich.table import Table
from rich.text import Text

from tallystick.cli.plan import Plan
from tallystick.cli.tokens import make_token, subject_of

__all__ = ["Screen"]

_EMAIL = "ada@example.test"
_STAFF = "staff@example.test"


class Screen:
    """Writes to the terminal, or plain lines where there is none."""

    def __init__(self) -> None:
        # Not a terminal: no wrapping at 80 columns, so that a log keeps its lines whole.
        width = None if sys.stdout.isatty() else 200
        self._console = Console(highlight=False, width=width)
        self._status: Status | None = None

    def step(self, text: str) -> None:
        """What is being done now; the next step, or `ready`, takes its place."""
        if not self._console.is_terminal:
            return
        if self._status is None:
            self._status = self._console.status(f"{text} …", spinner="dots")
            self._status.start()
        self._status.update(f"{text} …")

    def ready(self, plan: Plan, seconds: float) -> None:
        """What runs and where, and what to try."""
        self._end_step()
        say = self._console.print
        say()
        say(f"  [bold green]Tallystick is running[/]  [dim]ready after {seconds:.1f} s[/]")
        say()
        say(_places(plan))
        say()
        say("  [bold]Try it[/] in another terminal:")
        token = make_token(plan.environment["JWT_SECRET"], email=_EMAIL, roles=[], subject=subject_of(_EMAIL), days=30)
        say()
        self._command(f"export TOKEN={token}", style="dim")
        say()
        address = plan.api_url.removeprefix("http://")
        self._command(
            f"curl {address}/api/payments/payment-intent \\\n"
            '    -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" \\\n'
            """    -d '{"amount": 2500, "currency": "usd", "payment_method": "pm_card_visa"}'"""
        )
        say()
        self._command(f'curl {address}/api/payments/history -H "Authorization: Bearer $TOKEN"')
        say()
        self._command(f"{_program()} demo{_folder_option(plan.folder)}")
        say()
        self._command(f"{_program()} token --email {_STAFF} --role admin{_folder_option(plan.folder)}")
        say()
        say("  [dim]Ctrl-C stops everything; the data stays.[/]")
        say()

    def note(self, text: str, log: Path) -> None:
        """Something happened that a person should know; more is in `log`."""
        clock = time.strftime("%H:%M:%S")
        self._console.print(f"  [dim]{clock}[/]  [yellow]{escape(text)}[/]  [dim]{log.parent.name}/{log.name}[/]")

    def stopped(self) -> None:
        """The last line."""
        self._end_step()
        self._console.print("  [dim]Everything has stopped.[/]")

    def _command(self, text: str, style: str = "cyan") -> None:
        # Never wrapped by us: what is copied has to be what was written.
        self._console.print(Text(f"  {text}", style=style), soft_wrap=True)

    def _end_step(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None


def _places(plan: Plan) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(min_width=10, style="bold")
    table.add_column(overflow="fold")
    table.add_column(style="dim")
    rows = [
        ("API", plan.api_url, "/api/openapi.json"),
        ("Console", f"{plan.api_url}/console", "for staff; sign in with the last token below"),
    ]
    if plan.sandbox_url:
        rows.append(("Sandbox", plan.sandbox_url, "Stripe, offline"))
        rows.append(("Dashboard", f"{plan.sandbox_url}/dashboard", "what is in it; its clock and faults"))
    elif plan.polls_events:
        rows.append(("Stripe", plan.environment["STRIPE_API_BASE"], "its events are polled"))
    else:
        rows.append(("Stripe", plan.environment["STRIPE_API_BASE"], "events come to PUBLIC_URL"))
    if plan.mailbox_url:
        rows.append(("Mailbox", plan.mailbox_url, "every mail ends here"))
    rows.append(("Worker", "running", "events, mails, timers"))
    if plan.database_url:
        rows.append(("PostgreSQL", "yours", "by DATABASE_URL"))
    else:
        rows.append(("PostgreSQL", _short(plan.folder / "pg"), "its address is in dev.json"))
    rows.append(("Logs", _short(plan.folder / "logs"), ""))
    for name, place, remark in rows:
        table.add_row(f"  {name}", escape(place), remark)
    return table


def _short(path: Path) -> str:
    """The path from here if that is shorter."""
    relative = os.path.relpath(path)
    return relative if len(relative) < len(str(path)) else str(path)


def _folder_option(folder: Path) -> str:
    return "" if folder == Path(".data").absolute() else f" --data-dir {_short(folder)}"


def _program() -> str:
    """How this program is called from here."""
    if shutil.which("tallystick") == sys.argv[0]:
        return "tallystick"
    name = sys.argv[0] if Path(sys.argv[0]).name == "tallystick" else f"{sys.executable} -m tallystick.cli.main"
    return _short(Path(name)) if Path(name).exists() else name

"""`tallystick mails`: look into the outbox, and send dead mails again."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cyclopts import App

from tallystick.cli.errors import Problem
from tallystick.cli.stored import DataDir, builtins, plain, print_json, run_on_database

if TYPE_CHECKING:
    from tallystick.notifications.models import MailState, StoredMail
    from tallystick.notifications.outbox import OutboxService
    from tallystick.platform.database import Database

__all__ = ["app"]

app = App(name="mails", help="List and show mails, and send dead ones again.")

State = Literal["queued", "sent", "superseded", "disabled", "silent", "dead"]
_STYLES = {
    "sent": "green",
    "queued": "yellow",
    "dead": "bold red",
    "superseded": "dim",
    "disabled": "dim",
    "silent": "dim",
}


@app.command(name="list")
def list_mails(
    *,
    state: State | None = None,
    template: str | None = None,
    limit: int = 20,
    starting_after: str | None = None,
    json: bool = False,
    data_dir: DataDir = None,
) -> None:
    """List mails, the last queued first.

    Parameters
    ----------
    state
        Only mails in this state; `dead` are those that were given up.
    template
        Only mails of this kind, e.g. payment_failed.
    limit
        How many, at most 100.
    starting_after
        The id of the last mail of the page before.
    json
        Print JSON.
    """

    async def work(service: "OutboxService") -> None:
        page = await service.list(state=_state(state), template=template, limit=limit, starting_after=starting_after)
        if json:
            print_json(builtins(page))
        else:
            _print_list(page.data, has_more=page.has_more)

    _run(data_dir, work)


@app.command
def show(mail_id: str, /, *, json: bool = False, data_dir: DataDir = None) -> None:
    """Show one mail with what it is made from.

    Parameters
    ----------
    mail_id
        Its id or its business key.
    json
        Print JSON.
    """

    async def work(service: "OutboxService") -> None:
        mail = await service.get(mail_id)
        if json:
            print_json(builtins(mail))
        else:
            _print_detail(mail)

    _run(data_dir, work)


@app.command
def resend(*mail_ids: str, to: str | None = None, data_dir: DataDir = None) -> None:
    """Queue dead mails again; the worker sends them.

    Parameters
    ----------
    mail_ids
        Their ids or business keys.
    to
        Send it to this address instead (one mail only).
    """
    if not mail_ids:
        raise Problem("Name at least one mail; `tallystick mails list --state dead` shows them.", 2)
    if to is not None and len(mail_ids) > 1:
        raise Problem("--to is for one mail at a time.", 2)

    async def run(database: "Database") -> None:
        from tallystick.audit.service import audited
        from tallystick.core.errors import DomainError
        from tallystick.notifications.outbox import OutboxService

        service, failed = OutboxService(database), 0
        for mail_id in mail_ids:
            try:
                async with audited(database, "mails.resend", kind="mail", object_id=mail_id, elsewhere=to is not None):
                    mail = await service.resend(mail_id, to)
                print(f"{mail.id}  will be sent to {mail.recipient}")
            except DomainError as error:
                failed += 1
                print(f"{mail_id}  {error.detail} {error.suggested_action}")
        if failed:
            raise Problem(f"{failed} of {len(mail_ids)} could not be done.")

    run_on_database(data_dir, run)


def _run(data_dir: Path | None, work: "Callable[[OutboxService], Awaitable[None]]") -> None:
    async def run(database: "Database") -> None:
        from tallystick.notifications.outbox import OutboxService

        await work(OutboxService(database))

    run_on_database(data_dir, run)


def _state(state: State | None) -> "MailState | None":
    from tallystick.notifications.models import MailState

    return MailState(state) if state else None


def _print_list(mails: "Sequence[StoredMail]", *, has_more: bool) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if not mails:
        console.print("No mails.")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("due", "mail", "kind", "to", "state", "tries", "why"):
        table.add_column(name, overflow="ellipsis" if name == "why" else "fold", no_wrap=name == "why")
    for mail in mails:
        table.add_row(
            f"{mail.due_at:%Y-%m-%d %H:%M:%S}",
            str(mail.id),
            mail.template,
            plain(mail.recipient),
            f"[{_STYLES.get(mail.state, 'default')}]{mail.state}[/]",
            str(mail.attempts) if mail.attempts else "",
            plain(mail.last_error or ""),
        )
    console.print(table)
    if has_more:
        console.print(f"[dim]More: --starting-after {mails[-1].id}[/]")


def _print_detail(mail: "StoredMail") -> None:
    from rich.console import Console
    from rich.json import JSON
    from rich.table import Table

    console = Console()
    table = Table(box=None, show_header=False, pad_edge=False)
    waits = mail.state == "queued" and mail.not_before is not None and mail.not_before > mail.due_at
    rows = {
        "mail": str(mail.id),
        "key": plain(mail.business_key),
        "kind": f"{mail.template}  [dim]{plain(mail.locale)}[/]",
        "to": plain(mail.recipient),
        "state": f"[{_STYLES.get(mail.state, 'default')}]{mail.state}[/]",
        "subject": plain(mail.subject) if mail.subject else None,
        "due": f"{mail.due_at:%Y-%m-%d %H:%M:%S} UTC",
        "tries again": f"{mail.not_before:%Y-%m-%d %H:%M:%S} UTC" if waits else None,
        "finished": f"{mail.finished_at:%Y-%m-%d %H:%M:%S} UTC" if mail.finished_at else None,
        "tries": str(mail.attempts) if mail.attempts else None,
        "why": plain(mail.last_error) if mail.last_error else None,
        "message id": plain(mail.message_id) if mail.message_id else None,
    }
    for name, value in rows.items():
        if value is not None:
            table.add_row(f"[bold]{name}[/]", value)
    console.print(table)
    console.print(JSON.from_data(mail.context))

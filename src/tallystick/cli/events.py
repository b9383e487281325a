"""`tallystick events`: look into the inbox, and decide about its dead letters."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from tallystick.cli.errors import Problem
from tallystick.cli.stored import DataDir, builtins, plain, print_json, run_on_database

if TYPE_CHECKING:
    from tallystick.platform.database import Database
    from tallystick.webhooks.models import EventDetail, EventSummary
    from tallystick.webhooks.service import StripeWebhookService

__all__ = ["app"]

app = App(name="events", help="List, show, replay and discard webhook events.")

State = Literal["pending", "processed", "unhandled", "dead", "discarded", "parked"]
_STYLES = {"processed": "green", "unhandled": "dim", "pending": "yellow", "dead": "bold red", "parked": "red"}


@app.command(name="list")
def list_events(
    *,
    state: State | None = None,
    type_: Annotated[str | None, Parameter(name="--type")] = None,
    limit: int = 20,
    starting_after: str | None = None,
    json: bool = False,
    data_dir: DataDir = None,
) -> None:
    """List events, the last received first.

    Parameters
    ----------
    state
        Only events in this state; `dead` are the dead letters.
    type_
        Only events of this type, e.g. payment_intent.succeeded.
    limit
        How many, at most 100.
    starting_after
        The id of the last event of the page before.
    json
        Print JSON.
    """

    async def work(service: "StripeWebhookService") -> None:
        page = await service.list(state=state, event_type=type_, limit=limit, starting_after=starting_after)
        if json:
            print_json(builtins(page))
        else:
            _print_list(page.data, has_more=page.has_more)

    _run(data_dir, work)


@app.command
def show(event_id: str, /, *, json: bool = False, data_dir: DataDir = None) -> None:
    """Show one event with its payload.

    Parameters
    ----------
    event_id
        Stripe's id (evt_…) or ours.
    json
        Print JSON.
    """

    async def work(service: "StripeWebhookService") -> None:
        event = await service.get(event_id)
        if json:
            whole = builtins(event)
            print_json({**whole.pop("summary"), **whole})
        else:
            _print_detail(event)

    _run(data_dir, work)


@app.command
def replay(*event_ids: str, data_dir: DataDir = None) -> None:
    """Apply events (again); effects that they had stay single.

    Parameters
    ----------
    event_ids
        Stripe's ids (evt_…) or ours.
    """
    _run_each(data_dir, event_ids, "will be applied", lambda service, event_id: service.replay(event_id))


@app.command
def discard(*event_ids: str, reason: str, data_dir: DataDir = None) -> None:
    """Put events aside for good; what they were about goes on without them.

    Parameters
    ----------
    event_ids
        Stripe's ids (evt_…) or ours.
    reason
        Why; it is kept with the event.
    """
    _run_each(data_dir, event_ids, "discarded", lambda service, event_id: service.discard(event_id, reason))


def _run_each(
    data_dir: Path | None,
    event_ids: Sequence[str],
    done: str,
    act: "Callable[[StripeWebhookService, str], Awaitable[EventDetail]]",
) -> None:
    if not event_ids:
        raise Problem("Name at least one event, e.g. evt_1OPougJN5vQBdWEx.", 2)

    async def work(service: "StripeWebhookService") -> None:
        from tallystick.core.errors import DomainError

        failed = 0
        for event_id in event_ids:
            try:
                event = await act(service, event_id)
                print(f"{event.summary.stripe_event_id}  {done}")
            except DomainError as error:
                failed += 1
                print(f"{event_id}  {error.detail}")
        if failed:
            raise Problem(f"{failed} of {len(event_ids)} could not be done.")

    _run(data_dir, work)


def _run(data_dir: Path | None, work: "Callable[[StripeWebhookService], Awaitable[None]]") -> None:
    async def run(database: "Database") -> None:
        from tallystick.core.clock import SystemClock
        from tallystick.webhooks.registry import Registry
        from tallystick.webhooks.service import StripeWebhookService

        await work(StripeWebhookService(database, SystemClock(), Registry()))

    run_on_database(data_dir, run)


# How it looks


def _print_list(events: "Sequence[EventSummary]", *, has_more: bool) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if not events:
        console.print("No events.")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("received", "event", "type", "object", "state", "tries", "why"):
        table.add_column(name, overflow="ellipsis" if name == "why" else "fold", no_wrap=name == "why")
    for event in events:
        table.add_row(
            f"{event.received_at:%Y-%m-%d %H:%M:%S}",
            event.stripe_event_id,
            event.type,
            event.object_id or "–",
            f"[{_STYLES.get(event.state, 'default')}]{event.state}[/]",
            str(event.retry_count) if event.retry_count else "",
            plain(event.error_message or ""),
        )
    console.print(table)
    if has_more:
        console.print(f"[dim]More: --starting-after {events[-1].stripe_event_id}[/]")


def _print_detail(event: "EventDetail") -> None:
    from rich.console import Console
    from rich.json import JSON
    from rich.table import Table

    console, shown = Console(), event.summary
    table = Table(box=None, show_header=False, pad_edge=False)
    rows = {
        "event": f"{shown.stripe_event_id}  [dim]{shown.id}[/]",
        "type": f"{shown.type}  [dim]{event.api_version or ''}[/]",
        "object": shown.object_id or "–",
        "state": f"[{_STYLES.get(shown.state, 'default')}]{shown.state}[/]",
        "source": shown.source,
        "happened": f"{shown.created:%Y-%m-%d %H:%M:%S} UTC",
        "received": f"{shown.received_at:%Y-%m-%d %H:%M:%S} UTC",
        "processed": f"{shown.processed_at:%Y-%m-%d %H:%M:%S} UTC" if shown.processed_at else None,
        "tries again": _next_try(event),
        "retries": str(shown.retry_count) if shown.retry_count else None,
        "why": plain(shown.error_message) if shown.error_message else None,
        "request key": event.request_idempotency_key,
    }
    for name, value in rows.items():
        if value is not None:
            table.add_row(f"[bold]{name}[/]", value)
    console.print(table)
    if event.payload is not None:
        console.print(JSON.from_data(event.payload))
    elif event.raw is not None:
        console.print("[dim]The body, as it came:[/]")
        console.print(event.raw.decode("utf-8", "replace"), markup=False, highlight=False)


def _next_try(event: "EventDetail") -> str | None:
    if event.summary.state != "pending":
        return None
    if event.summary.not_before is None:
        return f"after event {event.parked_by}" if event.parked_by else "when its object is free"
    return f"{event.summary.not_before:%Y-%m-%d %H:%M:%S} UTC"

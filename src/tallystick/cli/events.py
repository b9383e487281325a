"""`tallystick events`: look into the inbox, and decide about its dead letters."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

from cyclopts import App, Parameter

from tallystick.cli.asked import confirm, moment
from tallystick.cli.errors import Problem
from tallystick.cli.stored import DataDir, builtins, plain, print_json, run_on_database

if TYPE_CHECKING:
    from tallystick.platform.database import Database
    from tallystick.webhooks.models import EventDetail, EventFilter, EventSummary
    from tallystick.webhooks.service import StripeWebhookService
    from tallystick.webhooks.service_replay import EventReplayer

__all__ = ["app"]

app = App(name="events", help="List, show, replay and discard webhook events.")

State = Literal["pending", "processed", "unhandled", "dead", "discarded", "parked"]
_ASK_ABOVE = 100
_DONE = {"replay": "will be applied", "discard": "discarded"}
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

    async def work(parts: _Parts) -> None:
        page = await parts.service.list(state=state, event_type=type_, limit=limit, starting_after=starting_after)
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

    async def work(parts: _Parts) -> None:
        event = await parts.service.get(event_id)
        if json:
            whole = builtins(event)
            print_json({**whole.pop("summary"), **whole})
        else:
            _print_detail(event)

    _run(data_dir, work)


@app.command
def replay(
    *event_ids: str,
    type_: Annotated[str | None, Parameter(name="--type")] = None,
    object_: Annotated[str | None, Parameter(name="--object")] = None,
    state: Annotated[Literal["processed", "unhandled", "dead", "discarded"] | None, Parameter()] = None,
    since: str | None = None,
    until: str | None = None,
    by: Literal["received", "created"] = "received",
    all_: Annotated[bool, Parameter(name="--all", negative=())] = False,
    dry_run: Annotated[bool, Parameter(negative=())] = False,
    yes: Annotated[bool, Parameter(name=["--yes", "-y"], negative=())] = False,
    data_dir: DataDir = None,
) -> None:
    """Apply events (again), archived ones too; effects that they had stay single.

    Parameters
    ----------
    event_ids
        Stripe's ids (evt_…) or ours; or none, and options that say which.
    type_
        Events of this type, e.g. invoice.paid.
    object_
        Events about this object (sub_…); of a payment intent also those of its charges and refunds.
    state
        Events in this state.
    since
        From this time on: 2026-11-20, 2026-11-20T08:30Z, or an age as 36h or 7d.
    until
        Before this time.
    by
        Which time is meant: when we received them, or when they were created at Stripe.
    all_
        All events that are stored.
    dry_run
        Only say how many.
    yes
        Do not ask, however many.
    """
    wanted = (type_, object_, state, since, until)
    if event_ids:
        if any(wanted) or all_ or dry_run:
            raise Problem("Name events, or options that say which; not both.", 2)
        _run_each(data_dir, event_ids, "replay", lambda parts, event_id: parts.replayer.replay(event_id))
        return
    if not any(wanted) and not all_:
        raise Problem("Say which events: ids, --type, --object, --state, --since, --until, or --all.", 2)
    from tallystick.webhooks.models import EventFilter

    spans = {by: (moment(since, "--since"), moment(until, "--until"))}
    chosen = EventFilter(type=type_, object_id=object_, state=state, **spans)
    _run(data_dir, lambda parts: _replay_chosen(parts, chosen, dry_run=dry_run, yes=yes))


async def _replay_chosen(parts: "_Parts", chosen: "EventFilter", *, dry_run: bool, yes: bool) -> None:
    count = await parts.replayer.count(chosen)
    print(f"{count:,} {'event' if count == 1 else 'events'}")
    if dry_run or not count:
        return
    if count > _ASK_ABOVE and not yes:
        confirm(f"Apply {count:,} events again?")
    from tallystick.audit.service import audited

    async with audited(parts.database, "events.replay", kind="event", count=count, type=chosen.type):
        opened = await _replay_all(parts, chosen, count)
    kept = f"; {count - opened:,} stay as they are: there is no payload to apply" if opened < count else ""
    print(f"{opened:,} will be applied{kept}")


async def _replay_all(parts: "_Parts", wanted: "EventFilter", count: int) -> int:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("replay"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("replay", total=count)
        return await parts.replayer.replay_all(wanted, lambda done: progress.advance(task, done))


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
    _run_each(data_dir, event_ids, "discard", lambda parts, event_id: parts.service.discard(event_id, reason))


def _run_each(
    data_dir: Path | None,
    event_ids: Sequence[str],
    action: Literal["replay", "discard"],
    act: "Callable[[_Parts, str], Awaitable[EventDetail]]",
) -> None:
    if not event_ids:
        raise Problem("Name at least one event, e.g. evt_1OPougJN5vQBdWEx.", 2)

    async def work(parts: _Parts) -> None:
        from tallystick.audit.service import audited
        from tallystick.core.errors import DomainError

        failed = 0
        for event_id in event_ids:
            try:
                async with audited(parts.database, f"events.{action}", kind="event", object_id=event_id):
                    event = await act(parts, event_id)
                print(f"{event.summary.stripe_event_id}  {_DONE[action]}")
            except DomainError as error:
                failed += 1
                print(f"{event_id}  {error.detail}")
        if failed:
            raise Problem(f"{failed} of {len(event_ids)} could not be done.")

    _run(data_dir, work)


class _Parts(NamedTuple):
    database: "Database"
    service: "StripeWebhookService"
    replayer: "EventReplayer"


def _run(data_dir: Path | None, work: "Callable[[_Parts], Awaitable[None]]") -> None:
    async def run(database: "Database") -> None:
        from tallystick.core.clock import SystemClock
        from tallystick.webhooks.registry import Registry
        from tallystick.webhooks.service import StripeWebhookService
        from tallystick.webhooks.service_replay import EventReplayer

        clock = SystemClock()
        await work(_Parts(database, StripeWebhookService(database, clock, Registry()), EventReplayer(database, clock)))

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
        "archived": f"{event.archived_at:%Y-%m-%d %H:%M:%S} UTC" if event.archived_at else None,
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
    elif event.gone:
        console.print("[dim]Its payload was dropped with its month of the archive (KEEP_ARCHIVE_MONTHS).[/]")


def _next_try(event: "EventDetail") -> str | None:
    if event.summary.state != "pending":
        return None
    if event.summary.not_before is None:
        return f"after event {event.parked_by}" if event.parked_by else "when its object is free"
    return f"{event.summary.not_before:%Y-%m-%d %H:%M:%S} UTC"

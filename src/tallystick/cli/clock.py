"""`tallystick clock`: business time of a running `dev`, and moving it."""

import http.client
import json
import sys
import threading
import urllib.error
import urllib.request
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from tallystick.cli.errors import Problem
from tallystick.cli.instance import find_instance
from tallystick.cli.stored import run_on_database

if TYPE_CHECKING:
    from rich.console import Console

    from tallystick.platform.database import Database

__all__ = ["app"]

app = App(name="clock", help="Show business time, and move it: trials end, invoices fall due, mails are sent.")

DataDir = Annotated[
    Path | None,
    Parameter(name="--data-dir", help="The data folder of `dev`. Default: TALLYSTICK_DATA_DIR, else .data."),
]
_LOOK_EVERY_S = 0.1
_WAITING_SHOWN = 5


@app.default
def show(*, json_: Annotated[bool, Parameter(name="--json", negative=())] = False, data_dir: DataDir = None) -> None:
    """Show both clocks: business time, which can be moved, and wall time, which cannot.

    Parameters
    ----------
    json_
        Print JSON, with times in Unix seconds.
    """
    clock = _ask(_sandbox(data_dir), "GET", "/clock")
    if json_:
        print(json.dumps(clock))
        return
    say = _console().print
    say(f"  [bold]Business time[/]  {_moment(clock['now'])}  [dim]{_ahead(clock['offset_s'])}[/]")
    say(f"  [bold]Wall time[/]      {_moment(clock['wall'])}")
    if moving := clock["advancing"]:
        say(f"  [yellow]It is being moved to {_moment(moving['to'])}[/]")
        for what in moving["waiting"][:_WAITING_SHOWN]:
            say(f"    waiting for: {what}", markup=False)


@app.command
def advance(
    span: str | None = None, /, *, to: str | None = None, patience: float = 60, data_dir: DataDir = None
) -> None:
    """Move business time on, from due moment to due moment, until all that falls due on the way is done.

    Parameters
    ----------
    span
        How far: seconds, or a number with s, m, h, d or w, e.g. 40d.
    to
        Until when instead, e.g. 2027-01-31 or 2027-01-31T12:00:00Z; without a time zone it is UTC.
    patience
        Seconds that each due moment may take until all that it brings is done.
    """
    if (span is None) == (to is None):
        raise Problem("Say how far (`tallystick clock advance 40d`) or until when (--to 2027-01-31), not both.", 2)
    wanted = {**({"by": span} if to is None else {"to": _parse(to).isoformat()}), "timeout_s": patience}
    url = _sandbox(data_dir)
    before = _ask(url, "GET", "/clock")["now"]
    run_on_database(data_dir, partial(_write_down, span or str(to)))
    console = _console()
    answer = _advance_watched(console, url, wanted)
    console.print(f"  {_moment(before)}  →  [bold]{_moment(answer['now'])}[/]")
    if answer["application"] != "settled":
        why = answer.get("problem", "it is not registered with the sandbox")
        raise Problem(f"Only the sandbox went from due moment to due moment; Tallystick was left behind: {why}.")
    count = answer["steps"]
    console.print(
        f"  [green]{count} due moment{'' if count == 1 else 's'}[/] in {answer['took_s']:.1f} s; all of it is done."
    )


async def _write_down(wanted: str, database: "Database") -> None:
    """Before it is moved: whoever looks later why everything fell due finds who wanted it."""
    from tallystick.audit.service import audited

    async with audited(database, "clock.advance", wanted=wanted):
        pass


def _advance_watched(console: "Console", url: str, wanted: dict[str, Any]) -> Any:
    """The sandbox's answer; where somebody watches, the date moves meanwhile."""
    outcome: list[Any] = []

    def ask() -> None:
        try:
            outcome.append(_ask(url, "POST", "/clock/advance", wanted))
        except Problem as problem:
            outcome.append(problem)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    try:
        if console.is_terminal:
            with console.status("  Moving …", spinner="dots") as status:
                while asking.is_alive():
                    asking.join(_LOOK_EVERY_S)
                    status.update(_progress(url))
        asking.join()
    except KeyboardInterrupt:
        raise Problem("No longer watched. The sandbox goes on; `tallystick clock` shows how far it is.", 130) from None
    if isinstance(outcome[0], Problem):
        raise outcome[0]
    return outcome[0]


def _progress(url: str) -> str:
    try:
        clock = _ask(url, "GET", "/clock")
    except Problem:
        return "  Moving …"
    steps = (clock["advancing"] or {}).get("steps", 0)
    return f"  {_moment(clock['now'])}  [dim]{steps} due moments[/]"


def _sandbox(data_dir: Path | None) -> str:
    instance = find_instance(data_dir)
    if instance.sandbox_url is None:
        raise Problem(
            "This `dev` runs against the real Stripe, whose time cannot be moved. Start one without "
            "STRIPE_SECRET_KEY to have the offline Stripe."
        )
    return f"{instance.sandbox_url}/_sandbox"


def _ask(url: str, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """The answer of the sandbox's control, however long it takes. Raises Problem."""
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(url + path, data, method=method)  # noqa: S310 (ours, and http)
    try:
        with urllib.request.urlopen(request) as answer:  # noqa: S310
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise _problem(error.code, error.read()) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Problem(f"The sandbox of this `dev` does not answer ({type(error).__name__}).") from None


def _problem(status: int, content: bytes) -> Problem:
    try:
        body: dict[str, Any] = json.loads(content)
    except ValueError:
        body = {"error": f"The sandbox answered {status}."}
    if "waiting" not in body:
        return Problem(str(body.get("error", body)), 2 if status == 400 else 1)
    waiting = body["waiting"]
    lines = [f"Business time stands at {_moment(body['now'])}: what fell due is not done."]
    lines += [f"  {what}" for what in waiting[:_WAITING_SHOWN]]
    if more := len(waiting) - _WAITING_SHOWN:
        lines += [f"  and {more} more"] if more > 0 else []
    return Problem("\n".join([*lines, "Look into the logs of the worker and the API, then advance again."]))


def _parse(to: str) -> datetime:
    try:
        moment = datetime.fromisoformat(to)
    except ValueError:
        raise Problem(
            f"--to: {to!r} is no date or time; it should be like 2027-01-31 or 2027-01-31T12:00:00Z", 2
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _console() -> "Console":
    from rich.console import Console

    return Console(highlight=False, width=None if sys.stdout.isatty() else 200)


def _moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(int(seconds), UTC):%Y-%m-%d %H:%M:%S} UTC"


def _ahead(offset_s: float) -> str:
    seconds = round(offset_s)
    if seconds < 1:
        return "not moved"
    for name, size in (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1)):
        if seconds >= size:
            count = round(seconds / size, 1)
            return f"{count:g} {name}{'' if count == 1 else 's'} ahead"
    raise AssertionError("unreachable")

"""`tallystick reconcile`: does the mirror equal Stripe, and what is done where it does not."""

import asyncio
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from tallystick.cli.asked import moment
from tallystick.cli.errors import Problem
from tallystick.cli.reconcile_screen import print_result, shown
from tallystick.cli.stored import DataDir, builtins, print_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from tallystick.platform.settings import Settings
    from tallystick.reconciliation.models import EqualShare, Progress, Result
    from tallystick.reconciliation.service import Reconciler

__all__ = ["reconcile"]

_STOPPED = 130


def reconcile(
    *,
    full: Annotated[bool, Parameter(negative=())] = False,
    since: str | None = None,
    object_: Annotated[list[str] | None, Parameter(name="--object", negative=())] = None,
    dry_run: Annotated[bool, Parameter(negative=())] = False,
    json: Annotated[bool, Parameter(negative=())] = False,
    data_dir: DataDir = None,
) -> None:
    """Compare the mirror with Stripe, field by field, and repair it. Nothing is ever changed at Stripe.

    Looks at what has changed since the last time; the first time, or with --full, at all there is. Exits with 0 where
    the two are equal or were made so, with 1 where differences are left.

    Parameters
    ----------
    full
        Look at all there is. Stopped or killed, it goes on where it was when it is called again.
    since
        Look at what was made or has changed since: a day, a time, or an age (7d).
    object_
        Look at just this object (Stripe's id; coupon:SUMMER where that does not tell what it is), or at all of this
        kind (Stripe's word: invoice). May be given several times.
    dry_run
        Write nothing; show what differs, and what would be repaired.
    json
        Print JSON.
    """
    call = _Call(full, moment(since, "--since"), tuple(object_ or ()), dry_run)
    result, share, repairs = _run(data_dir, call, quiet=json)
    if json:
        print_json(_as_json(result, share))
    else:
        print_result(result, share, repairs, dry_run=dry_run)
    if result.left_open:
        sys.exit(1)
    if not result.finished:
        raise Problem("Stopped. Call it again, and it goes on where it was.", _STOPPED)


@dataclass(frozen=True, slots=True)
class _Call:
    """What was asked for."""

    full: bool
    since: datetime | None
    named: Sequence[str]
    dry_run: bool


def _as_json(result: "Result", share: "EqualShare") -> dict[str, Any]:
    differences = [
        {
            "object": found.object,
            "id": found.stripe_id,
            "field": one.field,
            "ours": one.ours,
            "stripe": one.stripe,
            "cause": found.causes[one.field],
            "state": found.state,
        }
        for found in result.found
        for one in found.differences
    ]
    return {
        "compared": result.objects,
        "fields": result.fields,
        "differences": differences,
        "repaired": result.repaired,
        "left": result.left_open,
        "in_flight": result.in_flight,
        "calls": result.calls,
        "equal_share": {**builtins(share), "share": share.share},
    }


def _run(data_dir: Path | None, call: _Call, *, quiet: bool) -> "tuple[Result, EqualShare, Sequence[str]]":
    """Carry it out; raises Problem for what a person can mend."""
    from tallystick.cli.configured import settings_of
    from tallystick.core.errors import DomainError
    from tallystick.installation.errors import WrongInstallation
    from tallystick.platform.database import WEATHER
    from tallystick.stripe_gateway.errors import GatewayError

    settings = settings_of(data_dir)
    try:
        return asyncio.run(_carry_out(settings, call, quiet=quiet))
    except WrongInstallation as error:
        raise Problem(str(error)) from None
    except DomainError as error:
        raise Problem(f"{error.detail}. {error.suggested_action}") from None
    except GatewayError as error:
        raise Problem(f"Stripe says: {error}. Call it again once that is mended.") from None
    except WEATHER as error:
        raise Problem(f"The database cannot be reached ({type(error).__name__}).") from None


async def _carry_out(settings: "Settings", call: _Call, *, quiet: bool) -> "tuple[Result, EqualShare, Sequence[str]]":
    from tallystick.app.parts import build_parts
    from tallystick.audit.service import audited
    from tallystick.core.clock import clock_of
    from tallystick.platform.logging import configure_logging

    # What goes wrong on the way is on the screen; the log would run through it.
    configure_logging("error", settings.log_format, "reconcile")
    parts = build_parts(settings, clock_of(settings.clock_file), "reconcile")
    await parts.database.open()
    try:
        reconciler, stop = parts.reconciling.reconciler, asyncio.Event()
        for signal_ in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(signal_, stop.set)
        with shown(quiet=quiet) as report:
            if call.dry_run:
                result = await _reconcile(reconciler, call, report, stop)
            else:
                async with audited(
                    parts.database, "reconcile", object_id=" ".join(call.named)[:255], clock=parts.clock
                ):
                    result = await _reconcile(reconciler, call, report, stop)
        return result, await reconciler.share(), settings.reconcile_repair
    finally:
        await parts.close()


async def _reconcile(
    reconciler: "Reconciler", call: _Call, report: "Callable[[Progress], None]", stop: asyncio.Event
) -> "Result":
    from tallystick.reconciliation.compare import COMPARED
    from tallystick.reconciliation.models import Scope
    from tallystick.reconciliation.service import BY_COMMAND

    kinds = [name for name in call.named if name in COMPARED]
    ids = [name for name in call.named if name not in COMPARED]
    if kinds and ids:
        raise Problem("--object: name kinds or ids, not both", 2)
    if ids:
        try:
            return await reconciler.check(ids, by=BY_COMMAND, dry_run=call.dry_run)
        except KeyError as error:
            known = ", ".join(COMPARED)
            text = f"--object: {error.args[0]} should be an id (in_…), a kind with an id (coupon:SUMMER), or {known}"
            raise Problem(text, 2) from None
    whole = call.full or call.since is not None or bool(kinds)
    scope = Scope(kinds=tuple(kinds), since=call.since)
    return await reconciler.reconcile(
        "full" if whole else "incremental", scope, by=BY_COMMAND, dry_run=call.dry_run, report=report, stop=stop
    )

"""`tallystick import`: an existing Stripe account into the mirror."""

import asyncio
import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from tallystick.cli.errors import Problem
from tallystick.cli.importing_screen import print_summary, shown
from tallystick.cli.stored import DataDir, builtins, print_json

if TYPE_CHECKING:
    from tallystick.importing.models import ImportOptions, Summary
    from tallystick.importing.service import ImportService
    from tallystick.platform.settings import Settings

__all__ = ["import_"]

_STOPPED = 130


def import_(
    *,
    map_: Annotated[Path | None, Parameter(name="--map")] = None,
    match_emails: bool = True,
    match_only: Annotated[bool, Parameter(negative=())] = False,
    unmatched: Path | None = None,
    test_clocks: Annotated[bool, Parameter(negative=())] = False,
    without: Annotated[list[str] | None, Parameter(negative=())] = None,
    concurrency: int = 4,
    restart: Annotated[bool, Parameter(negative=())] = False,
    json: Annotated[bool, Parameter(negative=())] = False,
    data_dir: DataDir = None,
) -> None:
    """Bring what the Stripe account holds already into the mirror. Nobody is told of it; twice changes nothing.

    Stopped or killed, it goes on where it was when it is called again.

    Parameters
    ----------
    map_
        A CSV file with the columns external_id and customer_id: which customer is whose.
    match_emails
        Give a customer to the one user with its e-mail address, where no other customer has it.
    match_only
        List nothing; only match customers that have no user yet.
    unmatched
        Write the customers without a user, and why, to this CSV file.
    test_clocks
        Also ask for the objects of test clocks, which no list shows (test mode).
    without
        Leave out a kind of object, e.g. payment_method; may be given several times.
    concurrency
        How many lists are read at once.
    restart
        Give up an import that was begun, and begin anew.
    json
        Print the summary as JSON.
    """
    from tallystick.importing.models import ImportOptions
    from tallystick.reconciliation.kinds import KINDS

    known = [kind.object for kind in KINDS if kind.path]
    if strange := sorted(set(without or ()) - set(known)):
        raise Problem(f"--without: there is no kind {', '.join(strange)}; there are {', '.join(known)}", 2)
    if not 1 <= concurrency <= 32:
        raise Problem("--concurrency: should be from 1 to 32", 2)
    pairs = _read_map(map_) if map_ else []
    options = ImportOptions(test_clocks=test_clocks, match_emails=match_emails, without=without or [])
    call = _Call(options, pairs, match_only=match_only, concurrency=concurrency, restart=restart)
    summary = _run(data_dir, call, unmatched, quiet=json)
    if json:
        print_json(builtins(summary))
    else:
        print_summary(summary, unmatched)


@dataclass(frozen=True, slots=True)
class _Call:
    """What was asked for."""

    options: "ImportOptions"
    pairs: Sequence[tuple[str, str]]
    match_only: bool
    concurrency: int
    restart: bool


def _run(data_dir: Path | None, call: _Call, unmatched: Path | None, *, quiet: bool) -> "Summary":
    """Carry it out; raises Problem for what a person can mend."""
    from tallystick.cli.configured import settings_of
    from tallystick.importing.errors import ImportRefused, ImportTaken
    from tallystick.installation.errors import WrongInstallation
    from tallystick.platform.database import WEATHER
    from tallystick.stripe_gateway.errors import GatewayError

    settings = settings_of(data_dir)
    try:
        return asyncio.run(_carry_out(settings, call, unmatched, quiet=quiet))
    except KeyboardInterrupt:
        raise Problem("Stopped. Call `tallystick import` again, and it goes on where it was.", _STOPPED) from None
    except (ImportRefused, ImportTaken, WrongInstallation) as error:
        raise Problem(str(error)) from None
    except GatewayError as error:
        raise Problem(f"Stripe says: {error}. Call `tallystick import` again once that is mended.") from None
    except WEATHER as error:
        raise Problem(f"The database cannot be reached ({type(error).__name__}).") from None


async def _carry_out(settings: "Settings", call: _Call, unmatched: Path | None, *, quiet: bool) -> "Summary":
    from tallystick.app.parts import build_parts
    from tallystick.audit.service import audited
    from tallystick.core.clock import clock_of
    from tallystick.importing.service import ImportProgress
    from tallystick.platform.logging import configure_logging

    # What goes wrong on the way is on the screen; the log would run through it.
    configure_logging("error", settings.log_format, "import")
    parts = build_parts(settings, clock_of(settings.clock_file), "import")
    await parts.database.open()
    try:
        service, progress = parts.reconciling.imports, ImportProgress()
        wanted = {"match_only": call.match_only, "restart": call.restart}
        async with audited(parts.database, "import", clock=parts.clock, wanted=wanted):
            if call.match_only:
                summary = await service.match(call.options, call.pairs)
            else:
                async with shown(progress, quiet=quiet):
                    summary = await service.run(
                        call.options,
                        call.pairs,
                        restart=call.restart,
                        concurrency=call.concurrency,
                        progress=progress,
                    )
        if unmatched is not None:
            await _write_unmatched(service, unmatched)
        return summary
    finally:
        await parts.close()


async def _write_unmatched(service: "ImportService", path: Path) -> None:
    try:
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("customer_id", "email", "reason"))
            async for one in service.matcher.unmatched():
                writer.writerow((one.customer_id, one.email or "", one.reason))
    except OSError as error:
        raise Problem(f"--unmatched: {path} cannot be written ({error.strerror})", 2) from error


def _read_map(path: Path) -> list[tuple[str, str]]:
    """Users and customers of a CSV file; raises Problem."""
    try:
        with path.open(newline="") as file:
            reader = csv.DictReader(file)
            if not {"external_id", "customer_id"} <= set(reader.fieldnames or ()):
                raise Problem(f"--map: {path} should begin with the line external_id,customer_id", 2)
            rows = [(row["external_id"], row["customer_id"], reader.line_num) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise Problem(f"--map: {path} cannot be read ({error})", 2) from error
    seen: dict[str, int] = {}
    for user, customer, line in rows:
        if not user or len(user) > 255 or not (customer or "").startswith("cus_"):
            raise Problem(f"--map: line {line} should be a user's id and a customer's (cus_…)", 2)
        if seen.setdefault(customer, line) != line:
            raise Problem(f"--map: line {line} names {customer}, which line {seen[customer]} gave away", 2)
    return [(user, customer) for user, customer, _ in rows]

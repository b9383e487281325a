"""`tallystick export` and `tallystick erase`: what is held about a user, and removing it."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from tallystick.cli.asked import confirm
from tallystick.cli.configured import settings_of
from tallystick.cli.errors import Problem
from tallystick.cli.stored import DataDir, builtins, print_json

if TYPE_CHECKING:
    from tallystick.app.parts import Parts
    from tallystick.privacy.models import Erasure, Person

__all__ = ["erase", "export"]

_TRIES = 24
_FIRST_S = 0.5
_MOST_S = 10.0


def export(user: str, /, *, out: Path | None = None, payloads: bool = False, data_dir: DataDir = None) -> None:
    """Write everything that is held about a user, as one JSON document.

    Parameters
    ----------
    user
        Your own id of the user, or ours (a UUID).
    out
        Into this file, which only you can read, instead of to the terminal.
    payloads
        Events with all that Stripe told.
    """

    if out is None:
        _run(data_dir, lambda parts: _export(parts, user, sys.stdout.buffer.write, payloads=payloads))
        return
    # Whole or not at all, and for nobody else's eyes.
    part = out.with_name(f".{out.name}.part")
    try:
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            _run(data_dir, lambda parts: _export(parts, user, file.write, payloads=payloads))
        part.replace(out)
    except OSError as error:
        raise Problem(f"{out} cannot be written: {error.strerror}") from None
    finally:
        part.unlink(missing_ok=True)
    print(f"Written to {out} ({out.stat().st_size:,} bytes).", file=sys.stderr)


def erase(
    user: str,
    /,
    *,
    cancel_subscriptions: Annotated[bool, Parameter(negative=())] = False,
    dry_run: Annotated[bool, Parameter(negative=())] = False,
    yes: Annotated[bool, Parameter(negative=())] = False,
    json: Annotated[bool, Parameter(negative=())] = False,
    data_dir: DataDir = None,
) -> None:
    """Remove what tells who a user is, at Stripe and here; amounts, dates and ids stay.

    Parameters
    ----------
    user
        Your own id of the user, or ours (a UUID).
    cancel_subscriptions
        End running subscriptions, now and without a refund.
    dry_run
        Only tell what would happen.
    yes
        Do not ask.
    json
        Print JSON.
    """

    async def work(parts: "Parts") -> None:
        from tallystick.audit.service import audited, machine_actor

        erasures = parts.privacy.erasures
        person = await erasures.person(user)
        if person.erased_at is None:
            standing, kept = await erasures.preview(person, cancel_subscriptions=cancel_subscriptions)
            if dry_run:
                from tallystick.privacy.schemas import preview_view

                view = builtins(preview_view(person, standing, kept))
                print_json(view) if json else _print_preview(view)
                return
            if not yes:
                confirm(f"Erase user {user}, for good?")
        details = {"cancel_subscriptions": cancel_subscriptions}
        target = {"kind": "user", "object_id": str(person.id), "clock": parts.clock}
        async with audited(parts.database, "erase", **target, **details):  # type: ignore[arg-type]
            begun = await erasures.begin(person, machine_actor(), cancel_subscriptions=cancel_subscriptions)
            erasure = await _carry_out(parts, person, begun)
        _print_done(erasure, json=json)

    _run(data_dir, work)


def _run(data_dir: Path | None, work: "Callable[[Parts], Awaitable[None]]") -> None:
    from tallystick.app.parts import build_parts
    from tallystick.core.clock import clock_of
    from tallystick.core.errors import DomainError
    from tallystick.platform.database import WEATHER

    settings = settings_of(data_dir)

    async def run() -> None:
        parts = build_parts(settings, clock_of(settings.clock_file), "cli")
        await parts.database.open()
        try:
            await work(parts)
        finally:
            await parts.close()

    try:
        asyncio.run(run())
    except DomainError as error:
        raise Problem(f"{error.detail} {error.suggested_action}") from None
    except WEATHER as error:
        raise Problem(f"The database cannot be reached ({type(error).__name__}).") from None


async def _export(parts: "Parts", user: str, write: Callable[[bytes], object], *, payloads: bool) -> None:
    from tallystick.audit.service import audited

    person = await parts.privacy.erasures.person(user)
    async with audited(parts.database, "export", kind="user", object_id=str(person.id), clock=parts.clock):
        async for piece in parts.privacy.exports.export(person, payloads=payloads):
            write(piece)


async def _carry_out(parts: "Parts", person: "Person", erasure: "Erasure") -> "Erasure":
    """Do it here and now; what Stripe has to be asked again is waited for, and after that the worker's."""
    from tallystick.platform.work import Retry

    for number in range(_TRIES):
        try:
            return await parts.privacy.erasures.carry_out(erasure)
        except Retry as error:
            why = str(error)
        await asyncio.sleep(min(_FIRST_S * 2**number, _MOST_S))
        erasure = await parts.privacy.erasures.erasure_of(person)
    raise Problem(f"Begun, and not done yet ({why}); the worker goes on with it.")


def _print_preview(view: "dict[str, object]") -> None:
    print(f"user      {view['user_id']}")
    for title, shown in (("ends", view["ends"]), ("keeps", view["kept"])):
        assert isinstance(shown, dict)
        for name, what in shown.items():
            print(f"{title:<9} {len(what) if isinstance(what, list) else what} {name.replace('_', ' ')}")
    print("Nothing was done (--dry-run).")


def _print_done(erasure: "Erasure", *, json: bool) -> None:
    from tallystick.privacy.schemas import erasure_view

    if json:
        print_json(builtins(erasure_view(erasure)))
        return
    print(f"user      {erasure.user_id}  erased")
    for title, counts in (("removed", erasure.removed), ("kept", erasure.kept)):
        for name, count in counts.items():
            print(f"{title:<9} {count} {name.replace('_', ' ')}")

"""`tallystick catch-up`: Stripe's list of events read now, by hand."""

import asyncio
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from tallystick.cli.configured import settings_of
from tallystick.cli.errors import Problem
from tallystick.cli.stored import DataDir, builtins, print_json

if TYPE_CHECKING:
    from tallystick.catch_up.models import CatchUpState
    from tallystick.platform.settings import Settings

__all__ = ["catch_up"]


def catch_up(*, json: Annotated[bool, Parameter(negative=())] = False, data_dir: DataDir = None) -> None:
    """Read the events that Stripe lists into the inbox, as the workers do every minute, and say what was missing.

    Parameters
    ----------
    json
        Print JSON.
    """
    from tallystick.platform.database import WEATHER
    from tallystick.stripe_gateway.errors import GatewayError

    try:
        found, state = asyncio.run(_read(settings_of(data_dir)))
    except GatewayError as error:
        raise Problem(f"Stripe cannot be asked now: {error}. What was read until then is kept.") from None
    except WEATHER as error:
        raise Problem(f"The database cannot be reached ({type(error).__name__}).") from None
    if json:
        print_json({"new": found, "state": builtins(state)})
    else:
        _print(found, state)


async def _read(settings: "Settings") -> "tuple[int | None, CatchUpState | None]":
    from tallystick.app.parts import build_parts
    from tallystick.core.clock import clock_of

    parts = build_parts(settings, clock_of(settings.clock_file), "cli")
    await parts.database.open()
    try:
        found = await parts.reconciling.catch_up.catch_up()
        return found, await parts.reconciling.catch_up.state()
    finally:
        await parts.close()


def _print(found: int | None, state: "CatchUpState | None") -> None:
    if found is None:
        print("A worker reads the list at this moment.")
    elif found:
        print(f"{found} {'event was' if found == 1 else 'events were'} missing; the worker applies them.")
    else:
        print("No event was missing.")
    if state is not None:
        print(f"All events that were created before {state.cursor_at:%Y-%m-%d %H:%M:%S} UTC are here.")
        print(f"Recovered so far: {state.recovered}.")
        for gap in state.gaps:
            print(f"Not listed any more: {gap.from_at:%Y-%m-%d %H:%M} to {gap.until_at:%Y-%m-%d %H:%M} UTC.")
            print("The worker walks the lists of all objects instead.")

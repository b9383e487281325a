"""What the commands that look into the database share: finding it, running on it, and printing what is there."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from tallystick.cli.configured import database_given
from tallystick.cli.errors import Problem

if TYPE_CHECKING:
    from tallystick.platform.database import Database

__all__ = ["DataDir", "address_of", "builtins", "plain", "print_json", "run_on_database"]

DataDir = Annotated[Path | None, Parameter(name="--data-dir", help="The data folder of a running `dev`.")]


def run_on_database(data_dir: Path | None, work: "Callable[[Database], Awaitable[None]]") -> None:
    """Run `work` on the database of the `dev` that was named, else of the environment, else of `.data`.

    Raises Problem for what a person can mend.
    """
    from tallystick.core.errors import DomainError
    from tallystick.platform.database import WEATHER, Database

    async def run() -> None:
        url, schema = address_of(data_dir)
        database = await Database.connect(url, schema=schema, size=2, name="tallystick-cli")
        try:
            await work(database)
        finally:
            await database.close()

    try:
        asyncio.run(run())
    except DomainError as error:
        raise Problem(f"{error.detail} {error.suggested_action}") from None
    except WEATHER as error:
        raise Problem(f"The database cannot be reached ({type(error).__name__}).") from None


def address_of(data_dir: Path | None) -> tuple[str, str]:
    """Address and schema of the `dev` that was named, else of the environment, else of `.data`. Raises Problem."""
    schema = os.environ.get("DATABASE_SCHEMA") or "public"
    named = data_dir is not None or os.environ.get("TALLYSTICK_DATA_DIR")
    if not named and (url := database_given()):
        return url, schema
    from tallystick.cli.instance import find_instance

    return find_instance(data_dir).database_url, schema


def builtins(content: Any) -> Any:
    """Dataclasses, times and ids as JSON has them."""
    import msgspec

    return msgspec.to_builtins(content)


def print_json(content: Any) -> None:
    """`content` for programs."""
    # Not msgspec's encoder: a payload may hold numbers beyond 64 bits.
    import json

    print(json.dumps(content, indent=2, ensure_ascii=False))


def plain(text: str) -> str:
    """Text from elsewhere, which rich must not read as markup."""
    from rich.markup import escape

    return escape(text)

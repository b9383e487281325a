"""`tallystick backup` and `tallystick restore`: the database as one file, and back."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from tallystick.cli.configured import database_given
from tallystick.cli.errors import Problem
from tallystick.cli.stored import DataDir, address_of, builtins, print_json

if TYPE_CHECKING:
    from tallystick.platform.backup import Manifest

__all__ = ["backup", "restore"]

_AFTER = """\
Before anything serves from it:
  1. tallystick migrate            the schema of this version
  2. tallystick serve, worker      what no webhook brought is read from Stripe's list of events by itself
  3. tallystick reconcile --full   every object compared with Stripe's, and repaired
What was queued when the backup was made (mails, outbound webhooks) is sent again."""


def backup(to: Path, /, *, json: Annotated[bool, Parameter(negative=())] = False, data_dir: DataDir = None) -> None:
    """Write a backup of the database to a file, by `pg_dump`, under traffic. Its manifest goes beside it (TO.json).

    Neither is encrypted: keep them as you keep the database.

    Parameters
    ----------
    to
        The file to write; it must not be there yet.
    json
        Print JSON.
    """
    from tallystick.platform.backup import BackupError, back_up

    url, schema = address_of(data_dir)
    try:
        manifest = asyncio.run(back_up(url, schema, to))
    except BackupError as error:
        raise Problem(str(error)) from error
    if json:
        print_json({"file": str(to), **builtins(manifest)})
    else:
        print(f"{to}: {_told(manifest)}")


def restore(
    file: Path,
    /,
    *,
    check: Annotated[bool, Parameter(negative=())] = False,
    database_url: str | None = None,
) -> None:
    """Bring a backup into an empty database, by `pg_restore`: all of it, or nothing.

    Parameters
    ----------
    file
        The backup; its manifest (FILE.json) lies beside it.
    check
        Only see whether the file is whole.
    database_url
        Another database than that of DATABASE_URL.
    """
    from tallystick.platform.backup import BackupError, verify
    from tallystick.platform.backup import restore as bring_back

    try:
        if check:
            print(f"{file}: {_told(verify(file))}; whole")
            return
        url = database_url or database_given()
        if not url:
            raise Problem("DATABASE_URL is not set: the empty database to restore into", 2)
        manifest = asyncio.run(bring_back(url, file))
    except BackupError as error:
        raise Problem(str(error)) from error
    print(f"Restored {_told(manifest)}\n\n{_AFTER}")


def _told(manifest: "Manifest") -> str:
    return (
        f"{sum(manifest.rows.values()):,} rows of {len(manifest.rows)} tables as of "
        f"{manifest.time:%Y-%m-%d %H:%M:%S} UTC, {manifest.bytes:,} bytes, schema {manifest.schema!r} "
        f"at {manifest.revision}"
    )

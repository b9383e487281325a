"""Find the `tallystick dev` that runs in a data folder."""

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tallystick.cli.errors import Problem
from tallystick.cli.files import read_json

__all__ = ["LOCK_NAME", "Instance", "data_folder", "find_instance", "is_running"]

LOCK_NAME = ".dev.lock"
"""Held by the `dev` that runs in a data folder, for as long as it lives."""


@dataclass(frozen=True, slots=True)
class Instance:
    """A running `dev`: the content of its `dev.json`. Addresses have no slash at the end.

    `sandbox_url` is None with a real Stripe key, `mailbox_url` where `SMTP_URL` is set.
    """

    data_dir: Path
    api_url: str
    sandbox_url: str | None
    mailbox_url: str | None
    console_url: str | None
    database_url: str
    stripe_secret_key: str
    stripe_publishable_key: str
    stripe_webhook_secret: str
    pids: dict[str, int]


def data_folder(given: Path | None) -> Path:
    """The data folder: as given, else `TALLYSTICK_DATA_DIR`, else `.data` here."""
    return (given or Path(os.environ.get("TALLYSTICK_DATA_DIR") or ".data")).absolute()


def is_running(folder: Path) -> bool:
    """Whether a `dev` runs in this data folder (the kernel knows: it drops the lock of a dead process)."""
    try:
        lock = os.open(folder / LOCK_NAME, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def find_instance(data_dir: Path | None = None) -> Instance:
    """The `dev` that runs in `data_dir` (else `TALLYSTICK_DATA_DIR`, else `.data`).

    Raises Problem when none runs there, or it is still starting.
    """
    folder = data_folder(data_dir)
    if not is_running(folder):
        raise Problem(
            f"No `tallystick dev` runs in {folder}. Start one with `make up` (or `tallystick dev`), or name "
            "its folder with --data-dir or TALLYSTICK_DATA_DIR."
        )
    try:
        found: dict[str, Any] = read_json(folder / "dev.json")
        return Instance(folder, **{name: found[name] for name in Instance.__slots__ if name != "data_dir"})
    except (KeyError, ValueError, OSError):
        raise Problem(f"The `tallystick dev` in {folder} is still starting; try again in a moment.") from None

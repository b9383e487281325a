"""`tallystick dev`: all of Tallystick on one machine, in one command."""

import asyncio
import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from tallystick.cli.errors import Problem
from tallystick.cli.instance import LOCK_NAME, data_folder
from tallystick.cli.plan import make_plan

__all__ = ["dev"]


def dev(*, port: int = 8000, sandbox_port: int = 12111, data_dir: Path | None = None) -> None:
    """Run everything on this machine: PostgreSQL, API, worker, offline Stripe and mailbox.

    What the environment brings takes the place of our own: DATABASE_URL, STRIPE_SECRET_KEY (an sk_test_… key
    of a real account), SMTP_URL.

    Parameters
    ----------
    port
        The port of the API; 0 takes any free one.
    sandbox_port
        The port of the offline Stripe; 0 takes any free one.
    data_dir
        Where all data is kept. Default: TALLYSTICK_DATA_DIR, else .data.
    """
    folder = data_folder(data_dir)
    # All that this and its processes write holds keys or other people's mails.
    os.umask(0o077)
    with _sole_use_of(folder):
        plan = make_plan(folder, os.environ, port=port, sandbox_port=sandbox_port)
        # Below here it takes some time to import; wrong options have been told by now.
        from tallystick.cli.screen import Screen
        from tallystick.cli.supervisor import Supervisor

        async def run() -> None:
            await Supervisor(plan, Screen()).run()

        asyncio.run(run())


@contextlib.contextmanager
def _sole_use_of(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; a crash frees it. Raises Problem when another `dev` has it."""
    try:
        _make(folder)
        lock = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise Problem(f"The data folder {folder} cannot be used: {error.strerror}") from error
    try:
        # Not once only: `find_instance` holds it for an instant to see whether anybody does.
        deadline = time.monotonic() + 0.5
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise Problem(
                        f"Another `tallystick dev` runs in {folder}. Stop it, or choose another --data-dir "
                        "(and other ports: --port, --sandbox-port)."
                    ) from None
                time.sleep(0.05)
        # A `dev` that was killed leaves this behind.
        (folder / "dev.json").unlink(missing_ok=True)
        yield
    finally:
        os.close(lock)


def _make(folder: Path) -> None:
    if not folder.exists():
        folder.mkdir(parents=True)
        if os.geteuid() == 0:
            # PostgreSQL runs as another user then, who has to pass through here (but may not look around).
            folder.chmod(0o711)

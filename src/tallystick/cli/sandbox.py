"""`tallystick sandbox`: the offline Stripe."""

import os
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from tallystick.cli.errors import Problem
from tallystick.cli.web import end_quietly

__all__ = ["preload", "run", "sandbox"]

_MOST_SEEDED = 10_000_000


def sandbox(
    *,
    host: str = "127.0.0.1",
    port: int = 12111,
    data: Path = Path("sandbox.db"),
    record: Path | None = None,
    public_url: str | None = None,
    open_control: Annotated[bool, Parameter(negative=())] = False,
    seed: int = 0,
) -> None:
    """Serve a stateful Stripe that needs no account and no network.

    Any `sk_test_…` key is accepted. The API version is STRIPE_API_VERSION (2023-10-16 unless set). How far its time
    is ahead is told to the processes of Tallystick by CLOCK_FILE, where they have it set to the same file.

    Parameters
    ----------
    host
        The address to listen on.
    port
        The port to listen on.
    data
        The file that keeps its state.
    record
        Write every distinct answer and event to this file, one JSON object a line.
    public_url
        Its address as browsers see it, where that is another one.
    open_control
        Let other machines use `/_sandbox/*`, too.
    seed
        Add so many objects first: customers with payments, subscriptions and invoices of the last three years.
    """
    if not 0 <= seed <= _MOST_SEEDED:
        raise Problem(f"--seed: should be from 0 to {_MOST_SEEDED:,}", 2)
    print(f"The sandbox listens on http://{host}:{port} and keeps its state in {data}. Ctrl-C stops it.", flush=True)
    print(f"Its dashboard: {public_url or f'http://{host}:{port}'}/dashboard", flush=True)
    recorded = str(record) if record else None
    run(
        host=host,
        port=port,
        data=str(data),
        record=recorded,
        public_url=public_url,
        open_control=open_control,
        seed=seed,
    )


def preload() -> None:
    """Import all that the sandbox needs."""
    import tallystick.sandbox.server

    del tallystick.sandbox.server


def run(
    *,
    host: str,
    port: int,
    data: str,
    record: str | None = None,
    public_url: str | None = None,
    open_control: bool = False,
    seed: int = 0,
) -> None:
    """Serve the sandbox over the file `data` until SIGTERM or SIGINT."""
    from tallystick.sandbox.server import run as serve

    end_quietly()
    serve(
        host=host,
        port=port,
        database=data,
        api_version=os.environ.get("STRIPE_API_VERSION") or "2023-10-16",
        record=Path(record) if record else None,
        public_url=public_url,
        open_control=open_control,
        clock_file=Path(os.environ["CLOCK_FILE"]) if os.environ.get("CLOCK_FILE") else None,
        objects=seed,
    )

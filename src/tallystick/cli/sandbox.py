"""`tallystick sandbox`: the offline Stripe."""

import os
from pathlib import Path

__all__ = ["preload", "run", "sandbox"]


def sandbox(
    *, host: str = "127.0.0.1", port: int = 12111, data: Path = Path("sandbox.db"), record: Path | None = None
) -> None:
    """Serve a stateful Stripe that needs no account and no network.

    Any `sk_test_…` key is accepted. The API version is STRIPE_API_VERSION (2023-10-16 unless set).

    Parameters
    ----------
    host: The address to listen on.
    port: The port to listen on.
    data: The file that keeps its state.
    record: Write every request and answer to this file, one JSON object a line.
    """
    print(f"The sandbox listens on http://{host}:{port} and keeps its state in {data}. Ctrl-C stops it.", flush=True)
    run(host=host, port=port, data=str(data), record=str(record) if record else None)


def preload() -> None:
    """Import all that the sandbox needs."""
    import tallystick.sandbox.server

    del tallystick.sandbox.server


def run(*, host: str, port: int, data: str, record: str | None = None) -> None:
    """Serve the sandbox over the file `data` until SIGTERM or SIGINT."""
    from tallystick.sandbox.server import run as serve

    version = os.environ.get("STRIPE_API_VERSION") or "2023-10-16"
    serve(
        host=host,
        port=port,
        database=Path(data),
        api_version=version,
        record=Path(record) if record else None,
    )

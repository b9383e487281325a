"""`tallystick serve`: the API and its pages."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Any

from tallystick.cli.errors import Problem
from tallystick.cli.web import hear_of_the_end, run_web

__all__ = ["application", "preload", "run", "serve"]


def serve(*, host: str = "127.0.0.1", port: int = 8000, workers: int = 1) -> None:
    """Serve the API and its pages; all settings come from the environment.

    Parameters
    ----------
    host
        The address to listen on; 0.0.0.0 for all.
    port
        The port to listen on.
    workers
        How many processes share the port.
    """
    if workers < 1:
        raise Problem("--workers: should be 1 or more", 2)
    run(host=host, port=port, workers=workers)


def preload() -> None:
    """Import all that serving needs (most of the start-up time), before the settings are known."""
    import httptools
    import uvicorn
    import uvloop

    import tallystick.app

    del httptools, uvicorn, uvloop, tallystick.app


def run(*, host: str, port: int, workers: int = 1) -> None:
    """Serve until SIGTERM or SIGINT, then let requests finish. Raises SettingsError, or WrongInstallation."""
    with _counting_together(workers):
        from tallystick.app.admission import admit
        from tallystick.platform.settings import load_settings

        app = application()
        settings = load_settings(os.environ)
        asyncio.run(admit(settings))
        run_web(
            app if workers == 1 else "tallystick.cli.serve:application",
            host=host,
            port=port,
            workers=workers,
            grace_s=settings.stop_grace_s,
            delay_s=settings.stop_delay_s,
        )


@contextmanager
def _counting_together(workers: int) -> Iterator[None]:
    """Have several processes count in one folder, so that whichever is asked for /metrics shows what all did.

    The folder has to be known before the library that counts is imported.
    """
    if workers == 1 or os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        yield
        return
    with TemporaryDirectory(prefix="tallystick-counted-") as folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        yield


def application() -> Any:
    """The ASGI application that the environment describes. Raises SettingsError."""
    from tallystick.app import create_app
    from tallystick.platform.settings import load_settings

    hear_of_the_end()
    return create_app(load_settings(os.environ))

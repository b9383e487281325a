"""`tallystick worker`: everything in the background."""

import asyncio
import os
import signal

__all__ = ["run", "worker"]


def worker() -> None:
    """Do the background work until told to stop; all settings come from the environment."""
    run()


def run() -> None:
    """Work until SIGTERM or SIGINT, then finish what is in hand. Raises SettingsError."""
    import uvloop

    from tallystick.platform.settings import load_settings

    settings = load_settings(os.environ)

    async def work() -> None:
        from tallystick.app import create_worker

        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await create_worker(settings).run(stop)

    uvloop.run(work())

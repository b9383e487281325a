"""Running the sandbox as a process."""

import logging
from pathlib import Path

import uvicorn

from tallystick.sandbox.app import create_sandbox
from tallystick.sandbox.engine import Engine
from tallystick.sandbox.seed import seed_at_once
from tallystick.sandbox.settings import SandboxConfig
from tallystick.sandbox.versions import OLDEST

__all__ = ["DEFAULT_PORT", "make_server", "run"]

_log = logging.getLogger(__name__)
DEFAULT_PORT = 12111


def make_server(config: SandboxConfig, *, host: str, port: int) -> uvicorn.Server:
    """A server that is not running yet. `Date` is left to the sandbox: it tells business time."""
    return uvicorn.Server(
        uvicorn.Config(
            create_sandbox(config),
            host=host,
            port=port,
            loop="uvloop",
            http="httptools",
            ws="none",
            lifespan="on",
            access_log=False,
            log_level="warning",
            date_header=False,
            server_header=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=3,
            backlog=2048,
        )
    )


def run(
    *,
    host: str = "127.0.0.1",
    port: int = DEFAULT_PORT,
    database: str = ":memory:",
    api_version: str = OLDEST,
    record: Path | None = None,
    public_url: str | None = None,
    open_control: bool = False,
    clock_file: Path | None = None,
    objects: int = 0,
) -> None:
    """Serve until SIGINT or SIGTERM. `api_version` is the account's default where `database` is new.

    So many `objects` are added first.
    """
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    config = SandboxConfig(
        database=database,
        api_version=api_version,
        public_url=public_url or f"http://{host}:{port}",
        record=record,
        open_control=open_control,
        clock_file=clock_file,
    )
    if objects:
        engine = Engine(config)
        made = seed_at_once(engine, objects)
        engine.close()
        _log.info("added %s objects of %s customers in %s s", made["objects"], made["customers"], made["took_s"])
    make_server(config, host=host, port=port).run()

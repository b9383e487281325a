"""The start of every process that `tallystick dev` runs: `python -m tallystick.cli.child <role>`.

A child waits for its order: one line of JSON on stdin, `{"environment": {…}, "arguments": {…}}`. Those that
decide when `dev` is ready import what they need before, while the database is still starting; the others leave
them the processor. Secrets come by the order too, so they are in no process list. stdin stays open for as long
as the supervisor lives; its end is how a child notices that the supervisor is gone, even killed, on every
system. (This is not `cli.main`, which would load the command line's libraries five times over.)
"""

import gc
import importlib
import json
import os
import signal
import sys
import threading
import time

__all__ = ["ROLES", "main"]

ROLES = {"api": "serve", "worker": "worker", "sandbox": "sandbox", "mailbox": "mailbox", "migrate": "migrate"}
"""Role → the module of `tallystick.cli` that plays it, by its function `run(**arguments)`."""

# These also have `preload()`.
_EARLY = ("api", "sandbox", "mailbox", "migrate")
_PATIENCE_S = 12


def main() -> None:
    """Play the role of `sys.argv[1]`. Exits with 1 and one message on stderr when that fails."""
    # A Ctrl-C before the role has its own handlers: the supervisor decides when we go.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        role = sys.argv[1]
        module = importlib.import_module(f"tallystick.cli.{ROLES[role]}")
        if role in _EARLY:
            # Importing makes a million objects that stay: looking for garbage among them costs a sixth of it.
            gc.disable()
            module.preload()
            gc.freeze()
            gc.enable()
        order = json.loads(_first_line() or sys.exit(0))
        os.environ.update(order["environment"])
        threading.Thread(target=_follow_the_supervisor, daemon=True).start()
        module.run(**order["arguments"])
    except Exception as error:
        if not type(error).__module__.startswith("tallystick."):
            raise
        sys.exit(str(error))


def _first_line() -> bytes:
    """The first line of stdin, or nothing if it ends before. `sys.stdin` is left alone: a thread that waits
    in it would hold its lock when Python shuts down."""
    line = b""
    while not line.endswith(b"\n"):
        part = os.read(0, 65_536)
        if not part:
            return b""
        line += part
    return line


def _follow_the_supervisor() -> None:
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_PATIENCE_S)
    os._exit(1)


if __name__ == "__main__":
    main()

"""One process of `tallystick dev`: started early, given its order later, kept alive, stopped in order."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Process", "describe_exit", "stop_all"]

_LOG_MAX_BYTES = 5_000_000


@dataclass
class Process:
    """The process that plays `role` (see `cli.child`), logging to `log`."""

    role: str
    log: Path
    arguments: Mapping[str, Any] = field(default_factory=dict)
    early: Mapping[str, str] = field(default_factory=dict)
    """What its environment has to hold before it imports anything."""
    _process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self._process.pid if self._process and self._process.returncode is None else None

    @property
    def exit_code(self) -> int | None:
        """How it ended (negative: the signal), or None if it runs or was never started."""
        return self._process.returncode if self._process else None

    async def spawn(self) -> None:
        """Start it: it imports what it needs and waits for `order`. Raises OSError."""
        self._rotate_log()
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-m", "tallystick.cli.child", self.role,
                stdin=asyncio.subprocess.PIPE, stdout=log, stderr=log, env={**os.environ, **self.early},
                # Ctrl-C reaches every process of the terminal's group; the order of stopping is ours to keep.
                start_new_session=True,
            )  # fmt: skip

    async def order(self, environment: Mapping[str, str]) -> None:
        """Tell it to begin, with these settings. A process that has died meanwhile is no error here."""
        assert self._process is not None
        assert self._process.stdin is not None
        line = json.dumps({"environment": dict(environment), "arguments": dict(self.arguments)})
        with contextlib.suppress(ConnectionError):
            self._process.stdin.write(line.encode() + b"\n")
            await self._process.stdin.drain()

    async def wait(self) -> int:
        """Wait for its end and return its exit code (negative: the signal that killed it)."""
        assert self._process is not None
        return await self._process.wait()

    def send(self, number: signal.Signals) -> None:
        """Send a signal, if it runs."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    def log_tail(self, lines: int = 12) -> str:
        """The end of its log, for an error message."""
        with contextlib.suppress(OSError), self.log.open("rb") as log:
            log.seek(max(0, log.seek(0, 2) - 20_000))
            return "\n".join(log.read().decode(errors="replace").splitlines()[-lines:])
        return ""

    def _rotate_log(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            if self.log.stat().st_size > _LOG_MAX_BYTES:
                self.log.rename(self.log.with_name(f"{self.log.name}.1"))


async def stop_all(processes: list[Process], patience_s: float) -> None:
    """SIGTERM to all of them; SIGKILL to those that still run after `patience_s` seconds."""
    running = [process for process in processes if process.pid is not None]
    for process in running:
        process.send(signal.SIGTERM)
    ends = [asyncio.ensure_future(process.wait()) for process in running]
    if not ends:
        return
    _, late = await asyncio.wait(ends, timeout=patience_s)
    if late:
        for process in running:
            process.send(signal.SIGKILL)
        await asyncio.wait(late)


def describe_exit(code: int) -> str:
    """How a process ended, for people."""
    if code >= 0:
        return f"ended with exit code {code}"
    with contextlib.suppress(ValueError):
        return f"was killed by {signal.Signals(-code).name}"
    return f"was killed by signal {-code}"

"""Two clocks, handed in and never read from a global.

*Business time* (`now`) rules trials, dunning, mails and due work, and can be moved in the sandbox.
*Wall time* (`wall`) rules leases, tokens, signatures, rate limits and retry delays, and cannot.
"""

import mmap
import os
import struct
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

__all__ = ["Clock", "OffsetFile", "SharedClock", "SystemClock", "clock_of", "from_unix", "to_unix"]

_TWICE = struct.Struct("<qq")
_HALF = _TWICE.size // 2
_READS = 1000


class Clock(Protocol):
    """Where time comes from; all times are aware and in UTC."""

    def now(self) -> datetime:
        """Business time."""

    def wall(self) -> datetime:
        """Wall time."""

    def monotonic(self) -> float:
        """Seconds for measuring durations."""


def _machine_time() -> datetime:
    return datetime.now(UTC)


class SystemClock:
    """The machine's clock, or whatever `wall` tells; business time runs `offset` ahead of it."""

    def __init__(self, offset: timedelta = timedelta(), wall: Callable[[], datetime] | None = None) -> None:
        self.offset = offset
        self._wall = wall or _machine_time

    def now(self) -> datetime:
        return self.wall() + self.offset

    def wall(self) -> datetime:
        return self._wall()

    def monotonic(self) -> float:
        return time.monotonic()


class OffsetFile:
    """How far business time is ahead, in a file that the processes of one machine share.

    Every process maps it, so that all see a move in the instant that it is written: nobody polls, nobody is told.
    It holds the microseconds twice; where the two differ, somebody is writing. A file that is not there (yet) says 0.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._map: mmap.mmap | None = None

    def read(self) -> timedelta:
        """The offset. Raises OSError where the file is there and cannot be read."""
        known = self._map or self._open(mmap.ACCESS_READ)
        if known is None:
            return timedelta()
        first = second = 0
        for _ in range(_READS):
            first, second = _TWICE.unpack(known[: _TWICE.size])
            if first == second:
                break
        # Differing for ever, they were left by a writer that died between the two: what holds is what was before.
        return timedelta(microseconds=second)

    def write(self, offset: timedelta) -> None:
        """Set the offset; only one process may. Raises OSError."""
        half = (offset // timedelta(microseconds=1)).to_bytes(_HALF, "little", signed=True)
        known = self._map or self._open(mmap.ACCESS_WRITE) or self._create()
        known[:_HALF] = half
        known[_HALF : _TWICE.size] = half

    def _open(self, access: int) -> mmap.mmap | None:
        mode = os.O_RDWR if access == mmap.ACCESS_WRITE else os.O_RDONLY
        try:
            file = os.open(self._path, mode)
        except FileNotFoundError:
            return None
        try:
            if os.fstat(file).st_size != _TWICE.size:
                return None
            self._map = mmap.mmap(file, _TWICE.size, access=access)
        finally:
            os.close(file)
        return self._map

    def _create(self) -> mmap.mmap:
        # Whole at once: a reader finds no file, or all of it.
        fresh = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        fresh.write_bytes(bytes(_TWICE.size))
        fresh.rename(self._path)
        made = self._open(mmap.ACCESS_WRITE)
        assert made is not None
        return made


class SharedClock:
    """The machine's clock; business time runs ahead of it by what the file at `path` says at each moment."""

    def __init__(self, path: Path) -> None:
        self._ahead = OffsetFile(path)

    def now(self) -> datetime:
        return self.wall() + self._ahead.read()

    def wall(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


def clock_of(clock_file: Path | None) -> Clock:
    """The clock of a process of the application: the one that the sandbox moves where a file is shared with it."""
    return SystemClock() if clock_file is None else SharedClock(clock_file)


def from_unix(seconds: int) -> datetime:
    """A Stripe timestamp (seconds since 1970) as an aware time."""
    return datetime.fromtimestamp(seconds, UTC)


def to_unix(at: datetime) -> int:
    """An aware time as Stripe writes it."""
    return int(at.timestamp())

"""Two clocks, and the file by which the processes of a machine share how far one of them is ahead."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tallystick.core.clock import OffsetFile, SharedClock, SystemClock, clock_of

YEAR = timedelta(days=365, microseconds=123_457)


def test_business_time_is_ahead_and_wall_time_is_not() -> None:
    for clock in (SystemClock(YEAR), clock_of(None)):
        assert abs(clock.wall() - datetime.now(UTC)) < timedelta(seconds=5)
    assert abs(SystemClock(YEAR).now() - datetime.now(UTC) - YEAR) < timedelta(seconds=5)
    assert clock_of(None).now().tzinfo is UTC


def test_a_reader_sees_the_file_when_it_comes_and_every_move_at_once(tmp_path: Path) -> None:
    path = tmp_path / "clock"
    early, clock = OffsetFile(path), clock_of(path)
    assert early.read() == timedelta()
    path.write_bytes(b"")
    assert early.read() == timedelta()
    writer = OffsetFile(path)
    for offset in (YEAR, 2 * YEAR, timedelta(), timedelta(microseconds=1)):
        writer.write(offset)
        assert early.read() == offset
        assert OffsetFile(path).read() == offset
        assert abs(clock.now() - clock.wall() - offset) < timedelta(seconds=5)
    # A second sandbox over the same file goes on in it: whoever mapped it sees that, too.
    OffsetFile(path).write(YEAR)
    assert early.read() == writer.read() == YEAR
    assert isinstance(clock, SharedClock)


def test_a_writer_that_died_half_way_has_not_written(tmp_path: Path) -> None:
    path = tmp_path / "clock"
    OffsetFile(path).write(YEAR)
    halves = path.read_bytes()
    path.write_bytes(b"\x07" * 8 + halves[8:])
    assert OffsetFile(path).read() == YEAR


def test_a_file_that_cannot_be_read_is_not_taken_for_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        OffsetFile(tmp_path / "file" / "clock").read()


def test_nobody_ever_sees_half_a_move(tmp_path: Path) -> None:
    path = tmp_path / "clock"
    moves = [timedelta(), timedelta(microseconds=2**62 - 1), timedelta(microseconds=0x0102030405060708)]
    OffsetFile(path).write(moves[0])
    code = """
import sys
from datetime import timedelta
from pathlib import Path
from tallystick.core.clock import OffsetFile
file = OffsetFile(Path(sys.argv[1]))
moves = [timedelta(microseconds=int(text)) for text in sys.argv[2:]]
for count in range(100_000):
    file.write(moves[count % len(moves)])
"""
    micros = [str(move // timedelta(microseconds=1)) for move in moves]
    writer = subprocess.Popen([sys.executable, "-c", code, str(path), *micros])
    seen: set[timedelta] = set()
    file = OffsetFile(path)
    while writer.poll() is None:
        seen.update(file.read() for _ in range(1000))
    assert writer.returncode == 0
    assert seen <= set(moves)
    assert len(seen) > 1

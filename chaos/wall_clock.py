"""Jumps of one process's wall clock, by Debian's libfaketime: it sees another time, the machine does not."""

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

__all__ = ["WallClock", "find_library"]

_USUAL = ("/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/local/lib/faketime/libfaketimeMT.so.1")
_LIBRARY = "libfaketimeMT.so.1"
_SHARED = Path("/dev/shm")  # noqa: S108  # where the library keeps what a killed process leaves behind


def find_library(cache: Path) -> Path | None:
    """The system's library, else that of Debian's package, kept in `cache` without being installed; or None."""
    for pattern in _USUAL:
        for found in Path("/").glob(pattern.lstrip("/")):
            return found
    if (cache / _LIBRARY).exists():
        return cache / _LIBRARY
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        download = "apt-get download -qq libfaketime || { apt-get update -qq && apt-get download -qq libfaketime; }"
        command = f"( {download} ) && dpkg-deb -x libfaketime_*.deb ."
        subprocess.run(["sh", "-c", command], cwd=folder, capture_output=True, timeout=120, check=False)
        for found in Path(folder).glob(f"usr/lib/*/faketime/{_LIBRARY}"):
            cache.mkdir(parents=True, exist_ok=True)
            return Path(shutil.copy(found, cache / _LIBRARY))
    return None


class WallClock:
    """What the clock of one process shows, as a file that the library reads at every look at the time."""

    def __init__(self, library: Path, file: Path) -> None:
        self._library = library
        self._file = file
        self.jump(0)

    def environment(self) -> Mapping[str, str]:
        """What the process has to be started with. Durations stay true: only the time of day jumps."""
        return {
            "LD_PRELOAD": str(self._library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def jump(self, seconds: float) -> None:
        """So many seconds ahead of the machine's time from now on, or behind it."""
        fresh = self._file.with_suffix(".new")
        fresh.write_text(f"{seconds:+.0f}\n")
        fresh.rename(self._file)

    @staticmethod
    def clean_up(pid: int) -> None:
        """Remove what the library has left of a process that was killed."""
        for name in (f"faketime_shm_{pid}", f"sem.faketime_sem_{pid}"):
            with contextlib.suppress(OSError):
                (_SHARED / name).unlink()

"""A disk of PostgreSQL's own that can be full: a tmpfs in a mount namespace that only this program sees."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

__all__ = ["Disk", "enter_namespace"]

_ENTERED = "CHAOS_MOUNT_NAMESPACE"
_TRIES = 200


def enter_namespace() -> bool:
    """Go on in a mount namespace of our own (this program is started anew in it); False where that is not allowed."""
    if os.environ.get(_ENTERED):
        return True
    unshare = shutil.which("unshare")
    if unshare is not None and os.geteuid() == 0:
        options = [unshare, "--mount", "--propagation", "private"]
        if subprocess.run([*options, "true"], capture_output=True, check=False).returncode == 0:
            os.environ[_ENTERED] = "1"
            os.execv(unshare, [*options, sys.executable, *sys.orig_argv[1:]])  # noqa: S606
    return False


class Disk:
    """The disk at `place`, with so many bytes."""

    def __init__(self, place: Path, size: int) -> None:
        self._place = place
        self._size = size

    def mount(self) -> None:
        self._place.mkdir(mode=0o700, exist_ok=True)
        if not self._mount("-t", "tmpfs", "-o", f"size={self._size},mode=0700", "chaos"):
            raise OSError("no disk can be mounted here")

    def fill(self) -> None:
        """Leave nothing of it: smaller, it is as full as if others had written."""
        for _ in range(_TRIES):
            state = os.statvfs(self._place)
            used = (state.f_blocks - state.f_bfree) * state.f_frsize
            # It refuses where something was written since that look.
            if self._mount("-o", f"remount,size={used}"):
                return
        raise OSError("PostgreSQL writes too fast for its disk to be filled")

    def free(self) -> None:
        if not self._mount("-o", f"remount,size={self._size}"):
            raise OSError("the disk cannot be made large again")

    def unmount(self) -> None:
        subprocess.run(["umount", "--lazy", str(self._place)], check=False, capture_output=True)

    def _mount(self, *options: str) -> bool:
        return subprocess.run(["mount", *options, str(self._place)], check=False, capture_output=True).returncode == 0

"""A command in a terminal of its own, for what only moves where somebody watches."""

import os
import pty
import select
import subprocess
import sys

from running_dev import RunningDev

__all__ = ["in_terminal"]


def in_terminal(dev: RunningDev, *arguments: str, columns: int = 120) -> tuple[int, str]:
    """The exit code of a command of ours, and all that it showed."""
    main, end = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "tallystick.cli.main", *arguments],
        env=dev.environment | {"TERM": "xterm-256color", "COLUMNS": str(columns)},
        stdin=end, stdout=end, stderr=end,
    )  # fmt: skip
    os.close(end)
    shown = _read_all(main)
    return process.wait(timeout=30), shown


def _read_all(terminal: int) -> str:
    chunks: list[bytes] = []
    while select.select([terminal], [], [], 60)[0]:
        try:
            chunk = os.read(terminal, 65536)
        except OSError:  # Linux says so at the end
            break
        if not chunk:
            break
        chunks.append(chunk)
    os.close(terminal)
    return b"".join(chunks).decode().replace("\r\n", "\n")

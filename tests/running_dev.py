"""A whole `tallystick dev` in processes of its own, for the tests that use it as people do."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from system import free_port

__all__ = ["RunningDev", "running_dev_in"]

_REPLACES = ("DATABASE_", "STRIPE_", "SMTP_", "JWT_", "MAIL_", "PUBLIC_URL", "TALLYSTICK_DATA_DIR", "INSTALLATION_ID")
"""What this shell has set would take the place of the embedded parts."""


@dataclass(frozen=True)
class RunningDev:
    """A `dev` that is ready: its data folder, the content of its dev.json, and an environment to call commands in."""

    folder: Path
    json: dict[str, Any]
    environment: dict[str, str]

    def call(self, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        """A command of ours, for this `dev`."""
        return subprocess.run(
            [sys.executable, "-m", "tallystick.cli.main", *arguments],
            env=self.environment | environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=90,
        )

    def sandbox(self, method: str, path: str, body: Any = None) -> Any:
        """One request to the sandbox's control."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.json['sandbox_url']}/_sandbox{path}", data, method=method)  # noqa: S310
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 (ours, and http)
            return json.load(answer)


@contextmanager
def running_dev_in(folder: Path, **settings: str) -> Iterator[RunningDev]:
    """Run one on free ports with its data in `folder`, for as long as the block lasts."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_REPLACES)}
    environment |= {"TALLYSTICK_DATA_DIR": str(folder), "COLUMNS": "80", **settings}
    # Several begin at once, and each would take the mailbox's usual port.
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    ports = folder / "ports.json"
    if not ports.exists():
        ports.write_text(json.dumps({"mailbox": free_port(), "smtp": free_port()}))
    screen = folder.with_name("screen.txt")
    with screen.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tallystick.cli.main", "dev", "--port=0", "--sandbox-port=0"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + 60
        while not _is_ready(folder):
            assert process.poll() is None, screen.read_text()
            assert time.monotonic() < deadline, screen.read_text()
            time.sleep(0.05)
        yield RunningDev(folder, json.loads((folder / "dev.json").read_text()), environment)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=40)
        finally:
            process.kill()


def _is_ready(folder: Path) -> bool:
    try:
        url = json.loads((folder / "dev.json").read_text())["api_url"]
        with urllib.request.urlopen(f"{url}/readyz", timeout=5) as answer:  # noqa: S310 (ours, and http)
            return bool(answer.status == 200)
    except (OSError, ValueError, urllib.error.URLError):
        return False

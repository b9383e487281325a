"""Parts of a measurement in processes of their own, and what they use of the machine."""

import importlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

__all__ = ["call", "cpu_s", "free_port", "rss_mb", "running", "serving"]

_STARTS_S = 60


def call(target: str, **arguments: Any) -> Any:
    """The answer of the function `target` (`module:name`), called in a process of its own."""
    said = subprocess.run(_command(target, arguments), check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(said.splitlines()[-1])


@contextmanager
def serving(target: str, *, port: int, health: str = "/healthz", **arguments: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A function that serves at `port` until SIGTERM, in a process of its own, for as long as the block lasts."""
    with _process(_command(target, {"port": port, **arguments}), {}, port, health) as process:
        yield process


@contextmanager
def running(
    *command: str, port: int, health: str = "/healthz", **environment: str
) -> Iterator[subprocess.Popen[bytes]]:
    """A module of Python's with its arguments, until the end of the block; begins when `health` is answered."""
    with _process([sys.executable, "-m", *command], environment, port, health) as process:
        yield process


@contextmanager
def _process(
    command: list[str], environment: dict[str, str], port: int, health: str
) -> Iterator[subprocess.Popen[bytes]]:
    # What it logs is written, as in production, and read by nobody.
    process = subprocess.Popen(command, env={**os.environ, **environment}, stderr=subprocess.DEVNULL)
    try:
        _await(process, f"http://127.0.0.1:{port}{health}")
        yield process
    finally:
        process.terminate()
        process.wait(30)


def _await(process: "subprocess.Popen[bytes]", url: str) -> None:
    ends = time.monotonic() + _STARTS_S
    while time.monotonic() < ends:
        if process.poll() is not None:
            raise SystemExit(f"a process ended with {process.returncode} before it served {url}")
        with suppress(OSError):
            urllib.request.urlopen(url, timeout=2).close()  # noqa: S310 (ours, and http)
            return
        time.sleep(0.02)
    raise SystemExit(f"nobody answered at {url} within {_STARTS_S} s")


def _command(target: str, arguments: dict[str, Any]) -> list[str]:
    return [sys.executable, "-m", "bench.processes", target, json.dumps(arguments)]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def cpu_s(pid: int) -> float:
    """How much of a CPU a process has used so far, in seconds; 0 where the system does not tell."""
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def rss_mb(pid: int, *, most: bool = False) -> float:
    """The memory a process has resident now, or had at `most`, in MB; 0 where the system does not tell."""
    with suppress(OSError):
        name = "VmHWM" if most else "VmRSS"
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) / 1024
    return 0.0


def _main(target: str, arguments: str) -> None:
    module, _, name = target.partition(":")
    print(json.dumps(getattr(importlib.import_module(module), name)(**json.loads(arguments))))


if __name__ == "__main__":
    _main(*sys.argv[1:])

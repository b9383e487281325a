"""What the processes of an installation have in memory, and how soon they are up: `serve`, `worker`, `dev`."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path

from bench.apply import await_quiet
from bench.delay import run_load
from bench.figures import Figure, Part, Run, at_most
from bench.postgres import postgres
from bench.processes import free_port, rss_mb
from bench.system import api, environment, stub, worker

__all__ = ["measure"]

_UP_S = 120
_EVENTS = 2_000
_REPLACES = ("DATABASE_", "STRIPE_", "SMTP_", "JWT_", "MAIL_", "PUBLIC_URL", "TALLYSTICK_", "INSTALLATION_ID")


def measure(run: Run) -> Part:
    """Memory after some work; `dev` in an empty folder once, and then again and again in the same one."""
    memory: dict[str, list[float]] = {"API": [], "worker": []}
    serve: list[float] = []
    with ExitStack() as stack:
        server = stack.enter_context(postgres())
        stripe, _ = stack.enter_context(stub())
        settings = environment(server.url, stripe)
        for number in range(run.rounds):
            began = time.perf_counter()
            with api(settings) as (port, api_pid), worker(settings) as worker_pid:
                serve.append(time.perf_counter() - began)
                run_load(port, 1, run.some(_EVENTS, 200), str(number))
                await_quiet(server)
                memory["API"].append(rss_mb(api_pid, most=True))
                memory["worker"].append(rss_mb(worker_pid, most=True))
    cold, warm, stopped = _dev(run.rounds)
    return Part(
        [
            *(
                Figure(f"memory of the {name} process, at most, after {run.some(_EVENTS, 200):,} events", "MB", each,
                       reach=at_most(150))
                for name, each in memory.items()
            ),
            Figure("`serve` until it answers", "s", serve),
            Figure("`dev` warm start", "s", warm, reach=at_most(5)),
            Figure("`dev` first start, in an empty folder", "s", [cold]),
            Figure("`dev` until it has stopped", "s", stopped),
        ]
    )  # fmt: skip


def _dev(rounds: int) -> tuple[float, list[float], list[float]]:
    """Seconds until `dev` is up the first time, the next times, and until it has stopped."""
    up: list[float] = []
    down: list[float] = []
    with tempfile.TemporaryDirectory(prefix="tallystick-bench-") as folder:
        data, port = Path(folder) / "dev", free_port()
        data.mkdir(mode=0o700)
        # Others may have the usual ones.
        (data / "ports.json").write_text(json.dumps({"mailbox": free_port(), "smtp": free_port()}))
        command = [sys.executable, "-m", "tallystick.cli.main", "dev", f"--data-dir={data}", f"--port={port}",
                   f"--sandbox-port={free_port()}"]  # fmt: skip
        for _ in range(rounds + 1):
            began = time.perf_counter()
            process = subprocess.Popen(command, env=_plain(os.environ), stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL)  # fmt: skip
            try:
                _await_ready(process, f"http://127.0.0.1:{port}/readyz")
                up.append(time.perf_counter() - began)
            finally:
                began = time.perf_counter()
                process.send_signal(signal.SIGINT)
                process.wait(60)
                down.append(time.perf_counter() - began)
    return up[0], up[1:], down


def _plain(environment: Mapping[str, str]) -> dict[str, str]:
    """Without what would take the place of the embedded parts."""
    return {name: value for name, value in environment.items() if not name.startswith(_REPLACES)}


def _await_ready(process: "subprocess.Popen[bytes]", url: str) -> None:
    ends = time.monotonic() + _UP_S
    while time.monotonic() < ends:
        if process.poll() is not None:
            raise SystemExit(f"dev ended with {process.returncode} before it was ready")
        with suppress(OSError):
            urllib.request.urlopen(url, timeout=2).close()  # noqa: S310 (ours, and http)
            return
        time.sleep(0.02)
    raise SystemExit(f"dev was not ready within {_UP_S} s")

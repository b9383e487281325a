"""The program under test as it is run: `tallystick serve` and `tallystick worker` in processes of their own."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import jwt

from bench.processes import free_port, running, serving
from tallystick.platform.settings import Settings, load_settings

__all__ = ["SECRET", "api", "environment", "head", "settings_for", "stub", "token", "worker"]

SECRET = b"whsec_bench"
_JWT_SECRET = "0" * 32


def environment(url: str, stripe: str = "http://127.0.0.1:9", **changes: str) -> dict[str, str]:
    """The settings of one installation on the database at `url`; logs are as shipped, and go nowhere."""
    return {
        "ENVIRONMENT": "test",
        "DATABASE_URL": url,
        "STRIPE_SECRET_KEY": "sk_test_bench",
        "STRIPE_PUBLISHABLE_KEY": "pk_test_bench",
        "STRIPE_WEBHOOK_SECRET": SECRET.decode(),
        "STRIPE_API_BASE": stripe,
        "JWT_SECRET": _JWT_SECRET,
        # The list of events is of an account that is not there.
        "EVENT_CATCH_UP_S": "0",
        **changes,
    }


def settings_for(url: str, **changes: str) -> Settings:
    return load_settings(environment(url, **changes))


def token(user: str, **claims: Any) -> str:
    """What the host application gives a user."""
    usual = {"iss": "tallystick", "aud": "tallystick", "sub": user, "exp": int(time.time()) + 3600}
    return jwt.encode({**usual, **claims}, _JWT_SECRET)


def head(method: str, path: str, **headers: str) -> bytes:
    """The head of a request; names of headers with `_` for `-`."""
    lines = [f"{method} {path} HTTP/1.1", "Host: bench", "User-Agent: bench/1.0"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


@contextmanager
def stub() -> Iterator[tuple[str, int]]:
    """The instant Stripe: its address and its process."""
    port = free_port()
    with serving("bench.stripe_stub:run_stub", port=port) as process:
        yield f"http://127.0.0.1:{port}", process.pid


@contextmanager
def api(settings: Mapping[str, str]) -> Iterator[tuple[int, int]]:
    """One API process: its port and its process."""
    port = free_port()
    command = ("tallystick.cli.main", "serve", "--port", str(port))
    with running(*command, port=port, **settings) as process:
        yield port, process.pid


@contextmanager
def worker(settings: Mapping[str, str]) -> Iterator[int]:
    """One worker: its process."""
    command = [sys.executable, "-m", "tallystick.cli.main", "worker"]
    process = subprocess.Popen(command, env={**os.environ, **settings}, stderr=subprocess.DEVNULL)
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait(30)

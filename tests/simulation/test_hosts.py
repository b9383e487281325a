"""The run on several hosts, short, as a part of long runs: `make hosts` is the same for longer."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from system import LONG

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [
    pytest.mark.skipif(not LONG, reason="minutes long: TALLYSTICK_LONG=1, or make hosts"),
    pytest.mark.timeout(900),
]


def hosts(*options: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "hosts", "--clients=4", *options],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": "tests"}, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("options", [[], ["--loopback"]], ids=["network namespaces", "loopback"])
def test_hosts_that_are_cut_off_lose_and_double_nothing(options: list[str]) -> None:
    done = hosts("--seconds=45", *options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "writes acknowledged" in done.stdout


@pytest.mark.parametrize("canary", ["lost", "doubled"])
def test_what_is_planted_is_found(canary: str) -> None:
    done = hosts("--seconds=10", f"--canary={canary}")
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"  {canary}: " in done.stdout

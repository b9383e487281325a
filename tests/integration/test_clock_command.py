"""`tallystick clock` as people use it, against real processes; docs/clock.md has what it shows."""

import json
import os
import signal
import urllib.error
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from running_dev import RunningDev
from system import until

DAY_S = 86_400


def shown(dev: RunningDev) -> dict[str, Any]:
    """What `tallystick clock --json` says."""
    done = dev.call("clock", "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 (ours, and http)
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def pids(dev: RunningDev) -> dict[str, int]:
    found: dict[str, int] = json.loads((dev.folder / "dev.json").read_text())["pids"]
    return found


async def test_time_outlives_every_process(running_dev: RunningDev) -> None:
    assert running_dev.call("clock", "advance", "2d").returncode == 0
    before, killed = shown(running_dev), pids(running_dev)
    assert before["offset_s"] >= 2 * DAY_S - 1
    roles = ("sandbox", "api", "worker")
    for role in roles:
        os.kill(killed[role], signal.SIGKILL)
    await until(lambda: all(pids(running_dev).get(role) not in (None, killed[role]) for role in roles), "all are back")
    for url in (f"{running_dev.json['api_url']}/readyz", f"{running_dev.json['sandbox_url']}/_sandbox/health"):
        await until(lambda url=url: answers(url), url)
    assert abs(shown(running_dev)["offset_s"] - before["offset_s"]) < 1
    # The new ones know each other again, and agree on the time.
    done = running_dev.call("clock", "advance", str(DAY_S))
    assert done.returncode == 0, done.stderr
    assert "all of it is done" in done.stdout
    ask = urllib.request.Request(f"{running_dev.json['api_url']}/internal/settle", method="POST")  # noqa: S310
    with urllib.request.urlopen(ask, timeout=5) as answer:  # noqa: S310
        assert abs(json.load(answer)["now"] - shown(running_dev)["now"]) < 30


def test_a_moment_may_be_named(running_dev: RunningDev) -> None:
    day = datetime.fromtimestamp(shown(running_dev)["now"] + 2 * DAY_S, UTC).date().isoformat()
    done = running_dev.call("clock", "advance", "--to", day)
    assert done.returncode == 0, done.stderr
    assert f"→  {day} 00:00:00 UTC" in done.stdout
    assert f"Business time  {day} 00:0" in running_dev.call("clock").stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["advance"], 2, "Say how far"),
        (["advance", "1d", "--to", "2099-01-01"], 2, "not both"),
        (["advance", "soon"], 2, "'soon' is no span of time"),
        (["advance", "--to", "soon"], 2, "--to: 'soon' is no date or time"),
        (["advance", "--to", "2020-01-01"], 2, "only moves forward"),
        (["advance", "200000d"], 2, "more than a century"),
    ],
)
def test_what_cannot_be_meant_is_told(running_dev: RunningDev, arguments: list[str], code: int, message: str) -> None:
    done = running_dev.call("clock", *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_dev_it_says_so(running_dev: RunningDev, tmp_path: Path) -> None:
    for arguments in (["clock"], ["clock", "advance", "1d"]):
        done = running_dev.call(*arguments, TALLYSTICK_DATA_DIR=str(tmp_path))
        assert done.returncode == 1
        assert "No `tallystick dev` runs in" in done.stderr


def test_what_is_not_done_is_named(running_dev: RunningDev) -> None:
    worker = pids(running_dev)["worker"]
    os.kill(worker, signal.SIGSTOP)
    try:
        url = f"{running_dev.json['sandbox_url']}/v1/payment_intents"
        paid = urllib.request.Request(url, b"amount=900&currency=usd", {"Authorization": "Bearer sk_test_x"})  # noqa: S310
        urllib.request.urlopen(paid, timeout=10).close()  # noqa: S310
        running_dev.sandbox("POST", "/quiet?timeout_s=10")
        done = running_dev.call("clock", "advance", "1h", "--patience", "0.3")
    finally:
        os.kill(worker, signal.SIGCONT)
    assert done.returncode == 1
    assert "event payment_intent.created" in done.stderr
    assert "Business time stands at" in done.stderr
    assert running_dev.call("clock", "advance", "1h").returncode == 0


def test_an_application_that_is_not_there_is_told(running_dev: RunningDev) -> None:
    running_dev.sandbox("PUT", "/application", {"url": None})
    try:
        done = running_dev.call("clock", "advance", "1h")
    finally:
        running_dev.sandbox("PUT", "/application", {"url": running_dev.json["api_url"]})
    assert done.returncode == 1
    assert "Tallystick was left behind: it is not registered" in done.stderr

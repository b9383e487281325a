"""`kill -9` of the API, the worker and PostgreSQL at random moments under load, and what must be true afterwards.

PYTHONPATH=tests python -m simulation.kills --seconds 300 --kills 200 --seed 7
"""

import argparse
import asyncio
import json
import os
import random
import secrets
import signal
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
from rich.console import Console
from rich.table import Table

from simulation.kill_checks import deliveries, find_problems, received_mails
from simulation.kill_load import Load
from system import JWT_SECRET, System, settings_for

__all__ = ["Dev", "Killer", "Result", "run", "running"]

TARGETS = {"postgres": 5, "api": 2, "worker": 3}
"""Who is killed, and how often beside the others."""
_USERS = 6
_REPLACES = ("DATABASE_", "STRIPE_", "SMTP_", "JWT_", "MAIL_", "PUBLIC_URL", "TALLYSTICK_", "INSTALLATION_ID")


@dataclass
class Dev:
    """A `tallystick dev` in processes of its own."""

    folder: Path
    process: asyncio.subprocess.Process

    def json(self) -> dict[str, Any]:
        """Its dev.json, which is written anew after every restart."""
        found: dict[str, Any] = json.loads((self.folder / "dev.json").read_text())
        return found

    def pid(self, target: str) -> int | None:
        """The process id of a part that lives."""
        pid = self.json()["pids"].get(target)
        if pid is None:
            return None
        with suppress(OSError):
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            return int(pid) if state != "Z" else None
        return None

    async def is_ready(self, http: aiohttp.ClientSession) -> bool:
        with suppress(aiohttp.ClientError, TimeoutError, OSError, ValueError):
            async with http.get(f"{self.json()['api_url']}/readyz", timeout=aiohttp.ClientTimeout(total=3)) as response:
                return response.status == 200
        return False


@asynccontextmanager
async def running(folder: Path, **settings: str) -> AsyncIterator[tuple[Dev, System]]:
    """Start one on free ports with its data in `folder`, wait until it is ready, and stop it at the end."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_REPLACES)}
    environment |= {"JWT_SECRET": JWT_SECRET, "INSTALLATION_ID": "kills", **settings}
    with (folder.with_name(f"{folder.name}.screen")).open("w") as screen:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tallystick.cli.main", "dev", "--port=0", "--sandbox-port=0", f"--data-dir={folder}",
            env=environment, stdin=asyncio.subprocess.DEVNULL, stdout=screen, stderr=screen, start_new_session=True,
        )  # fmt: skip
    dev = Dev(folder, process)
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=15)) as http:
            await until_ready(dev, http)
            found = dev.json()
            pool = await asyncpg.create_pool(found["database_url"], min_size=0, max_size=4)
            system_settings = settings_for(
                found["database_url"], sandbox_url=found["sandbox_url"], api_url=found["api_url"], smtp_port=1,
                INSTALLATION_ID="kills",
            )  # fmt: skip
            yield (
                dev,
                System(system_settings, found["api_url"], found["sandbox_url"], found["database_url"], http, pool, []),
            )
            with suppress(TimeoutError):
                await asyncio.wait_for(pool.close(), 5)
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGINT)
        try:
            await asyncio.wait_for(process.wait(), 40)
        except TimeoutError:
            process.kill()


async def until_ready(dev: Dev, http: aiohttp.ClientSession, timeout_s: float = 60) -> None:
    """Wait for `/readyz`."""
    ends = time.monotonic() + timeout_s
    while not await dev.is_ready(http):
        screen = dev.folder.with_name(f"{dev.folder.name}.screen").read_text()
        assert dev.process.returncode is None, screen
        assert time.monotonic() < ends, screen
        await asyncio.sleep(0.05)


@dataclass
class Killer:
    """Kills, and measures how long each part is away."""

    dev: Dev
    system: System
    rng: random.Random
    kills: list[str] = field(default_factory=list)
    away_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    _killed: dict[str, int] = field(default_factory=dict)
    _watches: set["asyncio.Task[None]"] = field(default_factory=set)

    async def run(self, kills: int, seconds: float) -> None:
        """Kill at least so often and for at least so long; the moments are random, whatever is up then is hit."""
        began = time.monotonic()
        mean = seconds / kills
        while len(self.kills) < kills or time.monotonic() - began < seconds:
            await asyncio.sleep(self.rng.uniform(0.2, 1.8) * mean)
            many = self.rng.choices((1, 2, 3), weights=(85, 10, 5))[0]
            for _ in range(many):
                self._kill_one()
        await asyncio.gather(*self._watches)

    def _kill_one(self) -> None:
        alive = {target: pid for target in TARGETS if (pid := self.dev.pid(target)) and self._killed.get(target) != pid}
        if not alive:
            return
        target = self.rng.choices(list(alive), weights=[TARGETS[name] for name in alive])[0]
        self._killed[target] = alive[target]
        with suppress(ProcessLookupError):
            os.kill(alive[target], signal.SIGKILL)
            self.kills.append(target)
            watch = asyncio.create_task(self._watch(target))
            self._watches.add(watch)
            watch.add_done_callback(self._watches.discard)

    async def _watch(self, target: str) -> None:
        killed, began = self._killed[target], time.monotonic()
        while not await self._is_back(target, killed):
            assert time.monotonic() - began < 60, f"{target} never came back"
            await asyncio.sleep(0.05)
        self.away_s[target].append(time.monotonic() - began)

    async def _is_back(self, target: str, killed: int) -> bool:
        if target == "worker":
            return self.dev.pid("worker") not in (None, killed)
        if target == "api":
            return self.dev.pid("api") not in (None, killed) and await self._answers()
        with suppress(asyncpg.PostgresError, OSError, TimeoutError):
            connection = await asyncpg.connect(self.system.database_url, timeout=2)
            await connection.close()
            return True
        return False

    async def _answers(self) -> bool:
        with suppress(aiohttp.ClientError, TimeoutError, OSError):
            async with self.system.http.get(f"{self.system.api_url}/healthz") as response:
                return response.status == 200
        return False


@dataclass
class Result:
    """One run: what was done, and everything that is wrong afterwards."""

    seed: int
    load: Load
    killer: Killer
    events: int
    acknowledged: int
    failed_deliveries: int
    seconds: dict[str, float]
    problems: list[str]

    def table(self) -> str:
        """The run in a few lines."""
        table = Table(title=f"kills, seed {self.seed}", show_header=False, title_justify="left")
        done, killer = self.load.done, self.killer
        tries = sum(one.tries for one in done)
        table.add_row("writes with a definite answer", f"{len(done)} ({_counts([d.write.kind for d in done])})")
        table.add_row("their longest wait", f"{max((one.took_s for one in done), default=0):.1f} s")
        table.add_row("requests sent, repeats among them", f"{tries}, {tries - len(done)}")
        table.add_row("events, acknowledged", f"{self.events}, {self.acknowledged}")
        table.add_row("deliveries that failed and were repeated", str(self.failed_deliveries))
        table.add_row("kills", f"{len(killer.kills)} ({_counts(killer.kills)})")
        for target, away in sorted(killer.away_s.items()):
            table.add_row(
                f"{target}: median and longest absence", f"{statistics.median(away):.1f} s, {max(away):.1f} s"
            )
        table.add_row("time", ", ".join(f"{name} {value:.0f} s" for name, value in self.seconds.items()))
        table.add_row("problems", str(len(self.problems)))
        text = StringIO()
        Console(file=text, width=110).print(table)
        return text.getvalue()


async def run(folder: Path, *, seconds: float, kills: int, seed: int, hurry: bool = False) -> Result:
    """Load, kills, quiet, checks. With `hurry` nobody waits for the leases of dead workers to run out."""
    rng = random.Random(seed)
    # A short time-out of Stripe makes short leases: what a killed API left behind is taken up soon.
    settings = {"STRIPE_TIMEOUT_S": "1", "STRIPE_BACKGROUND_RATE": "100", "LOG_LEVEL": "warning"}
    # It would tell staff, rightly, how often the database went away.
    async with running(folder, **settings, ALERTS_BUILT_IN="false") as (
        dev,
        system,
    ):
        times = {}
        began = time.monotonic()
        load, killer = Load(system, rng), Killer(dev, system, rng)
        users = asyncio.create_task(load.run(_USERS))
        await asyncio.sleep(0.5)
        await killer.run(kills, seconds)
        times["kills"] = time.monotonic() - began
        load.stopping.set()
        await asyncio.wait_for(users, 120)
        times["last answers"] = time.monotonic() - began - times["kills"]
        await until_ready(dev, system.http)
        await _settle(dev, system, hurry=hurry)
        times["quiet"] = time.monotonic() - began - sum(times.values())
        told = deliveries(folder / "sandbox.db")
        received = await received_mails(system, dev.json()["mailbox_url"])
        problems = await find_problems(system, load.done, told, received)
        events = await system.value("SELECT count(*) FROM webhook_events WHERE source = 'webhook'")
        different = await load.repeat_all()
        problems += [f"a repeat was answered otherwise: {text}" for text in different]
        times["checks"] = time.monotonic() - began - sum(times.values())
    return Result(seed, load, killer, events, len(told.acknowledged), told.failed_tries, times, problems)


async def _settle(dev: Dev, system: System, *, hurry: bool) -> None:
    """Have every delivery that waits for its next try made, and wait until nothing is due."""
    ends = time.monotonic() + 60
    if hurry:
        await _free_leases(system)
    while deliveries(dev.folder / "sandbox.db").pending:
        assert time.monotonic() < ends, "deliveries are never made"
        # The move waits for the application, and that for the leases of workers that were killed.
        await system.advance(600, timeout_s=90)
        await asyncio.sleep(0.2)
    if hurry:
        await _free_leases(system)
    await system.quiet(60 if hurry else 180)


async def _free_leases(system: System) -> None:
    for queue in ("mails", "work"):
        await system.fetch(f"UPDATE {queue} SET leased_until = NULL WHERE state = 'queued'")


def _counts(names: list[str]) -> str:
    return ", ".join(f"{names.count(name)} {name}" for name in sorted(set(names)))


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**32))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tallystick-kills-") as folder:
        Path(folder).chmod(0o711)
        result = asyncio.run(
            run(Path(folder) / "data", seconds=options.seconds, kills=options.kills, seed=options.seed)
        )
    sys.stdout.write(result.table())
    for problem in result.problems:
        sys.stdout.write(f"{problem}\n")
    return 1 if result.problems else 0


if __name__ == "__main__":
    sys.exit(main())

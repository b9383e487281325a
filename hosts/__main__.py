"""`make hosts`: six hosts, traffic, one host after the other cut off and back; exits with 0 where all held."""

import argparse
import asyncio
import contextlib
import os
import random
import secrets
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

from chaos.canary import CANARIES
from chaos.checks import everything_wrong
from chaos.traffic import Traffic
from chaos.world import Target
from rich.console import Console
from rich.table import Table

from hosts.machines import APIS, HOSTS, WORKERS, Machines
from hosts.network import make_network
from simulation.kill_checks import deliveries, received_mails
from simulation.kill_load import Done

_QUIET_S = 300.0
_LAST_ANSWERS_S = 120.0
_REPEATED_MOST = 200
_CUT = ("worker1", "api2", "worker2", "api1")


@dataclass
class Outcome:
    """What a run came to."""

    requests: int = 0
    done: list[Done] = field(default_factory=list)
    by_host: dict[str, Mapping[str, float]] = field(default_factory=dict)
    events: int = 0
    acknowledged: int = 0
    cuts: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def count(self, word: str) -> int:
        """How many problems begin with a word."""
        return sum(problem.startswith(word) for problem in self.problems)


async def play(machines: Machines, seconds: float, clients: int, seed: int, canary: str | None) -> Outcome:
    """Start all, let customers in, cut hosts off one after the other, wait for quiet, look."""
    outcome = Outcome()
    await machines.start()
    target = await machines.target()
    try:
        hook = {"url": machines.hooks_url, "events": ["*"]}
        made = await target.call("POST", "/api/webhook-endpoints", hook, user="host", roles=("admin",))
        assert made.status == 201, made
        traffic = Traffic(target, random.Random(seed))
        await traffic.prepare()
        users = asyncio.create_task(traffic.run(clients))
        await cut_one_after_the_other(machines, seconds, outcome)
        traffic.stopping.set()
        _, late = await asyncio.wait({users}, timeout=_LAST_ANSWERS_S)
        if late:
            outcome.problems += [f"lost: never answered: {write}" for write in traffic.under_way.values()]
            users.cancel()
        await asyncio.gather(users, return_exceptions=bool(late))
        await look(machines, target, traffic, outcome, random.Random(seed), canary)
        return outcome
    finally:
        await target.clients.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(target.pool.close(), 5)


async def cut_one_after_the_other(machines: Machines, seconds: float, outcome: Outcome) -> None:
    """Each host that may be away is so for a third of its turn; between the turns all are there."""
    turn = seconds / (len(_CUT) + 1)
    for host in _CUT:
        await asyncio.sleep(turn * 2 / 3)
        say(f"{host} is cut off for {turn / 3:.0f} s")
        machines.network.cut(host)
        try:
            await asyncio.sleep(turn / 3)
        finally:
            machines.network.join(host)
        outcome.cuts.append(host)
    await asyncio.sleep(turn)


async def look(
    machines: Machines, target: Target, traffic: Traffic, outcome: Outcome, rng: random.Random, canary: str | None
) -> None:
    """What must be true once all is quiet."""
    say("Waiting for quiet ...")
    store = machines.folder / "sandbox.db"
    ends = time.monotonic() + _QUIET_S
    while deliveries(store).pending and time.monotonic() < ends:
        await asyncio.sleep(0.5)
    try:
        await target.quiet(_QUIET_S)
    except AssertionError as error:
        outcome.problems.append(f"lost: it never became quiet: {error}")
    say("Quiet. Looking ...")
    outcome.requests = sum(traffic.answers.values())
    different = await traffic.repeat(rng.sample(traffic.done, min(len(traffic.done), _REPEATED_MOST)))
    outcome.problems += [f"doubled: a repeat was answered otherwise: {text}" for text in different]
    await target.quiet(_QUIET_S)
    outcome.by_host = {host: await machines.counted(host) for host in (*APIS, *WORKERS)}
    for worker in WORKERS:
        # Nothing may be mended while it is looked at.
        await machines.network.stop(worker)
    if canary is not None:
        await CANARIES[canary](target, traffic.done)
    told = deliveries(store)
    mails = await received_mails(target, machines.mailbox_url)
    outcome.problems += await everything_wrong(target, traffic.done, told, mails, machines.receiver.got)
    outcome.acknowledged, outcome.events = (
        len(told.acknowledged),
        await target.value("SELECT count(*) FROM webhook_events WHERE source <> 'fetch'"),
    )
    outcome.done = traffic.done


def table(outcome: Outcome, kind: str, seed: int) -> str:
    """The run, host by host."""
    hosts = Table(title=f"hosts, seed {seed}: {kind}", title_justify="left")
    for column in ("host", "requests", "webhooks", "events applied", "mails", "hooks", "cut off"):
        hosts.add_column(column, justify="left" if column == "host" else "right")
    for host, counted in outcome.by_host.items():
        names = ("http_requests", "webhooks_received", "events_applied", "mails", "outbound_webhooks")
        figures = [counted.get(f"tallystick_{name}_total", 0.0) for name in names]
        hosts.add_row(host, *(f"{figure:.0f}" for figure in figures), str(outcome.cuts.count(host)))
    whole = Table(show_header=False)
    whole.add_row("requests sent", str(outcome.requests))
    whole.add_row("of them sent again, as no definite answer came", str(outcome.requests - len(outcome.done)))
    whole.add_row("writes acknowledged", str(len(outcome.done)))
    whole.add_row("events acknowledged, stored", f"{outcome.acknowledged}, {outcome.events}")
    for word in ("lost", "doubled"):
        whole.add_row(word, str(outcome.count(word)))
    whole.add_row("else wrong", str(len(outcome.problems) - outcome.count("lost") - outcome.count("doubled")))
    text = StringIO()
    console = Console(file=text, width=120)
    console.print(hosts)
    console.print(whole)
    for problem in outcome.problems[:20]:
        console.print(f"  {problem[:1000]}", markup=False, soft_wrap=True)
    return text.getvalue()


def say(text: str) -> None:
    """Tell whoever waits."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="make hosts", description=__doc__)
    parser.add_argument("--seconds", type=float, default=90.0, help="how long customers come")
    parser.add_argument("--clients", type=int, default=8, help="customers at once")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10_000), help="decides what they do")
    parser.add_argument("--canary", choices=sorted(CANARIES), help="plant this, to see that it is found")
    parser.add_argument("--loopback", action="store_true", help="no network namespaces, though they could be had")
    parser.add_argument("--keep", type=Path, help="a folder for data and logs, which stays")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tallystick-hosts-") as name:
        folder = Path(options.keep or name).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        # PostgreSQL runs as another user where we are root, who has to pass through here.
        folder.chmod(0o711)
        os.umask(0o077)
        network = make_network(HOSTS, loopback=options.loopback)
        say(f"{len(HOSTS)} hosts on {network.kind}, seed {options.seed}")

        async def run() -> Outcome:
            machines = Machines(folder, network)
            try:
                return await play(machines, options.seconds, options.clients, options.seed, options.canary)
            finally:
                await machines.stop()

        outcome = asyncio.run(run())
    say(table(outcome, network.kind, options.seed))
    idle = [host for host in APIS if not outcome.by_host[host].get("tallystick_http_requests_total")]
    idle += [host for host in WORKERS if not outcome.by_host[host].get("tallystick_events_applied_total")]
    for host in idle:
        say(f"{host} did nothing")
    return 1 if outcome.problems or idle else 0


if __name__ == "__main__":
    sys.exit(main())

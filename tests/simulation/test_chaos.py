"""The chaos of `make chaos`: its schedule, its lines, and that its checks can fail; in a long run, itself."""

import asyncio
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from chaos.canary import CANARIES
from chaos.checks import everything_wrong
from chaos.faults import schedule
from chaos.proxy import Line, Trouble
from chaos.world import Sizes

from simulation.kill_checks import Deliveries
from simulation.kill_load import Load
from simulation.report import LONG, tell
from simulation.world import stop_deliveries
from system import MakeDatabase, System, running_system

ROOT = Path(__file__).resolve().parents[2]


# Which faults


def test_a_seed_decides_the_faults() -> None:
    first, again, other = (schedule(seed, 600, Sizes()) for seed in (7, 7, 8))
    assert first == again
    assert first != other
    kinds = {fault.kind for fault in first}
    assert kinds >= {"kill", "kill backend", "freeze", "freeze past leases", "full disk", "move business time"}
    assert kinds >= {"wall clock ahead", "wall clock behind", *Trouble}
    assert {fault.target for fault in first if fault.kind == "kill"} >= {"postgres", "sandbox", "mailbox"}


@pytest.mark.parametrize("seed", range(5))
def test_no_two_faults_hit_the_same_at_once(seed: int) -> None:
    faults = schedule(seed, 300, Sizes(apis=3, workers=3))
    assert [fault.at for fault in faults] == sorted(fault.at for fault in faults)
    until: dict[str, float] = {}
    for fault in faults:
        assert until.get(fault.target, 0.0) <= fault.at, fault
        until[fault.target] = fault.at + fault.lasts
        assert fault.at < 300


# The lines


@asynccontextmanager
async def echoing() -> AsyncIterator[tuple[Line, list[bytes]]]:
    """A line to a server that remembers each request and says it back."""
    heard: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while said := await reader.readline():
            heard.append(said)
            writer.write(said)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    line = Line("test", lambda: [("127.0.0.1", port)])
    await line.start()
    try:
        yield line, heard
    finally:
        await line.stop()
        server.close()


async def asked(line: Line, text: bytes) -> bytes:
    """The answer to one request on a connection of its own; b"" where it breaks."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", line.port)
        writer.write(text)
        said = await reader.readline()
        writer.close()
    except ConnectionError:
        return b""
    return said


async def test_a_line_carries_what_it_is_given() -> None:
    async with echoing() as (line, _):
        assert await asked(line, b"hello\n") == b"hello\n"
        line.disturb(Trouble.TRICKLE)
        assert await asked(line, b"x" * 200 + b"\n") == b"x" * 200 + b"\n"
        line.disturb(Trouble.DELAY, 0.1)
        assert await asked(line, b"late\n") == b"late\n"


async def test_a_line_that_is_cut_breaks_what_is_open() -> None:
    async with echoing() as (line, heard):
        reader, writer = await asyncio.open_connection("127.0.0.1", line.port)
        writer.write(b"before\n")
        assert await reader.readline() == b"before\n"
        line.disturb(Trouble.CUT)
        with pytest.raises(ConnectionResetError):
            await reader.readline()
        assert await asked(line, b"refused\n") == b""
        line.mend()
        assert await asked(line, b"after\n") == b"after\n"
        assert heard == [b"before\n", b"after\n"]


async def test_where_answers_are_lost_requests_arrive() -> None:
    async with echoing() as (line, heard):
        line.disturb(Trouble.ANSWERS_LOST)
        assert await asked(line, b"pay\n") == b""
        assert heard == [b"pay\n"]


async def test_what_a_black_hole_swallowed_stays_silent() -> None:
    async with echoing() as (line, heard):
        reader, writer = await asyncio.open_connection("127.0.0.1", line.port)
        writer.write(b"before\n")
        assert await reader.readline() == b"before\n"
        line.disturb(Trouble.BLACK_HOLE)
        line.mend()
        writer.write(b"into the hole\n")
        assert await asked(line, b"after\n") == b"after\n"
        assert heard == [b"before\n", b"after\n"]
        writer.close()


# The checks


@pytest.fixture
async def small_world(make_database: MakeDatabase) -> AsyncIterator[tuple[System, Load]]:
    async with running_system(await make_database()) as system:
        load = Load(system, random.Random(1))
        rng = random.Random(2)
        async with asyncio.timeout(60):
            await asyncio.gather(load._pay("ann", rng), load._refund("ben", rng), load._decline("cat", rng))
        await system.quiet(60)
        yield system, load


async def test_the_checks_find_nothing_where_nothing_is_wrong_and_what_is_planted(
    small_world: tuple[System, Load],
) -> None:
    system, load = small_world

    async def wrong() -> list[str]:
        stored = await system.fetch("SELECT stripe_event_id FROM webhook_events")
        told = Deliveries({row["stripe_event_id"] for row in stored}, 0, 0)
        mails = Counter(mail.message_id for mail in system.mails)
        return await everything_wrong(system, load.done, told, mails, {})

    assert await wrong() == []
    # Nobody is there any more to mend what is planted, or hears of it.
    await system.stop_workers()
    await stop_deliveries(system)
    await CANARIES["doubled"](system, load.done)
    assert [problem for problem in await wrong() if problem.startswith("doubled")]
    await CANARIES["lost"](system, load.done)
    assert [problem for problem in await wrong() if problem.startswith("lost: no row")]


# All of it


def run_chaos(*arguments: str) -> "subprocess.CompletedProcess[str]":
    path = os.pathsep.join([str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-m", "chaos", "--apis=1", "--workers=2", "--clients=4", *arguments],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip


@pytest.mark.skipif(not LONG, reason="takes a minute or two: TALLYSTICK_LONG=1")
@pytest.mark.timeout(600)
def test_a_short_run_holds() -> None:
    done = run_chaos("--seconds=15")
    tell(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(not LONG, reason="takes a minute or two: TALLYSTICK_LONG=1")
@pytest.mark.timeout(600)
@pytest.mark.parametrize("canary", sorted(CANARIES))
def test_a_run_with_something_planted_fails(canary: str) -> None:
    done = run_chaos("--seconds=4", f"--canary={canary}")
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"{canary}: " in done.stdout

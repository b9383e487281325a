"""One run: start all, let it go wrong under traffic, lift all faults, wait for quiet, look."""

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import asyncpg

from chaos.canary import CANARIES
from chaos.checks import commands_agree, everything_wrong
from chaos.faults import Fault, Injector
from chaos.recovery import Recovery
from chaos.report import Report
from chaos.traffic import Traffic
from chaos.world import Target, World
from simulation.kill_checks import Deliveries, deliveries, received_mails
from tallystick.platform.database import WEATHER

__all__ = ["Run"]

_PROGRESS_S = 5.0
_LAST_ANSWERS_S = 240.0
_QUIET_S = 600.0
_REPEATED_MOST = 400
_STEP_S = 4 * 3600
_LOOKS_MOST = 6


@dataclass
class Run:
    """`seed` has decided the `faults` already, and decides what the customers do."""

    world: World
    seed: int
    seconds: float
    faults: Sequence[Fault]
    canary: str | None = None
    left_out: Sequence[str] = ()
    say: Callable[[str], None] = print
    problems: list[str] = field(default_factory=list)
    times: dict[str, float] = field(default_factory=dict)
    _done: int = 0
    _lasting: list[Fault] = field(default_factory=list)

    async def execute(self) -> Report:
        """Everything but stopping the world."""
        began = time.monotonic()
        await self.world.start()
        target = await self.world.target()
        try:
            rng = random.Random(self.seed)
            traffic = Traffic(target, rng)
            await traffic.prepare()
            await self._listen_outside(target)
            self._took("start", began)
            injector, recovery = Injector(self.world, traffic, rng), Recovery(self.world, traffic)
            looking = asyncio.create_task(recovery.look())
            await self._disturb(traffic, injector, recovery)
            await self._calm_down(traffic, injector, recovery)
            looking.cancel()
            return await self._look(traffic, injector, recovery)
        finally:
            await self.world.close_target(target)

    def _took(self, what: str, began: float) -> None:
        self.times[what] = round(time.monotonic() - began, 1)

    async def _listen_outside(self, target: Target) -> None:
        """Have all facts told to our receiver, over its line."""
        url = f"http://127.0.0.1:{self.world.lines['worker-endpoint'].port}/hook"
        made = await target.call(
            "POST", "/api/webhook-endpoints", {"url": url, "events": ["*"]}, user="host", roles=("admin",)
        )
        if made.status != 201:
            raise RuntimeError(f"no webhook endpoint could be made: {made}")

    # Going wrong

    async def _disturb(self, traffic: Traffic, injector: Injector, recovery: Recovery) -> None:
        began = time.monotonic()
        users = asyncio.create_task(traffic.run(self.world.sizes.clients))
        screen = asyncio.create_task(self._show_progress(traffic, began))
        hits = []
        for fault in self.faults:
            await asyncio.sleep(max(0.0, began + fault.at - time.monotonic()))
            hits.append(asyncio.create_task(self._hit(fault, injector, recovery)))
        await asyncio.sleep(max(0.0, began + self.seconds - time.monotonic()))
        await asyncio.gather(*hits)
        injector.lift_all()
        self._took("faults", began)
        began = time.monotonic()
        traffic.stopping.set()
        _, late = await asyncio.wait({users}, timeout=_LAST_ANSWERS_S)
        if late:
            self.problems += [f"never answered: {write}" for write in traffic.under_way.values()]
            users.cancel()
        await asyncio.gather(users, return_exceptions=bool(late))
        screen.cancel()
        self._took("last answers", began)

    async def _hit(self, fault: Fault, injector: Injector, recovery: Recovery) -> None:
        self._lasting.append(fault)
        try:
            await injector.inject(fault)
            await asyncio.sleep(fault.lasts)
            injector.lift(fault)
        finally:
            self._lasting.remove(fault)
        self._done += 1
        recovery.watch(fault)

    async def _show_progress(self, traffic: Traffic, began: float) -> None:
        while True:
            await asyncio.sleep(_PROGRESS_S)
            lasting = ", ".join(f"{fault.kind} {fault.target}" for fault in self._lasting) or "none"
            self.say(
                f"{time.monotonic() - began:5.0f} s  faults {self._done}/{len(self.faults)} (now: {lasting})  requests "
                f"{sum(traffic.answers.values())}  acknowledged {len(traffic.done)}  backlog {await _backlog(traffic)}"
            )

    # Quiet

    async def _calm_down(self, traffic: Traffic, injector: Injector, recovery: Recovery) -> None:
        began = time.monotonic()
        self.say("All faults are lifted; waiting for quiet ...")
        injector.lift_all()
        await self.world.until_all_up()
        ends = time.monotonic() + _QUIET_S
        while pending := deliveries(self.world.folder / "sandbox.db").pending:
            if time.monotonic() > ends:
                self.problems.append(f"lost: {pending} events are never delivered")
                break
            # The move waits for the application, and that for the leases of workers that were killed.
            with contextlib.suppress(AssertionError):
                await traffic.system.advance(_STEP_S, timeout_s=240)
        try:
            await traffic.system.quiet(_QUIET_S)
        except AssertionError as error:
            self.problems.append(f"it never became quiet: {error}")
        if late := await recovery.finish(30):
            self.problems.append(f"{late} faults never passed")
        self._took("quiet", began)

    # Looking

    async def _look(self, traffic: Traffic, injector: Injector, recovery: Recovery) -> Report:
        began = time.monotonic()
        self.say("Quiet. Looking ...")
        target, world = traffic.system, self.world
        rng = random.Random(self.seed)
        sample = rng.sample(traffic.done, min(len(traffic.done), _REPEATED_MOST))
        different = await traffic.repeat(sample)
        self.problems += [f"a repeat was answered otherwise: {text}" for text in different]
        await target.quiet(_QUIET_S)
        self.problems += await commands_agree(world.environment())
        told, mails = await self._look_while_still(traffic)
        self._took("checks", began)
        return Report.of(self, traffic, injector, recovery, told, mails)

    async def _look_while_still(self, traffic: Traffic) -> tuple[Deliveries, Mapping[str, int]]:
        """Look while nothing of ours runs that could mend anything.

        At Stripe, time goes on meanwhile, and a worker that stops leaves what is not begun: where something is open,
        all run once more before the next look. What was lost or doubled while all stood still stays so.
        """
        target, world = traffic.system, self.world
        ours, final, last = (*world.apis, *world.workers), set[str](), list[str]()
        for _ in range(_LOOKS_MOST):
            await asyncio.gather(*(part.stop() for part in ours))
            before, told = await _newest_event(target), deliveries(world.folder / "sandbox.db")
            if self.canary is not None:
                await CANARIES[self.canary](target, traffic.done)
            mails = await received_mails(target, world.mailbox_url)
            found = await everything_wrong(target, traffic.done, told, mails, world.receiver.got)
            if not told.pending and before == await _newest_event(target):
                final |= {problem for problem in found if problem.startswith(("lost", "doubled"))}
            if not found or found == last or self.canary is not None:
                break
            last = found
            for part in ours:
                await part.start()
            await world.until_all_up()
            await target.quiet(_QUIET_S)
        self.problems += sorted(final - set(found)) + found
        return told, mails


async def _newest_event(target: Target) -> str:
    return str((await target.stripe("/v1/events?limit=1"))["data"][0]["id"])


async def _backlog(traffic: Traffic) -> str:
    with contextlib.suppress(*WEATHER, asyncpg.PostgresError):
        count = "SELECT count(*) FROM webhook_events WHERE state = 'pending'"
        return str(await asyncio.wait_for(traffic.system.value(count), 2))
    return "unknown"

"""`tallystick simulate`: the whole application in one process, while the world misbehaves as a seed decides."""

import os
import secrets
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from tallystick.cli.errors import Problem
from tallystick.cli.stored import print_json

if TYPE_CHECKING:
    from tallystick.simulation.campaign import Tally
    from tallystick.simulation.play import Outcome
    from tallystick.simulation.story import Story

__all__ = ["simulate"]


def simulate(
    *,
    seed: int | None = None,
    seeds: str | None = None,
    steps: int = 300,
    story: Path | None = None,
    canaries: Annotated[bool, Parameter(negative=())] = False,
    state: Path | None = None,
    keep: Path = Path(),
    shrink: bool = True,
    watch: Annotated[bool, Parameter(negative=())] = False,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Play stories of users and of a world that misbehaves, and look after every step whether all that must hold does.

    The real application, the sandbox and PostgreSQL run in this process under one clock of their own. It starts all it
    needs: a PostgreSQL of its own, or databases beside that of DATABASE_URL, whose user must be allowed to make some.
    Exits with 0 only where everything held; else the shortest story that still fails is printed, and kept in a file.

    Parameters
    ----------
    seed
        What is decided by chance is decided by this number; another one each time if neither it nor --seeds is given.
    seeds
        Many of them: 1-300, or 1-20,44.
    steps
        How many steps each story has.
    story
        Play this story, from a file that an earlier run has kept.
    canaries
        Play stories with a bug planted in the program, one for each thing that must hold; each of them has to be found.
    state
        Remember here which seeds held; another run goes on with those that did not.
    keep
        The folder for stories that fail.
    shrink
        Look for the shortest story that still fails.
    watch
        Print each step as it is made.
    json
        Print JSON.
    """
    _check(seed, seeds, story, steps, canaries=canaries)
    _quiet_logs()
    import uvloop

    from tallystick.simulation.campaign import parse_seeds

    try:
        wanted = parse_seeds(seeds) if seeds else [secrets.randbelow(2**32) if seed is None else seed]
    except ValueError as error:
        raise Problem(f"--seeds: {error}", 2) from error
    with _postgres() as url:
        run = _Run(url, keep, shrink=shrink, watch=watch and not json, talk=not json)
        if canaries:
            sys.exit(0 if uvloop.run(run.canaries()) else 1)
        tally = uvloop.run(run.story(story) if story else run.seeds(list(wanted), steps, state))
    if json:
        print_json(tally.summary())
    else:
        _show(tally)
    if tally.failed:
        sys.exit(1)


def _check(seed: int | None, seeds: str | None, story: Path | None, steps: int, *, canaries: bool) -> None:
    if sum(one is not None for one in (seed, seeds, story, canaries or None)) > 1:
        raise Problem("Name one of --seed, --seeds, --story and --canaries.", 2)
    if steps < 1:
        raise Problem("--steps: at least 1.", 2)


def _quiet_logs() -> None:
    """What goes wrong here goes wrong on purpose."""
    import logging

    import structlog

    logging.disable(logging.ERROR)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


@contextmanager
def _postgres() -> Iterator[str]:
    given = os.environ.get("DATABASE_URL")
    if given:
        yield given
        return
    from tallystick.platform.embedded_postgres import EmbeddedPostgres

    with tempfile.TemporaryDirectory(prefix="tallystick-simulate-") as folder:
        Path(folder).chmod(0o711)
        server = EmbeddedPostgres(Path(folder) / "pg", durable=False)
        try:
            yield server.ensure()
        finally:
            server.stop()


class _Run:
    """Plays, tells, and looks for the shortest story where one fails."""

    def __init__(self, url: str, keep: Path, *, shrink: bool, watch: bool, talk: bool) -> None:
        from tallystick.simulation.databases import Databases

        self._databases = Databases(url)
        self._keep = keep
        self._shrink = shrink
        self._watch = watch
        self._talk = talk

    async def seeds(self, seeds: list[int], steps: int, state: Path | None) -> "Tally":
        """All of them, but those that held already."""
        from tallystick.simulation.campaign import Campaign, Progress
        from tallystick.simulation.story import draw

        campaign = Campaign(steps, state)
        left = campaign.left(seeds)
        progress = Progress(len(left), self._say)
        await self._databases.open()
        try:
            for seed in left:
                outcome = await self._play(draw(seed, steps))
                campaign.take(outcome)
                progress.seed_done(outcome)
                await self._explain(outcome)
        finally:
            await self._databases.close()
        return campaign.tally

    async def story(self, path: Path) -> "Tally":
        """The one in this file."""
        import msgspec

        from tallystick.simulation.campaign import Campaign
        from tallystick.simulation.story import load

        try:
            story = load(path)
        except (OSError, msgspec.MsgspecError) as error:
            raise Problem(f"--story: {error}", 2) from error
        campaign = Campaign(len(story.steps))
        await self._databases.open()
        try:
            outcome = await self._play(story)
        finally:
            await self._databases.close()
        campaign.take(outcome)
        self._tell(outcome)
        return campaign.tally

    async def canaries(self) -> bool:
        """All planted bugs; whether each is found by the check that must find it."""
        from tallystick.simulation.canaries import CANARIES
        from tallystick.simulation.play import play
        from tallystick.simulation.story import draw

        missed = 0
        await self._databases.open()
        try:
            for bug in CANARIES:
                outcome = await play(draw(bug.seed, bug.steps), self._databases, bug, watch=self._watch)
                found = bug.found_by in {one.name for one in outcome.failures}
                missed += not found
                where = f"found at step {outcome.failed_at or 'the end'}" if found else "NOT FOUND"
                self._say(f"{bug.found_by}: {bug.name}: {where}")
        finally:
            await self._databases.close()
        return not missed

    async def _play(self, story: "Story") -> "Outcome":
        from tallystick.simulation.play import play

        return await play(story, self._databases, watch=self._watch)

    async def _explain(self, outcome: "Outcome") -> None:
        if outcome.held:
            return
        from tallystick.simulation.shrink import shortest
        from tallystick.simulation.story import save

        last, names = outcome, {one.name for one in outcome.failures}

        async def fails(story: "Story") -> bool:
            nonlocal last
            try:
                played = await self._play(story)
            except Exception as error:
                # A world that breaks is another matter than one that does not hold.
                self._say(f"a shorter one could not be played: {type(error).__name__}: {error}")
                return False
            found = bool(names & {one.name for one in played.failures})
            last = played if found else last
            return found

        story = outcome.story
        if self._shrink:
            # Not every failure comes again: what was seen is said first.
            for failure in outcome.failures:
                self._say(f"does not hold: {failure}")
            self._say("looking for the shortest story that still fails …")
            at = outcome.failed_at
            begun = story.only([step for step in story.steps if at is None or step.number <= at])
            story = await shortest(begun, fails)
        self._keep.mkdir(parents=True, exist_ok=True)
        path = self._keep / f"story-{story.seed}.json"
        save(story, path)
        self._tell(last)
        self._say(f"kept: tallystick simulate --story {path}")

    def _tell(self, outcome: "Outcome") -> None:
        setting = outcome.story.setting
        versions = f"API {setting.api_version}, webhooks {setting.webhook_version}"
        self._say(f"seed {outcome.story.seed}: {versions}, {setting.workers} workers, {setting.settings}")
        for line in outcome.told:
            self._say(line)
        for failure in outcome.failures:
            self._say(f"does not hold: {failure}")

    def _say(self, text: str) -> None:
        if self._talk:
            print(text, flush=True)


def _show(tally: "Tally") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title="actions and the faults that struck during them", title_justify="left")
    faults = sorted({fault for row in tally.met.values() for fault in row})
    table.add_column("fault")
    table.add_column("struck", justify="right")
    table.add_column("during", overflow="fold")
    for fault in faults:
        rows: list[tuple[str, Any]] = sorted((action, row[fault]) for action, row in tally.met.items() if fault in row)
        table.add_row(fault, str(sum(count for _, count in rows)), ", ".join(f"{name} {count}" for name, count in rows))
    Console().print(table)
    speed = f"{tally.steps / tally.took_s:.1f} steps a second" if tally.took_s else "nothing to do"
    print(
        f"{len(tally.held)} seeds held, {len(tally.failed)} failed: {tally.steps} steps, {tally.checks} checks, {speed}"
    )

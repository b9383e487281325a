"""`tallystick simulate`: stories hold, planted bugs are found, and a story that fails is made as short as it can be."""

import json
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from simulation.report import LONG, tell
from tallystick.invariants.checks import INVARIANTS
from tallystick.platform.database import Database
from tallystick.simulation.campaign import Campaign, parse_seeds
from tallystick.simulation.canaries import CANARIES, Bug
from tallystick.simulation.checks import Checker, Failure
from tallystick.simulation.databases import Databases
from tallystick.simulation.faults import FAULTS
from tallystick.simulation.play import Outcome, play
from tallystick.simulation.shrink import shortest
from tallystick.simulation.starting import living
from tallystick.simulation.story import QUIET, Step, Story, draw, load, save

SEEDS = [7, 17, 20231016, None, None] if LONG else [7, None]
STEPS = 300 if LONG else 16
QUICK = ("history_leads_to_the_subscription", "ended_attempts_are_answered")
"""Found in their first steps; the others take a long run."""


@pytest_asyncio.fixture(scope="module")
async def databases(postgres_server: str) -> AsyncIterator[Databases]:
    made = Databases(postgres_server)
    await made.open()
    yield made
    await made.close()


def show(outcome: Outcome) -> None:
    """Whatever there is to know about a story that did not go as it should."""
    tell("\n".join([*outcome.told, *map(str, outcome.failures)]))


@pytest.mark.timeout(3600 if LONG else 180)
@pytest.mark.parametrize("seed", SEEDS)
async def test_all_holds(databases: Databases, seed: int | None) -> None:
    chosen = secrets.randbelow(2**32) if seed is None else seed
    tell(f"simulate --seed {chosen} --steps {STEPS}")
    outcome = await play(draw(chosen, STEPS), databases)
    if not outcome.held:
        show(outcome)
    assert outcome.failures == []
    assert (outcome.steps, len(outcome.told)) == (STEPS, STEPS)
    assert outcome.checks > STEPS * 5


@pytest.mark.timeout(900 if LONG else 180)
@pytest.mark.parametrize("bug", [one for one in CANARIES if LONG or one.found_by in QUICK], ids=lambda bug: bug.name)
async def test_a_planted_bug_is_found(databases: Databases, bug: Bug) -> None:
    outcome = await play(draw(bug.seed, bug.steps), databases, bug)
    if bug.found_by not in {one.name for one in outcome.failures}:
        show(outcome)
    assert bug.found_by in {one.name for one in outcome.failures}


@pytest.mark.parametrize("moves", [True, False])
async def test_what_moved_during_the_look_is_looked_at_again(
    databases: Databases, monkeypatch: pytest.MonkeyPatch, moves: bool
) -> None:
    """A due moment of Stripe that comes between two readings is nobody's fault; a difference that stays is one."""
    url, looks, compare = await databases.make(), [0], Checker._mirror
    different = Failure("the mirror is Stripe", ("they differ",))

    async def differs_once(checker: Checker, lists: Callable[[str], Awaitable[dict[str, Any]]]) -> list[Failure]:
        looks[0] += 1
        if looks[0] > 1:
            return await compare(checker, lists)
        if moves:
            next_at = await checker.world.next_moment(own=True)
            assert next_at is not None
            checker.world.leap(next_at)
        return [different]

    monkeypatch.setattr(Checker, "_mirror", differs_once)
    async with living(draw(7, 1).setting, url) as world:
        database = await Database.connect(url, size=2, name="simulator")
        try:
            found = await Checker(world, database).at_quiet()
        finally:
            await database.close()
    await databases.drop(url)
    assert (found, looks[0]) == (([], 2) if moves else ([different], 1))


def test_each_check_has_its_canary() -> None:
    own = {"the book", "what the host heard", "acknowledged events", "the mirror is Stripe"}
    assert {bug.found_by for bug in CANARIES} == {one.name for one in INVARIANTS} | own
    assert {bug.found_by for bug in CANARIES} >= set(QUICK)
    assert len({bug.name for bug in CANARIES}) == len(CANARIES)


def test_a_seed_is_a_story(tmp_path: Path) -> None:
    """Always the same one, step by step the same however long it is, and the same again from a file."""
    story = draw(5, 200)
    assert story == draw(5, 200)
    assert draw(5, 50).steps == story.steps[:50]
    assert draw(6, 50).steps != story.steps[:50]
    assert {step.fault for step in draw(1, 3000).steps} == {None, *FAULTS}
    assert not any(step.fault for step in story.steps if step.action == QUIET)
    save(story, tmp_path / "story.json")
    assert load(tmp_path / "story.json") == story
    assert len((tmp_path / "story.json").read_text().splitlines()) == 202


@pytest.mark.parametrize("guilty", [{3}, {7, 90}, {1, 2, 50, 100}])
async def test_the_shortest_story(guilty: set[int]) -> None:
    """What is not needed for the failure is left out, and faults that are not needed are lifted."""
    story, played = draw(1, 100), list[Story]()

    async def fails(shorter: Story) -> bool:
        played.append(shorter)
        return guilty <= {step.number for step in shorter.steps}

    found = await shortest(story, fails, most=400)
    assert {step.number for step in found.steps} == guilty
    assert not any(step.fault for step in found.steps)
    by_number = {step.number: step for step in story.steps}
    assert [without_fault(by_number[step.number]) for step in found.steps] == found.steps
    assert len(played) < 400


def without_fault(step: Step) -> Step:
    return msgspec.structs.replace(step, fault=None)


@pytest.mark.parametrize(("text", "seeds"), [("7", [7]), ("1-4", [1, 2, 3, 4]), ("9,1-2", [9, 1, 2])])
def test_seeds_on_the_command_line(text: str, seeds: Sequence[int]) -> None:
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", "x", "3-1", "1-", "-4"])
def test_what_are_no_seeds(text: str) -> None:
    with pytest.raises(ValueError, match="no seeds"):
        parse_seeds(text)


def test_a_campaign_goes_on_where_it_was(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    campaign = Campaign(10, state)
    campaign.take(Outcome(draw(1, 10), steps=10, took_s=2.0))
    assert Campaign(10, state).left([1, 2, 3]) == [2, 3]
    assert Campaign(11, state).left([1, 2, 3]) == [1, 2, 3], "stories of another length"
    summary = Campaign(10, state).tally.summary()
    assert (summary["seeds_held"], summary["steps"], summary["steps_per_second"]) == (1, 10, 5.0)
    kept = json.loads(state.read_text())
    state.write_text(json.dumps({**kept, "version": "0.0.0"}))
    assert Campaign(10, state).left([1, 2, 3]) == [1, 2, 3], "another version of the program"


def test_what_is_wrongly_asked() -> None:
    command = [str(Path(sys.executable).with_name("tallystick")), "simulate", "--seed", "1", "--seeds", "1-2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (2, "tallystick: Name one of --seed, --seeds, --story and --canaries.\n")

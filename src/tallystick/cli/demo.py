"""`tallystick demo`: plays a story against a running `dev`, and shows and verifies each step."""

import asyncio
import importlib.util
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol, TypeAlias

from cyclopts import App, Parameter

from tallystick.cli.errors import Problem
from tallystick.cli.instance import Instance, find_instance

if TYPE_CHECKING:
    from tallystick.cli.demo_screen import DemoScreen
    from tallystick.cli.demo_story import Story
    from tallystick.cli.demo_world import World
    from tallystick.cli.demo_year import Year

__all__ = ["app", "payment", "subscription"]

app = App(name="demo", help="Play a story against a running `dev`, and show and verify each step as it happens.")

DataDir = Annotated[
    Path | None,
    Parameter(name="--data-dir", help="The data folder of `dev`. Default: TALLYSTICK_DATA_DIR, else .data."),
]
Fast = Annotated[
    bool,
    Parameter(
        name="--fast", negative=(), help="No pauses for reading (there are none, either, where this is no terminal)."
    ),
]
Plain = Annotated[bool, Parameter(name="--plain", negative=(), help="No colours and nothing that moves.")]
Patience = Annotated[
    float,
    Parameter(
        name="--patience", help="Seconds after which a webhook, a row or a mail that has not come counts as missing."
    ),
]


class _Told(Protocol):
    """A story that is told: where it is, and what it touches."""

    place: str

    @property
    def world(self) -> "World": ...


_Teller: TypeAlias = Callable[["World", "DemoScreen", float], tuple[_Told, Awaitable[None]]]


@app.default
@app.command
def payment(*, data_dir: DataDir = None, fast: Fast = False, plain: Plain = False, patience: Patience = 15) -> None:
    """A payment's whole story: paid, declined, confirmed with the bank, repeated, captured, refunded, cut off.

    Each run has a customer of its own, and can be run again. Exits with 1 if anything is not as it should be.
    """

    def begin(world: "World", screen: "DemoScreen", patience_s: float) -> tuple[_Told, Awaitable[None]]:
        from tallystick.cli.demo_story import Story

        story = Story(world, screen, patience_s)
        return story, _tell_payment(story)

    _run(data_dir, begin, fast=fast, plain=plain, patience_s=patience)


@app.command
def subscription(
    *, data_dir: DataDir = None, fast: Fast = False, plain: Plain = False, patience: Patience = 15
) -> None:
    """A year of a subscription: trial, upgrade, a card that fails, grace, recovery, a pause, the end.

    It moves the clock of this `dev` on by a year and two weeks. Each run has a customer of its own, and can be run
    again. Exits with 1 if anything is not as it should be.
    """

    def begin(world: "World", screen: "DemoScreen", patience_s: float) -> tuple[_Told, Awaitable[None]]:
        from tallystick.cli.demo_year import Year

        year = Year(world, screen, patience_s)
        return year, _tell_year(year)

    _run(data_dir, begin, fast=fast, plain=plain, patience_s=patience, dated=True)


def _run(
    data_dir: Path | None, begin: _Teller, *, fast: bool, plain: bool, patience_s: float, dated: bool = False
) -> None:
    if not 0 < patience_s <= 600:
        raise Problem("--patience: should be 1 to 600 seconds", 2)
    if importlib.util.find_spec("httpx") is None:
        raise Problem("The demo speaks to Tallystick through its client: pip install 'tallystick[dev]'")
    instance = find_instance(data_dir)
    # Below here it takes some time to import; wrong options have been told by now.
    from tallystick.cli.demo_screen import DemoScreen

    screen = DemoScreen(fast=fast, plain=plain, dated=dated)
    if not asyncio.run(_play(instance, screen, begin, patience_s)):
        sys.exit(1)


async def _play(instance: Instance, screen: "DemoScreen", begin: _Teller, patience_s: float) -> bool:
    """Tell the whole story; whether everything was as it should be."""
    import asyncpg

    from tallystick.cli.demo_world import Amiss, open_world

    async with open_world(instance) as world:
        story, telling = begin(world, screen, patience_s)
        try:
            await telling
        except Amiss as amiss:
            screen.failure(f"Not as it should be: {story.place}", str(amiss), await _hints(story))
            return False
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            screen.failure(f"The database failed: {story.place}", str(error), await _hints(story))
            return False
    return True


async def _tell_payment(story: "Story") -> None:
    from tallystick.cli.demo_payment import CHAPTERS
    from tallystick.cli.demo_screen import dots
    from tallystick.cli.demo_tally import tally

    screen, world = story.screen, story.world
    await screen.opening(
        "A payment's story",
        f"Ann ({world.email}) buys in a shop. Its server talks to Tallystick at {world.api_url}; "
        f"Stripe is the offline sandbox at {world.sandbox_url}. No real money moves.",
    )
    steps = len(CHAPTERS) + 1
    for number, chapter in enumerate(CHAPTERS, 1):
        story.place = f"step {number} of {steps}, “{chapter.title}”"
        await screen.chapter(number, chapter.title, chapter.prose, dots(number, steps))
        await chapter.tell(story)
    story.place = f"step {steps} of {steps}, “The tally”"
    prose = "Our half beside Stripe's: amounts, charges, refunds and status, read from either side."
    await screen.chapter(steps, "The tally", prose, dots(steps, steps))
    await tally(story)
    _end(screen, world)


async def _tell_year(year: "Year") -> None:
    from tallystick.cli.demo_subscription import CHAPTERS
    from tallystick.cli.demo_year_tally import tally_of_year

    screen, world = year.screen, year.world
    await year.prepare()
    await screen.opening(
        "A year of a subscription",
        f"Ann ({world.email}) subscribes. The application talks to Tallystick at {world.api_url}; Stripe is the "
        f"offline sandbox at {world.sandbox_url}. It is {year.now:%d %b %Y} there, and the clock will be moved on.",
    )
    screen.paragraph()
    screen.block(year.offer())
    steps = len(CHAPTERS) + 1
    for number, chapter in enumerate(CHAPTERS, 1):
        year.place = f"step {number} of {steps}, “{chapter.title}”, {year.now:%d %b %Y}"
        await screen.chapter(number, chapter.title, chapter.prose, year.progress)
        await chapter.tell(year)
    year.place = f"step {steps} of {steps}, “The tally”"
    prose = "Our half beside Stripe's: invoices, the subscription, cards, money, history, mails."
    await screen.chapter(steps, "The tally", prose, year.progress)
    await tally_of_year(year)
    _end(screen, world)


def _end(screen: "DemoScreen", world: "World") -> None:
    screen.paragraph()
    screen.paragraph("The two halves match.", "bold green")
    screen.paragraph(f"Ann's mails: {world.mailbox_url}/?to={world.email}", "dim")
    screen.paragraph()


async def _hints(story: _Told) -> list[str]:
    """What may help to find the cause."""
    from tallystick.cli.demo_world import Amiss

    hints = []
    try:
        every = (await story.world.control("GET", "/faults"))["data"]
        rules = [rule for rule in every if rule["times"] is None or rule["hits"] < rule["times"]]
    except Amiss:
        rules = []
    for rule in rules:
        what = rule.get("type") or f"{rule.get('method')} {rule.get('path')}"
        hints.append(f"The sandbox has a fault in force: {rule['kind']} {what}.")
    if rules:
        hints.append(f"Take it back: curl -X DELETE {story.world.sandbox_url}/_sandbox/faults")
    hints.append(f"The logs are in {story.world.instance.data_dir / 'logs'}.")
    return hints

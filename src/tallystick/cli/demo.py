"""`tallystick demo`: plays a story against a running `dev`, and shows and verifies each step."""

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from tallystick.cli.errors import Problem
from tallystick.cli.instance import Instance, find_instance

if TYPE_CHECKING:
    from tallystick.cli.demo_screen import DemoScreen
    from tallystick.cli.demo_story import Story

__all__ = ["app", "payment"]

app = App(name="demo", help="Play a story against a running `dev`, and show and verify each step as it happens.")


@app.default
@app.command
def payment(
    *,
    data_dir: Annotated[
        Path | None, Parameter(help="The data folder of `dev`. Default: TALLYSTICK_DATA_DIR, else .data.")
    ] = None,
    fast: Annotated[
        bool, Parameter(negative=(), help="No pauses for reading (there are none, either, where this is no terminal).")
    ] = False,
    plain: Annotated[bool, Parameter(negative=(), help="No colours and nothing that moves.")] = False,
    patience: Annotated[
        float, Parameter(help="Seconds after which a webhook, a row or a mail that has not come counts as missing.")
    ] = 15,
) -> None:
    """A payment's whole story: paid, declined, confirmed with the bank, repeated, captured, refunded, cut off.

    Each run has a customer of its own, and can be run again. Exits with 1 if anything is not as it should be.
    """
    if not 0 < patience <= 600:
        raise Problem("--patience: should be 1 to 600 seconds", 2)
    instance = find_instance(data_dir)
    # Below here it takes some time to import; wrong options have been told by now.
    from tallystick.cli.demo_screen import DemoScreen

    screen = DemoScreen(fast=fast, plain=plain)
    if not asyncio.run(_play(instance, screen, patience)):
        sys.exit(1)


async def _play(instance: Instance, screen: "DemoScreen", patience_s: float) -> bool:
    """Tell the whole story; whether everything was as it should be."""
    import asyncpg

    from tallystick.cli.demo_story import Story
    from tallystick.cli.demo_world import Amiss, open_world

    async with open_world(instance) as world:
        story = Story(world, screen, patience_s)
        try:
            await _tell(story)
        except Amiss as amiss:
            screen.failure(f"Not as it should be: {story.place}", str(amiss), await _hints(story))
            return False
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            screen.failure(f"The database failed: {story.place}", str(error), await _hints(story))
            return False
    return True


async def _tell(story: "Story") -> None:
    from tallystick.cli.demo_payment import CHAPTERS
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
        await screen.chapter(number, steps, chapter.title, chapter.prose)
        await chapter.tell(story)
    story.place = f"step {steps} of {steps}, “The tally”"
    await screen.chapter(
        steps,
        steps,
        "The tally",
        "Our half beside Stripe's: amounts, charges, refunds and status, read from either side.",
    )
    await tally(story)
    screen.paragraph()
    screen.paragraph("The two halves match.", "bold green")
    screen.paragraph(f"Ann's mails: {world.mailbox_url}/?to={world.email}", "dim")
    screen.paragraph()


async def _hints(story: "Story") -> list[str]:
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

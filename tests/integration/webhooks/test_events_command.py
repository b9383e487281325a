"""`tallystick events` as an operator uses it."""

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from integration.webhooks.inbox_kit import Inbox, make_event, make_settings
from integration.webhooks.inbox_kit import apply_facts as record


@dataclass(frozen=True)
class Done:
    code: int
    said: str
    complained: str


async def events(inbox: Inbox, *arguments: str) -> Done:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TALLYSTICK_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tallystick.cli.main", "events", *arguments),
        env={**environment, "DATABASE_URL": inbox.url, "COLUMNS": "200"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return Done(process.returncode, out.decode(), err.decode())


async def test_dead_letters_are_listed_shown_replayed_and_discarded(inbox: Inbox) -> None:
    inbox.settings = make_settings(WEBHOOK_MAX_RETRIES="0")
    inbox.registry.register("payment_intent.payment_failed", lambda event: [event.object["[bold]x"]], record)
    good = make_event(object_id="pi_good", amount=2**70)
    first, second = (make_event("payment_intent.payment_failed") for _ in range(2))
    await inbox.deliver(good, first, second)
    await inbox.processor().drain()

    listed, as_json, shown, shown_json = await asyncio.gather(
        events(inbox, "list", "--state", "dead"),
        events(inbox, "list", "--type", "payment_intent.succeeded", "--json"),
        events(inbox, "show", first["id"]),
        events(inbox, "show", good["id"], "--json"),
    )
    assert first["id"] in listed.said
    assert second["id"] in listed.said
    assert good["id"] not in listed.said
    assert "[bold]x" in listed.said
    assert [event["stripe_event_id"] for event in json.loads(as_json.said)["data"]] == [good["id"]]
    assert first["data"]["object"]["id"] in shown.said
    assert json.loads(shown_json.said)["payload"] == good
    assert json.loads(shown_json.said)["state"] == "processed"

    replayed = await events(inbox, "replay", first["id"], "evt_nowhere")
    assert replayed.code == 1
    assert f"{first['id']}  will be applied" in replayed.said
    assert "There is no such event" in replayed.said
    assert (await inbox.event(first["id"]))["state"] == "pending"
    discarded = await events(inbox, "discard", second["id"], "--reason", "a test")
    assert discarded.code == 0
    row = await inbox.event(second["id"])
    assert (row["state"], row["error_message"][:17]) == ("discarded", "discarded: a test")


@pytest.mark.parametrize("arguments", [["show", "evt_nowhere"], ["replay"]])
async def test_what_cannot_be_done_is_said_plainly(inbox: Inbox, arguments: list[str]) -> None:
    done = await events(inbox, *arguments)
    assert done.code in (1, 2)
    assert "tallystick:" in done.complained
    assert "Traceback" not in done.complained


async def test_many_are_counted_first_and_replayed_when_somebody_says_so(inbox: Inbox) -> None:
    await inbox.deliver(*(make_event(object_id="pi_1") for _ in range(3)), *(make_event() for _ in range(100)))
    assert await inbox.processor().drain() == 103
    dry, asks, unread = await asyncio.gather(
        events(inbox, "replay", "--object", "pi_1", "--dry-run"),
        events(inbox, "replay", "--type", "payment_intent.succeeded"),
        events(inbox, "replay", "--since", "tomorrow"),
    )
    assert (dry.code, dry.said) == (0, "3 events\n")
    assert (asks.code, unread.code) == (2, 2)
    assert "Apply 103 events again? Say so with --yes." in asks.complained
    assert "should be a day" in unread.complained
    assert len(await inbox.applied()) == 103
    assert await inbox.processor().drain() == 0

    few = await events(inbox, "replay", "--object", "pi_1", "--state", "processed")
    assert (few.code, few.said) == (0, "3 events\n3 will be applied\n"), few
    # The command's clock is the machine's.
    inbox.clock.at = datetime.now(UTC)
    assert await inbox.processor().drain() == 3
    yes = await events(inbox, "replay", "--all", "--yes")
    assert (yes.code, yes.said.split()[-4:]) == (0, ["103", "will", "be", "applied"]), yes
    inbox.clock.at = datetime.now(UTC)
    assert await inbox.processor().drain() == 103

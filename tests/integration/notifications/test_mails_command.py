"""`tallystick mails` as an operator uses it."""

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from integration.notifications.mail_world import World, new_mail


@dataclass(frozen=True)
class Done:
    code: int
    said: str
    complained: str


async def mails(world: World, *arguments: str) -> Done:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TALLYSTICK_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tallystick.cli.main", "mails", *arguments),
        env={**environment, "DATABASE_URL": world.url, "COLUMNS": "240"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return Done(process.returncode, out.decode(), err.decode())


async def row_of(world: World, key: str) -> Any:
    return next(row for row in await world.rows() if row["business_key"] == key)


async def test_a_dead_mail_is_found_sent_again_and_arrives_once(world: World) -> None:
    service = world.service()
    world.mailbox.at_rcpt = ["550 5.1.1 no [bold]such user"]
    await world.queue(service, new_mail("k1"))
    world.start(service)
    await world.until_state("dead")
    await world.queue(service, new_mail("k2"))
    await world.until_state("sent")
    listed, as_json, shown = await asyncio.gather(
        mails(world, "list", "--state", "dead"),
        mails(world, "list", "--template", "payment_confirmation", "--limit", "1", "--json"),
        mails(world, "show", "k1"),
    )
    dead, sent = await row_of(world, "k1"), await row_of(world, "k2")
    assert str(dead["id"]) in listed.said
    assert str(sent["id"]) not in listed.said
    assert "no [bold]such user" in listed.said
    page = json.loads(as_json.said)
    assert ([mail["business_key"] for mail in page["data"]], page["has_more"]) == (["k2"], True)
    assert dead["message_id"] in shown.said
    assert '"amount": 123450' in shown.said

    again = await mails(world, "resend", str(dead["id"]))
    assert (again.code, again.said) == (0, f"{dead['id']}  will be sent to {dead['recipient']}\n")
    await world.until_state("sent", 2)
    assert (await row_of(world, "k1"))["message_id"] == dead["message_id"]
    ids = [message["Message-ID"] for message in world.mailbox.messages]
    assert sorted(ids) == sorted([dead["message_id"], sent["message_id"]])


async def test_a_mail_that_is_given_up_again_is_told_again(world: World) -> None:
    service = world.service()
    world.mailbox.at_rcpt = ["550 5.1.1 no such user", "550 5.1.1 still no such user"]
    await world.queue(service, new_mail("k1"))
    world.start(service)
    await world.until_state("dead")
    world.clock.business += timedelta(hours=1)
    assert (await mails(world, "resend", "k1")).code == 0

    async def told_twice() -> bool:
        return len(await world.work()) == 2

    await world.until(told_twice)
    assert len({item["business_key"] for item in await world.work()}) == 2


async def test_a_mail_to_no_address_goes_to_the_one_that_is_named(world: World) -> None:
    service = world.service()
    await world.queue(service, new_mail("k1", recipient="nobody at all"))
    mail_id = str((await row_of(world, "k1"))["id"])
    refused = await mails(world, "resend", mail_id)
    assert refused.code == 1
    assert "Give the address with --to." in refused.said
    assert (await row_of(world, "k1"))["state"] == "dead"
    assert (await mails(world, "resend", "k1", "--to", "ann@example.com")).code == 0
    row = await row_of(world, "k1")
    assert (row["state"], row["recipient"], row["last_error"]) == ("queued", "ann@example.com", None)
    twice = await mails(world, "resend", mail_id, "k2")
    assert twice.code == 1
    assert "only dead mails are sent again" in twice.said
    assert "There is no such mail" in twice.said


@pytest.mark.parametrize("arguments", [["show", "k9"], ["resend"], ["resend", "a", "b", "--to", "c@example.com"]])
async def test_what_cannot_be_done_is_said_plainly(world: World, arguments: list[str]) -> None:
    done = await mails(world, *arguments)
    assert done.code in (1, 2)
    assert "tallystick:" in done.complained
    assert "Traceback" not in done.complained

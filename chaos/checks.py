"""What must be true when all is quiet: the checks of the kills, and the product's own beside them."""

import asyncio
import json
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from simulation.kill_checks import Deliveries, find_problems
from simulation.kill_load import Done
from simulation.mirror import assert_same, everything
from simulation.mirror_billing import (
    history_leads_to_the_rows,
    invoice_rows,
    stripe_invoices,
    stripe_subscriptions,
    subscription_rows,
)
from system import System
from tallystick.invariants.checks import check
from tallystick.notifications.outbound_models import webhook_id
from tallystick.platform.database import Database

__all__ = ["commands_agree", "everything_wrong"]

_COMMAND_S = 900


async def everything_wrong(
    system: System,
    done: Sequence[Done],
    told: Deliveries,
    mails: Mapping[str, int],
    hooks: Mapping[str, int],
) -> list[str]:
    """Everything that is not as it must be; what is lost or doubled begins with that word.

    `mails` is how often each Message-ID came, `hooks` how often each webhook id did.
    """
    problems = await find_problems(system, done, told, mails)
    problems += await _subscriptions(system, done)
    problems += await _receipts(system)
    problems += await _outbound(system, hooks)
    problems += await _mirror_of_billing(system)
    problems += await _invariants(system)
    return problems


async def commands_agree(environment: Mapping[str, str]) -> list[str]:
    """What `tallystick reconcile` and `tallystick doctor` find."""
    told = await _command(environment, "reconcile", "--full", "--dry-run", "--json")
    problems = [
        f"reconcile: {one['object']} {one['id']}: {one['field']} is {one['ours']!r}, not {one['stripe']!r}"
        for one in told.get("differences", [])
    ]
    if "differences" not in told:
        problems.append(f"reconcile came to no end: {told}")
    told = await _command(environment, "doctor", "--json")
    problems += [f"doctor: {one['title']}: {one['found']}" for one in told.get("checks", []) if one["status"] == "fail"]
    if "checks" not in told:
        problems.append(f"doctor came to no end: {told}")
    return problems


async def _command(environment: Mapping[str, str], *arguments: str) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tallystick.cli.main", *arguments, env={**os.environ, **environment},
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    said, complaint = await asyncio.wait_for(process.communicate(), _COMMAND_S)
    try:
        found: dict[str, Any] = json.loads(said)
    except ValueError:
        return {"exit": process.returncode, "said": complaint.decode(errors="replace")[-500:]}
    return found


async def _subscriptions(system: System, done: Sequence[Done]) -> list[str]:
    """One subscription for each that a client was told of, and one payment for each invoice."""
    problems = []
    there = {one["id"] for one in await everything(system.stripe, "subscriptions", "&status=all")}
    rows = await system.fetch(
        """
        SELECT s.stripe_subscription_id AS id, u.external_id AS user_id
        FROM subscriptions s JOIN users u ON u.id = s.user_id
        """
    )
    of_user = defaultdict(list)
    for row in rows:
        of_user[row["user_id"]].append(row["id"])
    for one in done:
        if one.write.kind == "subscribe" and one.answer.status in (200, 201):
            ours = of_user[one.write.user]
            if ours != [one.answer.body["stripe_subscription_id"]] or ours[0] not in there:
                problems.append(f"{'lost' if not ours else 'doubled'}: {ours} for {one.write}: {one.answer}")
    problems += [f"doubled: {found} of {user}" for user, found in of_user.items() if len(found) > 1]
    charges = await everything(system.stripe, "charges")
    paid = Counter(one["invoice"] for one in charges if one["status"] == "succeeded" and one.get("invoice"))
    return problems + [f"doubled: {invoice} was paid {times} times" for invoice, times in paid.items() if times > 1]


async def _receipts(system: System) -> list[str]:
    """A fact has one mail, so one Message-ID, however often the network made us send it."""
    rows = await system.fetch("SELECT business_key FROM mails GROUP BY business_key HAVING count(*) > 1")
    problems = [f"doubled: two mails for {row['business_key']}" for row in rows]
    rows = await system.fetch("SELECT message_id FROM mails GROUP BY message_id HAVING count(*) > 1")
    return problems + [f"doubled: two mails are {row['message_id']}" for row in rows]


async def _outbound(system: System, hooks: Mapping[str, int]) -> list[str]:
    """Every fact reached its endpoint."""
    rows = await system.fetch("SELECT fact_id, state, last_error FROM outbound_deliveries")
    problems = []
    for row in rows:
        if row["state"] != "delivered":
            lost = "" if row["state"] == "queued" else "lost: "
            problems.append(f"{lost}the delivery of {row['fact_id']} is {row['state']} ({row['last_error']})")
    names = {webhook_id(row["fact_id"]) for row in rows}
    sent = {webhook_id(row["fact_id"]) for row in rows if row["state"] == "delivered"}
    problems += [f"lost: {name} never came" for name in sorted(sent - hooks.keys())]
    return problems + [f"{name} came, and is no delivery" for name in sorted(hooks.keys() - names)]


async def _mirror_of_billing(system: System) -> list[str]:
    problems = []
    pairs = (
        (await subscription_rows(system.database_url), await stripe_subscriptions(system.stripe)),
        (await invoice_rows(system.database_url), await stripe_invoices(system.stripe)),
    )
    for ours, theirs in pairs:
        try:
            assert_same(ours, theirs)
        except AssertionError as error:
            problems.append(f"the mirror is not Stripe: {error}")
    try:
        await history_leads_to_the_rows(system.database_url)
    except AssertionError as error:
        problems.append(f"the history leads elsewhere: {error}")
    return problems


async def _invariants(system: System) -> list[str]:
    database = await Database.connect(system.database_url, size=1)
    try:
        async with database.connection() as connection:
            found = await check(connection)
    finally:
        await database.close()
    return [f"{one.invariant.name}: {', '.join(one.found[:5])}" for one in found]

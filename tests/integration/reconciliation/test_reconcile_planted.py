"""Two hundred differences planted in the mirror by hand: all are found, named by their cause, and repaired."""

import json
import random
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from planting import objects_at_stripe, plant
from reconciling import ASKED_BY, populate, reconciling_parts
from simulation.mirror import assert_same, mirror_rows, stripe_rows
from simulation.mirror_billing import invoice_rows, stripe_invoices, stripe_subscriptions, subscription_rows
from system import LONG, VERSIONS, MakeDatabase, System, running_system
from tallystick.app.parts import Parts
from tallystick.app.rebuilding import rebuild
from tallystick.rebuilding.models import Progress as RebuildProgress
from tallystick.reconciliation.compare import COMPARED, expected_of
from tallystick.reconciliation.compare_rules import OWN
from tallystick.reconciliation.kinds import KINDS

SEEDS = range(5) if LONG else range(1)


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=VERSIONS if LONG else VERSIONS[2:3],
                        ids=lambda pair: f"api-{pair[0][:4]}-webhooks-{pair[1][:4]}")  # fmt: skip
async def system(make_database: MakeDatabase, request: pytest.FixtureRequest) -> AsyncIterator[System]:
    api, webhooks = request.param
    async with running_system(
        await make_database(),
        api_version=api,
        webhook_version=webhooks,
        EVENT_CATCH_UP_S="0",
        RECONCILE_EVERY_S="0",
    ) as running:
        await populate(running)
        made = await running.call(
            "POST", "/api/webhook-endpoints", {"url": f"{running.api_url}/x", "events": ["*"]}, roles=("admin",)
        )
        assert made.status == 201, made.body
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def parts(system: System) -> AsyncIterator[Parts]:
    async with reconciling_parts(system) as found:
        yield found


async def test_every_column_that_mirrors_stripe_is_compared(system: System) -> None:
    at_stripe = await objects_at_stripe(system)
    rows = await system.fetch("SELECT table_name, column_name FROM information_schema.columns")
    for kind in KINDS:
        if kind.object not in COMPARED:
            assert kind.object == "discount"  # it is told by what it hangs on, and nobody can ask for it
            continue
        mirrored = COMPARED[kind.object]
        columns = {row[1] for row in rows if row[0] == kind.table} - {kind.stripe_id} - OWN - mirrored.own
        compared = {
            name for obj in at_stripe[kind.object] for name in expected_of(kind.object, kind.read(obj), "default")
        }
        assert compared | set(mirrored.derived) == columns | ({"lines"} if kind.object == "invoice" else set())


@pytest.mark.parametrize("seed", SEEDS)
async def test_two_hundred_planted_differences(system: System, parts: Parts, seed: int) -> None:
    reconcile = parts.reconciling.reconciler.reconcile
    before = await reconcile("full", by=ASKED_BY)
    assert (before.differences, before.left_open) == (0, 0), before.found
    assert before.objects == sum(before.by_kind.values())
    assert before.by_kind.keys() == COMPARED.keys()
    assert before.fields > 10 * before.objects
    told = await _told(system)
    # What a repair sets going might repair something else before its turn comes.
    await system.stop_workers()
    planted = await plant(system, random.Random(seed), fields=160, missing=20, foreign=20)
    assert len(planted) >= 200

    preview = await reconcile("full", by=ASKED_BY, dry_run=True)
    assert preview.repaired == 0
    found = await reconcile("full", by=ASKED_BY)
    causes = {(one.object, one.stripe_id, field): one.causes[field] for one in found.found for field in one.causes}
    missed = [one for one in planted if causes.get((one.object, one.id, one.field)) != one.cause]
    assert not missed, (missed, [causes.get((one.object, one.id, one.field)) for one in missed])
    assert found.left_open == 0, [one for one in found.found if one.state == "open"]
    assert found.repaired == found.differences >= 200
    # What follows from others (a payment's refunds) may differ as well, and is repaired with them.
    assert await _kept(system) == Counter(causes.values())
    assert {key[2] for key in causes.keys() - {(one.object, one.id, one.field) for one in planted}} <= {
        "amount_refunded"
    }

    after = await reconcile("full", by=ASKED_BY)
    assert not after.found, after.found
    assert (after.differences, after.objects, after.fields) == (0, before.objects, before.fields)
    system.start_worker()
    await system.quiet()
    assert await _told(system) == told
    await _is_stripes(system)
    if LONG:
        rebuilt = await rebuild(system.settings, f"scratch_{seed}", RebuildProgress(), drop=True)
        assert (rebuilt.different, rebuilt.failures) == (0, []), rebuilt.differences


async def _told(system: System) -> tuple[int, int]:
    """How many mails and facts were told to anybody."""
    mails = await system.value("SELECT count(*) FROM mails WHERE state <> 'silent'")
    return mails, await system.value("SELECT count(*) FROM outbound_deliveries")


async def _kept(system: System) -> Counter[str]:
    """The differences that are recorded as repaired, by cause."""
    rows = await system.fetch("SELECT cause, state, history FROM reconcile_differences")
    assert {row["state"] for row in rows} == {"repaired"}
    assert all(json.loads(row["history"]) for row in rows)
    await system.fetch("DELETE FROM reconcile_differences")
    return Counter(row["cause"] for row in rows)


async def _is_stripes(system: System) -> None:
    """By the eyes of tests that know nothing of reconcile."""

    async def get(path: str) -> Any:
        return await system.stripe(path)

    url = system.database_url
    assert_same(await mirror_rows(url), await stripe_rows(get, system.settings.installation_id))
    assert_same(await invoice_rows(url), await stripe_invoices(get))
    assert_same(await subscription_rows(url), await stripe_subscriptions(get))

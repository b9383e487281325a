"""Reconcile asked for: by the command, through the API, and by the worker's timer."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from reconciling import ASKED_BY, new_customer, reconciling_parts
from subscribers import stripe
from system import JWT_SECRET, WEBHOOK_SECRET, MakeDatabase, System, running_system, settings_for
from tallystick.platform.leases import Lease
from tallystick.reconciliation.service_timer import next_at

STAFF: tuple[str, ...] = ("support",)
ADMIN: tuple[str, ...] = ("admin",)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def system(make_database: MakeDatabase) -> AsyncIterator[System]:
    async with running_system(await make_database(), EVENT_CATCH_UP_S="0", RECONCILE_EVERY_S="0") as running:
        await stripe(running, "/v1/products", name="One")
        await running.quiet()
        yield running


async def command(system: System, *words: str) -> tuple[int, str, str]:
    """Exit code, output and errors of `tallystick reconcile`."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("TALLYSTICK")},
        "ENVIRONMENT": "test",
        "DATABASE_URL": system.database_url,
        "STRIPE_SECRET_KEY": "sk_test_system",
        "STRIPE_WEBHOOK_SECRET": WEBHOOK_SECRET,
        "STRIPE_API_BASE": system.sandbox_url,
        "STRIPE_BACKGROUND_RATE": "100",
        "JWT_SECRET": JWT_SECRET,
        "CLOCK_FILE": str(system.settings.clock_file),
        "COLUMNS": "200",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tallystick.cli.main", "reconcile", *words,
        env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_the_command_previews_repairs_and_says_so(system: System) -> None:
    customer = await new_customer(system)
    await system.quiet()
    code, out, err = await command(system, "--full", "--json")
    assert (code, err) == (0, "")
    clean = json.loads(out)
    assert (clean["compared"], clean["differences"], clean["repaired"]) == (2, [], 0)
    assert clean["fields"] > 10
    assert clean["equal_share"]["share"] == 1
    damage = "UPDATE customers SET email = 'x@example.com' WHERE stripe_customer_id = $1"
    await system.fetch(damage, customer)
    code, out, _ = await command(system, "--object", customer, "--dry-run", "--json")
    preview = json.loads(out)
    assert (code, preview["repaired"], preview["left"]) == (1, 0, 1)
    assert await system.value("SELECT count(*) FROM reconcile_differences") == 0
    code, out, _ = await command(system, "--object", "customer")
    assert code == 0
    assert "1 difference, 1 repaired." in out
    assert "our fault" in out
    assert customer in out
    assert "2 of 2 objects" in out
    said = preview["differences"][0]
    named = (said["object"], said["id"], said["field"], said["ours"], said["cause"])
    assert named == ("customer", customer, "email", "x@example.com", "ours")


async def test_the_command_says_what_it_cannot_do(system: System) -> None:
    code, _, err = await command(system, "--object", "SUMMER")
    assert (code, "coupon:SUMMER" in err) == (2, True)


async def test_the_api_tells_staff_and_starts_for_administrators(system: System) -> None:
    path = "/api/reconciliation"
    assert (await system.call("GET", path)).status == 403
    assert (await system.call("POST", f"{path}/runs", {}, roles=STAFF)).status == 403
    wrong = await system.call("POST", f"{path}/runs", {"mode": "some"}, roles=ADMIN)
    assert (wrong.status, wrong.code) == (422, "INVALID_REQUEST")
    async with reconciling_parts(system) as parts:
        reconciler = parts.reconciling.reconciler
        # Whoever holds the lease keeps the worker from taking it up.
        async with Lease(parts.database, system.clock, "reconcile").held() as alone:
            assert alone
            made = await system.call("POST", f"{path}/runs", {"mode": "full"}, roles=ADMIN)
            assert (made.status, made.body["state"]) == (202, "queued")
            again = await system.call("POST", f"{path}/runs", {"mode": "full"}, roles=ADMIN)
            assert (again.status, again.code) == (409, "RECONCILE_RUNNING")
            open_runs = (await system.call("GET", path, roles=STAFF)).body["runs"]
            assert [run["id"] for run in open_runs] == [made.body["id"]]
        await reconciler.continue_queued(asyncio.Event())
    run = (await system.call("GET", f"{path}/runs/{made.body['id']}", roles=STAFF)).body
    assert run["state"] in ("done", "running")
    assert (await system.call("GET", f"{path}/runs/{made.body['id'][:-1]}x", roles=STAFF)).status == 404


async def test_differences_are_listed_by_what_is_asked(system: System) -> None:
    customers = [await new_customer(system) for _ in range(3)]
    await system.quiet()
    async with reconciling_parts(system) as parts:
        for customer in customers:
            await system.fetch("UPDATE customers SET name = 'X' WHERE stripe_customer_id = $1", customer)
            await parts.reconciling.reconciler.check([customer], by=ASKED_BY)

    async def listed(query: str) -> Any:
        answer = await system.call("GET", f"/api/reconciliation/differences?{query}", roles=STAFF)
        assert answer.status == 200, answer.body
        return answer.body

    first = await listed("of=customer&state=repaired&limit=2")
    assert [one["stripe_id"] for one in first["data"]] == customers[:0:-1]
    assert first["has_more"] is True
    rest = await listed(f"of=customer&state=repaired&limit=10&starting_after={first['data'][-1]['id']}")
    assert rest["data"][0]["stripe_id"] == customers[0]
    one = (await listed(f"stripe_id={customers[0]}"))["data"][0]
    assert (one["field"], one["ours"], one["cause"], one["times_seen"]) == ("name", "X", "ours", 1)
    assert [happening["what"] for happening in one["history"]] == ["repaired"]
    assert (await listed("cause=foreign"))["data"] == []
    unknown = await system.call("GET", "/api/reconciliation/differences?starting_after=nobody", roles=STAFF)
    assert (unknown.status, unknown.body["field"]) == (404, "starting_after")


async def test_the_timer_knows_what_is_due(system: System) -> None:
    async with reconciling_parts(system, reconcile_every_s=60.0, reconcile_full_hour=3) as parts:
        timer = parts.reconciling.reconcile_timer
        await system.fetch("DELETE FROM reconcile_runs")
        # A new installation has nothing to do before the first hour or the first few minutes are over.
        assert await timer.due() is None
        timer._began -= timedelta(minutes=2)
        assert await timer.due() == "incremental"
        await system.fetch("UPDATE installation SET created_at = created_at - interval '25 hours'")
        async with reconciling_parts(system, reconcile_every_s=60.0, reconcile_full_hour=3) as later:
            assert await later.reconciling.reconcile_timer.due() == "full"
            await later.reconciling.reconciler.reconcile("full", by="timer")
            assert await later.reconciling.reconcile_timer.due() is None


@pytest.mark.parametrize(
    ("said", "repaired"), [("", ["missed_event", "ours", "dashboard", "foreign"]), ("none", []), ("ours", ["ours"])]
)
def test_what_is_repaired_is_a_setting(system: System, said: str, repaired: list[str]) -> None:
    found = settings_for(
        system.database_url, sandbox_url="http://x", api_url="http://y", smtp_port=1, RECONCILE_REPAIR=said
    )
    assert found.reconcile_repair == repaired


@pytest.mark.parametrize(
    ("after", "expected"),
    [("2026-01-01T02:59", "2026-01-01T03:00"), ("2026-01-01T03:00", "2026-01-02T03:00")],
)
def test_a_nightly_run_is_due_at_its_hour(after: str, expected: str) -> None:
    def at(text: str) -> datetime:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)

    assert next_at(3, at(after)) == at(expected)

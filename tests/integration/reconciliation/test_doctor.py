"""The doctor finds each fault, alone, and says what to do; where nothing is wrong, it says so. It changes nothing."""

import asyncio
import contextlib
import json
import os
import re
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from pydantic import SecretStr

from subscribing import create, plan
from system import JWT_SECRET, WEBHOOK_SECRET, MakeDatabase, System, free_port, running_system, unique
from tallystick.app.parts import build_parts
from tallystick.cli.doctor import doctor
from tallystick.core.clock import Clock, SystemClock, clock_of
from tallystick.core.ids import new_id
from tallystick.doctor.models import Report, Result
from tallystick.doctor.service import Doctor
from tallystick.platform.settings import Settings
from tallystick.webhooks.service_endpoints import InstalledEndpoints

ENDPOINTS = "/v1/webhook_endpoints"


@pytest_asyncio.fixture(scope="module", name="system")
async def healthy_system(make_database: MakeDatabase) -> AsyncIterator[System]:
    async with running_system(await make_database()) as running:
        user = unique("well")
        assert (await running.pay(user=user)).status == 201
        made = await create(running, user, await plan(running), payment_method="pm_card_visa", trial_period_days=0)
        assert made.status == 201
        await running.quiet()
        yield running


async def examine(
    system: System, *, settings: Settings | None = None, clock: Clock | None = None, timeout_s: float = 30
) -> Report:
    settings = settings or system.settings
    clock = clock or clock_of(settings.clock_file)
    parts = build_parts(settings, clock, "doctor")
    await parts.database.open()
    try:
        endpoints = InstalledEndpoints(parts.database, clock, settings, parts.stripe, parts.registry.event_types())
        tally = parts.reconciling
        every = Doctor(
            parts.database, clock, settings, parts.stripe, endpoints, tally.catch_up, tally.reconciler,
            timeout_s=timeout_s,
        )  # fmt: skip
        return await every.examine()
    finally:
        await parts.close()


def changed(system: System, **changes: Any) -> Settings:
    return Settings.model_construct(**{**dict(system.settings), **changes})


def failed(report: Report) -> dict[str, Result]:
    return {result.name: result for result in report.results if result.status == "fail"}


async def only_fault(system: System, name: str, **how: Any) -> Result:
    """The one thing that is wrong; it says what to do."""
    found = failed(await examine(system, **how))
    assert found.keys() == {name}, {each.name: each.found for each in found.values()}
    assert found[name].todo
    return found[name]


@contextlib.asynccontextmanager
async def planted(system: System, plant: str, undo: str, *values: Any) -> AsyncIterator[None]:
    await system.pool.execute(plant, *values)
    try:
        yield
    finally:
        await system.pool.execute(undo)


@contextlib.asynccontextmanager
async def endpoint(system: System, **fields: str) -> AsyncIterator[str]:
    """The endpoint with other fields, for a while."""
    (there,) = (await system.stripe(ENDPOINTS))["data"]
    before = {"url": there["url"], "disabled": "false"}
    before |= {f"enabled_events[{place}]": name for place, name in enumerate(there["enabled_events"])}
    await system.stripe(f"{ENDPOINTS}/{there['id']}", fields)
    try:
        yield there["id"]
    finally:
        await system.stripe(f"{ENDPOINTS}/{there['id']}", before)


async def counts(system: System) -> Any:
    tables = ("webhook_events", "work", "mails", "attempts", "installation", "webhook_secrets", "leases")
    rows = {table: await system.value(f"SELECT md5(string_agg(t::text, '' ORDER BY t::text)) FROM {table} t")
            for table in tables if table != "leases"}  # fmt: skip
    posts = (await system.sandbox("GET", "/_sandbox/requests?limit=1000"))["data"]
    return rows, sum(1 for request in posts if request["method"] != "GET")


async def test_where_nothing_is_wrong_nothing_fails_and_nothing_is_changed(system: System) -> None:
    before = await counts(system)
    report = await examine(system)
    assert failed(report) == {}
    assert report.healthy
    assert report.counts["ok"] > 30
    names = [result.name for result in report.results]
    assert len(names) == len(set(names))
    assert await counts(system) == before
    text = json.dumps([(result.found, result.todo) for result in report.results])
    for secret in (JWT_SECRET, WEBHOOK_SECRET, "sk_test_system"):
        assert secret not in text


async def test_a_wrong_address(system: System) -> None:
    async with endpoint(system, url="https://elsewhere.test/api/webhooks/stripe"):
        fault = await only_fault(system, "webhooks.endpoint")
    assert f"Stripe sends nothing to {system.api_url}/api/webhooks/stripe" in fault.found
    assert "tallystick webhooks install" in (fault.todo or "")


async def test_missing_events(system: System) -> None:
    async with endpoint(system, **{"enabled_events[]": "invoice.paid"}) as endpoint_id:
        fault = await only_fault(system, "webhooks.endpoint")
    assert fault.found.startswith(f"{endpoint_id} does not send charge.captured, ")
    assert "more" in fault.found


async def test_a_disabled_endpoint(system: System) -> None:
    async with endpoint(system, disabled="true"):
        fault = await only_fault(system, "webhooks.endpoint")
    assert "is disabled" in fault.found


async def test_an_old_schema(system: System) -> None:
    head = await system.value("SELECT version_num FROM alembic_version")
    async with planted(
        system,
        "UPDATE alembic_version SET version_num = '0007'",
        f"UPDATE alembic_version SET version_num = '{head}'",
    ):
        found = failed(await examine(system))
    # The API answers that it is not ready, too.
    assert found.keys() == {"database.schema", "api.reachable"}
    assert found["database.schema"].todo == "Run `tallystick migrate`."


async def test_a_back_fill_that_was_broken_off(system: System) -> None:
    async with planted(
        system,
        "INSERT INTO backfills (name, revision) VALUES ('users_locale', '9998')",
        "DELETE FROM backfills WHERE name = 'users_locale'",
    ):
        found = {result.name: result for result in (await examine(system)).results}["database.schema"]
    assert (found.status, "users_locale" in found.found) == ("warn", True)
    assert found.todo is not None
    assert "`tallystick migrate`" in found.todo


async def test_another_account(system: System) -> None:
    account = await system.value("SELECT stripe_account_id FROM installation")
    async with planted(
        system,
        "UPDATE installation SET stripe_account_id = 'acct_other'",
        f"UPDATE installation SET stripe_account_id = '{account}'",
    ):
        fault = await only_fault(system, "stripe.account")
    assert fault.found == f"the key is of {account}, this database of acct_other"


async def test_a_clock_that_is_wrong(system: System) -> None:
    class Ahead(SystemClock):
        def wall(self) -> Any:
            return super().wall() + timedelta(minutes=9)

    found = failed(await examine(system, clock=Ahead()))
    assert {"database.clock", "stripe.clock"} <= found.keys()
    assert re.match(r"5\d\d seconds between this machine and Stripe", found["stripe.clock"].found)
    assert "NTP" in (found["stripe.clock"].todo or "")


async def test_a_dead_letter(system: System) -> None:
    dead = "SELECT id FROM webhook_events WHERE event_type = 'product.created' LIMIT 1"
    async with planted(
        system,
        f"UPDATE webhook_events SET state = 'dead', processed = false, processed_at = NULL WHERE id = ({dead})",
        "UPDATE webhook_events SET state = 'processed', processed = true, processed_at = now() WHERE state = 'dead'",
    ):
        fault = await only_fault(system, "queue.events")
    assert fault.found == "1 with the dead letters, nothing is due"
    assert "tallystick events list --state dead" in (fault.todo or "")


STUCK = {
    "work": """
        INSERT INTO work (id, kind, business_key, due_at, leased_until)
        VALUES ($1, 'x', 'stuck', now() - interval '1 hour', now() + interval '1 hour')
    """,
    "mails": """
        INSERT INTO mails (id, business_key, template, recipient, locale, context, due_at, leased_until) VALUES
        ($1, 'stuck', 'refund', 'a@b.test', 'en', '{}', now() - interval '1 hour', now() + interval '1 hour')
    """,
}


@pytest.mark.parametrize("queue", STUCK)
async def test_a_stuck_queue(system: System, queue: str) -> None:
    async with planted(system, STUCK[queue], f"DELETE FROM {queue} WHERE business_key = 'stuck'", new_id()):
        fault = await only_fault(system, f"queue.{queue}")
    assert fault.found == "1 due, the oldest for 60 minutes"


async def test_a_write_of_which_nobody_knows(system: System) -> None:
    one = "(SELECT id FROM attempts WHERE lock_key IS NULL LIMIT 1)"
    async with planted(
        system,
        "UPDATE attempts SET state = 'unknown', idempotency_key_id = NULL, sent_at = sent_at - interval '3 hours', "
        f"lease_until = now() + interval '1 hour' WHERE id = {one}",
        "UPDATE attempts SET state = 'succeeded' WHERE state = 'unknown'",
    ):
        fault = await only_fault(system, "attempts.open")
    assert fault.found.startswith("1 without an end, the oldest for 3 hours")


async def test_a_key_that_may_not_read_everything(system: System) -> None:
    for path in ("/v1/disputes", "/v1/subscription_schedules"):
        await system.fault(target="api", kind="status", status=403, method="GET", path=path, times=None)
    try:
        fault = await only_fault(system, "stripe.permissions")
    finally:
        await system.sandbox("DELETE", "/_sandbox/faults")
    assert fault.found == "the key may not read disputes, subscription_schedules"


async def test_a_key_that_stripe_does_not_know(system: System) -> None:
    await system.fault(target="api", kind="status", status=401, times=None, path="/v1/account")
    try:
        report = await examine(system)
    finally:
        await system.sandbox("DELETE", "/_sandbox/faults")
    assert failed(report).keys() == {"stripe.key"}
    skipped = {result.name: result.found for result in report.results if result.status == "skipped"}
    assert skipped["webhooks.endpoint"] == "needs: key"


async def test_a_violated_invariant(system: System) -> None:
    one = "(SELECT id FROM payments WHERE status = 'succeeded' LIMIT 1)"
    async with planted(
        system,
        f"UPDATE payments SET amount_received = amount + 1 WHERE id = {one}",
        "UPDATE payments SET amount_received = amount WHERE amount_received > amount",
    ):
        fault = await only_fault(system, "invariant.captured_within_amount")
    assert re.search(r"captured (\d+) and capturable 0 of \d+ usd", fault.found)


async def test_a_mail_server_that_is_away(system: System) -> None:
    settings = changed(system, smtp_url=SecretStr(f"smtp://:pass@127.0.0.1:{free_port()}"))
    fault = await only_fault(system, "mail.server", settings=settings)
    assert "no connection to the mail server" in fault.found
    assert "pass" not in fault.found


async def test_no_worker(system: System) -> None:
    await system.stop_workers()
    try:
        await only_fault(system, "worker.running")
    finally:
        system.start_worker()


async def test_events_that_never_came(system: System) -> None:
    class LaterToday(SystemClock):
        """Far enough for the events to be old, near enough for all else."""

        def now(self) -> Any:
            return super().now() + timedelta(minutes=6)

    await system.quiet()
    # It would catch up.
    await system.stop_workers()
    lost = "SELECT id FROM webhook_events WHERE event_type = 'product.created' LIMIT 1"
    name = await system.value(f"SELECT stripe_event_id FROM webhook_events WHERE id = ({lost})")
    async with planted(
        system,
        f"UPDATE webhook_events SET stripe_event_id = 'evt_hidden' WHERE id = ({lost})",
        f"UPDATE webhook_events SET stripe_event_id = '{name}' WHERE stripe_event_id = 'evt_hidden'",
    ):
        found = failed(await examine(system, clock=LaterToday()))
    system.start_worker()
    assert name in found["webhooks.events"].found


async def test_a_database_that_is_away_fails_alone(system: System) -> None:
    settings = changed(system, database_url=SecretStr(f"postgresql://postgres:geheim@127.0.0.1:{free_port()}/none"))
    report = await examine(system, settings=settings)
    assert failed(report).keys() == {"database.reachable"}
    assert "geheim" not in str(report)
    assert report.counts["skipped"] > 20


async def test_a_check_that_hangs_or_breaks_keeps_none_from_its_turn(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang(_: Any) -> Any:
        await asyncio.sleep(60)

    async def burst(_: Any) -> Any:
        raise ZeroDivisionError("by the test")

    monkeypatch.setattr("tallystick.doctor.service_database.DatabaseChecks._durability", hang)
    monkeypatch.setattr("tallystick.doctor.service_queues.QueueChecks._worker", burst)
    report = await examine(system, timeout_s=5)
    found = failed(report)
    assert found.keys() == {"database.durability", "worker.running"}
    assert found["database.durability"].found == "no answer within 5 seconds"
    assert "ZeroDivisionError" in found["worker.running"].found


async def test_the_command(system: System, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    settings = system.settings
    assert settings.smtp_url is not None
    environment = {
        "ENVIRONMENT": "test", "DATABASE_URL": system.database_url, "STRIPE_SECRET_KEY": "sk_test_system",
        "STRIPE_PUBLISHABLE_KEY": "pk_test_system", "STRIPE_API_BASE": system.sandbox_url,
        "STRIPE_WEBHOOK_SECRET": WEBHOOK_SECRET, "PUBLIC_URL": system.api_url, "JWT_SECRET": JWT_SECRET,
        "CLOCK_FILE": str(settings.clock_file), "SMTP_URL": settings.smtp_url.get_secret_value(), "COLUMNS": "80",
    }  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tallystick.cli.main", "doctor"),
        env={"PATH": os.environ["PATH"], **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    printed, complained = await process.communicate()
    out = printed.decode()
    assert (process.returncode, complained) == (0, b""), out
    assert "Invariants" in out
    assert "wrong" not in out
    assert max(len(line) for line in out.splitlines()) <= 80

    for name, value in (environment | {"STRIPE_SECRET_KEY": "nonsense"}).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as ended:
        doctor(json=True)
    assert ended.value.code == 1
    told = capsys.readouterr().out
    report = json.loads(told)
    assert report["healthy"] is False
    (check,) = report["checks"]
    assert (check["name"], check["status"]) == ("settings.usable", "fail")
    assert "STRIPE_SECRET_KEY" in check["found"]
    assert "nonsense" not in told

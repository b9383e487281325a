"""`tallystick deploy check`: the list before and after a deployment, with what is wrong found and said."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pydantic import SecretStr

from system import MakeDatabase, System, running_system
from tallystick.app.parts import build_parts
from tallystick.doctor.models import Report, Status
from tallystick.doctor.service import Doctor
from tallystick.doctor.service_deploy import AFTER, BEFORE, DeployChecks, Stage
from tallystick.platform.backup import back_up
from tallystick.platform.settings import Settings
from tallystick.webhooks.service_endpoints import InstalledEndpoints


@pytest_asyncio.fixture(scope="module")
async def system(make_database: MakeDatabase) -> AsyncIterator[System]:
    async with running_system(await make_database()) as running:
        yield running


async def check(
    system: System, stage: Stage, *, backup: Path | None = None, age: float = 24, wait_s: float = 60, **changes: Any
) -> Report:
    settings = system.settings.model_copy(update=changes)
    parts = build_parts(settings, system.clock, "deploy")
    await parts.database.open()
    try:
        endpoints = InstalledEndpoints(
            parts.database, parts.clock, settings, parts.stripe, parts.registry.event_types()
        )
        tally = parts.reconciling
        doctor = Doctor(
            parts.database, parts.clock, settings, parts.stripe, endpoints, tally.catch_up, tally.reconciler
        )
        own = DeployChecks(
            parts.database,
            parts.clock,
            settings,
            backup=backup,
            backup_age=timedelta(hours=age),
            payment_wait_s=wait_s,
        )
        return await doctor.examine(BEFORE if stage == "before" else AFTER, own.checks(stage))
    finally:
        await parts.close()


def found(report: Report, name: str) -> tuple[str, str]:
    result = next(one for one in report.results if one.name == name)
    assert (result.todo is None) == (result.status in (Status.OK, Status.SKIPPED)), result
    return result.status.value, result.found


async def test_before_a_deployment(system: System, tmp_path: Path) -> None:
    without = await check(system, "before")
    assert found(without, "deploy.backup") == ("fail", "none was named")
    assert not without.healthy
    await back_up(system.database_url, "public", tmp_path / "b.dump")
    ready = await check(system, "before", backup=tmp_path / "b.dump")
    assert [one.name for one in ready.results if one.status is Status.FAIL] == []
    assert found(ready, "deploy.backup")[0] == "ok"
    assert found(ready, "deploy.migrations")[1].startswith("none is to be applied")
    stale = await check(system, "before", backup=tmp_path / "b.dump", age=-1)
    assert found(stale, "deploy.backup")[0] == "fail"
    assert not any(one.name == "deploy.payment" for one in ready.results)


async def test_a_backup_that_does_not_fit_is_no_backup(
    system: System, make_database: MakeDatabase, tmp_path: Path
) -> None:
    await back_up(system.database_url, "public", tmp_path / "b.dump")
    with (tmp_path / "b.dump").open("ab") as file:
        file.write(b"more")
    assert "damaged" in found(await check(system, "before", backup=tmp_path / "b.dump"), "deploy.backup")[1]
    await back_up(system.database_url, "public", tmp_path / "c.dump")
    newest = await system.value("SELECT version_num FROM alembic_version")
    await system.fetch("UPDATE alembic_version SET version_num = '0014'")
    try:
        report = await check(system, "before", backup=tmp_path / "c.dump")
        assert "the database is public at 0014" in found(report, "deploy.backup")[1]
        assert found(report, "deploy.migrations")[1].startswith("from 0014 to")
    finally:
        await system.fetch("UPDATE alembic_version SET version_num = $1", newest)


async def test_after_a_deployment_a_payment_goes_through_and_back(system: System) -> None:
    await system.pay()
    await system.quiet()
    report = await check(system, "after")
    status, text = found(report, "deploy.payment")
    assert (status, text.partition(" ")[2]) == ("ok", "succeeded, its event came by webhook, refunded")
    refunds = (await system.stripe(f"/v1/refunds?payment_intent={text.partition(' ')[0]}"))["data"]
    assert [refund["amount"] for refund in refunds] == [50]
    assert found(report, "deploy.metrics")[0] == "ok"
    assert [one.name for one in report.results if one.status is Status.FAIL] in ([], ["webhooks.endpoint"])


async def test_a_deployment_whose_webhooks_do_not_arrive_is_found(system: System) -> None:
    await system.fault(target="webhook", kind="drop", times=None)
    try:
        status, text = found(await check(system, "after", wait_s=1), "deploy.payment")
    finally:
        await system.sandbox("DELETE", "/_sandbox/faults")
    assert status == "fail"
    assert "none of its events was applied within 1 seconds" in text


@pytest.mark.parametrize(
    ("changes", "name", "told"),
    [
        ({"public_url": "http://127.0.0.1:1"}, "deploy.metrics", "does not answer"),
        ({"public_url": None}, "deploy.payment", "PUBLIC_URL is not set"),
        ({"jwt_secret": None}, "deploy.payment", "no token can be made here"),
    ],
)
async def test_what_cannot_be_looked_at_says_so(system: System, changes: dict[str, Any], name: str, told: str) -> None:
    assert told in found(await check(system, "after", wait_s=1, **changes), name)[1]


async def test_a_live_key_is_never_paid_with(system: System) -> None:
    live = Settings.model_construct(**{**dict(system.settings), "stripe_secret_key": SecretStr("sk_live_x")})
    before = len((await system.stripe("/v1/payment_intents?limit=100"))["data"])
    parts = build_parts(system.settings, system.clock, "deploy")
    checks = DeployChecks(parts.database, parts.clock, live, backup=None, backup_age=timedelta(hours=1))
    payment = next(one for one in checks.checks("after") if one.name == "deploy.payment")
    assert (await payment.look()).status is Status.SKIPPED
    assert len((await system.stripe("/v1/payment_intents?limit=100"))["data"]) == before

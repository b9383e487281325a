"""The endpoint at Stripe that sends events here: made once, put right, and changed for another while events arrive."""

import asyncio
import json
import os
import stat
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from simulation.mirror import assert_same, mirror_rows, stripe_rows
from simulation.mirror_billing import stripe_subscriptions, subscription_rows
from subscribing import create, plan
from system import JWT_SECRET, MakeDatabase, System, free_port, running_system, serving, unique
from tallystick.app import create_app
from tallystick.app.parts import build_parts
from tallystick.cli import webhook_endpoints
from tallystick.cli.errors import Problem
from tallystick.core.clock import SystemClock, clock_of
from tallystick.platform.database import Database
from tallystick.platform.settings import Settings, load_settings
from tallystick.sandbox.versions import NEWEST, OLDEST
from tallystick.stripe_gateway.errors import GatewayError
from tallystick.stripe_gateway.service import StripeService
from tallystick.stripe_gateway.signatures import fingerprint
from tallystick.webhooks import service_secrets
from tallystick.webhooks.errors import EndpointNotReady
from tallystick.webhooks.service_endpoints import Installed, InstalledEndpoints, KnownEndpoint

PATH = "/v1/webhook_endpoints"


_HANDLED: list[str] = []


def handled(settings: Settings) -> list[str]:
    """All types of events that are handled, which all settings have in common."""
    if not _HANDLED:
        parts = build_parts(settings, clock_of(None), "test")
        _HANDLED.extend(parts.registry.event_types())
    return _HANDLED


@dataclass
class Site:
    """An API of its own beside the system's: no endpoint of Stripe's leads to it until one is made."""

    system: System
    secrets: list[str] = field(default_factory=list)
    port: int = field(default_factory=free_port)
    _running: AsyncExitStack = field(default_factory=AsyncExitStack)

    @property
    def environment(self) -> dict[str, str]:
        there = self.system.settings
        return {
            "ENVIRONMENT": "test",
            "DATABASE_URL": self.system.database_url,
            "STRIPE_SECRET_KEY": "sk_test_system",
            "STRIPE_API_BASE": self.system.sandbox_url,
            "STRIPE_WEBHOOK_SECRET": ",".join(self.secrets or ["whsec_none"]),
            "PUBLIC_URL": f"http://127.0.0.1:{self.port}",
            "JWT_SECRET": JWT_SECRET,
            "CLOCK_FILE": str(there.clock_file),
            "LOG_LEVEL": "error",
            "STRIPE_TIMEOUT_S": "2",
        }

    @property
    def settings(self) -> Settings:
        return load_settings(self.environment)

    async def restart(self) -> None:
        """Serve with the secrets that there are now."""
        await self.stop()
        await self._running.enter_async_context(serving(create_app(self.settings), self.port))

    async def stop(self) -> None:
        await self._running.aclose()

    async def do(self, what: Callable[[InstalledEndpoints], Awaitable[Any]]) -> Any:
        settings = self.settings
        clock, stripe = clock_of(settings.clock_file), StripeService(settings)
        database = await Database.connect(self.system.database_url, size=1)
        try:
            return await what(InstalledEndpoints(database, clock, settings, stripe, handled(settings)))
        finally:
            await stripe.close()
            await database.close()

    async def install(self, **how: Any) -> Installed:
        done: Installed = await self.do(lambda service: service.install(**how))
        return done

    async def known(self) -> list[KnownEndpoint]:
        found: list[KnownEndpoint] = await self.do(lambda service: service.find_all())
        return found

    async def taken(self, done: Installed) -> None:
        """Serve with the new secret, too."""
        assert done.secret is not None
        self.secrets.append(done.secret)
        await self.restart()

    async def seen(self, secret: str | None) -> None:
        """Let something happen, and wait until this secret has verified it."""
        await self.system.stripe("/v1/products", {"name": unique("thing")})
        await self.system.sandbox("POST", "/_sandbox/quiet?timeout_s=10")
        noted = "SELECT count(*) FROM webhook_secrets WHERE fingerprint = $1"
        for _ in range(500):
            if await self.system.value(noted, fingerprint(secret or "")):
                return
            await asyncio.sleep(0.01)
        raise AssertionError("the secret has verified nothing")

    async def cli(self, *arguments: str, **environment: str) -> tuple[int, str, str]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tallystick.cli.main", "webhooks", *arguments),
            env={"PATH": os.environ["PATH"], "COLUMNS": "80", **self.environment, **environment},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode(), err.decode()


@pytest_asyncio.fixture(scope="module", name="system")
async def system_without_endpoint(make_database: MakeDatabase) -> AsyncIterator[System]:
    async with running_system(await make_database()) as running:
        (first,) = (await running.stripe(PATH))["data"]
        await delete(running, first["id"])
        yield running


@pytest_asyncio.fixture
async def site(system: System) -> AsyncIterator[Site]:
    made = Site(system)
    yield made
    await made.stop()
    await system.sandbox("DELETE", "/_sandbox/faults")
    for endpoint in (await system.stripe(f"{PATH}?limit=100"))["data"]:
        await delete(system, endpoint["id"])


async def delete(system: System, endpoint_id: str) -> None:
    auth = {"Authorization": "Bearer sk_test_system"}
    async with system.http.delete(f"{system.sandbox_url}{PATH}/{endpoint_id}", headers=auth) as response:
        assert response.status == 200


async def at_stripe(site: Site) -> list[dict[str, Any]]:
    found = (await site.system.stripe(f"{PATH}?limit=100"))["data"]
    return [one for one in found if one["url"].startswith(f"http://127.0.0.1:{site.port}/")]


async def test_install_makes_one_endpoint_that_works_and_only_one(site: Site) -> None:
    done = await site.install()
    (there,) = await at_stripe(site)
    assert (done.done, done.endpoint.id) == ("created", there["id"])
    assert there["url"].endswith("/api/webhooks/stripe")
    assert there["api_version"] == OLDEST
    assert "payment_intent.succeeded" in there["enabled_events"]
    assert "invoice_payment.paid" not in there["enabled_events"], "2023-10-16 does not have it"
    assert done.secret is not None
    assert done.secret not in repr(done) + json.dumps(there)
    await site.taken(done)
    await site.seen(done.secret)

    again = await site.install()
    assert (again.done, again.endpoint.id, again.secret) == ("unchanged", done.endpoint.id, None)
    assert len(await at_stripe(site)) == 1


async def test_install_puts_right_what_somebody_changed(site: Site) -> None:
    done = await site.install()
    await site.taken(done)
    wrong = {"enabled_events[]": "charge.succeeded", "disabled": "true", "url": "https://elsewhere.test/hooks"}
    await site.system.stripe(f"{PATH}/{done.endpoint.id}", wrong)
    assert (await site.install()).done == "updated"
    (there,) = await at_stripe(site)
    assert there["status"] == "enabled"
    assert len(there["enabled_events"]) > 70


@pytest.mark.parametrize(("path", "when"), [(PATH, "after"), (f"{PATH}/*", "before"), (f"{PATH}/*", "after")])
async def test_an_answer_that_is_lost_leaves_no_second_endpoint(site: Site, path: str, when: str) -> None:
    """Nobody was told the secret of what was made; only where it was marked last of all that is not to be seen."""
    await site.system.fault(target="api", kind="cut", method="POST", path=path, when=when, times=None)
    with pytest.raises(GatewayError):
        await site.install()
    await site.system.sandbox("DELETE", "/_sandbox/faults")
    marked = path != PATH and when == "after"
    if marked:
        with pytest.raises(EndpointNotReady, match="its secret"):
            await site.install()
    done = await site.install(replace=marked)
    assert done.done == "created"
    assert [there["id"] for there in await at_stripe(site)] == [done.endpoint.id]
    await site.taken(done)
    await site.seen(done.secret)


async def test_an_endpoint_made_by_hand_is_adopted_once_it_has_proven_itself(site: Site) -> None:
    url = f"http://127.0.0.1:{site.port}/api/webhooks/stripe"
    hand = {"url": url, "enabled_events[]": "*", "api_version": NEWEST}
    made = await site.system.stripe(PATH, hand)
    site.secrets = [made["secret"]]
    await site.restart()
    with pytest.raises(EndpointNotReady) as refused:
        await site.install()
    assert "--replace" in refused.value.suggested_action
    await site.seen(made["secret"])

    done = await site.install()
    assert (done.done, done.endpoint.id, done.secret) == ("adopted", made["id"], None)
    (there,) = await at_stripe(site)
    assert "invoice_payment.paid" in there["enabled_events"]
    assert "*" not in there["enabled_events"]
    assert (await site.install()).done == "unchanged"


async def test_a_secret_that_is_lost_is_replaced_only_when_told(site: Site) -> None:
    lost = await site.install()
    with pytest.raises(EndpointNotReady):
        await site.install()
    done = await site.install(replace=True)
    assert done.removed == (lost.endpoint.id,)
    assert [there["id"] for there in await at_stripe(site)] == [done.endpoint.id]


async def test_rotating_the_secret(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_secrets, "_EVERY_S", 0.0)
    first = await site.install()
    await site.taken(first)
    with pytest.raises(EndpointNotReady, match="take the place"):
        await site.do(lambda service: service.finish())

    second: Installed = await site.do(lambda service: service.begin())
    assert second.secret not in (None, first.secret)
    with pytest.raises(EndpointNotReady, match="already"):
        await site.do(lambda service: service.begin())
    with pytest.raises(EndpointNotReady, match="does not hold the secret"):
        await site.do(lambda service: service.finish())
    await site.taken(second)
    with pytest.raises(EndpointNotReady, match="has arrived yet"):
        await site.do(lambda service: service.finish())
    assert len(await at_stripe(site)) == 2
    await site.seen(second.secret)

    done: Installed = await site.do(lambda service: service.finish())
    assert (done.endpoint.id, done.removed) == (second.endpoint.id, (first.endpoint.id,))
    site.secrets.remove(first.secret or "")
    await site.restart()
    await site.seen(second.secret)
    (known,) = await site.known()
    assert known.replaces is None
    assert (await site.install()).done == "unchanged"


async def test_a_rotation_can_be_called_off(site: Site) -> None:
    first = await site.install()
    await site.taken(first)
    second: Installed = await site.do(lambda service: service.begin())
    done: Installed = await site.do(lambda service: service.cancel())
    assert done.removed == (second.endpoint.id,)
    assert [there["id"] for there in await at_stripe(site)] == [first.endpoint.id]


async def test_switching_the_version_while_money_moves(site: Site) -> None:
    """Both endpoints send all events, each in its own version: each is applied once, and nobody hears twice."""
    system = site.system
    first = await site.install()
    await site.taken(first)
    price = await plan(system)
    users = [unique("switch") for _ in range(6)]

    async def act(user: str) -> None:
        assert (await system.pay(user=user)).status == 201
        made = await create(system, user, price, payment_method="pm_card_visa", trial_period_days=0)
        assert made.status == 201, made.body
        assert (await system.call("DELETE", f"/api/subscriptions/{made.body['id']}", user=user)).status == 200

    before = [act(user) for user in users[:2]]
    for version in ("1999-01-01", "2027-01-01.wonder", "newest"):
        with pytest.raises(EndpointNotReady, match="cannot be read"):
            await site.do(partial(InstalledEndpoints.begin, api_version=version))
    traffic = asyncio.gather(*before)
    second: Installed = await site.do(lambda service: service.begin(NEWEST))
    assert second.endpoint.api_version == NEWEST
    assert "invoice_payment.paid" in second.endpoint.events
    await traffic
    await site.taken(second)
    await asyncio.gather(*(act(user) for user in users[2:4]))
    await site.seen(second.secret)
    traffic = asyncio.gather(*(act(user) for user in users[4:]))
    done: Installed = await site.do(lambda service: service.finish())
    await traffic
    assert done.removed == (first.endpoint.id,)
    await system.quiet()

    versions = await system.fetch("SELECT DISTINCT api_version FROM webhook_events WHERE source = 'webhook'")
    assert {OLDEST, NEWEST} <= {row["api_version"] for row in versions}
    assert_same(
        await mirror_rows(system.database_url), await stripe_rows(system.stripe, system.settings.installation_id)
    )
    assert_same(await subscription_rows(system.database_url), await stripe_subscriptions(system.stripe))
    for user in users:
        subjects = [mail.subject for mail in system.mails_to(user)]
        assert len(subjects) == len(set(subjects)) > 1, subjects


async def test_a_secret_is_noted_once_a_minute_and_whatever_happens_the_event_stays(system: System) -> None:
    class Later(SystemClock):
        ahead = 0.0

        def monotonic(self) -> float:
            return super().monotonic() + self.ahead

    clock, secrets = Later(), [unique("whsec_old"), unique("whsec_new")]
    mark = fingerprint(secrets[1])
    noted = "SELECT verified_at FROM webhook_secrets WHERE fingerprint = $1"
    database = await Database.connect(system.database_url, size=1)
    sightings = service_secrets.SecretSightings(database, clock, secrets)
    sightings.saw(1, OLDEST)
    await sightings.stop()
    first = await system.value(noted, mark)
    sightings.saw(1, NEWEST)
    await sightings.stop()
    assert await system.value(noted, mark) == first, "within a minute"
    clock.ahead = 61
    await database.close()
    sightings.saw(1, NEWEST)
    await sightings.stop()
    assert await system.value(noted, mark) == first, "the database is away, and nobody minds"
    await database.open()
    sightings.saw(1, NEWEST)
    await sightings.stop()
    await database.close()
    assert await system.value(noted, mark) > first
    assert await system.value("SELECT api_version FROM webhook_secrets WHERE fingerprint = $1", mark) == NEWEST
    assert await system.value(noted, fingerprint(secrets[0])) is None


async def test_the_command(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    secret_file = tmp_path / "secret"
    before = {"STRIPE_WEBHOOK_SECRET": "", "STRIPE_WEBHOOK_SECRET_FILE": str(secret_file)}
    code, out, err = await site.cli("install", "--secret-file", str(secret_file), **before)
    assert code == 0, err
    assert "created" in out
    assert stat.S_IMODE(secret_file.stat().st_mode) == 0o600
    secret = secret_file.read_text().strip()
    assert secret.startswith("whsec_")
    assert secret not in out + err

    site.secrets = [secret]
    for name, value in site.environment.items():
        monkeypatch.setenv(name, value)
    await asyncio.to_thread(webhook_endpoints.list_endpoints, json=True)
    out = capsys.readouterr().out
    (listed,) = json.loads(out)
    assert (listed["ours"], listed["secret_known"], listed["enabled"]) == (True, True, True)
    assert secret not in out
    with pytest.raises(Problem, match=r"Name a version from 2023-10-16 to 2026-10-28\.endive\."):
        await asyncio.to_thread(webhook_endpoints.switch_version, "1999-01-01")
    with pytest.raises(Problem, match="Name the version to begin"):
        webhook_endpoints.switch_version()
    await asyncio.to_thread(webhook_endpoints.rotate, json=True)
    assert json.loads(capsys.readouterr().out)["stripe_webhook_secret"].startswith(f"{secret},whsec_")
    written = await site.system.fetch(
        "SELECT action, outcome FROM audit_log WHERE action LIKE 'webhooks.%' ORDER BY id"
    )
    assert [(entry["action"], entry["outcome"]) for entry in written] == [
        ("webhooks.install", "done"),
        ("webhooks.begin", "refused"),
        ("webhooks.begin", "done"),
    ]

"""The endpoint at Stripe that sends events here: made once, put right, and changed for another while events arrive."""

import asyncio
import json
import stat
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio

from integration.webhooks.endpoint_kit import PATH, Site, at_stripe, delete, dying, keys_sent
from simulation.mirror import assert_same, mirror_rows, stripe_rows
from simulation.mirror_billing import stripe_subscriptions, subscription_rows
from subscribing import create, plan
from system import MakeDatabase, System, running_system, unique
from tallystick.cli import webhook_endpoints
from tallystick.cli.errors import Problem
from tallystick.core.clock import SystemClock
from tallystick.platform.database import Database
from tallystick.sandbox.versions import NEWEST, OLDEST
from tallystick.stripe_gateway import service as gateway
from tallystick.stripe_gateway.errors import GatewayOutcomeUnknown, GatewayRejected
from tallystick.stripe_gateway.signatures import fingerprint
from tallystick.webhooks import service_secrets
from tallystick.webhooks.errors import EndpointNotReady
from tallystick.webhooks.service_endpoints import Installed, InstalledEndpoints


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


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tries of one call follow each other at once."""
    monkeypatch.setattr(gateway, "_FIRST_WAIT_S", 0.0)


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
@pytest.mark.usefixtures("no_pause")
async def test_an_answer_that_is_lost_is_given_again(site: Site, path: str, when: str) -> None:
    await keys_sent(site, PATH)
    await site.system.fault(target="api", kind="cut", method="POST", path=path, when=when, times=None)
    with pytest.raises(GatewayOutcomeUnknown):
        await site.install()
    await site.system.sandbox("DELETE", "/_sandbox/faults")
    (there,) = await at_stripe(site)

    done = await site.install()
    assert (done.done, done.removed) == ("created", ())
    assert [one["id"] for one in await at_stripe(site)] == [done.endpoint.id] == [there["id"]]
    assert len(set(await keys_sent(site, PATH))) == 1
    await site.taken(done)
    await site.seen(done.secret)
    assert (await site.install()).done == "unchanged"


@pytest.mark.parametrize("marked", [False, True])
async def test_a_key_that_stripe_may_have_forgotten_is_not_sent_again(site: Site, marked: bool) -> None:
    """What there is at Stripe says then what to do: nobody has the secret of one that bears no mark of it."""
    await keys_sent(site, PATH)
    site.tells = False
    lost = await site.install()
    (first,) = await keys_sent(site, PATH)
    await site.system.fetch("UPDATE webhook_endpoint_writes SET created_at = created_at - interval '23 hours'")
    if marked:
        with pytest.raises(EndpointNotReady, match="its secret"):
            await site.install()
    else:
        await site.system.stripe(f"{PATH}/{lost.endpoint.id}", {"metadata[tallystick_secret]": ""})
    done = await site.install(replace=marked)
    assert done.removed == (lost.endpoint.id,)
    assert [there["id"] for there in await at_stripe(site)] == [done.endpoint.id]
    (second,) = await keys_sent(site, PATH)
    assert second != first


@pytest.mark.parametrize("replace", [False, True])
async def test_whoever_installs_may_die_at_any_moment(site: Site, replace: bool) -> None:
    """Then once more: one endpoint, its secret, and one key for what was made."""
    site.tells = False
    url = f"http://127.0.0.1:{site.port}/api/webhooks/stripe"
    at, died = 0, True
    while died:
        if replace:
            await site.system.stripe(PATH, {"url": url, "enabled_events[]": "*"})
        await keys_sent(site, PATH)
        died = await dying(site, at, lambda service: service.install(replace=replace))
        done = await site.install(replace=replace)
        assert (done.done, bool(done.secret)) == ("created", True), at
        assert [there["id"] for there in await at_stripe(site)] == [done.endpoint.id], at
        assert len(set(await keys_sent(site, PATH))) == 1, at
        await site.do(lambda service: service.told())
        await delete(site.system, done.endpoint.id)
        at += 1
    assert at > 8


async def test_whoever_rotates_may_die_at_any_moment(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_secrets, "_EVERY_S", 0.0)
    first = await site.install()
    await site.taken(first)
    site.tells = False
    begun, at = None, 0
    while await dying(site, at, lambda service: service.begin()):
        second: Installed = await site.do(lambda service: service.begin())
        assert (begun or second.secret) == second.secret is not None, at
        assert {there["id"] for there in await at_stripe(site)} == {first.endpoint.id, second.endpoint.id}, at
        begun, at = second.secret, at + 1
    assert at > 8
    await site.do(lambda service: service.told())
    with pytest.raises(EndpointNotReady, match="already"):
        await site.do(lambda service: service.begin())
    await site.taken(second)
    await site.seen(second.secret)
    await site.system.fault(target="api", kind="cut", method="DELETE", path=f"{PATH}/*", when="after", times=1)
    at = 0
    with suppress(EndpointNotReady):
        while await dying(site, at, lambda service: service.finish()):
            at += 1
    assert at > 4
    (there,) = await at_stripe(site)
    assert (there["id"], there["metadata"].get("tallystick_replaces")) == (second.endpoint.id, None)
    assert (await site.install()).done == "unchanged"


async def test_what_a_key_would_answer_with_may_be_gone(site: Site) -> None:
    site.tells = False
    removed = await site.install()
    await delete(site.system, removed.endpoint.id)
    done = await site.install()
    assert done.endpoint.id != removed.endpoint.id
    assert [there["id"] for there in await at_stripe(site)] == [done.endpoint.id]


@pytest.mark.usefixtures("no_pause")
async def test_a_refusal_is_not_asked_for_again(site: Site) -> None:
    """Stripe keeps what it said for a key, a failure of its own as well: the operator may have mended the cause."""
    refused = {"target": "api", "kind": "status", "method": "POST", "path": PATH, "times": None}
    await site.system.fault(**refused, status=400)
    with pytest.raises(GatewayRejected):
        await site.install()
    await site.system.sandbox("DELETE", "/_sandbox/faults")
    await site.system.fault(**refused, status=500)
    await keys_sent(site, PATH)
    keys = []
    for _ in range(3):
        with pytest.raises(GatewayOutcomeUnknown):
            await site.install()
        keys.append(set(await keys_sent(site, PATH)))
    assert (keys[0] == keys[1], keys[1] == keys[2]) == (True, False)


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

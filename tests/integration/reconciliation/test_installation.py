"""A database belongs to one installation, one account and one mode; what was before its mark is told to nobody."""

import asyncio
import os
import sys
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from pydantic import SecretStr

from catching_up import forward, parts_of
from simulation.world import stop_deliveries
from subscribers import DECLINES_LATER, make_price, stripe
from system import MakeDatabase, System, running_system, unique
from tallystick.app import create_worker
from tallystick.installation.errors import WrongInstallation
from tallystick.notifications.silence import silent


async def test_it_is_made_once_whoever_starts_first(make_database: MakeDatabase) -> None:
    async with running_system(await make_database(), workers=0) as system:
        async with parts_of(system) as one, parts_of(system) as other:
            services = [parts.reconciling.installation for parts in (one, other)]
            made = await asyncio.gather(*(service.current() for service in services * 4))
            assert len({installation.mark for installation in made}) == 1
            mark = made[0].mark
            assert mark.microsecond == 0
            assert timedelta() <= system.now() - mark < timedelta(minutes=1)
            account = await system.stripe("/v1/account")
            assert (await services[0].verify()).stripe_account_id == account["id"]
        await forward(system, "1d")
        async with parts_of(system) as later:
            assert (await later.reconciling.installation.verify()).mark == mark


async def test_settings_of_another_installation_are_refused(make_database: MakeDatabase) -> None:
    async with running_system(await make_database(), workers=0) as system:
        await system.fault(target="api", kind="status", status=403, path="/v1/account")
        async with parts_of(system) as parts:
            seen = await parts.reconciling.installation.verify()
            assert seen.stripe_account_id is None, "a restricted key that may not read it"
        await system.fault(target="api", kind="cut", path="/v1/account", times=3)
        async with parts_of(system) as parts:
            await parts.reconciling.installation.admit()
        async with parts_of(system) as parts:
            account = (await parts.reconciling.installation.verify()).stripe_account_id
        async with parts_of(system, installation_id="other") as parts:
            with pytest.raises(WrongInstallation, match="INSTALLATION_ID=default"):
                await parts.reconciling.installation.current()
        async with parts_of(system, stripe_secret_key=SecretStr("sk_live_1")) as parts:
            with pytest.raises(WrongInstallation, match="test data"):
                await parts.reconciling.installation.verify()

        # While it runs a refusal by the database passes; at a start it is a setting that is wrong.
        refused = system.settings.database_url.get_secret_value().replace("//", "//nobody", 1)
        async with parts_of(system, database_url=SecretStr(refused)) as parts:
            with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
                await parts.reconciling.installation.admit()

        # Another account, as another key would show it.
        await system.sandbox("POST", "/_sandbox/reset")
        async with parts_of(system) as parts:
            with pytest.raises(WrongInstallation, match=f"belongs to {account}"):
                await parts.reconciling.catch_up.catch_up()
        with pytest.raises(WrongInstallation, match=f"Use a key of {account}"):
            await create_worker(system.settings).run(asyncio.Event())
        code, told = await serve(system)
        assert code == 1
        assert f"belongs to {account}" in told


async def serve(system: System) -> tuple[int | None, str]:
    """`tallystick serve` as it would be started: how it ends, and what it says."""
    settings = system.settings
    environment = {
        "PATH": os.environ["PATH"],
        "ENVIRONMENT": "test",
        "DATABASE_URL": settings.database_url.get_secret_value(),
        "STRIPE_SECRET_KEY": settings.stripe_secret_key.get_secret_value(),
        "STRIPE_WEBHOOK_SECRET": "whsec_tests",
        "STRIPE_API_BASE": settings.stripe_api_base,
        "CLOCK_FILE": str(settings.clock_file),
        "JWT_SECRET": "x" * 40,
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tallystick.cli.main", "serve", "--port", "0"),
        env=environment,
        stderr=asyncio.subprocess.PIPE,
    )
    _, told = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode, told.decode()


async def states(system: System, like: str) -> dict[str, str]:
    rows = await system.fetch("SELECT business_key, state FROM mails WHERE business_key LIKE $1", like)
    return {row["business_key"].split(":")[0]: row["state"] for row in rows}


async def events_about(system: System, object_id: str) -> list[str]:
    rows = await system.fetch("SELECT stripe_event_id FROM webhook_events WHERE object_id = $1", object_id)
    return [row[0] for row in rows]


async def status_of(system: System, subscription: Any) -> Any:
    sql = "SELECT status FROM subscriptions WHERE stripe_subscription_id = $1"
    return await system.value(sql, subscription["id"])


async def subscribed(system: System, card: str = "pm_card_visa", **form: Any) -> tuple[str, Any]:
    """A user of ours who subscribed at Stripe."""
    user = unique("before")
    made = await system.call("POST", "/api/customers", {}, user=user)
    customer = made.body["stripe_customer_id"]
    method = await stripe(system, f"/v1/payment_methods/{card}/attach", customer=customer)
    await stripe(system, f"/v1/customers/{customer}", invoice_settings__default_payment_method=method["id"])
    return user, await stripe(system, "/v1/subscriptions", customer=customer, **form)


async def customer_who_declines(system: System) -> str:
    made = await system.call("POST", "/api/customers", {}, user=unique("declines"))
    customer = str(made.body["stripe_customer_id"])
    method = await stripe(system, f"/v1/payment_methods/{DECLINES_LATER}/attach", customer=customer)
    await stripe(system, f"/v1/customers/{customer}", invoice_settings__default_payment_method=method["id"])
    return customer


async def hear_of_everything(system: System) -> None:
    """An endpoint for outbound webhooks."""
    receiver = {"url": f"{system.api_url}/healthz", "events": ["*"]}
    made = await system.call("POST", "/api/webhook-endpoints", receiver, roles=("admin",))
    assert made.status == 201, made.body


async def test_what_is_recorded_in_silence_has_no_late_echo(make_database: MakeDatabase) -> None:
    async with running_system(await make_database(), GRACE_PERIOD_DAYS="3") as system:
        await hear_of_everything(system)
        await stop_deliveries(system)
        _, price = await make_price(system)
        user, trial = await subscribed(system, DECLINES_LATER, items__0__price=price, trial_period_days=7)
        await system.advance("12d")
        failed = await system.stripe(f"/v1/subscriptions/{trial['id']}")
        assert failed["status"] == "past_due"
        async with parts_of(system) as parts:
            with silent():
                for object_id in (price, trial["customer"], trial["id"], failed["latest_invoice"]):
                    await parts.registry.fetch(object_id)
        await system.quiet()
        [grant] = await system.fetch("SELECT access, state FROM access_grants")
        assert tuple(grant) == (False, "grace_over"), "the worker has found that the grace is over"
        assert system.mails == []
        assert await system.value("SELECT count(*) FROM mails WHERE state <> 'silent'") == 0
        assert await system.value("SELECT count(*) FROM outbound_facts WHERE type = 'access.lost'") == 1
        assert await system.value("SELECT count(*) FROM outbound_deliveries") == 0
        # Paid at last: that is news.
        method = await stripe(system, "/v1/payment_methods/pm_card_visa/attach", customer=trial["customer"])
        await stripe(system, f"/v1/invoices/{failed['latest_invoice']}/pay", payment_method=method["id"])
        async with parts_of(system) as parts:
            await parts.registry.fetch(trial["id"])
            await parts.registry.fetch(failed["latest_invoice"])
        await system.quiet()
        assert [mail.to for mail in system.mails] == [f"{user}@example.com"]
        assert await states(system, "invoice_receipt%") == {"invoice_receipt": "sent"}


async def test_events_from_before_the_mark_are_told_to_nobody(make_database: MakeDatabase) -> None:
    async with running_system(await make_database(), workers=0) as system:
        mark = system.now().replace(microsecond=0) + timedelta(minutes=10)
        await system.pool.execute("UPDATE installation SET mark = $1", mark)
        await hear_of_everything(system)
        await system.sandbox("PUT", "/_sandbox/application", {"url": system.api_url})
        system.start_worker()
        _, price = await make_price(system)
        user, old = await subscribed(system, items__0__price=price)
        _, trial = await subscribed(system, items__0__price=price, trial_period_days=14)
        charge = await stripe(
            system,
            "/v1/payment_intents",
            customer=old["customer"],
            amount=2000,
            currency="usd",
            payment_method="pm_card_createDispute",
            confirm="true",
            return_url="https://shop.test",
        )
        unpaid = await stripe(system, "/v1/invoices", customer=await customer_who_declines(system))
        await stripe(system, "/v1/invoiceitems", customer=unpaid["customer"], invoice=unpaid["id"], amount=900)
        await stripe(system, f"/v1/invoices/{unpaid['id']}/finalize")
        assert "error" in await system.stripe(f"/v1/invoices/{unpaid['id']}/pay", {"off_session": "true"})
        await system.quiet()

        # State and history are here, and nobody was told.
        assert await status_of(system, old) == "active"
        assert await system.value("SELECT count(*) FROM subscription_history") >= 2
        assert await system.value("SELECT status FROM payments WHERE stripe_payment_intent_id = $1", charge["id"])
        assert await system.value("SELECT count(*) FROM disputes") == 1
        mails = await states(system, "%")
        assert mails.keys() == {"subscription_welcome", "invoice_receipt", "invoice_unpaid"}
        assert set(mails.values()) == {"silent"}
        assert await system.value("SELECT count(*) FROM outbound_facts") > 4
        assert await system.value("SELECT count(*) FROM outbound_deliveries") == 0
        assert await system.value("SELECT count(*) FROM work WHERE kind LIKE 'alert.%'") == 0
        assert system.mails == []

        # Nor is anybody by what tells the same things again, late or anew.
        await system.advance("20m")
        for event_id in await events_about(system, old["id"]):
            again = "UPDATE webhook_events SET state = 'pending' WHERE stripe_event_id = $1"
            await system.pool.execute(again, event_id)
            await system.sandbox("POST", f"/_sandbox/events/{event_id}/resend", {})
        await stripe(system, f"/v1/subscriptions/{old['id']}", metadata__note="hello")
        await stripe(system, f"/v1/invoices/{old['latest_invoice']}", metadata__note="hello")
        await system.quiet()
        assert system.mails == []
        told = await system.fetch(
            "SELECT f.type FROM outbound_deliveries d JOIN outbound_facts f ON f.id = d.fact_id ORDER BY d.seq"
        )
        assert [row["type"] for row in told] == ["subscription.updated"]

        # What happens from now on is told, also what was planned before.
        await stripe(system, f"/v1/subscriptions/{old['id']}", cancel_at_period_end="true")
        await system.quiet()
        assert [mail.to for mail in system.mails] == [f"{user}@example.com"]
        await system.advance("40d")
        kinds = [row["template"] for row in await system.fetch("SELECT template FROM mails WHERE state = 'sent'")]
        assert sorted(kinds) == [
            "invoice_receipt",
            "subscription_cancel_scheduled",
            "subscription_canceled",
            "trial_ending",
        ]
        assert (await status_of(system, old), await status_of(system, trial)) == ("canceled", "active")

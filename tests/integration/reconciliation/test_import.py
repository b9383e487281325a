"""An account that was there before: brought into the mirror, once, whatever happens on the way, and told to nobody."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from importing import assert_mirror_is_stripe, everything_stored, imported, importer
from simulation.world import stop_deliveries
from subscribing import delete, plan, post, subscribed
from system import LONG, MakeDatabase, System, running_system, unique
from tallystick.importing.errors import ImportRefused
from tallystick.importing.models import ImportOptions, Summary
from tallystick.installation.errors import WrongInstallation
from tallystick.platform.settings import Settings

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(3600 if LONG else 180)]

OBJECTS = 100_000 if LONG else 900


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def past(make_database: MakeDatabase) -> AsyncIterator[System]:
    """A system that has just been set up, for an account with a past."""
    async with running_system(await make_database()) as system:
        await system.stop_workers()
        url, patience = f"{system.sandbox_url}/_sandbox/seed", aiohttp.ClientTimeout(total=900)
        async with system.http.post(url, json={"objects": OBJECTS}, timeout=patience) as answer:
            assert answer.status == 200
        # What is seeded has no events: none of it may be of the second in which the import begins, or after the mark.
        await asyncio.sleep(1.1)
        await system.pool.execute("UPDATE installation SET mark = $1", system.now().replace(microsecond=0))
        yield system


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def small(make_database: MakeDatabase) -> AsyncIterator[System]:
    """A system without workers, whose account the tests fill by hand; no webhook is sent. All that they make was before
    the mark."""
    async with running_system(await make_database(), workers=0) as system:
        await stop_deliveries(system)
        async with importer(system) as parts:
            await parts.reconciling.installation.current()
        await system.pool.execute("UPDATE installation SET mark = mark + interval '1 year'")
        yield system


def counted(summary: Summary, name: str) -> tuple[int, int, int, int]:
    """Listed, new, equal and changed of one kind."""
    counts = next(kind.counts for kind in summary.kinds if kind.object == name)
    return counts.listed, counts.added, counts.same, counts.changed


# A whole account


def _environment(settings: Settings) -> dict[str, str]:
    """What a process is given to have these settings."""
    secret = settings.stripe_webhook_secret[0].get_secret_value()
    assert settings.jwt_secret is not None
    return {
        "PATH": os.environ["PATH"],
        "ENVIRONMENT": "test",
        "DATABASE_URL": settings.database_url.get_secret_value(),
        "STRIPE_SECRET_KEY": settings.stripe_secret_key.get_secret_value(),
        "STRIPE_WEBHOOK_SECRET": secret,
        "STRIPE_API_BASE": settings.stripe_api_base,
        "STRIPE_API_VERSION": settings.stripe_api_version,
        "STRIPE_RATE_LIMIT": "10000",
        "STRIPE_BACKGROUND_RATE": "1000",
        "CLOCK_FILE": str(settings.clock_file),
        "JWT_SECRET": settings.jwt_secret.get_secret_value(),
    }


async def command(system: System, *arguments: str) -> asyncio.subprocess.Process:
    """`tallystick import` in a process of its own."""
    return await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "tallystick.cli.main", "import", *arguments],
        env=_environment(system.settings),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def trouble_after(system: System, path: str, pages: int, **rule: Any) -> str:
    """Let the sandbox answer so many requests of this path, and then misbehave; the fault's id."""
    passes = {"target": "api", "kind": "slow", "delay_s": 0, "method": "GET", "path": path, "times": pages}
    faults = [passes, {"target": "api", "method": "GET", "path": path, **rule}]
    return str((await system.sandbox("POST", "/_sandbox/faults", faults))["data"][1]["id"])


async def struck(system: System, fault: str) -> None:
    """Wait until somebody has met a fault."""
    while True:
        found = (await system.sandbox("GET", "/_sandbox/faults"))["data"]
        if any(rule["id"] == fault and rule["hits"] for rule in found):
            return
        await asyncio.sleep(0.02)


async def killed_while_it_lists(system: System, path: str, pages: int) -> None:
    """Let an import list so many pages of `path`, and kill it while it waits for the next."""
    fault = await trouble_after(system, path, pages, kind="hang")
    process = await command(system)
    waits, ends = asyncio.create_task(struck(system, fault)), asyncio.create_task(process.wait())
    await asyncio.wait({waits, ends}, return_when=asyncio.FIRST_COMPLETED)
    assert not ends.done(), await process.communicate()
    process.send_signal(signal.SIGKILL)
    await process.communicate()
    await system.sandbox("DELETE", "/_sandbox/faults")


async def test_killed_twice_it_goes_on_where_it_was(past: System) -> None:
    await killed_while_it_lists(past, "/v1/customers/*/payment_methods", 30)
    assert await past.value("SELECT count(*) FROM customers") > 0
    assert await past.value("SELECT count(*) FROM payments") == 0
    # After the look at how much there is.
    await killed_while_it_lists(past, "/v1/charges", 1)
    assert await past.value("SELECT count(*) FROM imports") == 1
    process = await command(past, "--json")
    said, _ = await process.communicate()
    assert process.returncode == 0, said
    summary = json.loads(said)
    assert summary["state"] == "done"
    await assert_mirror_is_stripe(past)
    for kind in summary["kinds"]:
        # Nothing was listed twice: a page and how far it brought the range are one transaction.
        counts = kind["counts"]
        assert counts["listed"] == counts["added"], kind
    rows = await past.fetch("SELECT count(*) FILTER (WHERE source = 'import') AS kept, count(*) FROM webhook_events")
    assert rows[0]["kept"] == sum(kind["counts"]["added"] for kind in summary["kinds"])
    assert await past.value("SELECT min(mark) <= min(until) FROM installation, imports")


async def test_nobody_is_told_of_what_was_before(past: System) -> None:
    past.start_worker()
    await past.quiet(timeout_s=600 if LONG else 30)
    await past.stop_workers()
    assert past.mails == []
    assert await past.value("SELECT count(*) FROM mails WHERE state = 'sent'") == 0
    assert await past.value("SELECT count(*) FROM outbound_deliveries") == 0


async def test_twice_changes_nothing(past: System) -> None:
    before = await everything_stored(past)
    again = await imported(past)
    assert await everything_stored(past) == before
    assert counted(again, "payment_intent")[1:] == (0, counted(again, "payment_intent")[0], 0)
    assert counted(again, "subscription")[2] == await past.value("SELECT count(*) FROM subscriptions") > 0


async def test_live_traffic_goes_on_beside_it(past: System) -> None:
    past.start_worker()
    price, buyers = await plan(past), [unique("buyer") for _ in range(6)]

    async def traffic() -> None:
        for buyer in buyers:
            assert (await past.pay(user=buyer)).status == 201
        await subscribed(past, buyers[0], price)

    summary, _ = await asyncio.gather(imported(past), traffic())
    assert summary.state == "done"
    await past.quiet(timeout_s=60)
    await past.stop_workers()
    await assert_mirror_is_stripe(past)
    # Of these, people are told as ever: once.
    for buyer in buyers[1:]:
        assert len(past.mails_to(buyer)) == 1, [mail.subject for mail in past.mails_to(buyer)]
    assert {mail.to for mail in past.mails} == {f"{buyer}@example.com" for buyer in buyers}


async def test_what_has_changed_since_is_fetched(past: System) -> None:
    await stop_deliveries(past)
    changed = await past.value("SELECT stripe_subscription_id FROM subscriptions WHERE status = 'active' LIMIT 1")
    await post(past, f"/v1/subscriptions/{changed}", cancel_at_period_end="true")
    coupon = await post(past, "/v1/coupons", percent_off=10, duration="once", name="Ten")
    assert counted(await imported(past), "coupon") == (1, 1, 0, 0)
    await post(past, f"/v1/coupons/{coupon['id']}", name="A tenth")
    again = await imported(past)
    assert counted(again, "subscription")[3] == 1, "no worker has fetched it yet"
    assert await past.value("SELECT count(*) FROM work WHERE kind = 'stripe.fetch' AND state = 'queued'") == 1
    assert counted(again, "coupon") == (1, 0, 0, 1)
    past.start_worker()
    await past.quiet()
    await past.stop_workers()
    assert await past.value("SELECT name FROM coupons") == "A tenth"
    await assert_mirror_is_stripe(past)


# One thing at a time


async def test_whose_customers_they_are(small: System) -> None:
    """By an address that one user and one customer have; by a map; by nothing else."""
    names = {who: unique(who) for who in ("one", "twin", "shared", "other", "mapped")}
    for who in ("one", "twin", "shared", "mapped"):
        await small.call("GET", "/api/payments/history", user=names[who])
    await small.call("GET", "/api/payments/history", user=names["one"] + "-b", headers=None)
    await small.pool.execute(
        "UPDATE users SET email = $1 WHERE external_id = $2", f"{names['twin']}@example.com", names["one"] + "-b"
    )
    emails = {
        "one": f"{names['one'].upper()}@example.com",
        "twin": f"{names['twin']}@example.com",
        "shared": f"{names['shared']}@example.com",
        "shared again": f"{names['shared']}@example.com",
        "stranger": f"{unique('nobody')}@example.com",
        "mapped": f"{unique('elsewhere')}@example.com",
    }
    made = {who: (await post(small, "/v1/customers", email=email))["id"] for who, email in emails.items()}
    made["silent"] = (await post(small, "/v1/customers", name="No address"))["id"]
    summary = await imported(small, pairs=[(names["mapped"], made["mapped"]), ("new-user", made["silent"])])
    owners = dict(await small.fetch("SELECT stripe_customer_id, external_id FROM users WHERE stripe_customer_id <> ''"))
    assert owners == {made["one"]: names["one"], made["mapped"]: names["mapped"], made["silent"]: "new-user"}
    assert (summary.matched.by_map, summary.matched.by_email) == (2, 1)
    assert summary.unmatched == {"no_user": 1, "several_customers": 2, "several_users": 1}
    async with importer(small) as parts:
        reasons = {one.customer_id: one.reason async for one in parts.reconciling.imports.matcher.unmatched()}
        assert reasons[made["twin"]] == "several_users"
        assert reasons[made["stranger"]] == "no_user"
        again = await parts.reconciling.imports.match(ImportOptions(), [("thief", made["one"])])
    assert (again.matched.by_map, again.matched.by_email) == (0, 0), "a customer that is somebody's stays his"


async def test_what_is_nobodys_is_taken_when_its_customer_is_matched(small: System) -> None:
    price, user = await plan(small), unique("late")
    customer = (await post(small, "/v1/customers", email=f"{unique('elsewhere')}@example.com"))["id"]
    method = (await post(small, "/v1/payment_methods/pm_card_visa/attach", customer=customer))["id"]
    await post(small, f"/v1/customers/{customer}", **{"invoice_settings[default_payment_method]": method})
    subscription = (await post(small, "/v1/subscriptions", customer=customer, **{"items[0][price]": price}))["id"]
    summary = await imported(small)
    assert next(kind for kind in summary.kinds if kind.object == "subscription").without_user == 1
    assert await small.value("SELECT user_id FROM payments WHERE stripe_customer_id = $1", customer) is None
    async with importer(small) as parts:
        matched = await parts.reconciling.imports.match(ImportOptions(), [(user, customer)])
    assert matched.matched.by_map == 1
    owner = await small.value("SELECT id FROM users WHERE external_id = $1", user)
    for table in ("customers", "payment_methods", "payments", "subscriptions", "invoices"):
        rows = await small.fetch(f"SELECT user_id FROM {table} WHERE stripe_customer_id = $1", customer)
        assert rows, table
        assert {row["user_id"] for row in rows} == {owner}, table
    assert await small.value("SELECT count(*) FROM access_grants WHERE user_id = $1 AND access", owner) == 1
    history = await small.fetch(
        "SELECT action, actor, cause FROM subscription_history h JOIN subscriptions s ON s.id = h.subscription_id "
        "WHERE stripe_subscription_id = $1",
        subscription,
    )
    assert [tuple(row) for row in history] == [("created", "stripe", "repair")]


async def test_old_troubles_alarm_nobody(small: System) -> None:
    data = {"amount": 4200, "currency": "usd", "payment_method": "pm_card_createDispute", "confirm": "true"}
    await post(small, "/v1/payment_intents", **data, **{"payment_method_types[]": "card"})
    await small.sandbox("POST", "/_sandbox/quiet?timeout_s=10")
    assert counted(await imported(small), "dispute")[1] == 1
    assert await small.value("SELECT count(*) FROM work WHERE kind LIKE 'alert.%'") == 0


async def test_parents_that_no_list_shows(small: System) -> None:
    """A deleted customer's invoice, and one with more lines than a list shows."""
    customer = (await post(small, "/v1/customers", email=f"{unique('gone')}@example.com"))["id"]
    method = (await post(small, "/v1/payment_methods/pm_card_visa/attach", customer=customer))["id"]
    for amount in range(1, 13):
        await post(small, "/v1/invoiceitems", customer=customer, amount=amount * 100, currency="usd")
    invoice = await post(small, "/v1/invoices", customer=customer, pending_invoice_items_behavior="include")
    await post(small, f"/v1/invoices/{invoice['id']}/finalize")
    await post(small, f"/v1/invoices/{invoice['id']}/pay", payment_method=method)
    await delete(small, f"/v1/customers/{customer}")
    summary = await imported(small)
    assert summary.refusals == []
    assert await small.value("SELECT deleted FROM customers WHERE stripe_customer_id = $1", customer)
    lines = "SELECT count(*) FROM invoice_lines l JOIN invoices i ON i.id = l.invoice_id WHERE stripe_invoice_id = $1"
    assert await small.value(lines, invoice["id"]) == 12


async def test_one_that_cannot_be_stored_is_named_and_the_rest_is_there(small: System) -> None:
    bad = (await post(small, "/v1/customers", name="a\x00b"))["id"]
    good = (await post(small, "/v1/customers", name="Ab"))["id"]
    summary = await imported(small)
    refused = [refusal for refusal in summary.refusals if refusal.object == "customer"]
    assert [refusal.object_id for refusal in refused] == [bad]
    assert "0x00" in refused[0].reason
    rows = await small.fetch("SELECT stripe_customer_id FROM customers WHERE stripe_customer_id = ANY($1)", [bad, good])
    assert [row[0] for row in rows] == [good]
    await delete(small, f"/v1/customers/{bad}")


async def test_objects_of_test_clocks_are_asked_for(small: System) -> None:
    clock = await post(small, "/v1/test_helpers/test_clocks", frozen_time=1_790_000_000)
    price = await plan(small)
    customer = (await post(small, "/v1/customers", test_clock=clock["id"]))["id"]
    method = (await post(small, "/v1/payment_methods/pm_card_visa/attach", customer=customer))["id"]
    data = {"customer": customer, "items[0][price]": price, "default_payment_method": method}
    subscription = (await post(small, "/v1/subscriptions", **data))["id"]
    await imported(small)
    found = "SELECT count(*) FROM subscriptions WHERE stripe_subscription_id = $1"
    assert await small.value(found, subscription) == 0
    await imported(small, ImportOptions(test_clocks=True))
    assert await small.value(found, subscription) == 1
    assert await small.value("SELECT count(*) FROM invoices WHERE stripe_subscription_id = $1", subscription) == 1


async def test_stripe_is_busy_and_the_line_breaks(small: System) -> None:
    await post(small, "/v1/customers", email="busy@example.com")
    await small.fault(target="api", kind="status", status=429, method="GET", path="/v1/customers", times=2)
    await small.fault(target="api", kind="cut", method="GET", path="/v1/payment_intents", times=4)
    summary = await imported(small)
    assert summary.state == "done"
    assert await small.value("SELECT count(*) FROM customers WHERE email = 'busy@example.com'") == 1
    await small.sandbox("DELETE", "/_sandbox/faults")


async def test_of_two_at_once_the_second_says_who_runs(small: System) -> None:
    fault = await trouble_after(small, "/v1/invoices", 1, kind="hang")
    async with importer(small) as parts:
        first = asyncio.create_task(parts.reconciling.imports.run(ImportOptions()))
        await struck(small, fault)
        with pytest.raises(ImportRefused, match=f"process {os.getpid()} on "):
            await imported(small)
        await small.sandbox("DELETE", "/_sandbox/faults")
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
    # Stopped cleanly, it is free at once, and it is the same import that goes on.
    begun = await small.value("SELECT id FROM imports WHERE state = 'running'")
    assert (await imported(small)).import_id == str(begun)


async def test_one_whose_lease_was_taken_writes_no_more(small: System) -> None:
    fault = await trouble_after(small, "/v1/invoices", 1, kind="hang")
    async with importer(small) as parts:
        first = asyncio.create_task(parts.reconciling.imports.run(ImportOptions()))
        await struck(small, fault)
        await small.pool.execute("UPDATE imports SET owner = 'another:1:x' WHERE state = 'running'")
        await small.sandbox("DELETE", "/_sandbox/faults")
        with pytest.raises(Exception, match="Another process has taken up this import"):
            await first
    await small.pool.execute("UPDATE imports SET lease_until = now() - interval '1 second' WHERE state = 'running'")
    assert (await imported(small)).state == "done"


async def test_a_page_goes_on_though_its_last_object_was_deleted(small: System) -> None:
    made = [(await post(small, "/v1/coupons", percent_off=5, duration="once"))["id"] for _ in range(103)]
    fault = await trouble_after(small, "/v1/coupons", 3, kind="hang")
    async with importer(small) as parts:
        running = asyncio.create_task(parts.reconciling.imports.run(ImportOptions(), concurrency=1))
        await struck(small, fault)
        cursor = await small.value(
            "SELECT cursor FROM import_ranges r JOIN imports i ON i.id = import_id "
            "WHERE r.object = 'coupon' AND cursor IS NOT NULL AND NOT done AND state = 'running'"
        )
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    await small.sandbox("DELETE", "/_sandbox/faults")
    await delete(small, f"/v1/coupons/{cursor}")
    await imported(small)
    rows = await small.fetch("SELECT stripe_coupon_id FROM coupons")
    assert {row[0] for row in rows} >= set(made)


async def test_what_is_refused_before_anything_is_written(small: System, make_database: MakeDatabase) -> None:
    from tallystick.app.parts import build_parts

    changes: Sequence[tuple[Mapping[str, Any], type[Exception], str]] = [
        ({"stripe_api_version": "2031-01-01.zinnia"}, ImportRefused, "2031-01-01.zinnia"),
        ({"installation_id": "somebody-else"}, WrongInstallation, "belongs to the installation"),
    ]
    before = await small.value("SELECT count(*) FROM imports")
    for change, error, text in changes:
        parts = build_parts(small.settings.model_copy(update=dict(change)), small.clock, "import")
        await parts.database.open()
        try:
            with pytest.raises(error, match=text):
                await parts.reconciling.imports.run(ImportOptions())
        finally:
            await parts.close()
    # A key of another account.
    await small.sandbox("POST", "/_sandbox/reset")
    with pytest.raises(WrongInstallation, match="of the Stripe account"):
        await imported(small)
    assert await small.value("SELECT count(*) FROM imports") == before

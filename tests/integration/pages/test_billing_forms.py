"""Forms of the billing pages, sent as a browser sends them: what is charged is what the page showed."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import aiohttp

from checking_out import BASE, subscribe
from owning import portal_of
from subscribing import SLOW_CARD, at_stripe, create, plan, post, subscribed
from system import MakeDatabase, System, running_system, unique


class Tab:
    """A tab that is signed in to somebody's billing pages."""

    def __init__(self, system: System, http: aiohttp.ClientSession) -> None:
        self._base = f"{system.api_url}/billing"
        self._http = http

    async def open(self, path: str) -> str:
        async with self._http.get(self._base + path) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.text()

    async def send(self, path: str, page: str, **changed: str) -> tuple[int, str]:
        """Press the button of the form that is sent to `path`: the status, and the page or where it leads."""
        form = {**fields_of(page, f"/billing{path}"), **changed}
        async with self._http.post(self._base + path, data=form, allow_redirects=False) as answer:
            return answer.status, answer.headers.get("Location") or await answer.text()


def fields_of(page: str, action: str) -> dict[str, str]:
    found = re.search(rf'<form method="post" action="{re.escape(action)}".*?</form>', page, re.DOTALL)
    assert found is not None, page
    return dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', found[0]))


@asynccontextmanager
async def signed_in(system: System, user: str) -> AsyncIterator[Tab]:
    cookies: Mapping[str, str] = (await portal_of(system, user)).cookies
    headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), headers=headers) as http:
        yield Tab(system, http)


async def keep_card(system: System, user: str, card: str) -> str:
    """Save a card as the default; the customer's id at Stripe."""
    made = await system.call("POST", "/api/customers", {}, user=user)
    body = {"payment_method": card, "default": True}
    assert (await system.call("POST", "/api/customers/me/payment-methods", body, user=user)).status in (200, 201)
    await system.quiet()
    return str(made.body["stripe_customer_id"])


async def taken(system: System) -> int:
    """How much money was taken of anybody, in minor units."""
    await system.quiet()
    sum_: int = await system.value("SELECT coalesce(sum(amount), 0)::bigint FROM payments WHERE status = 'succeeded'")
    return sum_


async def test_a_trial_that_another_tab_used_up_is_not_paid_for_unseen(make_database: MakeDatabase) -> None:
    database = await make_database()
    async with running_system(database, ALLOW_MULTIPLE_SUBSCRIPTIONS="true", DEFAULT_TRIAL_DAYS="14") as system:
        user, prices = unique("tabs"), (await plan(system, 1000), await plan(system, 5000))
        await keep_card(system, user, "pm_card_visa")
        async with signed_in(system, user) as tab:
            first, second = [await tab.open(f"/subscribe?price={price}") for price in prices]
            assert await tab.send("/subscribe", first) == (303, "/billing?done=subscribed")
            status, again = await tab.send("/subscribe", second)
            assert status == 409
            assert "The amounts have changed" in again
            assert "Subscribe and pay $50.00" in again
            assert await taken(system) == 0
            # Sent once more, the first one gets its first answer.
            assert await tab.send("/subscribe", first) == (303, "/billing?done=subscribed")
            assert await tab.send("/subscribe", again) == (303, "/billing?done=subscribed")
            assert await taken(system) == 5000
        assert [found["status"] for found in await at_stripe(system, user)] == ["active", "trialing"]


async def test_of_two_tabs_sent_at_once_one_has_the_trial(make_database: MakeDatabase) -> None:
    database = await make_database()
    async with running_system(database, ALLOW_MULTIPLE_SUBSCRIPTIONS="true", DEFAULT_TRIAL_DAYS="14") as system:
        user, prices = unique("tabs"), (await plan(system, 1000), await plan(system, 5000))
        await keep_card(system, user, "pm_card_visa")
        async with signed_in(system, user) as tab:
            pages = [await tab.open(f"/subscribe?price={price}") for price in prices]
            answers = await asyncio.gather(*(tab.send("/subscribe", page) for page in pages))
        assert sorted(status for status, _ in answers) == [303, 409]
        assert await taken(system) == 0
        assert [found["status"] for found in await at_stripe(system, user)] == ["trialing"]


async def test_a_form_that_does_not_say_what_it_showed_charges_nothing(make_database: MakeDatabase) -> None:
    async with running_system(await make_database(), DEFAULT_TRIAL_DAYS="0") as system:
        user, price = unique("forger"), await plan(system, 1000)
        await keep_card(system, user, "pm_card_visa")
        async with signed_in(system, user) as tab:
            page = await tab.open(f"/subscribe?price={price}")
            for shown in ({"due": "999"}, {"due": ""}, {"due": "-1"}, {"trial_days": "1"}, {"quantity": "2"}):
                assert (await tab.send("/subscribe", page, **shown))[0] == 409, shown
            assert await at_stripe(system, user) == []
            assert (await tab.send("/subscribe", page))[0] == 303
        assert await taken(system) == 1000


async def test_what_was_begun_is_taken_up_at_the_amount_of_its_own_invoice(make_database: MakeDatabase) -> None:
    async with running_system(await make_database(), DEFAULT_TRIAL_DAYS="0") as system:
        user, price = unique("credit"), await plan(system, 1500)
        customer = await keep_card(system, user, SLOW_CARD)
        assert (await create(system, user, price)).status == 402
        # Credit that comes after the invoice is of the next one.
        await post(system, f"/v1/customers/{customer}/balance_transactions", amount=-400, currency="usd")
        await keep_card(system, user, "pm_card_visa")
        async with signed_in(system, user) as tab:
            page = await tab.open(f"/subscribe?price={price}")
            assert "Subscribe and pay $15.00" in page
            assert "-$4.00" not in page.replace("\u2212", "-")
            assert await tab.send("/subscribe", page) == (303, "/billing?done=subscribed")
        assert await taken(system) == 1500
        assert [found["status"] for found in await at_stripe(system, user)] == ["active"]


async def test_what_was_begun_after_the_page_was_opened_is_not_charged_unseen(make_database: MakeDatabase) -> None:
    async with running_system(await make_database(), DEFAULT_TRIAL_DAYS="0") as system:
        user, price = unique("credit"), await plan(system, 1500)
        customer = await keep_card(system, user, SLOW_CARD)
        balance = f"/v1/customers/{customer}/balance_transactions"
        async with signed_in(system, user) as tab:
            await post(system, balance, amount=-400, currency="usd")
            page = await tab.open(f"/subscribe?price={price}")
            assert "Subscribe and pay $11.00" in page
            await post(system, balance, amount=400, currency="usd")
            assert (await create(system, user, price)).status == 402
            await keep_card(system, user, "pm_card_visa")
            status, again = await tab.send("/subscribe", page)
            assert status == 409
            assert "Subscribe and pay $15.00" in again
        assert await taken(system) == 0


async def test_a_trial_begun_here_runs_on_when_a_checkout_page_is_left(make_database: MakeDatabase) -> None:
    async with running_system(await make_database(), DEFAULT_TRIAL_DAYS="14") as system:
        user, price = unique("trier"), await plan(system, 1500)
        await system.quiet()
        async with signed_in(system, user) as tab:
            page = await tab.open(f"/subscribe?price={price}")
            assert await tab.send("/subscribe", page) == (303, "/billing?done=subscribed")
        session, customer = await subscribe(system, user, price)
        assert (await customer.start())[1]["intent"] == "setup"
        assert (await system.call("POST", f"{BASE}/{session['id']}/expire", user=user)).status == 200
        await system.quiet()
        assert [found["status"] for found in await at_stripe(system, user)] == ["trialing"]


async def test_who_has_a_subscription_meanwhile_is_told_so(system: System) -> None:
    user, price = unique("member"), await plan(system)
    await system.quiet()
    async with signed_in(system, user) as tab:
        page = await tab.open(f"/subscribe?price={price}")
        await subscribed(system, user, price)
        assert await tab.send("/subscribe", page) == (303, "/billing?done=exists")


async def test_seats_become_a_plan_by_use_at_the_periods_end(system: System) -> None:
    user, seats = unique("seats"), await plan(system, 900)
    use = await plan(system, 5, **{"recurring[usage_type]": "metered"})
    subscription = await subscribed(system, user, seats, quantity=3)
    await system.quiet()
    here = f"/subscriptions/{subscription['id']}"
    async with signed_in(system, user) as tab:
        page = await tab.open(f"{here}/preview?price={use}&quantity=3&when=period_end")
        assert "× 3</h2>" not in page
        assert await tab.send(f"{here}/change", page) == (303, "/billing?done=scheduled")

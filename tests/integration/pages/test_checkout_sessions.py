"""Checkout sessions by their routes, without a browser: one session, one payment, and a state that is always true."""

import asyncio
import hashlib
from typing import Any

import pytest

from checking_out import BASE, BODY, Customer, make, show
from system import Answer, MakeDatabase, System, running_system, unique
from tallystick.core.checks import holds_card_number


async def test_a_session_becomes_one_payment(system: System) -> None:
    user = unique("payer")
    session, customer = await make(
        system, user=user, metadata={"order": "7"}, success_url="http://localhost:3000/thanks?a=1#top"
    )
    assert (session["status"], session["payment_id"], session["mode"]) == ("open", None, "payment")
    assert await customer.confirm("pm_card_visa_chargeDeclined") == "generic_decline"
    assert await customer.confirm() == "succeeded"
    await system.quiet()
    shown = await show(system, session, user)
    assert shown["status"] == "complete"
    assert shown["completed_at"]
    payment = await system.get(shown["payment_id"], user=user)
    assert (payment["status"], payment["amount"], payment["metadata"]) == ("succeeded", 1050, {"order": "7"})
    assert payment["description"] == "A year of tea"
    assert (
        await system.value("SELECT count(*) FROM payments JOIN users u ON u.id = user_id WHERE external_id = $1", user)
        == 1
    )
    state = await customer.state()
    ids = f"checkout_session_id={session['id']}&payment_id={shown['payment_id']}"
    assert state["next"] == f"http://localhost:3000/thanks?a=1&{ids}#top"
    assert (await customer.start())[1]["status"] == "complete"
    status, _, headers = await customer.page("?payment_intent=pi_1&payment_intent_client_secret=pi_1_secret_2&back=1")
    assert (status, headers["Location"]) == (303, f"{customer.url.removeprefix(system.api_url)}?back=1")
    status, _, headers = await customer.page("?back=1")
    assert (status, headers["Location"]) == (303, state["next"])


async def test_a_link_is_a_secret_of_which_only_the_hash_is_kept(system: System) -> None:
    key = unique("order")
    first = await system.call("POST", BASE, BODY, key=key)
    again = await system.call("POST", BASE, BODY, key=key)
    assert first.body["id"] == again.body["id"]
    assert first.body["url"] != again.body["url"]
    for url in (first.body["url"], again.body["url"]):
        token = url.rpartition("/")[2]
        assert len(token) == 43
        hashed = hashlib.sha256(token.encode()).digest()
        assert await system.value("SELECT count(*) FROM checkout_links WHERE token_hash = $1", hashed) == 1
        assert not await system.value("SELECT count(*) FROM idempotency_keys WHERE body LIKE '%' || $1 || '%'", token)
        assert (await Customer(system, url).page())[0] == 200
    other = await system.call("POST", BASE, {**BODY, "amount": 1}, key=key)
    assert other.status == 422


@pytest.mark.parametrize("tail", ["x", "A" * 43, "", "%00", "é" * 43, "a/b"])
async def test_no_other_link_leads_anywhere(system: System, tail: str) -> None:
    status, html, _ = await Customer(system, f"{system.api_url}/pay/{tail}").page()
    assert status == 404
    if "/" not in tail and tail:
        assert "There is no such page" in html


async def test_presses_at_the_same_time_are_one_payment(system: System) -> None:
    user = unique("hasty")
    _, customer = await make(system, user=user)
    answers = await asyncio.gather(*(customer.start() for _ in range(6)))
    secrets = {body["client_secret"] for status, body in answers if status == 200}
    assert len(secrets) == 1
    assert [status for status, _ in answers].count(200) == 6
    outcomes = await asyncio.gather(*(customer.confirm_with(next(iter(secrets))) for _ in range(3)))
    assert "succeeded" in outcomes
    await system.quiet()
    charges = "SELECT count(*) FROM charges c JOIN payments p ON p.id = c.payment_id JOIN users u ON u.id = p.user_id"
    assert await system.value(f"{charges} WHERE external_id = $1 AND c.status = 'succeeded'", user) == 1


async def test_an_answer_of_stripe_that_is_lost_makes_no_second_payment(system: System) -> None:
    user = unique("unlucky")
    await system.pay(user=user)  # so that the customer exists, and the fault meets the session's payment
    _, customer = await make(system, user=user)
    await system.fault(target="api", kind="cut", when="after", method="POST", path="/v1/payment_intents", times=3)
    answers = [await customer.start()]
    while answers[-1][0] != 200:
        assert answers[-1][0] in (409, 503)
        assert len(answers) < 100
        await asyncio.sleep(0.2)
        answers.append(await customer.start())
    assert await customer.confirm_with(answers[-1][1]["client_secret"]) == "succeeded"
    await system.quiet()
    listed = await system.fetch(
        "SELECT p.status FROM payments p JOIN users u ON u.id = p.user_id WHERE external_id = $1", user
    )
    assert [row["status"] for row in listed] == ["succeeded", "succeeded"]


async def test_stripe_is_asked_once_where_a_webhook_is_late(system: System) -> None:
    session, customer = await make(system)
    await system.fault(target="webhook", kind="drop", type="payment_intent.succeeded", times=1)
    await system.fault(target="webhook", kind="drop", type="charge.*", times=2)
    assert await customer.confirm() == "succeeded"
    await asyncio.sleep(0.3)
    assert (await customer.state())["status"] == "open"
    before = await _retrievals(system)
    states = [(await customer.state("?ask=1"))["status"] for _ in range(3)]
    assert states == ["complete"] * 3
    assert await _retrievals(system) == before + 1
    assert (await show(system, session))["status"] == "complete"


async def test_the_page_works_on_while_stripe_is_away(system: System) -> None:
    _, customer = await make(system)
    _, started = await customer.start()
    await system.fault(target="api", kind="status", status=500, method="GET", path="/v1/payment_intents/*", times=None)
    try:
        assert (await customer.state("?ask=1"))["status"] == "open"
        assert (await customer.page("?back=1"))[0] == 200
        assert (await customer.start())[0] == 503
    finally:
        await system.sandbox("DELETE", "/_sandbox/faults")
    assert (await customer.start())[1] == started


async def _retrievals(system: System) -> int:
    """How often payment intents were fetched and kept."""
    found: int = await system.value("SELECT count(*) FROM webhook_events WHERE event_type = 'payment_intent.fetched'")
    return found


async def test_a_payment_that_takes_days_is_on_its_way_and_then_paid(system: System) -> None:
    session, customer = await make(system, expires_in_s=600)
    assert await customer.confirm("pm_usBankAccount_processing") == "processing"
    await system.quiet()
    assert (await show(system, session))["status"] == "processing"
    html = (await customer.page())[1]
    assert "Your payment is on its way" in html
    assert (await customer.start())[1]["status"] == "processing"


async def test_a_payment_that_is_only_held_says_so(make_database: MakeDatabase) -> None:
    async with running_system(await make_database(), AUTO_CAPTURE_PAYMENTS="false") as system:
        session, customer = await make(system)
        assert 'data-capture="manual"' in (await customer.page())[1]
        assert await customer.confirm() == "requires_capture"
        await system.quiet()
        assert "Payment authorized" in (await customer.page())[1]
        payment = (await show(system, session))["payment_id"]
        assert (await system.call("POST", f"/api/payments/payment-intent/{payment}/capture")).status == 200
        assert "Payment received" in (await customer.page())[1]


async def test_a_session_whose_time_is_over_cannot_be_paid(system: System) -> None:
    never, unused = await make(system, expires_in_s=3600)
    begun, customer = await make(system, expires_in_s=3600)
    _, started = await customer.start()
    paid, payer = await make(system, expires_in_s=3600)
    assert await payer.confirm() == "succeeded"
    await system.quiet()
    await system.advance("61m")
    await system.quiet()
    assert [(await show(system, one))["status"] for one in (never, begun, paid)] == ["expired", "expired", "complete"]
    rows = await system.fetch("SELECT status FROM checkout_sessions WHERE id = ANY($1)", [never["id"], begun["id"]])
    assert {row["status"] for row in rows} == {"expired"}
    for one in (unused, customer):
        assert "This page has expired" in (await one.page())[1]
        assert (await one.start())[1] == {"status": "expired", "next": None}
    payment = await system.get((await show(system, begun))["payment_id"])
    assert (payment["status"], payment["cancellation_reason"]) == ("canceled", "abandoned")
    assert await customer.confirm_with(started["client_secret"]) == "payment_intent_unexpected_state"


async def test_the_application_ends_a_session(system: System) -> None:
    session, customer = await make(system)
    _, started = await customer.start()
    stranger = await system.call("POST", f"{BASE}/{session['id']}/expire", user="eve")
    assert stranger.status == 404
    for _ in range(2):
        ended = await system.call("POST", f"{BASE}/{session['id']}/expire")
        assert (ended.status, ended.body["status"]) == (200, "expired")
    await system.quiet()
    assert await customer.confirm_with(started["client_secret"]) == "payment_intent_unexpected_state"
    done, payer = await make(system)
    assert await payer.confirm() == "succeeded"
    await system.quiet()
    refused = await system.call("POST", f"{BASE}/{done['id']}/expire")
    assert (refused.status, refused.code) == (409, "CHECKOUT_SESSION_NOT_OPEN")


async def test_a_payment_that_the_application_cancels_ends_its_session(system: System) -> None:
    session, customer = await make(system)
    await customer.start()
    payment = (await show(system, session))["payment_id"]
    assert (await system.call("POST", f"/api/payments/payment-intent/{payment}/cancel")).status == 200
    assert (await show(system, session))["status"] == "canceled"
    assert "This payment was canceled" in (await customer.page())[1]


async def test_a_price_of_the_catalogue_decides_the_amount(system: System) -> None:
    product = await system.stripe("/v1/products", {"name": "Tea cup"})
    price = await system.stripe("/v1/prices", {"product": product["id"], "unit_amount": "700", "currency": "eur"})
    monthly = {"product": product["id"], "unit_amount": "5", "currency": "eur", "recurring[interval]": "month"}
    recurring = await system.stripe("/v1/prices", monthly)
    await system.quiet()
    wanted = {"price": price["id"], "quantity": 3}
    made = await system.call("POST", BASE, wanted)
    assert (made.body["amount"], made.body["currency"], made.body["description"]) == (2100, "eur", "Tea cup")
    html = (await Customer(system, made.body["url"]).page())[1]
    assert "3 × €7.00" in html
    for bad in ({**wanted, "amount": 1}, {"price": recurring["id"]}, {"price": "price_missing"}):
        assert (await system.call("POST", BASE, bad)).status in (404, 422)
    await system.stripe(f"/v1/products/{product['id']}", {"active": "false"})
    await system.quiet()
    refused = await system.call("POST", BASE, wanted)
    assert (refused.status, refused.body["field"]) == (422, "price")


@pytest.mark.parametrize(
    ("quantity", "rounded", "amount", "words"),
    [(12, "up", 1400, "Quantity 12"), (12, "down", 700, "Quantity 12"), (20, "up", 1400, "20 × €0.70")],
)
async def test_packs_are_charged_whole(system: System, quantity: int, rounded: str, amount: int, words: str) -> None:
    product = await system.stripe("/v1/products", {"name": "Eggs"})
    packs = {"transform_quantity[divide_by]": "10", "transform_quantity[round]": rounded}
    data = {"product": product["id"], "unit_amount": "700", "currency": "eur", **packs}
    price = await system.stripe("/v1/prices", data)
    await system.quiet()
    made = await system.call("POST", BASE, {"price": price["id"], "quantity": quantity})
    assert made.body["amount"] == amount
    assert words in (await Customer(system, made.body["url"]).page())[1]


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"trial_period_days": 7}, "INVALID_REQUEST", "trial_period_days"),
        ({"amount": None}, "AMOUNT_ERROR", "amount"),
        ({"amount": 10}, "AMOUNT_ERROR", "amount"),
        ({"quantity": 2}, "INVALID_REQUEST", "quantity"),
        ({"promotion_code": "TEA"}, "INVALID_REQUEST", "promotion_code"),
        ({"success_url": "https://evil.example/"}, "RETURN_URL_REFUSED", "success_url"),
        ({"cancel_url": "http://localhost:3000@evil.example/"}, "RETURN_URL_REFUSED", "cancel_url"),
        ({"success_url": "javascript:alert(1)"}, "INVALID_REQUEST", "success_url"),
        ({"expires_in_s": 59}, "INVALID_REQUEST", "expires_in_s"),
        ({"locale": "de;DROP"}, "INVALID_REQUEST", "locale"),
        ({"description": "4242 4242 4242 4242"}, "CARD_NUMBER_REFUSED", "description"),
        ({"metadata": {"tallystick_user": "x"}}, "INVALID_REQUEST", "metadata"),
    ],
)
async def test_bad_input_is_told_with_its_field(system: System, change: Any, code: str, field: str) -> None:
    answer = await system.call("POST", BASE, {**BODY, **change})
    assert (answer.status, answer.code, answer.body["field"]) == (422, code, field)


async def test_who_may_see_a_session(system: System) -> None:
    session, _ = await make(system)
    assert (await system.call("GET", f"{BASE}/{session['id']}", user="eve")).status == 404
    assert (await system.call("GET", f"{BASE}/nonsense")).status == 404
    seen = await system.call("GET", f"{BASE}/{session['id']}", user="sam", roles=("support",))
    assert seen.status == 200
    assert "url" not in seen.body
    answer: Answer = await system.call("POST", BASE, BODY, user="sam", roles=("support",))
    assert answer.status == 403


async def test_the_page_speaks_the_customers_language(system: System) -> None:
    _, english = await make(system)
    assert 'lang="en"' in (await english.page())[1]
    html = (await english.page(**{"Accept-Language": "fr, ja;q=0.5, de;q=0.8"}))[1]
    assert 'lang="de"' in html
    assert "10,50\xa0$ zahlen" in html
    assert 'lang="ja-JP"' in (await english.page(**{"Accept-Language": "ja-JP,ja;q=0.9"}))[1]
    _, german = await make(system, locale="de-AT")
    html = (await german.page(**{"Accept-Language": "ja"}))[1]
    assert 'lang="de-AT"' in html
    state = await german.state("?code=card_declined&decline_code=insufficient_funds")
    assert "nicht ausreichend gedeckt" in state["problem"]["reason"]


async def test_what_is_said_of_a_decline_tells_no_secret(system: System) -> None:
    _, customer = await make(system)
    said = [
        (await customer.state(f"?code=card_declined&decline_code={code}"))["problem"]
        for code in ("generic_decline", "lost_card", "stolen_card", "fraudulent")
    ]
    assert all(one == said[0] for one in said)
    exact = await customer.state("?code=incorrect_cvc")
    assert exact["problem"]["reason"] == "The security code is not right."


async def test_the_page_is_kept_by_nobody_and_loads_nothing_but_stripe(system: System) -> None:
    _, customer = await make(system)
    _, html, headers = await customer.page()
    policy = headers["Content-Security-Policy"]
    assert headers["Cache-Control"] == "no-store"
    assert f"script-src 'self' {system.sandbox_url};" in policy
    assert "unsafe" not in policy
    assert "<style" not in html
    assert " style=" not in html
    assert html.count("<script") == html.count("<script src=") == 2
    assert not holds_card_number(html.replace("4242 4242 4242 4242", ""))

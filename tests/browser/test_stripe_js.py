"""The stand-in for Stripe.js in a real browser: a shop at one origin, the sandbox at another."""

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import Frame, Page, Route, expect

from browser.shop import ALWAYS_3DS, GOOD, Shop, challenge, fill, form, new_intent, outcome, show, start
from browser.watching import OpenPage, Watch, accessibility_problems
from contract.harness import Box, Sdk, running_box


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Box]:
    with running_box() as box:
        yield box


@pytest.fixture(scope="module")
def api(sandbox: Box) -> Sdk:
    return sandbox.client()


@pytest.fixture(scope="module")
def shop(sandbox: Box) -> Iterator[Shop]:
    with Shop(sandbox.url).serving() as shop:
        yield shop


@pytest_asyncio.fixture
async def page(open_page: OpenPage, shop: Shop, watch: Watch) -> Page:
    """The shop's page. It may log no error: a breach of a content security policy would be one."""
    watch.expect("status of 40[0-9]")
    page = await open_page()
    await page.goto(shop.url)
    return page


async def test_paying(page: Page, api: Sdk, shop: Shop) -> None:
    shop.heard.clear()
    sent: list[tuple[str, str]] = []
    page.on("request", lambda request: sent.append((request.url, request.post_data or "")))
    intent = new_intent(api, metadata={"order": "7"}, description="Order 7")
    frame = await show(page, intent.client_secret)
    number = frame.get_by_label("Card number")
    await number.press_sequentially("5555")
    await expect(frame.get_by_role("img", name="mastercard")).to_be_visible()
    await number.fill("")
    await number.press_sequentially(GOOD)
    await expect(number).to_have_value("4242 4242 4242 4242")
    await frame.get_by_label("Expiration date").press_sequentially("434")
    await expect(frame.get_by_label("Expiration date")).to_have_value("04 / 34")
    await frame.get_by_label("Security code").press_sequentially("1234")
    await expect(frame.get_by_label("Security code")).to_have_value("123")
    await frame.get_by_label("Postal code").fill("10115")
    # Enter in a field presses the shop's own button.
    await frame.get_by_label("Postal code").press("Enter")
    await page.wait_for_function("window.outcome")
    result = (await outcome(page))["paymentIntent"]
    assert (result["id"], result["status"], result["amount"]) == (intent.id, "succeeded", 2500)
    # A browser is shown neither the shop's notes nor its customers.
    assert {"metadata", "customer", "latest_charge"}.isdisjoint(result)
    changes = await page.evaluate("changes")
    assert (changes[0]["empty"], changes[0]["complete"]) == (True, False)
    assert changes[-1] == {
        "elementType": "payment", "empty": False, "complete": True, "collapsed": False, "value": {"type": "card"},
    }  # fmt: skip
    method = api.v1.payment_methods.retrieve(api.v1.payment_intents.retrieve(intent.id).payment_method)
    assert (method.card.last4, method.card.exp_month, method.card.exp_year) == ("4242", 4, 2034)
    assert (method.billing_details.address.country, method.billing_details.address.postal_code) == ("US", "10115")
    # The number went to the sandbox once, from the frame, and nowhere else.
    carriers = [url for url, body in sent if GOOD in body + url]
    assert [urlsplit(url).path for url in carriers] == [f"/v1/payment_intents/{intent.id}/confirm"]
    assert not any(GOOD in text.replace(" ", "") for text in shop.heard)
    assert GOOD not in await page.content()


DECLINES = {
    "4000000000000002": ("card_declined", "generic_decline"),
    "4000000000009995": ("card_declined", "insufficient_funds"),
    "4000000000009987": ("card_declined", "lost_card"),
    "4000000000009979": ("card_declined", "stolen_card"),
    "4000000000000069": ("expired_card", "expired_card"),
    "4000000000000127": ("incorrect_cvc", "incorrect_cvc"),
    "4000000000000119": ("processing_error", "processing_error"),
}


async def test_every_decline_and_then_a_card_that_pays(page: Page, api: Sdk) -> None:
    intent = new_intent(api)
    frame = await show(page, intent.client_secret)
    for number, (code, decline_code) in DECLINES.items():
        await fill(frame, number)
        error = (await page.evaluate("pay()"))["error"]
        assert (error["type"], error["code"], error["decline_code"]) == ("card_error", code, decline_code)
        assert error["message"].startswith(("Your card", "An error occurred"))
        assert error["payment_intent"]["status"] == "requires_payment_method"
    await fill(frame, "378282246310005", cvc="1234")
    assert (await page.evaluate("pay()"))["paymentIntent"]["status"] == "succeeded"
    again = (await page.evaluate("pay()"))["error"]
    assert (again["type"], again["code"]) == ("invalid_request_error", "payment_intent_unexpected_state")
    assert again["payment_intent"]["status"] == "succeeded"
    read = await page.evaluate("(secret) => stripe.retrievePaymentIntent(secret)", intent.client_secret)
    assert read == {"paymentIntent": again["payment_intent"]}


async def test_what_is_wrong_is_said_at_the_field(page: Page, api: Sdk, sandbox: Box) -> None:
    frame = await show(page, new_intent(api).client_secret)
    empty = (await page.evaluate("elements.submit()"))["error"]
    assert (empty["type"], empty["code"]) == ("validation_error", "incomplete_number")

    async def says(label: str, typed: str, text: str) -> None:
        field = frame.get_by_label(label)
        await field.fill(typed)
        await field.blur()
        await expect(field).to_have_attribute("aria-invalid", "true")
        await expect(field).to_have_accessible_description(text)

    await says("Card number", "4242", "Your card number is incomplete.")
    await says("Card number", "4242424242424241", "Your card number is invalid.")
    await says(
        "Card number", "4539578763621486", "This is a test page. Please use a test card, such as 4242 4242 4242 4242."
    )
    await says("Expiration date", "12", "Your card's expiration date is incomplete.")
    await says("Expiration date", "1220", "Your card's expiration year is in the past.")
    await says("Expiration date", "1295", "Your card's expiration year is invalid.")
    await says("Security code", "12", "Your card's security code is incomplete.")
    await frame.get_by_label("Expiration date").fill("12/2034")
    await expect(frame.get_by_label("Expiration date")).to_have_value("12 / 34")
    # The business clock of the sandbox decides what has expired, as in the API.
    before = sandbox.control("GET", "/requests")
    refused = (await page.evaluate("pay()"))["error"]
    assert (refused["type"], refused["code"]) == ("validation_error", "invalid_number")
    assert sandbox.control("GET", "/requests") == before
    await frame.get_by_label("Card number").fill(GOOD)
    await expect(frame.get_by_label("Card number")).to_have_attribute("aria-invalid", "false")
    assert (await page.evaluate("elements.submit()"))["error"]["code"] == "incomplete_cvc"


async def test_three_d_secure(page: Page, api: Sdk) -> None:
    """Closed, failed, and completed at the third try."""
    intent = new_intent(api)
    frame = await show(page, intent.client_secret)
    for button in ("Cancel", "Fail", "Complete"):
        await fill(frame, ALWAYS_3DS)
        await page.locator("#pay").click()
        bank = challenge(page)
        await expect(bank.get_by_text("€25.00")).to_be_visible()
        await expect(page.get_by_role("dialog", name="Confirm with your bank")).to_be_visible()
        await bank.get_by_role("button", name=button, exact=True).click()
        result = await outcome(page)
        await expect(page.get_by_role("dialog")).to_have_count(0)
        await expect(page.locator("#pay")).to_be_focused()
        if button == "Complete":
            assert result["paymentIntent"]["status"] == "succeeded"
            return
        error = result["error"]
        assert (error["type"], error["code"]) == ("invalid_request_error", "payment_intent_authentication_failure")
        assert error["message"].startswith("We are unable to authenticate your payment method.")
        assert error["payment_intent"]["status"] == "requires_payment_method"
        assert api.v1.payment_intents.retrieve(intent.id).status == "requires_payment_method"


async def test_the_dialog_of_the_bank_by_keyboard(page: Page, api: Sdk) -> None:
    await fill(await show(page, new_intent(api).client_secret), ALWAYS_3DS)
    await page.locator("#pay").click()
    await expect(challenge(page).get_by_role("button", name="Complete")).to_be_focused()
    places = set()
    for _ in range(8):
        await page.keyboard.press("Tab")
        places.add(
            await page.evaluate(
                "(({ title, ariaLabel, tagName }) => title || ariaLabel || tagName)(document.activeElement)"
            )
        )
    # Neither the shop's button nor its payment form: only the dialog, and the browser's own controls (BODY).
    assert {"Your bank asks you to confirm", "Cancel and close"} <= places
    assert places <= {"Your bank asks you to confirm", "Cancel and close", "Confirm with your bank", "BODY"}
    await challenge(page).get_by_role("button", name="Fail").focus()
    await page.keyboard.press("Escape")
    assert (await outcome(page))["error"]["code"] == "payment_intent_authentication_failure"
    # Escape outside of the bank's frame, and the dialog's own button, do the same.
    for leave in ("Escape", "button"):
        await fill(form(page), ALWAYS_3DS)
        await start(page)
        await expect(challenge(page).get_by_role("button", name="Complete")).to_be_visible()
        close = page.get_by_role("button", name="Cancel and close")
        if leave == "button":
            await close.click()
        else:
            await close.focus()
            await page.keyboard.press("Escape")
        assert (await outcome(page))["error"]["code"] == "payment_intent_authentication_failure"


async def test_authenticated_and_then_declined(page: Page, api: Sdk) -> None:
    await fill(await show(page, new_intent(api).client_secret), "4000008260003178")
    await start(page)
    await challenge(page).get_by_role("button", name="Complete").click()
    error = (await outcome(page))["error"]
    assert (error["type"], error["decline_code"]) == ("card_error", "insufficient_funds")


async def test_a_double_click_charges_once(page: Page, api: Sdk) -> None:
    intent = new_intent(api)
    await fill(await show(page, intent.client_secret), GOOD)
    await page.locator("#pay").dblclick()
    both = await page.evaluate("Promise.all([outcome, pay(), pay()])")
    statuses = [(item.get("paymentIntent") or item["error"]["payment_intent"])["status"] for item in both]
    assert set(statuses) == {"succeeded"}
    assert len(api.v1.charges.list({"payment_intent": intent.id}).data) == 1


async def test_saving_a_card(page: Page, api: Sdk) -> None:
    customer = api.v1.customers.create({})
    setup = api.v1.setup_intents.create({"customer": customer.id, "usage": "off_session"})
    frame = await show(page, setup.client_secret)
    await expect(frame.get_by_text("This payment method is saved")).to_be_visible()
    await fill(frame, "4000000000000002")
    declined = (await page.evaluate("pay({}, 'confirmSetup')"))["error"]
    assert (declined["code"], declined["setup_intent"]["id"]) == ("card_declined", setup.id)
    await fill(frame, "4000002500003155")
    await start(page, method="confirmSetup")
    await expect(challenge(page).get_by_text("you are saving this card")).to_be_visible()
    await challenge(page).get_by_role("button", name="Complete").click()
    assert (await outcome(page))["setupIntent"]["status"] == "succeeded"
    saved = api.v1.customers.payment_methods.list(customer.id).data
    assert [method.card.last4 for method in saved] == ["3155"]


async def test_a_debit_is_processing(page: Page, api: Sdk) -> None:
    intent = new_intent(api, payment_method_types=["card", "sepa_debit"])
    frame = await show(page, intent.client_secret)
    await frame.get_by_role("tab", name="Card").press("ArrowRight")
    await expect(frame.get_by_role("tab", name="SEPA debit")).to_be_focused()
    await frame.get_by_label("Full name").fill("Jenny Rosen")
    await frame.get_by_label("Email").fill("jenny")
    await frame.get_by_label("IBAN").fill("DE89370400440532013001")
    assert (await page.evaluate("pay()"))["error"]["code"] == "invalid_email"
    await frame.get_by_label("Email").fill("jenny@example.com")
    assert (await page.evaluate("pay()"))["error"]["code"] == "invalid_iban"
    await frame.get_by_label("IBAN").fill("de89370400440532013000")
    assert (await page.evaluate("pay()"))["paymentIntent"]["status"] == "processing"
    assert await page.evaluate("changes.at(-1).value") == {"type": "sepa_debit"}


async def test_coming_back_to_the_shop(page: Page, api: Sdk, shop: Shop) -> None:
    """`redirect: always` leaves in the end; a server's own confirmation leaves for the bank's page."""
    intent = new_intent(api)
    await fill(await show(page, intent.client_secret), GOOD)
    await start(page, {"redirect": "always"})
    await page.wait_for_url("**/done?**")
    assert parse_qs(urlsplit(page.url).query) == {
        "order": ["7"],
        "payment_intent": [intent.id],
        "payment_intent_client_secret": [intent.client_secret],
        "redirect_status": ["succeeded"],
    }
    waiting = new_intent(
        api, payment_method="pm_card_authenticationRequired", confirm=True, return_url=f"{shop.url}/done"
    )
    assert waiting.next_action.type == "redirect_to_url"
    await page.evaluate("(secret) => { stripe.handleNextAction({ clientSecret: secret }); }", waiting.client_secret)
    await page.get_by_role("button", name="Fail").click()
    await page.wait_for_url("**/done?**")
    assert parse_qs(urlsplit(page.url).query)["redirect_status"] == ["failed"]


async def test_the_intent_is_made_after_the_form(page: Page, api: Sdk) -> None:
    deferred = {"mode": "payment", "amount": 2500, "currency": "eur"}
    assert await page.evaluate("(options) => open_form(options)", deferred) == "ready"
    await fill(form(page), GOOD)
    other = new_intent(api, amount=9900)
    confirm = "(secret) => pay({ clientSecret: secret }).catch((error) => error.name)"
    assert await page.evaluate(confirm, other.client_secret) == "IntegrationError"
    assert await page.evaluate("elements.submit()") == {"selectedPaymentMethod": "card"}
    wrong = (await page.evaluate(confirm, other.client_secret))["error"]
    assert "2500" in wrong["message"]
    intent = new_intent(api)
    assert (await page.evaluate(confirm, intent.client_secret))["paymentIntent"]["status"] == "succeeded"


async def test_the_server_confirms_with_a_token(page: Page, api: Sdk, sandbox: Box) -> None:
    """Also when it reaches the sandbox under another name than the browser does."""
    server = Box(sandbox.url.replace("127.0.0.1", "localhost"), sandbox.port).client()
    await page.evaluate("open_form({ mode: 'payment', amount: 2500, currency: 'eur' })")
    await fill(form(page), ALWAYS_3DS)
    await page.evaluate("elements.submit()")
    made = await page.evaluate("stripe.createConfirmationToken({ elements, params: { return_url: location.href } })")
    token = made["confirmationToken"]
    assert token["payment_method_preview"]["card"]["last4"] == "3184"
    intent = new_intent(server, confirm=True, confirmation_token=token["id"])
    assert (intent.status, intent.next_action.type) == ("requires_action", "use_stripe_sdk")
    await page.evaluate(
        "(secret) => { window.outcome = stripe.handleNextAction({clientSecret: secret}); }", intent.client_secret
    )
    await challenge(page).get_by_role("button", name="Complete").click()
    assert (await outcome(page))["paymentIntent"]["status"] == "succeeded"
    assert api.v1.confirmation_tokens.retrieve(token["id"]).payment_intent == intent.id
    with pytest.raises(Exception, match="already been used"):
        new_intent(api, confirm=True, confirmation_token=token["id"])


async def test_methods_without_a_form(page: Page, api: Sdk) -> None:
    method = (await page.evaluate("stripe.createPaymentMethod({ type: 'card', card: { token: 'tok_visa' } })"))[
        "paymentMethod"
    ]
    intent = new_intent(api)
    paid = await page.evaluate(
        "([secret, id]) => stripe.confirmCardPayment(secret, { payment_method: id })",
        [intent.client_secret, method["id"]],
    )
    assert paid["paymentIntent"]["status"] == "succeeded"
    typed = "stripe.createPaymentMethod({ type: 'card', card: { number: '4242' } }).catch((error) => error.message)"
    assert "Card numbers are taken by an Element only" in await page.evaluate(typed)
    for key in ("", "sk_test_1", "pk_live_1"):
        assert (
            await page.evaluate("(key) => { try { Stripe(key); } catch (error) { return error.name; } }", key)
            == "IntegrationError"
        )


async def test_a_lost_connection(page: Page, api: Sdk, watch: Watch) -> None:
    watch.expect("ERR_INTERNET_DISCONNECTED")
    intent = new_intent(api)
    await fill(await show(page, intent.client_secret), GOOD)
    await page.context.set_offline(True)
    error = (await page.evaluate("pay()"))["error"]
    assert error["type"] == "api_connection_error"
    assert (await page.evaluate("outcome"))["error"] == error
    await page.context.set_offline(False)
    assert (await page.evaluate("pay()"))["paymentIntent"]["status"] == "succeeded"


async def test_a_lost_answer(page: Page, api: Sdk, watch: Watch) -> None:
    """It had arrived: the second try says so and does not charge again."""
    watch.expect("ERR_FAILED")
    intent = new_intent(api)
    await fill(await show(page, intent.client_secret), GOOD)

    async def lose(route: Route) -> None:
        await route.fetch()
        await route.abort()

    await page.route("**/confirm", lose, times=1)
    assert (await page.evaluate("pay()"))["error"]["type"] == "api_connection_error"
    again = (await page.evaluate("pay()"))["error"]
    assert (again["code"], again["payment_intent"]["status"]) == ("payment_intent_unexpected_state", "succeeded")


async def test_the_shop_knows_the_address(page: Page, api: Sdk) -> None:
    intent = new_intent(api)
    fields = {"fields": {"billingDetails": {"address": "never"}}, "defaultValues": {"billingDetails": {"name": "A"}}}
    open_form = "([options, settings]) => open_form(options, settings)"
    assert await page.evaluate(open_form, [{"clientSecret": intent.client_secret}, fields]) == "ready"
    await expect(form(page).get_by_label("Country")).to_be_hidden()
    await fill(form(page), GOOD)
    pay = """(address) => pay({ confirmParams: { payment_method_data: { billing_details: { address } } } })
      .catch((error) => error.name)"""
    assert await page.evaluate(pay, {"city": "Berlin"}) == "IntegrationError"
    address = {"country": "DE", "postal_code": "10115"}
    assert (await page.evaluate(pay, address))["paymentIntent"]["status"] == "succeeded"
    method = api.v1.payment_methods.retrieve(api.v1.payment_intents.retrieve(intent.id).payment_method)
    assert (method.billing_details.address.country, method.billing_details.address.postal_code) == ("DE", "10115")


async def test_a_form_that_cannot_be_shown(page: Page, api: Sdk) -> None:
    wrong = await page.evaluate("open_form({ clientSecret: 'pi_none_secret_none' })")
    assert (wrong["type"], wrong["code"]) == ("invalid_request_error", "resource_missing")
    assert (await page.evaluate("pay()"))["error"]["code"] == "resource_missing"
    await page.evaluate("elements.getElement('payment').destroy()")
    assert await page.evaluate("elements.getElement('payment')") is None


async def test_twice_the_same_script(page: Page, sandbox: Box, watch: Watch) -> None:
    watch.expect("loaded more than once")
    same = """(url) => new Promise((resolve) => {
      const before = window.Stripe;
      const script = Object.assign(document.createElement('script'), { src: url });
      script.onload = () => resolve(window.Stripe === before);
      document.head.append(script);
    })"""
    assert await page.evaluate(same, f"{sandbox.url}/endive/stripe.js") is True


async def test_looks_and_language(page: Page, api: Sdk) -> None:
    night = {
        "theme": "night",
        "variables": {"colorPrimary": "rgb(255, 120, 0)"},
        "rules": {".Label": {"fontWeight": "800"}},
    }
    frame = await show(page, new_intent(api).client_secret, appearance=night, locale="de")
    number = frame.get_by_label("Kartennummer")
    await expect(number).to_have_css("background-color", "rgb(34, 41, 47)")
    await expect(frame.get_by_text("Kartennummer")).to_have_css("font-weight", "800")
    await number.focus()
    await expect(number).to_have_css("border-color", "rgb(255, 120, 0)")
    await page.set_viewport_size({"width": 320, "height": 640})
    assert await page.evaluate("document.documentElement.scrollWidth") <= 320
    await page.evaluate("elements.update({ appearance: { theme: 'stripe' } })")
    await expect(number).to_have_css("background-color", "rgb(255, 255, 255)")
    # The frame is as high as what is in it, also when errors come.
    before = await page.locator("iframe").evaluate("(frame) => frame.clientHeight")
    await page.evaluate("elements.submit()")
    await expect(frame.get_by_text("Die Kartennummer ist unvollständig.")).to_be_visible()
    await page.wait_for_function("(before) => document.querySelector('iframe').clientHeight > before + 20", arg=before)


async def form_problems(frame: Frame) -> list[str]:
    """What is wrong with a part of a page; headings and landmarks are the page's around it."""
    found = await accessibility_problems(frame, [])
    return [problem for problem in found if not problem.startswith(("landmark", "page-has-heading", "region"))]


async def test_everybody_can_use_the_form(page: Page, api: Sdk) -> None:
    """Labels, contrast and roles, with errors in it; then the bank's page."""
    intent = new_intent(api, payment_method_types=["card", "sepa_debit"])
    await show(page, intent.client_secret)
    inside = next(frame for frame in page.frames if "/elements/payment" in frame.url)
    await page.evaluate("elements.submit()")
    for theme, ground in (("stripe", "white"), ("night", "#101418")):
        # The form is transparent: what is behind it is the shop's, which goes with the theme that it asked for.
        await inside.evaluate("(ground) => { document.body.style.background = ground; }", ground)
        await page.evaluate("(theme) => elements.update({ appearance: { theme } })", theme)
        assert await form_problems(inside) == []
    await fill(form(page), ALWAYS_3DS)
    await start(page)
    await expect(challenge(page).get_by_role("button", name="Complete")).to_be_focused()
    bank = next(frame for frame in page.frames if "/_sandbox/authenticate" in frame.url)
    assert await form_problems(bank) == []

"""A payment's whole story, in nine chapters. Each is a function of the story so far."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from rich.text import Text

from tallystick.cli.demo_story import BASE, Payment, Story, check, short, usd
from tallystick.cli.demo_world import Amiss, Json, Reply

__all__ = ["CHAPTERS", "Chapter"]

Tell: TypeAlias = Callable[[Story], Awaitable[None]]

GOOD_CARD = "4242 4242 4242 4242"
NO_FUNDS = "4000 0000 0000 9995"
ASKS_THE_BANK = "4000 0027 6000 3184"


@dataclass(frozen=True, slots=True)
class Chapter:
    """A chapter: its heading, what it is about, and how it goes."""

    title: str
    prose: str
    tell: Tell


def _order(amount: int, what: str, method: str | None = None, **more: str) -> Json:
    body: Json = {"amount": amount, "currency": "usd", "description": what, **more}
    return body | ({"payment_method": method, "confirm": True} if method else {})


async def _paid(story: Story, payment: Payment, amount: int, *types: str) -> None:
    """What follows every payment that went through."""
    await story.webhooks(payment, *types, "charge.succeeded", "payment_intent.succeeded")
    await story.row(payment, "succeeded", amount_received=amount)
    await story.mail(payment, "payment_confirmation", amount)


async def ask(story: Story) -> None:
    payment, _ = await story.begin(_order(1050, "A book"))
    check(bool(payment.secret), "the answer should hold a client secret")
    await story.webhooks(payment, "payment_intent.created")
    await story.row(payment, "requires_payment_method", amount_received=0)
    await story.conclude("There is a payment on both sides, and no money has moved.")


async def pay(story: Story) -> None:
    payment = story.payments[0]
    await story.pay_in_browser(payment, GOOD_CARD)
    await _paid(story, payment, 1050)
    await story.conclude("Paid. The webhook alone told Tallystick; the receipt is in the mailbox.")


async def decline(story: Story) -> None:
    method = await story.card(NO_FUNDS)
    payment, reply = await story.begin(_order(2500, "A lamp", method), 402)
    code = reply.body["code"]
    check(code == "INSUFFICIENT_FUNDS", "the code should be INSUFFICIENT_FUNDS", f"it is {code}")
    await story.webhooks(payment, "charge.failed", "payment_intent.payment_failed")
    await story.row(payment, "failed", amount_received=0)
    await story.mail(payment, "payment_failed", 2500)
    method = await story.card(GOOD_CARD)
    reply = await story.ask(f"{BASE}/{payment.id}/confirm", {"payment_method": method}, 200, payment=payment)
    check(reply.body["id"] == payment.id, "it should be the same payment", f"it is {reply.body['id']}")
    await story.stripe_side(payment)
    await _paid(story, payment, 2500)
    await story.conclude("One payment, two tries: a decline in words for Ann, then the money.")


async def three_d_secure(story: Story) -> None:
    method = await story.card(ASKS_THE_BANK)
    payment, reply = await story.begin(_order(9900, "A chair", method))
    await story.row(payment, "requires_action", amount_received=0)
    action = (reply.body.get("next_action") or {}).get("redirect_to_url")
    if not action:
        raise Amiss(f"The answer should say where the bank asks, but next_action is {reply.body.get('next_action')}.")
    await _challenge(story, payment, action["url"])
    await _paid(story, payment, 9900, "payment_intent.requires_action")
    await story.conclude("The bank has asked, Ann has confirmed, and the payment went through.")


async def _challenge(story: Story, payment: Payment, url: str) -> None:
    page = url.partition("?")[0]
    shown = f"{page}?…".replace(payment.intent, short(payment.intent))
    await story.screen.line("browser", Text("→ GET the bank's page", "bold"), "to the bank")
    await story.screen.line("browser", f"  {shown}", style="dim")
    reply = await story.world.visit("GET", url)
    check(reply.status == 200 and b"99.00" in reply.content, "the bank's page should ask for $99.00", reply.status)
    await story.screen.line("browser", "← 200 · “Your bank asks you to confirm a payment of $99.00.”")
    reply = await story.world.visit("POST", f"{page}/complete", {"client_secret": payment.secret})
    back = reply.headers.get("Location", "")
    redirected = reply.status == 303 and "redirect_status=succeeded" in back
    check(redirected, "the bank should send Ann back to the shop", f"it answers {reply.status}")
    await story.screen.line("browser", Text("→ POST complete", "bold"), "to the bank")
    await story.screen.line("browser", "← 303 · back to the shop", "redirect_status=succeeded")


async def twice(story: Story) -> None:
    method, key = await story.card(GOOD_CARD), f"cart-{story.world.run}"
    body = _order(1999, "A cup", method)
    await story.tell_request(BASE, body, key=key)
    await story.screen.line("app", "  and the same once more, at the same moment")
    first, second = await asyncio.gather(*(story.world.api(BASE, body, key) for _ in range(2)))
    for reply in (first, second):
        await story.tell_answer(reply, 201)
    check(first.content == second.content, "both answers should be the same, byte for byte")
    payment = story.know(first)
    asked = await story.stripe_side(payment)
    check(len(asked) == 1, "Stripe should have been asked once", f"it was asked {len(asked)} times")
    await _paid(story, payment, 1999)
    await _same_number_of_payments(story)
    await story.conclude("One payment, one charge, one receipt; both answers are equal, byte for byte.")


async def _same_number_of_payments(story: Story) -> None:
    wanted = len(story.payments)
    ours = await story.world.rows(
        "SELECT p.id FROM payments p JOIN users u ON u.id = p.user_id WHERE u.external_id = $1", story.world.subject
    )
    check(len(ours) == wanted, f"Ann should have {wanted} payments", f"there are {len(ours)}")


async def webhook_twice(story: Story) -> None:
    payment, world = story.payments[0], story.world
    event = await world.row(
        "SELECT stripe_event_id AS id, processed_at FROM webhook_events "
        "WHERE object_key = $1 AND event_type = 'payment_intent.succeeded'",
        payment.intent,
    )
    if event is None:
        raise Amiss("The webhook of step 2 should still be stored, but it is gone.")
    before, mails = await story.read_row(payment), len(await world.mails())
    await _deliver_again(story, event["id"])
    stored = await world.rows("SELECT processed_at FROM webhook_events WHERE stripe_event_id = $1", event["id"])
    check(len(stored) == 1, "the event should be stored once", f"it is stored {len(stored)} times")
    check(stored[0]["processed_at"] == event["processed_at"], "it should not be applied again", "it was")
    check(await story.read_row(payment) == before, "the row should not change", "it did")
    await story.screen.line("row", "untouched", short(payment.id))
    check(len(await world.mails()) == mails, "there should be no second receipt", "there is one")
    await story.screen.line("mail", "no second receipt")
    await story.conclude("Delivered twice, stored once, applied once.")


async def _deliver_again(story: Story, event_id: str) -> None:
    world, endpoint = story.world, await _our_endpoint(story)
    await world.control("POST", f"/events/{event_id}/resend", {"endpoint": endpoint})
    await story.screen.line("Stripe", f"sends {short(event_id)} of step 2 again: payment_intent.succeeded")

    async def look() -> bool | None:
        every = (await world.control("GET", f"/events/{event_id}/deliveries"))["data"]
        ours = [item["state"] for item in every if item["endpoint"] == endpoint]
        return True if len(ours) > 1 and set(ours) == {"delivered"} else None

    await story.wait("the second delivery", look, "should be acknowledged like the first")
    await story.screen.line("webhook", "delivered twice, acknowledged with 200 twice")


async def _our_endpoint(story: Story) -> str:
    wanted = f"{story.world.api_url}/api/webhooks/stripe"
    endpoints = (await story.world.stripe("/v1/webhook_endpoints", limit="100"))["data"]
    found = [str(item["id"]) for item in endpoints if item["url"] == wanted]
    check(bool(found), f"the sandbox should have the webhook endpoint {wanted}", "it has not")
    return found[0]


async def capture(story: Story) -> None:
    method = await story.card(GOOD_CARD)
    payment, _ = await story.begin(_order(5000, "A coat", method, capture_method="manual"))
    await story.webhooks(payment, "charge.succeeded", "payment_intent.amount_capturable_updated")
    await story.row(payment, "requires_capture", amount_capturable=5000, amount_received=0)
    await story.ask(f"{BASE}/{payment.id}/capture", {"amount": 3000}, 200, payment=payment)
    await story.stripe_side(payment)
    await story.webhooks(payment, "charge.captured", "payment_intent.succeeded")
    await story.row(payment, "succeeded", amount_capturable=0, amount_received=3000)
    await story.mail(payment, "payment_confirmation", 3000)
    await story.conclude("$50.00 were held, $30.00 are taken, the rest is released.")


async def refund(story: Story) -> None:
    payment = story.payments[-1]
    path = f"{BASE}/{payment.id}/refund"
    body = {"amount": 1200, "reason": "requested_by_customer"}
    await story.ask(path, body, 200, payment=payment)
    await story.stripe_side(payment)
    await story.webhooks(payment, "charge.refunded")
    await story.row(payment, "succeeded", amount_received=3000, amount_refunded=1200)
    await story.mail(payment, "refund", 1200)
    reply = await story.ask(path, {"amount": 2500}, 409, payment=payment)
    code, remaining = reply.body["code"], reply.body.get("remaining")
    right = code == "REFUND_EXCEEDS_REMAINING" and remaining == 1800
    check(right, "it should be REFUND_EXCEEDS_REMAINING with $18.00 left", f"it is {code} with {remaining}")
    asked = await story.stripe_side(payment)
    check(not asked, "Stripe should not have been asked", f"it was asked {len(asked)} times")
    await story.row(payment, "succeeded", amount_received=3000, amount_refunded=1200)
    await story.conclude("$12.00 are on their way back; more than is left was refused before Stripe was asked.")


async def cut_line(story: Story) -> None:
    method, key = await story.card(GOOD_CARD), f"desk-{story.world.run}"
    payment, _ = await story.begin(_order(7500, "A desk"))
    await story.webhooks(payment, "payment_intent.created")
    await story.row(payment, "requires_payment_method")
    path, body = f"{BASE}/{payment.id}/confirm", {"payment_method": method}
    rule = {"target": "api", "kind": "cut", "when": "after", "method": "POST", "times": 3}
    async with story.world.fault(**rule, path=f"/v1/payment_intents/{payment.intent}/confirm"):
        await story.tell_request(path, body, payment=payment, key=key)
        reply = await _with_spinner(story, "an answer", story.world.api(path, body, key))
    await story.tell_answer(reply, 202, 200)
    await story.stripe_side(payment)
    await _settled(story, payment)
    await story.webhooks(payment, "charge.succeeded", "payment_intent.succeeded")
    await story.row(payment, "succeeded", amount_received=7500)
    await story.mail(payment, "payment_confirmation", 7500)
    await story.ask(path, body, 200, payment=payment, key=key)
    charges = (await story.world.stripe("/v1/charges", payment_intent=payment.intent))["data"]
    check(len(charges) == 1, f"Stripe should have charged {usd(7500)} once", f"it has {len(charges)} charges")
    await story.conclude("An honest answer at once, the truth soon after; charged once, whatever was repeated.")


async def _with_spinner(story: Story, what: str, work: Awaitable[Reply]) -> Reply:
    task = asyncio.ensure_future(work)

    async def look() -> Reply | None:
        return task.result() if task.done() else None

    try:
        return await story.wait(what, look, "should come")
    finally:
        task.cancel()


async def _settled(story: Story, payment: Payment) -> None:
    """Wait until nothing about the payment is unknown any more."""
    query = "SELECT kind, state FROM attempts WHERE subject_id = $1::text::uuid ORDER BY created_at"
    open_before = [row for row in await story.world.rows(query, payment.id) if row["state"] in ("requested", "unknown")]

    async def look() -> list[Json] | None:
        rows = await story.world.rows(query, payment.id)
        return rows if all(row["state"] not in ("requested", "unknown") for row in rows) else None

    rows = await story.wait("the worker to find out", look, "should settle what is unknown")
    state = rows[-1]["state"]
    check(state == "succeeded", "the attempt should have succeeded", f"it is {state}")
    if open_before:
        await story.screen.line("worker", f"asks again, same key: unknown → {state}", open_before[-1]["kind"])
        await story.stripe_side(payment)


CHAPTERS = (
    Chapter(
        "The shop asks for a payment",
        "Ann wants a book for $10.50. The shop's server asks Tallystick; the client secret in the answer is for "
        "Ann's browser.",
        ask,
    ),
    Chapter(
        "Ann pays in her browser",
        "Her card number goes from the browser straight to Stripe. Tallystick never sees it.",
        pay,
    ),
    Chapter(
        "A card without funds, then a good one",
        "The bank declines. Ann hears why and what she can do, and pays the same payment with another card.",
        decline,
    ),
    Chapter("The bank asks: 3D Secure", "This card's bank wants Ann to confirm the payment on a page of its own.",
            three_d_secure),
    Chapter(
        "The same request twice",
        "The network is slow, so the shop repeats itself. The Idempotency-Key says that it means one payment.",
        twice,
    ),
    Chapter(
        "The same webhook twice",
        "Stripe promises to deliver at least once. So it may be twice.",
        webhook_twice,
    ),
    Chapter(
        "Authorise now, capture a part later",
        "A coat is made to measure: $50.00 are held on the card, and $30.00 are taken in the end.",
        capture,
    ),
    Chapter(
        "A refund, and one too many",
        "Ann gets $12.00 of the $30.00 back. Then somebody tries to give her another $25.00.",
        refund,
    ),
    Chapter(
        "Stripe acts, and the line is cut",
        "Stripe charges the card, and its answer is lost, three times in a row. Was Ann charged or not?",
        cut_line,
    ),
)  # fmt: skip

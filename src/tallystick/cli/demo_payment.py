"""A payment's whole story, in nine chapters. Each is a function of the story so far."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from rich.text import Text

from tallystick.cli.demo_client import Answer, Operation, Sent, call
from tallystick.cli.demo_story import Payment, Story, check, short, usd
from tallystick.cli.demo_world import Amiss, Json
from tallystick.client.api.payments import capture_payment_intent, confirm_payment_intent, refund_payment_intent
from tallystick.client.models import (
    CapturePayment,
    ConfirmPayment,
    CreatePayment,
    CreateRefund,
    PaymentView,
    RefundView,
)
from tallystick.client.types import UNSET, Unset

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


def _order(amount: int, what: str, method: str | Unset = UNSET) -> CreatePayment:
    """A payment to be made, and charged at once where there is a card; nothing else is said."""
    confirm = bool(method) or UNSET
    return CreatePayment(
        amount, currency="usd", description=what, payment_method=method, confirm=confirm, off_session=UNSET
    )


def _confirmation(story: Story, payment: Payment, method: str, key: str | Unset = UNSET) -> Operation[PaymentView]:
    body = ConfirmPayment(payment_method=method, off_session=UNSET)
    return confirm_payment_intent.asyncio_detailed(payment.id, client=story.world.ann, body=body, idempotency_key=key)


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
    payment, problem = await story.begin_declined(_order(2500, "A lamp", method))
    code = problem.code
    check(code == "INSUFFICIENT_FUNDS", "the code should be INSUFFICIENT_FUNDS", f"it is {code}")
    await story.webhooks(payment, "charge.failed", "payment_intent.payment_failed")
    await story.row(payment, "failed", amount_received=0)
    await story.mail(payment, "payment_failed", 2500)
    method = await story.card(GOOD_CARD)
    paid = await story.ask(_confirmation(story, payment, method), payment=payment)
    check(str(paid.id) == payment.id, "it should be the same payment", f"it is {paid.id}")
    await story.stripe_side(payment)
    await _paid(story, payment, 2500)
    await story.conclude("One payment, two tries: a decline in words for Ann, then the money.")


async def three_d_secure(story: Story) -> None:
    method = await story.card(ASKS_THE_BANK)
    payment, made = await story.begin(_order(9900, "A chair", method))
    await story.row(payment, "requires_action", amount_received=0)
    if not made.next_action or "redirect_to_url" not in made.next_action:
        raise Amiss(f"The answer should say where the bank asks, but next_action is {made.next_action}.")
    await _challenge(story, payment, made.next_action["redirect_to_url"]["url"])
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
    order = _order(1999, "A cup", method)
    first, second = await _at_once(story, story.creation(order, key), story.creation(order, key))
    for answer in (first, second):
        await story.tell_answer(answer, 201)
    check(first.content == second.content, "both answers should be the same, byte for byte")
    payment = story.know(first.value)
    asked = await story.stripe_side(payment)
    check(len(asked) == 1, "Stripe should have been asked once", f"it was asked {len(asked)} times")
    await _paid(story, payment, 1999)
    await _same_number_of_payments(story)
    await story.conclude("One payment, one charge, one receipt; both answers are equal, byte for byte.")


async def _at_once(
    story: Story, one: Operation[PaymentView], other: Operation[PaymentView]
) -> tuple[Answer[PaymentView], Answer[PaymentView]]:
    """Two requests that are the same, each held until the other is about to leave, too."""
    both, sent = asyncio.Barrier(2), list[Sent]()

    async def tell(request: Sent) -> None:
        sent.append(request)
        await story.tell_request(request)
        await story.screen.line("app", "  and the same once more, at the same moment")
        await both.wait()

    async def follow(request: Sent) -> None:
        sent.append(request)
        await both.wait()

    answers = await asyncio.gather(call(one, tell), call(other, follow))
    check(sent[0] == sent[1], "both requests should be the same", f"they are {sent}")
    return answers


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
    order = _order(5000, "A coat", method)
    order.capture_method = "manual"
    payment, _ = await story.begin(order)
    await story.webhooks(payment, "charge.succeeded", "payment_intent.amount_capturable_updated")
    await story.row(payment, "requires_capture", amount_capturable=5000, amount_received=0)
    part = CapturePayment(amount=3000)
    operation = capture_payment_intent.asyncio_detailed(payment.id, client=story.world.ann, body=part)
    await story.ask(operation, payment=payment)
    await story.stripe_side(payment)
    await story.webhooks(payment, "charge.captured", "payment_intent.succeeded")
    await story.row(payment, "succeeded", amount_capturable=0, amount_received=3000)
    await story.mail(payment, "payment_confirmation", 3000)
    await story.conclude("$50.00 were held, $30.00 are taken, the rest is released.")


async def refund(story: Story) -> None:
    payment = story.payments[-1]
    wanted = CreateRefund(amount=1200, reason="requested_by_customer")
    await story.ask(_refunding(story, payment, wanted), payment=payment)
    await story.stripe_side(payment)
    await story.webhooks(payment, "charge.refunded")
    await story.row(payment, "succeeded", amount_received=3000, amount_refunded=1200)
    await story.mail(payment, "refund", 1200)
    problem = await story.refused(_refunding(story, payment, CreateRefund(amount=2500)), 409, payment=payment)
    code, remaining = problem.code, problem.additional_properties.get("remaining")
    right = code == "REFUND_EXCEEDS_REMAINING" and remaining == 1800
    check(right, "it should be REFUND_EXCEEDS_REMAINING with $18.00 left", f"it is {code} with {remaining}")
    asked = await story.stripe_side(payment)
    check(not asked, "Stripe should not have been asked", f"it was asked {len(asked)} times")
    await story.row(payment, "succeeded", amount_received=3000, amount_refunded=1200)
    await story.conclude("$12.00 are on their way back; more than is left was refused before Stripe was asked.")


def _refunding(story: Story, payment: Payment, wanted: CreateRefund) -> Operation[RefundView]:
    return refund_payment_intent.asyncio_detailed(payment.id, client=story.world.ann, body=wanted)


async def cut_line(story: Story) -> None:
    method, key = await story.card(GOOD_CARD), f"desk-{story.world.run}"
    payment, _ = await story.begin(_order(7500, "A desk"))
    await story.webhooks(payment, "payment_intent.created")
    await story.row(payment, "requires_payment_method")
    rule = {"target": "api", "kind": "cut", "when": "after", "method": "POST", "times": 3}
    async with story.world.fault(**rule, path=f"/v1/payment_intents/{payment.intent}/confirm"):
        answer = await _with_spinner(story, payment, _confirmation(story, payment, method, key))
    await story.tell_answer(answer, 202, 200)
    await story.stripe_side(payment)
    await _settled(story, payment)
    await story.webhooks(payment, "charge.succeeded", "payment_intent.succeeded")
    await story.row(payment, "succeeded", amount_received=7500)
    await story.mail(payment, "payment_confirmation", 7500)
    await story.ask(_confirmation(story, payment, method, key), payment=payment)
    charges = (await story.world.stripe("/v1/charges", payment_intent=payment.intent))["data"]
    check(len(charges) == 1, f"Stripe should have charged {usd(7500)} once", f"it has {len(charges)} charges")
    await story.conclude("An honest answer at once, the truth soon after; charged once, whatever was repeated.")


async def _with_spinner(story: Story, payment: Payment, operation: Operation[PaymentView]) -> Answer[PaymentView]:
    left = asyncio.Event()

    async def leaving(sent: Sent) -> None:
        await story.tell_request(sent, payment)
        left.set()

    async def look() -> Answer[PaymentView] | None:
        return task.result() if task.done() else None

    task = asyncio.ensure_future(call(operation, leaving))
    task.add_done_callback(lambda _: left.set())
    try:
        await left.wait()
        return await story.wait("an answer", look, "should come")
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

"""The sentences that a story is told in: each does one thing, shows it, and verifies it.

Whatever is not as it should be ends the story with `Amiss`.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from rich.text import Text

from tallystick.cli.demo_client import Answer, Operation, Sent, call, given, start_of
from tallystick.cli.demo_screen import DemoScreen
from tallystick.cli.demo_world import Amiss, Json, Reply, World
from tallystick.client.api.payments import create_payment_intent
from tallystick.client.models import CreatePayment, PaymentView, Problem
from tallystick.client.types import UNSET, Unset
from tallystick.core.money import format_money

__all__ = ["Payment", "Story", "answer_line", "answered", "check", "short", "usd"]

Found = TypeVar("Found")
Value = TypeVar("Value")

_EVENTS = """
    SELECT stripe_event_id AS id, event_type AS type, state, error_message,
        extract(epoch FROM processed_at - created_at) * 1000 AS ms
    FROM webhook_events
    WHERE (object_key = $1 OR payload #>> '{data,object,payment_intent}' = $1) AND source = 'webhook'
    ORDER BY seq
"""


_MAIL = """
    SELECT message_id, context ->> 'amount' AS amount, extract(epoch FROM created_at) AS queued_at
    FROM mails WHERE recipient = $1 AND template = $2 AND context ->> 'payment_id' = $3
"""
_AMOUNTS = (("amount_capturable", "held"), ("amount_received", "received"), ("amount_refunded", "refunded"))


@dataclass(slots=True)
class Payment:
    """A payment of the story: its two ids, and the status its row was last shown with."""

    id: str
    intent: str
    secret: str = ""
    status: str = "new"
    events: set[str] = field(default_factory=set)


def check(holds: bool, expected: str, found: object = None) -> None:
    """Raise Amiss unless it holds."""
    if not holds:
        said = expected if found is None else f"{expected}, but {found}"
        raise Amiss(f"{said[0].upper()}{said[1:]}.")


def usd(amount: int) -> str:
    """An amount as it is read."""
    return format_money(amount, "usd")


def short(identity: str) -> str:
    """An id short enough to recognise: the start of ours, the end of Stripe's (whose starts are all alike)."""
    prefix, _, rest = identity.partition("_")
    if not rest:
        return identity[:8]
    secret = rest.partition("_secret_")
    if secret[1]:
        return f"{prefix}_…{secret[0][-4:]}_secret_{secret[2][:4]}…"
    return f"{prefix}_…{rest[-4:]}"


def _shortened(text: str, payment: Payment | None) -> str:
    """A path with its long ids made short."""
    for identity in (payment.id, payment.intent) if payment else ():
        text = text.replace(identity, short(identity))
    return text


class Story:
    """Tells the chapters of one run."""

    def __init__(self, world: World, screen: DemoScreen, patience_s: float) -> None:
        self.world = world
        self.screen = screen
        self.place = "before the first step"
        self.payments: list[Payment] = []
        self.expected_mails: dict[str, int] = {}
        self._patience_s = patience_s
        self._shown_requests: set[str] = set()

    # The application

    async def ask(self, operation: Operation[Value], expect: int = 200, *, payment: Payment | None = None) -> Value:
        """A request of the application to Tallystick: sent, shown as it leaves, and its answer's status verified."""
        return (await self._ask(operation, expect, payment)).value

    async def refused(self, operation: Operation[Value], expect: int, *, payment: Payment | None = None) -> Problem:
        """The same, where Tallystick is to refuse it."""
        return (await self._ask(operation, expect, payment)).problem

    async def _ask(self, operation: Operation[Value], expect: int, payment: Payment | None) -> Answer[Value]:
        answer = await call(operation, lambda sent: self.tell_request(sent, payment))
        await self.tell_answer(answer, expect)
        return answer

    async def tell_request(self, sent: Sent, payment: Payment | None = None) -> None:
        """What the application is about to send."""
        await self.screen.line("app", Text(f"→ {sent.method} {_shortened(sent.path, payment)}", "bold"))
        if sent.key:
            await self.screen.line("app", f"  Idempotency-Key: {sent.key}", style="dim")
        shown = {name: short(value) if name == "payment_method" else value for name, value in sent.body.items()}
        await self.screen.line("app", f"  {json.dumps(shown, ensure_ascii=False)}", style="dim")

    async def tell_answer(self, answer: Answer[Value], *expect: int) -> None:
        """What Tallystick answered: the status, and the few fields that tell."""
        check(answer.status in expect, f"the answer should be {_either(expect)}", answered(answer))
        body = answer.body
        await self.screen.line("app", answer_line(answer.status, *_telling(body)), f"{answer.ms:.0f} ms")
        if body.get("client_secret") and body["status"] in ("requires_payment_method", "requires_action"):
            await self.screen.line("app", f"  client_secret {short(body['client_secret'])}", style="dim")
        if answer.status >= 400:
            await self.screen.line("app", f"  “{body['detail']}”")
            await self.screen.line("app", f"  {body['suggested_action']}")

    async def begin(self, order: CreatePayment) -> tuple[Payment, PaymentView]:
        """The application asks for a new payment; what Stripe was asked for it is shown, too."""
        made = await self.ask(self.creation(order), 201)
        return await self._begun(made), made

    async def begin_declined(self, order: CreatePayment) -> tuple[Payment, Problem]:
        """The same, where the card is declined at once: the problem bears the payment."""
        problem = await self.refused(self.creation(order), 402)
        return await self._begun(PaymentView.from_dict(problem["payment"])), problem

    async def _begun(self, made: PaymentView) -> Payment:
        payment = self.know(made)
        await self.stripe_side(payment)
        return payment

    def creation(self, order: CreatePayment, key: str | Unset = UNSET) -> Operation[PaymentView]:
        """The operation that makes a payment."""
        return create_payment_intent.asyncio_detailed(client=self.world.ann, body=order, idempotency_key=key)

    def know(self, made: PaymentView) -> Payment:
        """The payment of an answer, from now on one of the story."""
        intent = given(made.stripe_payment_intent_id, "the payment intent's id")
        payment = Payment(str(made.id), intent, made.client_secret or "")
        self.payments.append(payment)
        return payment

    # The customer's browser

    async def card(self, number: str) -> str:
        """The customer types a card into Stripe's form; the new payment method's id."""
        reply = await self._send_card(number)
        line = Text(f"{number} → Stripe → ").append(short(reply.body["id"]))
        await self.screen.line("browser", line, reply.request_id)
        return str(reply.body["id"])

    async def pay_in_browser(self, payment: Payment, number: str) -> None:
        """The same in full, and what Stripe.js then does with the client secret."""
        await self.screen.line("browser", Text("→ POST /v1/payment_methods", "bold"), "to Stripe")
        await self.screen.line("browser", f"  card {number}", style="dim")
        reply = await self._send_card(number)
        method, brand = reply.body["id"], reply.body["card"]["brand"]
        await self.screen.line("browser", answer_line(200, short(method), brand), reply.request_id)
        path = f"/v1/payment_intents/{payment.intent}/confirm"
        await self.screen.line("browser", Text(f"→ POST {_shortened(path, payment)}", "bold"), "to Stripe")
        form = {"payment_method": method, "client_secret": payment.secret}
        shown = " ".join(f"{name} {short(value)}" for name, value in form.items())
        await self.screen.line("browser", f"  {shown}", style="dim")
        reply = await self.world.browser(path, form)
        check(reply.status == 200, "Stripe should take the payment", answered(reply))
        await self.screen.line("browser", answer_line(200, reply.body["status"]), reply.request_id)

    async def _send_card(self, number: str) -> Reply:
        reply = await self.world.send_card(number)
        check(reply.status == 200, "Stripe should take the card", answered(reply))
        return reply

    # What follows

    async def stripe_side(self, payment: Payment) -> list[Json]:
        """What Tallystick asked Stripe about this payment since it was shown last."""
        keys = await self.world.rows(
            "SELECT stripe_idempotency_key AS key FROM attempts WHERE subject_id = $1::text::uuid", payment.id
        )
        ours = {row["key"] for row in keys}
        fresh = [
            item
            for item in await self.world.requests()
            if item["idempotency_key"] in ours and item["id"] not in self._shown_requests
        ]
        for item in fresh:
            self._shown_requests.add(item["id"])
            line = Text(f"{item['method']} {_shortened(item['path'], payment)}  ")
            line.append(*(("cut", "bold red") if item["fault"] else (str(item["status"]), "bold")))
            await self.screen.line("Stripe", line, item["id"])
        return fresh

    async def webhooks(self, payment: Payment, *types: str) -> None:
        """Wait until webhooks of these types have been taken in and applied, and show all that came."""
        for kind in types:
            await self.wait(f"the webhook {kind}", self._applied(payment, kind), "should have come and been applied")
        for event in await self.world.rows(_EVENTS, payment.intent):
            if event["id"] not in payment.events and event["ms"] is not None:
                payment.events.add(event["id"])
                await self.screen.line("webhook", event["type"], f"applied in {event['ms']:.0f} ms")

    def _applied(self, payment: Payment, kind: str) -> Callable[[], Awaitable[bool | None]]:
        async def look() -> bool | None:
            for event in await self.world.rows(_EVENTS, payment.intent):
                if event["type"] == kind and event["id"] not in payment.events:
                    broken = event["state"] in ("dead", "parked", "discarded")
                    check(not broken, f"the webhook {kind} should be applied", f"it is {event['state']}")
                    if event["state"] == "processed":
                        return True
            return None

        return look

    async def row(self, payment: Payment, status: str, **amounts: int) -> None:
        """Wait until the payment's row has this status and these amounts, and show what changed."""

        async def look() -> Json | None:
            row = await self.read_row(payment)
            same = row is not None and all(row[name] == value for name, value in amounts.items())
            return row if row is not None and same and row["status"] == status else None

        what = "the row in `payments`"
        should = " and ".join(
            [f"should be {status}", *(f"{usd(amounts[name])} {word}" for name, word in _AMOUNTS if name in amounts)]
        )
        row = await self.wait(what, look, should, found=lambda: self._row_as_it_is(payment))
        line = Text.assemble((f"{payment.status} → " if payment.status != status else "", "dim"), (status, "bold"))
        payment.status = status
        for name, word in _AMOUNTS:
            if row[name]:
                line.append(f" · {usd(row[name])} {word}")
        await self.screen.line("row", line, short(payment.id))

    async def read_row(self, payment: Payment) -> Json | None:
        """The payment's row."""
        return await self.world.row("SELECT * FROM payments WHERE id = $1::text::uuid", payment.id)

    async def _row_as_it_is(self, payment: Payment) -> str:
        row = await self.read_row(payment)
        if row is None:
            return "there is no row"
        amounts = ", ".join(f"{usd(row[name])} {word}" for name, word in _AMOUNTS)
        return f"it is {row['status']}, {amounts}"

    async def mail(self, payment: Payment, template: str, amount: int) -> None:
        """Wait until this mail about the payment, over this amount, lies in the customer's mailbox."""
        self.expected_mails[template] = self.expected_mails.get(template, 0) + 1

        async def look() -> tuple[Json, Json] | None:
            queued = await self.world.row(_MAIL, self.world.email, template, payment.id)
            if queued is None:
                return None
            landed = [mail for mail in await self.world.mails() if mail["message_id"] == queued["message_id"]]
            return (queued, landed[0]) if landed else None

        queued, landed = await self.wait(
            f"the mail {template}", look, f"should land in the mailbox of {self.world.email}"
        )
        told = int(queued["amount"])
        check(told == amount, f"the mail “{landed['subject']}” should be about {usd(amount)}", f"it tells {usd(told)}")
        ms = (int(landed["id"][:19]) / 1e9 - float(queued["queued_at"])) * 1000
        await self.screen.line("mail", f"“{landed['subject']}”", f"landed in {max(ms, 0):.0f} ms")

    async def wait(
        self,
        what: str,
        look: Callable[[], Awaitable[Found | None]],
        should: str,
        found: Callable[[], Awaitable[str]] | None = None,
    ) -> Found:
        """Wait for something, with a spinner. Raises Amiss when patience ends."""
        result = await self.screen.until(what, look, self._patience_s)
        if result is None:
            is_now = f" Now {await found()}." if found else ""
            raise Amiss(f"Waited {self._patience_s:g} s for {what}: it {should}.{is_now}")
        return result

    async def conclude(self, text: str) -> None:
        """What the chapter has shown."""
        await self.screen.conclusion(text)


def answer_line(status: int, *fields: str) -> Text:
    """An answer's status, and the few fields of it that tell."""
    line = Text("← ").append(str(status), "bold green" if status < 400 else "bold yellow")
    for value in fields:
        line.append(" · ", "dim").append(value)
    return line


def _telling(body: Mapping[str, Any]) -> list[str]:
    """The few fields of an answer that a person wants to see."""
    if "code" in body:
        remaining = body.get("remaining")
        return [body["code"], *([f"remaining {usd(remaining)}"] if remaining is not None else [])]
    fields = [f"{body['object']} {short(body['id'])}", body["status"]]
    if body["object"] == "refund":
        fields.append(usd(body["amount"]))
    if body.get("attempt"):
        fields.append(f"attempt {body['attempt']['state']}")
    return fields


def _either(statuses: tuple[int, ...]) -> str:
    return " or ".join(map(str, statuses))


def answered(reply: Reply | Answer[Value]) -> str:
    """What an answer was, for a complaint."""
    return f"it is {reply.status}: {start_of(reply.content)}"

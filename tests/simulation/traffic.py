"""Real traffic at the sandbox: many customers' stories, through our API and past it."""

import asyncio
import random
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from simulation.mirror import everything
from system import System

__all__ = ["USERS", "Traffic"]

USERS = ("ada", "ben", "cleo", "dan", "eve")
"""Users who have been seen at the API, so that their addresses are known."""
STRANGER = "zoe"
"""A user of the same host application whom this database has never seen."""

CARDS = ("pm_card_visa", "pm_card_mastercard", "pm_card_amex", "pm_card_jcb")
DECLINED = (
    "pm_card_visa_chargeDeclined",
    "pm_card_visa_chargeDeclinedInsufficientFunds",
    "pm_card_visa_chargeDeclinedLostCard",
    "pm_card_chargeDeclinedExpiredCard",
    "pm_card_chargeDeclinedProcessingError",
)
SECURE = "pm_card_authenticationRequired"
CURRENCIES = ("usd", "eur", "jpy")


class Door(Protocol):
    """A way to act on payments; intents are named by Stripe's ids."""

    async def create(self, user: str, amount: int, currency: str, **options: Any) -> str:
        """A payment intent; `card` confirms it at once."""

    async def confirm(self, user: str, intent: str, card: str) -> None: ...
    async def capture(self, user: str, intent: str, amount: int | None) -> None: ...
    async def cancel(self, user: str, intent: str) -> None: ...
    async def refund(self, user: str, intent: str, amount: int | None) -> None: ...


class ApiDoor:
    """Through our API, as the host application does it."""

    def __init__(self, system: System) -> None:
        self._system = system

    async def create(self, user: str, amount: int, currency: str, **options: Any) -> str:
        card = options.get("card")
        body = {"amount": amount, "currency": currency, "description": f"Order of {user}"}
        body |= {"payment_method": card, "confirm": True} if card else {}
        body |= {"capture_method": "manual"} if options.get("manual") else {}
        answer = await self._system.call("POST", "/api/payments/payment-intent", body, user=user)
        assert answer.status in (201, 402), answer
        payment = answer.body if answer.status == 201 else answer.body["payment"]
        return str(payment["stripe_payment_intent_id"])

    async def confirm(self, user: str, intent: str, card: str) -> None:
        await self._act(user, intent, "confirm", {"payment_method": card}, (200, 402))

    async def capture(self, user: str, intent: str, amount: int | None) -> None:
        await self._act(user, intent, "capture", {"amount": amount} if amount else {}, (200,))

    async def cancel(self, user: str, intent: str) -> None:
        await self._act(user, intent, "cancel", {}, (200,))

    async def refund(self, user: str, intent: str, amount: int | None) -> None:
        await self._act(user, intent, "refund", {"amount": amount} if amount else {}, (200,))

    async def _act(self, user: str, intent: str, action: str, body: dict[str, Any], expected: tuple[int, ...]) -> None:
        answer = await self._system.call("POST", f"/api/payments/payment-intent/{intent}/{action}", body, user=user)
        assert answer.status in expected, (action, answer)


class StripeDoor:
    """Straight at Stripe: with our marks in the metadata as another instance of ours would, or as a stranger."""

    def __init__(self, system: System, *, ours: bool) -> None:
        self._system = system
        self._ours = ours
        self._customers: dict[str, str] = {}

    async def create(self, user: str, amount: int, currency: str, **options: Any) -> str:
        form = {
            "amount": str(amount),
            "currency": currency,
            "automatic_payment_methods[enabled]": "true",
            "metadata[order]": uuid.uuid4().hex[:8],
            "description": f"Order of {user}",
        }
        if self._ours:
            form |= {
                "customer": await self._customer(user),
                "metadata[tallystick_installation]": self._system.settings.installation_id,
                "metadata[tallystick_payment]": str(uuid.uuid4()),
                "metadata[tallystick_user]": user,
            }
        form |= {"capture_method": "manual"} if options.get("manual") else {}
        if card := options.get("card"):
            form |= {"payment_method": card, "confirm": "true", "return_url": "https://shop.test/back"}
        answer = await self._system.stripe("/v1/payment_intents", form)
        return str(answer["id"] if "id" in answer else answer["error"]["payment_intent"]["id"])

    async def confirm(self, user: str, intent: str, card: str) -> None:
        await self._act(intent, "confirm", {"payment_method": card, "return_url": "https://shop.test/back"})

    async def capture(self, user: str, intent: str, amount: int | None) -> None:
        await self._act(intent, "capture", {"amount_to_capture": str(amount)} if amount else {})

    async def cancel(self, user: str, intent: str) -> None:
        await self._act(intent, "cancel", {"cancellation_reason": "requested_by_customer"})

    async def refund(self, user: str, intent: str, amount: int | None) -> None:
        form = {"payment_intent": intent} | ({"amount": str(amount)} if amount else {})
        answer = await self._system.stripe("/v1/refunds", form)
        assert "error" not in answer, answer

    async def _customer(self, user: str) -> str:
        if user not in self._customers:
            form = {"metadata[tallystick_user]": user, "email": f"{user}@example.com"}
            self._customers[user] = (await self._system.stripe("/v1/customers", form))["id"]
        return self._customers[user]

    async def _act(self, intent: str, action: str, form: dict[str, str]) -> None:
        answer = await self._system.stripe(f"/v1/payment_intents/{intent}/{action}", form)
        declined = answer.get("error", {}).get("type") == "card_error"
        assert "error" not in answer or declined, answer


@dataclass(frozen=True)
class Story:
    """One customer's purchase, all chances drawn beforehand."""

    play: Callable[["Story"], Awaitable[None]]
    door: Door
    user: str
    amount: int
    currency: str
    card: str
    bad_card: str


class Traffic:
    """Plays stories drawn from `rng` until there are enough events."""

    def __init__(self, system: System, rng: random.Random) -> None:
        self._system = system
        self._rng = rng
        api, ours, foreign = ApiDoor(system), StripeDoor(system, ours=True), StripeDoor(system, ours=False)
        self._doors: list[Door] = [api, api, api, ours, ours, foreign]
        self._plays = [
            (6, self._pays),
            (4, self._declined_then_pays),
            (2, self._declined_for_good),
            (2, self._authenticates),
            (2, self._fails_to_authenticate),
            (2, self._captured_whole),
            (2, self._captured_in_part),
            (2, self._canceled),
            (1, self._authorised_then_canceled),
            (4, self._refunded_in_parts),
            (2, self._refund_fails),
            (1, self._refund_pends),
            (2, self._disputed),
        ]

    async def until(self, events: int) -> list[dict[str, Any]]:
        """Play on until the sandbox has `events` events; they are answered oldest first."""
        while True:
            found = await self.events()
            if len(found) >= events:
                break
            stories = [self._draw() for _ in range(10)]
            for first in range(0, len(stories), 4):
                await asyncio.gather(*(story.play(story) for story in stories[first : first + 4]))
            # Some neighbours share a second, others do not.
            await self._advance(self._rng.choice((0.3, 1, 2)))
        await self._answer_disputes()
        await self._advance(30)
        return await self.events()

    async def events(self) -> list[dict[str, Any]]:
        """All events so far, oldest first."""
        return (await everything(self._system.stripe, "events"))[::-1]

    def _draw(self) -> Story:
        rng = self._rng
        door = rng.choice(self._doors)
        # Only an intent that names a user can bring one whom nobody has seen.
        user = rng.choice(USERS) if isinstance(door, ApiDoor) else rng.choice((*USERS, STRANGER))
        play = rng.choices([play for _, play in self._plays], [weight for weight, _ in self._plays])[0]
        return Story(
            play=play,
            door=door,
            user=user,
            amount=rng.randint(500, 90_000),
            currency=rng.choice(CURRENCIES),
            card=rng.choice(CARDS),
            bad_card=rng.choice(DECLINED),
        )

    async def _advance(self, seconds: float) -> None:
        await self._system.sandbox("POST", "/_sandbox/clock/advance", {"by": seconds})

    async def _answer_disputes(self) -> None:
        for dispute in await everything(self._system.stripe, "disputes"):
            word = self._rng.choice(("winning_evidence", "losing_evidence", None))
            if word:
                await self._system.stripe(f"/v1/disputes/{dispute['id']}", {"evidence[uncategorized_text]": word})

    # The stories

    async def _create(self, it: Story, **options: Any) -> str:
        return await it.door.create(it.user, it.amount, it.currency, **options)

    async def _pays(self, it: Story) -> None:
        await self._create(it, card=it.card)

    async def _declined_then_pays(self, it: Story) -> None:
        intent = await self._create(it, card=it.bad_card)
        await it.door.confirm(it.user, intent, it.bad_card)
        await it.door.confirm(it.user, intent, it.card)

    async def _declined_for_good(self, it: Story) -> None:
        await it.door.confirm(it.user, await self._create(it), it.bad_card)

    async def _authenticates(self, it: Story) -> None:
        await self._system.authenticate(await self._create(it, card=SECURE))

    async def _fails_to_authenticate(self, it: Story) -> None:
        intent = await self._create(it, card=SECURE)
        await self._system.authenticate(intent, "fail")
        if it.amount % 2:
            await it.door.confirm(it.user, intent, it.card)

    async def _captured_whole(self, it: Story) -> None:
        await it.door.capture(it.user, await self._create(it, card=it.card, manual=True), None)

    async def _captured_in_part(self, it: Story) -> None:
        await it.door.capture(it.user, await self._create(it, card=it.card, manual=True), it.amount // 2)

    async def _canceled(self, it: Story) -> None:
        await it.door.cancel(it.user, await self._create(it))

    async def _authorised_then_canceled(self, it: Story) -> None:
        await it.door.cancel(it.user, await self._create(it, card=it.card, manual=True))

    async def _refunded_in_parts(self, it: Story) -> None:
        intent = await self._create(it, card=it.card)
        await it.door.refund(it.user, intent, it.amount // 3)
        await it.door.refund(it.user, intent, it.amount // 3)
        if it.amount % 2:
            await it.door.refund(it.user, intent, None)

    async def _refund_fails(self, it: Story) -> None:
        intent = await self._create(it, card="pm_card_refundFail")
        await it.door.refund(it.user, intent, it.amount // 2)

    async def _refund_pends(self, it: Story) -> None:
        await it.door.refund(it.user, await self._create(it, card="pm_card_pendingRefund"), None)

    async def _disputed(self, it: Story) -> None:
        card = "pm_card_createDispute" if it.amount % 3 else "pm_card_createDisputeInquiry"
        await self._create(it, card=card)

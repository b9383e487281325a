"""The sentences that a year of a subscription is told in: Ann acts, the clock moves, and all that follows is verified.

Nothing is waited for by guess: moving the clock (even by a moment) ends when both halves have nothing left to do. Then
everything that is new must be what the chapter expects, and nothing else.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeVar

from rich.text import Text

from tallystick.cli.demo_client import Operation, Sent, call, given
from tallystick.cli.demo_news import Fact, News, day, news
from tallystick.cli.demo_screen import DemoScreen
from tallystick.cli.demo_story import answer_line, answered, check, short, usd
from tallystick.cli.demo_world import Amiss, Json, World
from tallystick.client import AuthenticatedClient
from tallystick.client.api.customers import create_setup_intent
from tallystick.client.api.entitlements import list_entitlements, put_feature, put_product_features
from tallystick.client.api.invoices import list_invoices
from tallystick.client.api.products import create_product, list_products
from tallystick.client.api.subscriptions import get_subscription, upcoming_invoice, update_subscription
from tallystick.client.models import (
    CreatePrice,
    CreateProduct,
    CreateProductMetadata,
    CreateRecurring,
    FeatureFields,
    GrantedProductView,
    InvoiceView,
    ProductFeature,
    ProductFeatureFields,
    ProductView,
    SubscriptionDetails,
    SubscriptionView,
    UpcomingInvoice,
    UpdateSubscription,
)
from tallystick.client.types import UNSET, Unset

__all__ = ["BASIC", "PRO", "Plan", "Use", "Year"]

Value = TypeVar("Value")
_UUID = re.compile(r"\b([0-9a-f]{8})-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
_STRIPE_ID = re.compile(r"\b(?:price|pm|seti|sub|in|cus|prod)_[A-Za-z0-9]{8,}\b")
_LONG = 40
_MOVE_S = 600.0
_MOMENT_S = 3
_FEATURES = {"demo.projects": "Projects", "demo.sso": "Single sign-on"}


@dataclass(frozen=True, slots=True)
class Plan:
    """A product of the demo's, what a seat of it costs a month, and what it gives."""

    name: str
    amount: int
    features: Mapping[str, int | bool]


BASIC = Plan("Basic", 1500, {"demo.projects": 3})
PRO = Plan("Pro", 4500, {"demo.projects": 50, "demo.sso": True})
_PLANS = {plan.name: plan for plan in (BASIC, PRO)}


@dataclass(frozen=True, slots=True)
class Use:
    """What a user may use by one subscription."""

    plan: Plan
    quantity: int
    state: str
    until: datetime | None = None

    def __str__(self) -> str:
        until = f" · until {day(self.until)}" if self.until else ""
        return f"{self.plan.name} × {self.quantity} · {self.state}{until}"


@dataclass
class Year:
    """Tells the chapters of one run. `prices` are the plans' names by Stripe's price id, `months` a circle for each."""

    world: World
    screen: DemoScreen
    patience_s: float
    place: str = "before the first step"
    prices: dict[str, str] = field(default_factory=dict)
    subscription: str = ""
    months: list[str] = field(default_factory=list)
    came: list[News] = field(default_factory=list)
    looks: int = 0
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    _shown_use: Use | None = None

    # The beginning

    async def prepare(self) -> None:
        """Find the plans of an earlier run, or make them, by the API as an administrator does."""
        self.now = await self.world.now()
        for key, name in _FEATURES.items():
            await self.read(put_feature.asyncio_detailed(key, client=self._staff, body=FeatureFields(name)))
        known = await self._products()
        for plan in _PLANS.values():
            product = known.get(plan.name) or await self._make(plan)
            self.prices[product.prices[0].stripe_price_id] = plan.name
            features = ProductFeatureFields([ProductFeature(key, value) for key, value in plan.features.items()])
            await self.read(put_product_features.asyncio_detailed(str(product.id), client=self._staff, body=features))

    async def _products(self) -> dict[str, ProductView]:
        """The plans' products by name, where an earlier run made them and they are still on offer."""
        found: dict[str, ProductView] = {}
        after: str | Unset = UNSET
        while True:
            page = await self.read(list_products.asyncio_detailed(client=self._staff, limit=100, starting_after=after))
            for item in page.data:
                if item.metadata.additional_properties.get("demo") == "subscription" and item.prices:
                    found[item.name] = item
            if not page.has_more:
                return found
            after = str(page.data[-1].id)

    async def _make(self, plan: Plan) -> ProductView:
        price = CreatePrice(plan.amount, "usd", recurring=CreateRecurring("month"))
        metadata = CreateProductMetadata.from_dict({"demo": "subscription"})
        body = CreateProduct(plan.name, metadata=metadata, prices=[price])
        return await self.read(create_product.asyncio_detailed(client=self._staff, body=body))

    def price_of(self, plan: Plan) -> str:
        """Stripe's id of a plan's price."""
        return next(price for price, name in self.prices.items() if name == plan.name)

    # Ann's application and her browser

    @property
    def ann(self) -> AuthenticatedClient:
        """The application, in Ann's name."""
        return self.world.ann

    @property
    def _staff(self) -> AuthenticatedClient:
        return self.world.staff

    async def ask(self, operation: Operation[Value], expect: int = 200) -> Value:
        """A request of the application in Ann's name: sent, shown as it leaves, and its answer's status verified."""
        answer = await call(operation, self._tell_request)
        check(answer.status == expect, f"the answer to {answer.asked} should be {expect}", answered(answer))
        await self.line("app", answer_line(answer.status, *_telling(answer.body)), f"{answer.ms:.0f} ms")
        return answer.value

    async def _tell_request(self, sent: Sent) -> None:
        await self.line("app", Text(f"→ {sent.method} {_shortened(sent.path)}", "bold"))
        for part in sent.query:
            await self.line("app", f"  {_shortened(part)}", style="dim")
        if sent.body:
            await self.line("app", f"  {_shortened(json.dumps(_cut(sent.body), ensure_ascii=False))}", style="dim")

    async def read(self, operation: Operation[Value]) -> Value:
        """A request that is part of no scene."""
        answer = await call(operation)
        check(answer.status < 300, f"{answer.asked} should succeed", answered(answer))
        return answer.value

    async def details(self) -> SubscriptionDetails:
        """The subscription as the API shows it."""
        return await self.read(get_subscription.asyncio_detailed(self.subscription, client=self.ann))

    async def update(
        self, *, preview_token: str | Unset = UNSET, payment_method: str | Unset = UNSET
    ) -> SubscriptionView:
        """Change the subscription, and say nothing else about it."""
        change = UpdateSubscription(
            preview_token=preview_token, payment_method=payment_method, when=UNSET, only_if_paid=UNSET
        )
        return await self.ask(update_subscription.asyncio_detailed(self.subscription, client=self.ann, body=change))

    async def confirm_card(self, secret: str, number: str) -> str:
        """What Stripe.js does with a setup intent and the card that Ann types; the payment method's id."""
        reply = await self.world.send_card(number)
        check(reply.status == 200, "Stripe should take the card", answered(reply))
        method, intent = str(reply.body["id"]), secret.partition("_secret_")[0]
        await self.line("browser", Text(f"→ POST /v1/setup_intents/{short(intent)}/confirm", "bold"), "to Stripe")
        await self.line("browser", f"  card {number}", style="dim")
        form = {"payment_method": method, "client_secret": secret}
        reply = await self.world.browser(f"/v1/setup_intents/{intent}/confirm", form)
        check(reply.status == 200 and reply.body["status"] == "succeeded", "Stripe should keep it", answered(reply))
        await self.line("browser", answer_line(200, "succeeded", short(method)), reply.request_id)
        return method

    async def keep_card(self, number: str) -> str:
        """A card that Ann adds to what the shop has of her already."""
        made = await self.ask(create_setup_intent.asyncio_detailed("me", client=self.ann), 201)
        return await self.confirm_card(given(made.client_secret, "a client secret"), number)

    # Time

    async def settle(self) -> None:
        """Let both halves finish what is under way, and what comes a moment later."""
        await self._move({"by": _MOMENT_S})

    async def move(self, to: datetime | timedelta) -> None:
        """Move business time on; a watcher sees the date run."""
        target = self.now + to if isinstance(to, timedelta) else to
        start = self.now

        async def look() -> Text:
            return _running(start, await self.world.now(), target)

        await self.screen.meanwhile(self._move({"to": target.timestamp()}), look)

    async def _move(self, how: Json) -> None:
        # Patience is for each due moment, of which others' subscriptions may have many.
        how = {**how, "timeout_s": self.patience_s}
        answer = await self.world.control("POST", "/clock/advance", how, timeout_s=_MOVE_S)
        place = answer["application"]
        check(place == "settled", "the clock should move both halves", answer.get("problem", place))
        self.now = datetime.fromtimestamp(answer["now"], UTC)

    # What followed

    async def expect(self, *facts: Fact, use: Use | None) -> None:
        """Show what is new, and verify that it is this and nothing else; then what Ann may use."""
        fresh = await news(self.world, self.prices, after={item.key for item in self.came})
        for item in fresh:
            await self.line(item.kind, item.line, item.remark, at=item.at)
        self.came += fresh
        for kind in ("history", "invoice", "mail", "access"):
            wanted = Counter(" ".join(fact[1:]).strip() for fact in facts if fact[0] == kind)
            found = Counter(" ".join(item.fact[1:]).strip() for item in fresh if item.kind == kind)
            check(found == wanted, f"what is new ({kind}) should be: {_listed(wanted)}", f"it is: {_listed(found)}")
        await self._expect_use(use)

    async def _expect_use(self, use: Use | None) -> None:
        found = await self.read(list_entitlements.asyncio_detailed(client=self.ann))
        self.looks += 1
        uses = [self._use(product) for product in found.products]
        wanted = [str(use)] if use else []
        check([str(item) for item in uses] == wanted, f"Ann should be able to use: {use}", f"it is: {_listed(uses)}")
        same = not use or uses[0] == use
        check(same, f"access should end at {use and use.until}", uses and f"it is {uses[0].until}")
        features = {item.feature: item.value for item in found.data}
        wanted_features = dict(use.plan.features) if use else {}
        check(features == wanted_features, f"Ann's features should be {wanted_features}", f"they are {features}")
        if use != self._shown_use:
            await self._show_use(use)

    def _use(self, product: GrantedProductView) -> Use:
        name = self.prices.get(product.price or "")
        if name is None:
            raise Amiss(f"Ann should only have plans of this story's, but she has {product.price}.")
        return Use(_PLANS[name], given(product.quantity, "a quantity"), product.state, product.until)

    async def _show_use(self, use: Use | None) -> None:
        self._shown_use = use
        if use is None:
            await self.line("access", "nothing", style="bold red")
            return
        await self.line("access", Text(str(use), "bold"), _given(use.plan))

    # What was shown before is what is billed

    async def preview(self, price: str | Unset = UNSET, quantity: int | Unset = UNSET) -> UpcomingInvoice:
        """The invoice of a change that is not made yet; another price would be billed now."""
        now: Literal["always_invoice"] | Unset = "always_invoice" if price else UNSET
        operation = upcoming_invoice.asyncio_detailed(
            self.subscription, client=self.ann, price=price, quantity=quantity, proration_behavior=now, when=UNSET
        )
        shown = await self.ask(operation)
        for line in shown.lines:
            await self.line("app", f"  {line.description}", Text(usd(line.amount)))
        return shown

    async def billed_as(self, shown: UpcomingInvoice) -> None:
        """Verify that the newest invoice bills what a preview showed, line by line."""
        newest = list_invoices.asyncio_detailed(client=self.ann, limit=1, subscription=self.subscription)
        made = (await self.read(newest)).data[0]
        wanted, found = _lines(shown), _lines(made)
        check(found == wanted, f"invoice {made.number} should have the lines {wanted}", f"it has {found}")
        check(made.total == shown.total, f"it should be over {shown.total}", f"it is over {made.total}")

    # Telling

    async def line(
        self, actor: str, left: str | Text, right: str | Text = "", *, style: str = "", at: datetime | None = None
    ) -> None:
        """A line with its business date."""
        await self.screen.line(actor, left, right, style=style, date=f"{day(at or self.now):>6}")

    async def conclude(self, text: str) -> None:
        """What the chapter has shown."""
        await self.screen.conclusion(text)

    def offer(self) -> list[Text]:
        """The plans, as a price list."""
        return [
            Text.assemble((f"{plan.name:8}", "bold"), f"{usd(plan.amount)} a seat and month   ", (_given(plan), "dim"))
            for plan in _PLANS.values()
        ]

    @property
    def progress(self) -> Text:
        """The year it is, and the twelve months that are to be paid."""
        styles = {"●": "green", "◐": "yellow", "–": "dim"}
        line = Text(f"{self.now:%Y}  ", "dim")
        for month in self.months:
            line.append(month, styles[month])
        return line.append("○" * (12 - len(self.months)), "dim")


def _given(plan: Plan) -> str:
    values = {_FEATURES[key]: value for key, value in plan.features.items()}
    return ", ".join(name if value is True else f"{value} {name.lower()}" for name, value in values.items())


def _shortened(text: str) -> str:
    return _STRIPE_ID.sub(lambda found: short(found[0]), _UUID.sub(r"\1", text))


def _cut(body: Json) -> Json:
    """A body without what nobody reads to its end."""
    return {
        name: f"{value[:12]}…" if isinstance(value, str) and len(value) > _LONG and name.endswith("token") else value
        for name, value in body.items()
    }


def _telling(body: Any) -> list[str]:
    """The few fields of an answer that a person wants to see."""
    kind = body.get("object")
    if kind == "upcoming_invoice":
        due = [f"due now {usd(body['due_now']['amount'])}"] if body["due_now"] else []
        then = body["due_at_renewal"]
        return [*due, f"{usd(then['amount'])} on {day(datetime.fromisoformat(then['at']))}"]
    if kind == "invoice":
        return [f"invoice {body['number']}", body["status"], usd(body["amount_paid"])]
    fields = [f"{kind} {short(body['id'])}", body["status"]] if kind else [f"{len(body['data'])} found"]
    if secret := body.get("setup_client_secret") or body.get("client_secret"):
        fields.append(short(secret))
    return fields


def _lines(bill: UpcomingInvoice | InvoiceView) -> list[tuple[str, int, int]]:
    return sorted((line.description or "", line.quantity or 0, line.amount) for line in bill.lines)


def _listed(items: Any) -> str:
    counted = items.elements() if isinstance(items, Counter) else items
    return ", ".join(sorted(map(str, counted))) or "nothing"


def _running(start: datetime, now: datetime, target: datetime) -> Text:
    """The date while the clock moves, and how far it is."""
    share = min(max((now - start) / (target - start), 0.0), 1.0) if target > start else 1.0
    full = round(share * 24)
    line = Text(f"{day(now):>6}  ", "bold yellow", no_wrap=True)
    return (
        line.append("clock    ", "bold yellow")
        .append("━" * full, "yellow")
        .append("─" * (24 - full), "dim")
        .append(f"  to {day(target)}", "dim")
    )

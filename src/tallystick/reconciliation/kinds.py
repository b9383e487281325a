"""The kinds of Stripe's objects that the mirror holds: how each is listed, read, recorded, and where its rows are."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from tallystick.customers.models import CustomerFacts, MethodFacts, SetupFacts
from tallystick.discounts.models import CodeFacts, CouponFacts, DiscountFacts
from tallystick.invoices.models import InvoiceFacts
from tallystick.payments.models import ChargeFacts, DisputeFacts, IntentFacts, RefundFacts
from tallystick.products.models import PriceFacts, ProductFacts
from tallystick.stripe_gateway import translate, translate_billing, translate_discounts, translate_schedules
from tallystick.stripe_gateway.dialect import Dialect
from tallystick.stripe_gateway.ordering import Source
from tallystick.subscriptions.models import SubscriptionFacts
from tallystick.subscriptions.models_schedules import ScheduleFacts

__all__ = ["KINDS", "Json", "Kind", "discounts_in", "kind_named", "kind_of", "kind_of_id"]

Json: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of object.

    `object` is Stripe's word for it (the `object` of its JSON) and `path` its list; `read` makes our object of Stripe's
    JSON, whatever API version it is of (also of a deleted customer's stub), and `fact` what its recorder takes. The
    recorder is that of `event_type` in the registry. Its rows are in `table`, whose column `stripe_id` bears Stripe's
    id.
    """

    object: str
    prefixes: tuple[str, ...]
    """How its ids begin; products and coupons may have ids of their makers' choice beside."""
    path: str | None
    """None: it is in no list, but comes inside of other objects. `{customer}` stands for a customer's id."""
    read: Callable[[Json], Any]
    fact: Callable[[Any, Source], Any]
    event_type: str
    table: str
    stripe_id: str
    params: Json = field(default_factory=dict)
    """What a list needs to be whole, whatever the API version."""
    expand: Callable[[Dialect], Sequence[str]] = lambda _: ()
    """Fields of one object that come only when asked for."""
    parent: str | None = None
    """The parameter that lists those of one parent: `customer` or `payment_intent`."""

    @property
    def per_customer(self) -> bool:
        """Whether it is listed only customer by customer, and not by the time at which it was made."""
        return self.path is not None and "{customer}" in self.path

    def list_params(self, dialect: Dialect) -> dict[str, Any]:
        """Parameters that make a page of the list whole: a hundred, each with all that its row is made of."""
        expand = [f"data.{name}" for name in self.expand(dialect)]
        return {"limit": 100, **self.params, **({"expand": expand} if expand else {})}

    def one(self, object_id: str, dialect: Dialect) -> tuple[str, dict[str, Any]] | None:
        """Path and parameters that ask for one object; None for what nothing can ask for."""
        if self.path is None:
            return None
        path = self.path.replace("/customers/{customer}", "")
        expand = list(self.expand(dialect))
        return f"{path}/{object_id}", {"expand": expand} if expand else {}


def _with_discounts(dialect: Dialect) -> Sequence[str]:
    # Before basil the one discount stands there in full.
    return ["discounts"] if dialect.basil else []


KINDS: tuple[Kind, ...] = (
    Kind(
        object="product",
        prefixes=("prod_",),
        path="/v1/products",
        read=translate.product,
        fact=ProductFacts,
        event_type="product.updated",
        table="products",
        stripe_id="stripe_product_id",
    ),
    Kind(
        object="price",
        prefixes=("price_",),
        path="/v1/prices",
        read=translate.price,
        fact=PriceFacts,
        event_type="price.updated",
        table="prices",
        stripe_id="stripe_price_id",
        expand=lambda _: ["tiers"],
    ),
    Kind(
        object="coupon",
        prefixes=(),
        path="/v1/coupons",
        read=translate_discounts.coupon,
        fact=CouponFacts,
        event_type="coupon.updated",
        table="coupons",
        stripe_id="stripe_coupon_id",
    ),
    Kind(
        object="promotion_code",
        prefixes=("promo_",),
        path="/v1/promotion_codes",
        read=translate_discounts.promotion_code,
        fact=CodeFacts,
        event_type="promotion_code.updated",
        table="promotion_codes",
        stripe_id="stripe_promotion_code_id",
    ),
    Kind(
        object="customer",
        prefixes=("cus_",),
        path="/v1/customers",
        read=translate.customer,
        fact=CustomerFacts,
        event_type="customer.updated",
        table="customers",
        stripe_id="stripe_customer_id",
    ),
    Kind(
        object="payment_method",
        prefixes=("pm_", "card_", "src_", "ba_"),
        path="/v1/customers/{customer}/payment_methods",
        read=translate.payment_method,
        fact=MethodFacts,
        event_type="payment_method.updated",
        table="payment_methods",
        stripe_id="stripe_payment_method_id",
    ),
    Kind(
        object="setup_intent",
        prefixes=("seti_",),
        path="/v1/setup_intents",
        read=translate_billing.setup_intent,
        fact=SetupFacts,
        event_type="setup_intent.succeeded",
        table="setup_intents",
        stripe_id="stripe_setup_intent_id",
        parent="customer",
    ),
    Kind(
        object="payment_intent",
        prefixes=("pi_",),
        path="/v1/payment_intents",
        read=translate.payment_intent,
        fact=IntentFacts,
        event_type="payment_intent.succeeded",
        table="payments",
        stripe_id="stripe_payment_intent_id",
        parent="customer",
    ),
    Kind(
        object="charge",
        prefixes=("ch_", "py_"),
        path="/v1/charges",
        read=translate.charge,
        fact=ChargeFacts,
        event_type="charge.updated",
        table="charges",
        stripe_id="stripe_charge_id",
        parent="payment_intent",
    ),
    Kind(
        object="refund",
        prefixes=("re_", "pyr_"),
        path="/v1/refunds",
        read=translate.refund,
        fact=RefundFacts,
        event_type="refund.updated",
        table="refunds",
        stripe_id="stripe_refund_id",
        parent="payment_intent",
    ),
    Kind(
        object="dispute",
        prefixes=("du_", "dp_"),
        path="/v1/disputes",
        read=translate.dispute,
        fact=DisputeFacts,
        event_type="charge.dispute.updated",
        table="disputes",
        stripe_id="stripe_dispute_id",
        parent="payment_intent",
    ),
    Kind(
        object="subscription",
        prefixes=("sub_",),
        path="/v1/subscriptions",
        read=translate_billing.subscription,
        fact=SubscriptionFacts,
        event_type="customer.subscription.updated",
        table="subscriptions",
        stripe_id="stripe_subscription_id",
        params={"status": "all"},
        expand=_with_discounts,
        parent="customer",
    ),
    Kind(
        object="invoice",
        prefixes=("in_",),
        path="/v1/invoices",
        read=translate_billing.invoice,
        fact=InvoiceFacts,
        event_type="invoice.updated",
        table="invoices",
        stripe_id="stripe_invoice_id",
        expand=lambda dialect: dialect.invoice_expand,
        parent="customer",
    ),
    Kind(
        object="subscription_schedule",
        prefixes=("sub_sched_",),
        path="/v1/subscription_schedules",
        read=translate_schedules.schedule,
        fact=ScheduleFacts,
        event_type="subscription_schedule.updated",
        table="subscription_schedules",
        stripe_id="stripe_schedule_id",
        parent="customer",
    ),
    Kind(
        object="discount",
        prefixes=("di_",),
        path=None,
        read=translate_discounts.discount,
        fact=DiscountFacts,
        event_type="customer.discount.updated",
        table="discounts",
        stripe_id="stripe_discount_id",
    ),
)
"""Every kind, parents first: what hangs on another is after it."""

_BY_OBJECT = {kind.object: kind for kind in KINDS}
_BY_PREFIX = {prefix: kind for kind in KINDS for prefix in kind.prefixes}


def kind_of(obj: Json) -> Kind | None:
    """The kind of an object of Stripe's JSON; None for what the mirror does not hold."""
    return _BY_OBJECT.get(str(obj.get("object")))


def kind_named(name: str) -> Kind:
    """The kind that Stripe calls so; raises KeyError."""
    return _BY_OBJECT[name]


def kind_of_id(object_id: str) -> Kind | None:
    """The kind whose ids begin so; None where that does not tell."""
    fitting = [prefix for prefix in _BY_PREFIX if object_id.startswith(prefix)]
    return _BY_PREFIX[max(fitting, key=len)] if fitting else None


def discounts_in(objects: Iterable[Json]) -> list[Json]:
    """The discounts that stand in full inside of customers and subscriptions, each once."""
    found = {}
    for obj in objects:
        for item in (obj.get("discount"), *(obj.get("discounts") or ())):
            if isinstance(item, Mapping) and item.get("object") == "discount":
                found[item["id"]] = item
    return list(found.values())

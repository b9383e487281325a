"""Discounts: a coupon at work on a customer, a subscription, an invoice or a Checkout Session.

`check` reads one entry of a `discounts` parameter, `make` stores the discount and counts the redemption,
`reduction` gives its arithmetic, `remove` ends it. Stored in the newest form (`source.coupon`
is an id); `versions` prints the whole coupon to older versions.
"""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from tallystick.sandbox.billing.calendar import Cycle
from tallystick.sandbox.billing.discounts import Discountable, Reduction, reduce_lines
from tallystick.sandbox.context import Context
from tallystick.sandbox.errors import ApiError, invalid, unknown_param
from tallystick.sandbox.params import array_of, hash_of, string
from tallystick.sandbox.resources import common, coupons, promotion_codes
from tallystick.sandbox.routing import Route
from tallystick.sandbox.shapes import Json, clone

__all__ = [
    "EXPANDABLE", "JOBS", "PARAM", "ROUTES", "Redemption", "check", "coupon_of", "is_running", "make", "old_params",
    "on_customer", "reduction", "remove", "split",
]  # fmt: skip

EXPANDABLE = frozenset({"coupon", "customer", "promotion_code", "source.coupon"})

PARAM = array_of(hash_of({"coupon": string(), "discount": string(), "promotion_code": string()}))
"""The parameter `discounts`: an array of coupons, promotion codes or discounts to reuse."""


@dataclass(frozen=True, slots=True)
class Redemption:
    """A coupon that may be redeemed, by which promotion code, or the discount that is to be used again."""

    coupon: Json
    promotion_code: Json | None = None
    discount: Json | None = None


def check(
    ctx: Context,
    given: Json,
    *,
    customer: str | None,
    param: str,
    amount: int | None = None,
    currency: str | None = None,
) -> Redemption:
    """What one entry asks for. Raises 400 for what is missing, used up, expired or of another customer.

    `param` is the entry's place, such as `discounts[0]`, or empty for the old top-level parameters.
    """
    names = [name for name in ("coupon", "promotion_code", "discount") if given.get(name)]
    if len(names) != 1:
        raise invalid("You must specify exactly one of `coupon`, `promotion_code` or `discount`.", param=param or None)
    name = names[0]
    path = f"{param}[{name}]" if param else name
    if name == "coupon":
        coupon = ctx.require("coupon", given[name], param=path, status=400)
        coupons.refuse_invalid(ctx, coupon, param=path)
        return Redemption(coupon)
    if name == "discount":
        discount = ctx.require("discount", given[name], param=path, status=400)
        return Redemption(coupon_of(ctx, discount), discount=discount)
    promotion_code = ctx.require("promotion_code", given[name], param=path, status=400)
    promotion_codes.refuse(ctx, promotion_code, customer=customer, param=path, amount=amount, currency_code=currency)
    coupon = ctx.require("coupon", promotion_code["promotion"]["coupon"], param=path, status=400)
    return Redemption(coupon, promotion_code)


def old_params(ctx: Context, params: Json) -> Json | None:
    """The entry that `coupon` and `promotion_code` at the top level stand for; unknown parameters since basil.

    None where neither was sent; `{}` where one was sent empty, which takes the discount off.
    """
    sent = [name for name in ("coupon", "promotion_code") if name in params]
    if sent and not ctx.behaviour.coupon_params:
        raise unknown_param(sent[0])
    if not sent:
        return None
    return {name: params[name] for name in sent if params[name]}


def make(
    ctx: Context,
    redemption: Redemption,
    *,
    customer: str | None,
    subscription: str | None = None,
    subscription_item: str | None = None,
    invoice: str | None = None,
    invoice_item: str | None = None,
    checkout_session: str | None = None,
    start: int | None = None,
    announce: bool = True,
) -> Json:
    """A discount, stored; counts as a redemption. `announce` emits `customer.discount.created`."""
    coupon, promotion_code = redemption.coupon, redemption.promotion_code
    begin = ctx.now if start is None else start
    discount: Json = {
        "id": ctx.ids.long("di_"),
        "object": "discount",
        "checkout_session": checkout_session,
        "customer": customer,
        "customer_account": None,
        "end": _end_of(coupon, begin),
        "invoice": invoice,
        "invoice_item": invoice_item,
        "promotion_code": promotion_code["id"] if promotion_code else None,
        "source": {"coupon": coupon["id"], "type": "coupon"},
        "start": begin,
        "subscription": subscription,
        "subscription_item": subscription_item,
    }
    if promotion_code is not None:
        promotion_codes.count_redemption(ctx, promotion_code)
    if not coupon.get("deleted"):
        coupons.count_redemption(ctx, coupon)
    ctx.save(discount)
    if announce:
        ctx.emit("customer.discount.created", discount)
    return discount


def remove(ctx: Context, discount: Json) -> Json:
    """Ends a discount with its event; answers what deleting prints. What it took off already stays off."""
    ctx.emit("customer.discount.deleted", discount)
    return {**{key: item for key, item in discount.items() if key != "end"}, "deleted": True}


def coupon_of(ctx: Context, discount: Json) -> Json:
    """The terms of a discount; a coupon that was deleted goes on as it last was."""
    found = ctx.store.last_form(discount["source"]["coupon"])
    if found is None:
        raise LookupError(f"{discount['id']} has no coupon")
    return found


def is_running(discount: Json, at: int) -> bool:
    """Whether a repeating discount has not ended; `once` is for the caller to count."""
    return discount["end"] is None or at < discount["end"]


def reduction(ctx: Context, coupon: Json, currency: str, name: str = "") -> Reduction:
    """A coupon as the arithmetic of `billing.discounts` takes it; `name` tells it from others."""
    products = coupons.products(ctx, coupon)
    limit = None if products is None else frozenset(products)
    if coupon["percent_off"] is not None:
        # By the decimal text that is printed, never by the float.
        return Reduction(name, percent=Fraction(Decimal(str(coupon["percent_off"]))), products=limit)
    return Reduction(name, amount=coupons.amount_off(ctx, coupon, currency), products=limit)


def split(ctx: Context, given: list[Json], amounts: list[tuple[int, str | None]], currency: str) -> list[int]:
    """What the coupons `given` take off each `(amount, product)` together, one after the other."""
    reductions = [reduction(ctx, coupon, currency, str(index)) for index, coupon in enumerate(given)]
    taken = reduce_lines([Discountable(amount, product) for amount, product in amounts], reductions, currency)
    return [sum(part for _, part in parts) for parts in taken]


def _end_of(coupon: Json, begin: int) -> int | None:
    return Cycle(begin, "month").boundary(coupon["duration_in_months"]) if coupon["duration"] == "repeating" else None


def on_customer(ctx: Context, customer: Json, entry: Json) -> None:
    """Put the discount of the old parameters on a customer, or take it off (`entry` empty)."""
    old = customer["discount"]
    if old is not None:
        remove(ctx, ctx.require("discount", old["id"], param="discount"))
        customer["discount"] = None
    if not entry:
        return
    redemption = check(ctx, entry, customer=customer["id"], param="")
    discount = make(ctx, redemption, customer=customer["id"])
    customer["discount"] = clone(discount)
    if discount["end"] is not None:
        ctx.at(discount["end"], "customer_discount_end", customer["id"], discount=discount["id"])


def delete_from_customer(ctx: Context, _params: Json, customer_id: str) -> Json:
    """`DELETE /v1/customers/{id}/discount`."""
    customer = ctx.require("customer", customer_id, param="customer")
    if customer["discount"] is None:
        raise ApiError(404, f"No active discount for customer: {customer_id}", code="resource_missing")
    discount = ctx.require("discount", customer["discount"]["id"], param="discount")
    customer["discount"] = None
    ctx.save(customer)
    return remove(ctx, discount)


def _end(ctx: Context, customer_id: str, data: Json) -> None:
    customer = ctx.find("customer", customer_id)
    if customer is not None and customer["discount"] and customer["discount"]["id"] == data["discount"]:
        delete_from_customer(ctx, {}, customer_id)


JOBS = {"customer_discount_end": _end}

ROUTES = (Route("DELETE", "customers/*/discount", delete_from_customer, common.EXPAND),)

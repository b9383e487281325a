"""Who may do what: one rule for each route, by its method and path. A route without a rule fails the test.

The callers of the API: `nobody` (no token), `forged` (signed with another key), `expired`, `cookies` (signed in to
console and billing pages, without a token), `other` (another user), `owner`, `support`, `admin`, and the role service
acting for `owner` or for `other`. What each may expect: `in` (past the door), or the status that turns them away.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["API", "CALLERS", "FRONT", "PAGES", "Page", "Rule"]

CALLERS = (
    "nobody", "forged", "expired", "cookies", "other", "service_other", "owner", "service_owner", "support", "admin",
)  # fmt: skip

Policy = Mapping[str, str]
_NO_TOKEN: Policy = dict.fromkeys(("nobody", "forged", "expired", "cookies"), "401")
_SERVICE = ("service_owner", "service_other")


def _policy(refused: str, **allowed: str) -> Policy:
    return {**_NO_TOKEN, **dict.fromkeys(CALLERS[4:], refused), **allowed}


PUBLIC: Policy = dict.fromkeys(CALLERS, "in")
SIGNED_IN = _policy("in")
SIGNED_IN_WRITES = _policy("in", support="403")
OWN = _policy("404", owner="in", service_owner="in", support="in", admin="in")
OWN_WRITES = {**OWN, "support": "403"}
OWN_ONLY = _policy("404", owner="in", service_owner="in")
STAFF = _policy("403", support="in", admin="in")
ADMIN = _policy("403", admin="in")
ENDPOINTS = _policy("403", admin="in", support="in", **dict.fromkeys(_SERVICE, "in"))
ENDPOINT_WRITES = _policy("403", admin="in", **dict.fromkeys(_SERVICE, "in"))


@dataclass(frozen=True)
class Rule:
    """What a route asks of its callers, and how to aim a request at an object of `owner`.

    `at` names the object for each part of the path (see `owning`; `=` stands before what is meant as it is), `query` is
    added to it; `last` is for what ends objects that others aim at.
    """

    policy: Policy
    at: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    query: str = ""
    last: int = 0


@dataclass(frozen=True)
class Page:
    """What a page or form asks of whoever sends it, and how to aim at an object of `owner`."""

    kind: str
    at: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    query: str = ""
    last: int = 0


_PAYMENT = "/api/payments/payment-intent"
_EXPORT = _policy("403", admin="in", **dict.fromkeys(_SERVICE, "in"))
_NEW_PAYMENT = {"amount": 500, "currency": "usd"}
_FIELDS = {"name": "Somebody Else"}
_SUBSCRIPTION = {"id": "subscription"}
_CUSTOMER = {"id": "customer"}
_METHOD = {"id": "customer", "payment_method": "method"}
_ENDPOINT = {"id": "endpoint"}
_DELIVERY = {"id": "endpoint", "delivery_id": "delivery"}

API: Mapping[str, Rule] = {
    "GET /healthz": Rule(PUBLIC),
    "GET /readyz": Rule(PUBLIC),
    f"POST {_PAYMENT}": Rule(SIGNED_IN_WRITES, body=_NEW_PAYMENT),
    f"POST {_PAYMENT}/{{id}}/confirm": Rule(OWN_WRITES, {"id": "unpaid"}, {"payment_method": "pm_card_visa"}),
    f"POST {_PAYMENT}/{{id}}/capture": Rule(OWN_WRITES, {"id": "held"}, {"amount": 100}),
    f"POST {_PAYMENT}/{{id}}/cancel": Rule(OWN_WRITES, {"id": "held"}, {}, last=1),
    f"POST {_PAYMENT}/{{id}}/refund": Rule(OWN_WRITES, {"id": "payment"}, {"amount": 1}),
    f"GET {_PAYMENT}/{{id}}": Rule(OWN, {"id": "payment"}),
    "GET /api/payments/history": Rule(SIGNED_IN),
    "POST /api/products": Rule(ADMIN, body={"name": "Planted"}),
    "GET /api/products": Rule(PUBLIC),
    "GET /api/products/{id}": Rule(PUBLIC, {"id": "product"}),
    "GET /api/products/{id}/prices": Rule(PUBLIC, {"id": "product"}),
    "GET /api/products/{id}/features": Rule(PUBLIC, {"id": "product"}),
    "PUT /api/products/{id}/features": Rule(ADMIN, {"id": "product"}, {"features": []}),
    "GET /api/invoices": Rule(SIGNED_IN),
    "GET /api/invoices/{id}": Rule(OWN, {"id": "invoice"}),
    "POST /api/invoices/{id}/pay": Rule(OWN_WRITES, {"id": "invoice"}, {}),
    "POST /api/subscriptions": Rule(SIGNED_IN_WRITES, body={"price": "{price}", "payment_method": "pm_card_visa"}),
    "GET /api/subscriptions": Rule(SIGNED_IN),
    "GET /api/subscriptions/{id}": Rule(OWN, _SUBSCRIPTION),
    "PUT /api/subscriptions/{id}": Rule(OWN_WRITES, _SUBSCRIPTION, {"quantity": 2}),
    "DELETE /api/subscriptions/{id}": Rule(OWN_WRITES, _SUBSCRIPTION, {"when": "now"}, last=1),
    "DELETE /api/subscriptions/{id}/scheduled-change": Rule(OWN_WRITES, _SUBSCRIPTION),
    "POST /api/subscriptions/{id}/pause": Rule(OWN_WRITES, _SUBSCRIPTION, {}),
    "POST /api/subscriptions/{id}/resume": Rule(OWN_WRITES, _SUBSCRIPTION, {}),
    "GET /api/subscriptions/{id}/history": Rule(OWN, _SUBSCRIPTION),
    "GET /api/subscriptions/{id}/upcoming-invoice": Rule(OWN, _SUBSCRIPTION),
    "GET /api/entitlements": Rule(SIGNED_IN),
    "GET /api/entitlements/{key}": Rule(SIGNED_IN, {"key": "feature"}),
    "GET /api/features": Rule(SIGNED_IN),
    "GET /api/features/{key}": Rule(SIGNED_IN, {"key": "feature"}),
    "PUT /api/features/{key}": Rule(ADMIN, {"key": "feature"}, {"name": "Another name"}),
    "DELETE /api/features/{key}": Rule(ADMIN, {"key": "feature"}, last=1),
    "GET /api/webhook-endpoints": Rule(ENDPOINTS),
    "GET /api/webhook-endpoints/event-types": Rule(ENDPOINTS),
    "GET /api/webhook-endpoints/{id}": Rule(ENDPOINTS, _ENDPOINT),
    "GET /api/webhook-endpoints/{id}/deliveries": Rule(ENDPOINTS, _ENDPOINT),
    "POST /api/webhook-endpoints": Rule(ENDPOINT_WRITES, body={"url": "http://127.0.0.1:9/planted", "events": ["*"]}),
    "PUT /api/webhook-endpoints/{id}": Rule(ENDPOINT_WRITES, _ENDPOINT, {"description": "Changed"}),
    "DELETE /api/webhook-endpoints/{id}": Rule(ENDPOINT_WRITES, _ENDPOINT, last=1),
    "POST /api/webhook-endpoints/{id}/rotate": Rule(ENDPOINT_WRITES, _ENDPOINT),
    "POST /api/webhook-endpoints/{id}/test": Rule(ENDPOINT_WRITES, _ENDPOINT),
    "POST /api/webhook-endpoints/{id}/deliveries/{delivery_id}/replay": Rule(ENDPOINT_WRITES, _DELIVERY),
    "POST /api/customers": Rule(SIGNED_IN_WRITES, body=_FIELDS),
    "GET /api/customers/{id}": Rule(OWN, _CUSTOMER),
    "PUT /api/customers/{id}": Rule(OWN_WRITES, _CUSTOMER, _FIELDS),
    "DELETE /api/customers/{id}": Rule(OWN_WRITES, _CUSTOMER, last=2),
    "GET /api/customers/{id}/payment-methods": Rule(OWN, _CUSTOMER),
    "POST /api/customers/{id}/payment-methods": Rule(OWN_WRITES, _CUSTOMER, {"payment_method": "pm_card_visa"}),
    "POST /api/customers/{id}/payment-methods/{payment_method}/default": Rule(OWN_WRITES, _METHOD),
    "DELETE /api/customers/{id}/payment-methods/{payment_method}": Rule(OWN_WRITES, _METHOD, last=1),
    "POST /api/customers/{id}/setup-intents": Rule(OWN_WRITES, _CUSTOMER),
    "GET /api/reconciliation": Rule(STAFF),
    "GET /api/reconciliation/differences": Rule(STAFF),
    "POST /api/reconciliation/runs": Rule(ADMIN, body={"mode": "incremental"}),
    "GET /api/reconciliation/runs/{id}": Rule(STAFF, {"id": "run"}),
    "GET /api/audit": Rule(ADMIN),
    "GET /api/timeline/{id}": Rule(STAFF, {"id": "payment"}),
    "GET /api/timeline": Rule(STAFF, query="?user={user}"),
    "GET /api/users/{id}/export": Rule(_EXPORT, {"id": "user"}),
    "GET /api/me/export": Rule(SIGNED_IN),
    "POST /api/users/{id}/erase": Rule(ADMIN, {"id": "user"}, {"dry_run": True}, last=1),
    "GET /api/users/{id}/erasure": Rule(ADMIN, {"id": "user"}),
    "GET /api/metrics": Rule(STAFF),
    "PUT /api/metrics/rates/{day}": Rule(ADMIN, {"day": "=2026-01-31"}, {"rates": {"eur": "0.9"}}),
    **{f"GET /api/metrics/{name}": Rule(STAFF) for name in ("mrr", "subscribers", "trials", "money")},
    "POST /api/checkout-sessions": Rule(SIGNED_IN_WRITES, body=_NEW_PAYMENT),
    "GET /api/checkout-sessions/{id}": Rule(OWN, {"id": "checkout"}),
    "POST /api/checkout-sessions/{id}/expire": Rule(OWN_WRITES, {"id": "checkout"}, last=1),
    "POST /api/portal-sessions": Rule(SIGNED_IN_WRITES, body={}),
}
"""The routes of the OpenAPI document."""

FRONT = {
    "/api/webhooks/stripe": "by Stripe's signature alone (test_what_only_a_signature_opens)",
    "/metrics": "by METRICS_TOKEN, closed without it in production (test_metrics_ask_for_their_token)",
    "/internal/settle": "only where business time can be moved, and only from this machine (test_settling.py)",
    "/assets": "public: files of ours",
}
"""What stands in front of the routes, or is mounted beside them, and what opens it."""

_PORTAL = {"subscription": "subscription", "invoice": "invoice", "method": "method_id"}
_READS = ("GET", "HEAD")
_LISTS = (
    "payments", "customers", "subscriptions", "invoices", "events", "mails", "deliveries", "endpoints", "differences",
    "runs", "audit",
)  # fmt: skip
_OBJECTS = {
    "payments": "payment",
    "customers": "customer",
    "subscriptions": "subscription",
    "invoices": "invoice",
    "events": "event",
    "mails": "mail",
    "deliveries": "delivery",
    "endpoints": "endpoint",
}
_ACTIONS = {
    "payments": ("refund", "capture", "cancel"),
    "subscriptions": ("pause", "resume", "keep", "cancel", "change"),
    "events": ("replay", "discard"),
    "mails": ("resend",),
    "deliveries": ("replay",),
    "endpoints": ("enable", "disable", "test"),
}

PAGES: Mapping[str, Page] = {
    "GET /api/openapi.json": Page("public"),
    "GET /brand/brand.css": Page("public"),
    "GET /brand/logo": Page("public"),
    "GET /payments/return": Page("public"),
    "GET /assets/{name}": Page("public", {"name": "=base.css"}),
    "GET /pay/{token}": Page("link", {"token": "checkout_token"}),
    "POST /pay/{token}/start": Page("link", {"token": "checkout_token"}),
    "GET /pay/{token}/state": Page("link", {"token": "checkout_token"}),
    "GET /console/login": Page("public"),
    "POST /console/login": Page("public"),
    "POST /console/logout": Page("console form", last=1),
    "GET /console": Page("console"),
    "GET /console/alerts": Page("console"),
    "GET /console/figures": Page("console"),
    "GET /console/figures.csv": Page("console", query="?report=mrr"),
    "GET /console/find": Page("console", query="?q=nothing"),
    "GET /console/{rest:path}": Page("console", {"rest:path": "=payments/"}),
    **{f"GET /console/{name}{end}": Page("console") for name in _LISTS for end in ("", ".csv")},
    **{f"GET /console/{page}/{{id}}": Page("console", {"id": name}) for page, name in _OBJECTS.items()},
    **{
        f"POST /console/{page}/{{id}}/{action}": Page("console admin", {"id": _OBJECTS[page]}, {})
        for page, actions in _ACTIONS.items()
        for action in actions
    },
    **{f"POST /console/{page}/many": Page("console admin") for page in ("events", "mails", "deliveries")},
    "POST /console/differences/run": Page("console admin", body={"mode": "incremental"}),
    "POST /console/differences/repair": Page("console admin", body={"object": "{payment}"}),
    "POST /console/subscriptions/{id}/preview": Page("console form", {"id": "subscription"}, {"quantity": "2"}),
    "GET /billing/open/{token}": Page("public", {"token": "=" + "A" * 43}),
    "GET /billing": Page("portal"),
    "GET /billing/plans": Page("portal"),
    "GET /billing/subscribe": Page("portal", query="?price={price}"),
    "GET /billing/methods/add": Page("portal"),
    "GET /billing/methods/added": Page("portal"),
    "GET /billing/invoices": Page("portal"),
    **{
        f"GET /billing/subscriptions/{{subscription}}/{name}": Page("portal own", _PORTAL)
        for name in ("cancel", "pause", "change", "preview", "code")
    },
    "GET /billing/methods/{method}/remove": Page("portal own", _PORTAL),
    "GET /billing/invoices/{invoice}": Page("portal own", _PORTAL),
    "GET /billing/invoices/{invoice}/pay": Page("portal own", _PORTAL),
    "GET /billing/invoices/{invoice}/state": Page("portal call", _PORTAL),
    "POST /billing/invoices/{invoice}/secret": Page("portal call", _PORTAL),
    "POST /billing/methods/setup": Page("portal call"),
    "GET /billing/problem": Page("portal call"),
    "POST /billing/logout": Page("portal form", last=1),
    "POST /billing/subscribe": Page("portal form", body={"price": "{price}"}),
    "POST /billing/methods/added": Page("portal form", body={"payment_method": "{method}"}),
    **{
        f"POST /billing/subscriptions/{{subscription}}/{name}": Page("portal form own", _PORTAL, {})
        for name in ("change", "unschedule", "code", "cancel", "undo", "pause", "resume")
    },
    "POST /billing/methods/{method}/default": Page("portal form own", _PORTAL, {}),
    "POST /billing/methods/{method}/remove": Page("portal form own", _PORTAL, {}),
    "POST /billing/invoices/{invoice}/pay": Page("portal form own", _PORTAL, {}),
}
"""The routes outside it, by what they ask for.

`public`: nothing. `link`: the token in the address. `console`: a session of staff. `console admin`: one of an
administrator, and its form's secret; `console form`: the same of any staff. `portal`: a customer's session; with `own`,
the object has to be theirs, with `form` the form's secret is asked for, and `call` is what a page's script asks.
"""

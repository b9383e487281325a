"""Examples for the OpenAPI document: one value for each name of a field, put together as each schema wants it.

A value that a schema gives itself (`examples=`) goes first. What may be null and is not here is shown as null.
"""

from typing import Any

__all__ = ["Examples"]

Json = dict[str, Any]

_THEN, _LATER = "2026-03-02T09:30:00Z", "2026-04-02T09:30:00Z"
_OURS = "019cacf5-6a40-7c31-9d0e-2b7f5a1c8e44"

_BY_FIELD: Json = {
    "access": True,
    "active": True,
    "amount": 1050,
    "amount_captured": 1050,
    "amount_due": 1000,
    "amount_paid": 1000,
    "amount_received": 1050,
    "arpu": 1000,
    "base": "usd",
    "behavior": "void",
    "billing_reason": "subscription_cycle",
    "billing_scheme": "per_unit",
    "brand": "visa",
    "capture_method": "automatic",
    "card_brand": "visa",
    "card_last4": "4242",
    "cause": "api",
    "charged": 4200,
    "charges": 4,
    "churn_rate": 0.02,
    "code": "CARD_DECLINED",
    "collection_method": "charge_automatically",
    "compared": 104213,
    "created_at": _THEN,
    "currency": "usd",
    "current_period_end": _LATER,
    "current_period_start": _THEN,
    "customer": "cus_QhJ3kVbW0yXa1N",
    "day": "2026-03-02",
    "default_payment_method": "pm_1PqkWz2eZvKYlo2C",
    "description": "Order 1001",
    "email": "ann@example.com",
    "end": "2026-03-31",
    "entitled": True,
    "events": ["payment.succeeded"],
    "exp_month": 12,
    "exp_year": 2034,
    "expires_at": _LATER,
    "feature": "seats",
    "field": "amount_paid",
    "interval": "month",
    "interval_count": 1,
    "key": "seats",
    "kind": "payment",
    "last4": "4242",
    "message": "Your card was declined.",
    "mode": "payment",
    "mrr": 125000,
    "name": "Pro",
    "net": 4200,
    "number": "WHHN6TJK-0007",
    "object_id": _OURS,
    "outcome": "done",
    "ours": 1000,
    "payment_method": "pm_1PqkWz2eZvKYlo2C",
    "period_end": _LATER,
    "period_start": _THEN,
    "price": "price_1PqkVj2eZvKYlo2C",
    "product": "prod_QhJ2cP4mT7uR9s",
    "quantity": 1,
    "rates": {"eur": "1.0842", "jpy": "0.0067"},
    "reason": "requested_by_customer",
    "request_id": "0193f0c2-7a51-7d20-9b54-3f1c0a7d6e21",
    "secret": "whsec_…",
    "start": "2026-03-01",
    "state": "active",
    "status": "succeeded",
    "stripe": 1200,
    "stripe_charge_id": "ch_3PqkWz2eZvKYlo2C",
    "stripe_customer_id": "cus_QhJ3kVbW0yXa1N",
    "stripe_dispute_id": "dp_1PqkWz2eZvKYlo2C",
    "stripe_id": "in_1PqkWz2eZvKYlo2C",
    "stripe_invoice_id": "in_1PqkWz2eZvKYlo2C",
    "stripe_payment_intent_id": "pi_3PqkWz2eZvKYlo2C",
    "stripe_payment_method_id": "pm_1PqkWz2eZvKYlo2C",
    "stripe_price_id": "price_1PqkVj2eZvKYlo2C",
    "stripe_product_id": "prod_QhJ2cP4mT7uR9s",
    "stripe_refund_id": "re_3PqkWz2eZvKYlo2C",
    "stripe_setup_intent_id": "seti_1PqkWz2eZvKYlo2C",
    "stripe_status": "succeeded",
    "stripe_subscription_id": "sub_1PqkWz2eZvKYlo2C",
    "subscribers": 125,
    "subtotal": 1000,
    "suggested_action": "Use another payment method, or ask your bank and try again.",
    "summary": "succeeded, 1050 usd",
    "title": "payment_intent.succeeded",
    "total": 1000,
    "type": "card",
    "unit_amount": 1000,
    "url": "https://pay.example.com/…",
    "usage_type": "licensed",
    "user": "user-1001",
    "value": 10,
    "webhook_id": "msg_019cacf56a407c319d0e2b7f5a1c8e44",
}
_BY_SCHEMA: Json = {
    "AmountThen": {"at": _LATER},
    "CardView": {"brand": "visa"},
    "ChangeView": {"action": "created", "new_values": {"status": "active"}, "actor": "user:1001"},
    "CancellationView": {"reason": None},
    "ChargeView": {"status": "succeeded"},
    "CheckoutSessionView": {"status": "open", "payment_id": None},
    "CustomerView": {"name": "Ann Lee"},
    "DeliveryView": {"type": "payment.succeeded", "response_status": 200, "attempts": 1},
    "DisputeView": {"status": "needs_response", "reason": "fraudulent"},
    "EntryView": {"object": "pi_3PqkWz2eZvKYlo2C"},
    "ErasureView": {"removed": {"mails": 12}, "kept": {"payments": 3}},
    "EventTypeView": {"type": "payment.succeeded", "description": "A payment has succeeded."},
    "EraseUser": {"dry_run": True},
    "Happening": {"reason": None},
    "InvoiceView": {"status": "paid", "description": None, "currency": "usd"},
    "ItemView": {"id": "si_QhJ3kVbW0yXa1N"},
    "LineView": {"description": "1 × Pro (at $10.00 / month)", "amount": 1000},
    "PaymentView": {"payment_method": "pm_1PqkWz2eZvKYlo2C", "description": "Order 1001"},
    "PreviewLine": {"description": "1 × Pro (at $10.00 / month)", "amount": 1000},
    "RefundView": {"status": "succeeded", "reason": "requested_by_customer"},
    "RunFields": {"mode": "incremental"},
    "SetupIntentView": {"status": "requires_payment_method"},
    "SubjectView": {"kind": "payment", "name": "pi_3PqkWz2eZvKYlo2C"},
    "SubscriptionDetails": {"status": "active", "access": {"access": True, "state": "active", "until": None}},
    "SubscriptionView": {"status": "active"},
}

_KINDS: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}


class Examples:
    """Examples of a document's schemas."""

    def __init__(self, schemas: Json) -> None:
        self._schemas = schemas

    def of(self, schema: Json, name: str = "") -> Any:
        """An example of a schema; `name` is the field it belongs to."""
        if "$ref" in schema:
            title = schema["$ref"].rpartition("/")[2]
            return self._object(title, self._schemas[title])
        if schema.get("examples"):
            return schema["examples"][0]
        if "const" in schema:
            return schema["const"]
        if "anyOf" in schema:
            return self._one_of(schema["anyOf"], name)
        if schema.get("type") == "array":
            return [self.of(schema["items"], name)] if "$ref" in schema["items"] else _known(name, schema, [])
        if schema.get("properties") is not None:
            return self._object("", schema)
        return _value(schema, name)

    def _one_of(self, kinds: list[Json], name: str) -> Any:
        nullable = any(kind.get("type") == "null" for kind in kinds)
        if nullable and (name not in _BY_FIELD or any("$ref" in kind for kind in kinds)):
            return None
        return self.of(next(kind for kind in kinds if kind.get("type") != "null"), name)

    def _object(self, title: str, schema: Json) -> Any:
        if schema.get("examples"):
            return schema["examples"][0]
        own: Json = _BY_SCHEMA.get(title, {})
        required = set(schema.get("required", []))
        return {
            field: own[field] if field in own else self.of(told, field)
            for field, told in schema.get("properties", {}).items()
            if field in required or field in own
        }


def _known(name: str, schema: Json, otherwise: Any) -> Any:
    value = _BY_FIELD.get(name, otherwise)
    return value if type(value) in _KINDS.get(schema.get("type", ""), ()) else otherwise


def _value(schema: Json, name: str) -> Any:
    if "enum" in schema:
        return _BY_FIELD[name] if _BY_FIELD.get(name) in schema["enum"] else schema["enum"][0]
    match schema.get("type"):
        case "string":
            plain = {"date-time": _THEN, "date": "2026-03-02", "uuid": _OURS}.get(schema.get("format", ""))
            return plain if plain and not isinstance(_BY_FIELD.get(name), str) else _text(schema, name, plain)
        case "integer" | "number":
            return _known(name, schema, schema.get("minimum", 0))
        case "boolean":
            return _known(name, schema, False)
        case "object":
            return _known(name, schema, {})
    return _BY_FIELD.get(name)


def _text(schema: Json, name: str, plain: str | None) -> str:
    known = _BY_FIELD.get(name)
    if schema.get("format") == "uuid":
        return _OURS
    return known if isinstance(known, str) else plain or name

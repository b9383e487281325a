"""The OpenAPI document: what FastAPI derives from the routes, with names, errors, security and examples made whole."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from tallystick.app.openapi_examples import Examples
from tallystick.core.declines import PaymentDeclined, decline_of
from tallystick.core.errors import DomainError, GatewayConfigError, InvalidRequest, problem
from tallystick.platform.http import Problem
from tallystick.webhooks.errors import BodyTooLarge, BodyTooSlow, InboxUnavailable, SignatureRejected

__all__ = ["METHODS", "describe"]

Json = dict[str, Any]
METHODS = ("get", "post", "put", "delete")

_TAGS = {
    "health": "For probes: whether the process runs, and whether it can serve.",
    "payments": "Create, confirm, capture, cancel and refund payments; read them and their history.",
    "customers": "One Stripe customer for each user, and its payment methods.",
    "products": "The catalogue, served from the mirror.",
    "subscriptions": "Subscribe, change with a preview, pause, resume, end; the history of every change.",
    "invoices": "Invoices with their lines; paying one that is open.",
    "entitlements": "Features of products, and what a user may use now.",
    "checkout": "Links to hosted pages on which a customer pays or subscribes.",
    "billing pages": "Links to hosted pages on which a customer sees and changes what they have.",
    "webhook endpoints": "Where your application hears of facts; deliveries, tests and replays.",
    "reconciliation": "How the mirror stands against Stripe.",
    "metrics": "Money figures by day.",
    "audit": "Who did what.",
    "timeline": "The story of a user or an object, in order.",
    "privacy": "What is held about a user: export and erasure.",
    "webhooks": "Where Stripe sends its events.",
}
_PARAMETERS = {
    "tallystick-user-email": "the e-mail address of that user, kept with them",
    "tallystick-user-locale": "the language of that user (`de`, `pt-BR`), kept with them: mails and pages are in it",
    "limit": "how many at most",
    "status": "only those in this status",
    "state": "only those in this state",
    "currency": "only those in this currency: a lower-case ISO code",
    "If-None-Match": "the `ETag` of an earlier answer; 304 if nothing has changed",
    "starting_after": "the `id` of the last one on the page before; exclusive",
    "key": "the name of a feature",
    "id": "its id",
    "delivery_id": "the id of a delivery",
    "price": "preview a change to this price, ours or Stripe's id",
    "quantity": "preview a change to this quantity",
    "proration_behavior": "preview with this treatment of the rest of the period; else PRORATION_BEHAVIOR",
    "when": "preview a change that takes place now, or at the period's end",
    "cause": "only differences of this cause",
    "stripe_id": "only differences of the object with this id at Stripe",
    "actor": "only what this actor did, e.g. `admin:grace`",
    "action": "only entries of this action",
    "object": "only entries about this object: its id",
    "day": "a day, in METRICS_TIME_ZONE; today if absent",
    "start": "the first day; 30 days before `end` if absent",
    "end": "the last day, inclusive; today if absent",
    "by": "the length of a period",
    "format": "`csv` gives a file for a spreadsheet",
}
_PROBLEM = {"$ref": "#/components/schemas/Problem"}
_INBOX: Json = {
    "tags": ["webhooks"],
    "summary": "Take an event from Stripe",
    "description": "Stores an event of Stripe's whose signature holds, and answers when it is committed; an event that "
    "came before is answered alike. Your own code never calls this: Stripe does.",
    "operationId": "receive_stripe_event",
    "parameters": [
        {
            "name": "Stripe-Signature",
            "in": "header",
            "required": True,
            "description": "Stripe's signature over the raw body",
            "schema": {"type": "string"},
        }
    ],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"type": "object", "additionalProperties": True},
                "example": {"id": "evt_1PqkXd2eZvKYlo2C", "object": "event", "type": "payment_intent.succeeded"},
            }
        },
    },
    "responses": {
        "200": {
            "description": "Stored",
            "content": {
                "application/json": {
                    "schema": {"type": "object", "additionalProperties": True},
                    "example": {"received": True},
                }
            },
        }
    },
}


def describe(api: FastAPI, inbox_path: str) -> Json:
    """The document: each operation with summary, description, examples, errors as they are sent, and security."""
    document = get_openapi(title=api.title, version=api.version, description=api.description, routes=api.routes)
    components = document.setdefault("components", {})
    schemas: Json = components.setdefault("schemas", {})
    schemas["Problem"] = Problem.model_json_schema()
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)
    components["securitySchemes"] = {
        "token": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "Signed by your application with JWT_SECRET, or by the keys of JWT_JWKS_URL. `sub` is the "
            "user; `roles` may hold `admin`, `support` or `service`.",
        }
    }
    document["security"] = [{"token": []}]
    document["paths"][inbox_path] = {"post": _inbox()}
    examples = Examples(schemas)
    for operation in operations(document):
        _complete(operation, examples)
    _share_errors(document)
    used = {tag for operation in operations(document) for tag in operation["tags"]}
    document["tags"] = [{"name": name, "description": text} for name, text in _TAGS.items() if name in used]
    return document


def operations(document: Json) -> Iterator[Json]:
    """Every operation of a document."""
    return (path[method] for path in document["paths"].values() for method in METHODS if method in path)


def _inbox() -> Json:
    errors = (SignatureRejected(), BodyTooSlow(), BodyTooLarge(), InboxUnavailable())
    refused = {
        str(error.status): {
            "description": error.title,
            "content": {"application/problem+json": {"schema": _PROBLEM, "example": _shown(error)}},
        }
        for error in errors
    }
    return {**_INBOX, "responses": {**_INBOX["responses"], **refused}}


def _shown(error: DomainError) -> Json:
    return problem(error, "0193f0c2-…")


def _complete(operation: Json, examples: Examples) -> None:
    if operation["operationId"].endswith(("_get", "_post", "_put", "_delete")):
        # FastAPI adds the path and the method to the name, which is unique as it is.
        operation["operationId"] = operation["summary"].strip().lower().replace(" ", "_")
    operation["summary"] = operation["operationId"].replace("_", " ").capitalize().replace("mrr", "MRR")
    if "401" not in operation["responses"]:
        operation["security"] = []
    for parameter in operation.get("parameters", []):
        if not parameter.get("description") and parameter["name"] in _PARAMETERS:
            parameter["description"] = _PARAMETERS[parameter["name"]]
            parameter["schema"]["description"] = parameter["description"]
    for content in operation.get("requestBody", {}).get("content", {}).values():
        content["schema"] = _said(content["schema"])
        content.setdefault("example", examples.of(content["schema"]))
    for status, answer in operation["responses"].items():
        _complete_answer(status, answer, examples)


def _said(schema: Json) -> Json:
    """The schema of a body as it is sent: one that may be absent is not null as well, or clients confuse the two."""
    choices = [choice for choice in schema.get("anyOf", ()) if choice != {"type": "null"}]
    return choices[0] if len(choices) == 1 else schema


def _share_errors(document: Json) -> None:
    """What is the same error in every operation is told once."""
    shared: Json = document["components"].setdefault("responses", {})
    for operation in operations(document):
        for status, answer in operation["responses"].items():
            if status >= "400" and shared.setdefault(f"Error{status}", answer) == answer:
                operation["responses"][status] = {"$ref": f"#/components/responses/Error{status}"}


def _complete_answer(status: str, answer: Json, examples: Examples) -> None:
    if status >= "400":
        content = answer["content"]
        if "application/json" in content:  # FastAPI's own idea of a 422
            content.clear()
            content["application/problem+json"] = {
                "schema": _PROBLEM,
                "example": _shown(InvalidRequest("limit: Input should be less than or equal to 100", field="limit")),
            }
            answer["description"] = "The request is not valid"
        if status in ("402", "502"):
            error = (
                PaymentDeclined(decline_of("card_declined", "generic_decline"))
                if status == "402"
                else GatewayConfigError()
            )
            content["application/problem+json"].setdefault("example", _shown(error))
        return
    if answer["description"] == "Successful Response":
        answer["description"] = "Made" if status == "201" else "Done"
    for kind, content in answer.get("content", {}).items():
        if kind == "text/csv":
            content.update(schema={"type": "string"}, example="start,end,mrr\n2026-03-01,2026-03-31,125000\n")
        elif kind == "application/json":
            if not content.get("schema"):
                content["schema"] = {"type": "object", "additionalProperties": True}
            content.setdefault("example", examples.of(content["schema"]))

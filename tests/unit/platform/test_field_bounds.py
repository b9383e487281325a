"""Every text, list and map that a request may bring has its longest, said in the OpenAPI document."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tallystick.app import create_app
from tallystick.platform.settings import load_settings

Schema = Mapping[str, Any]

BOUNDED_BY_CODE = (
    ".metadata.*",  # core/checks.py, by Stripe's rules
    "/api/webhooks/stripe?Stripe-Signature",  # stripe_gateway/signatures.py
)
BOUNDS_OF_NUMBERS = {"maximum", "exclusiveMaximum", "const", "enum"}


@pytest.fixture(scope="module")
def document() -> Schema:
    settings = load_settings(
        {
            "ENVIRONMENT": "test",
            "DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none",
            "STRIPE_SECRET_KEY": "sk_test_x",
            "STRIPE_WEBHOOK_SECRET": "whsec_x",
            "JWT_SECRET": "x" * 32,
        }
    )
    return create_app(settings, logs=False).openapi()


def loose(document: Schema, schema: Schema, where: str, above: tuple[str, ...] = ()) -> Iterator[str]:
    """What of a schema has no bound."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if name not in above:
            yield from loose(document, document["components"]["schemas"][name], where, (*above, name))
        return
    for way in ("anyOf", "oneOf", "allOf"):
        for part in schema.get(way, ()):
            yield from loose(document, part, where, above)
    kind = schema.get("type")
    if (kind == "string" and not text_is_bounded(schema)) or (
        kind == "integer" and not BOUNDS_OF_NUMBERS & set(schema)
    ):
        yield where
    if kind == "array":
        if "maxItems" not in schema:
            yield where
        yield from loose(document, schema.get("items", {}), f"{where}[]", above)
    for name, part in schema.get("properties", {}).items():
        yield from loose(document, part, f"{where}.{name}", above)
    if isinstance(more := schema.get("additionalProperties"), dict):
        yield from loose(document, more, f"{where}.*", above)


def text_is_bounded(schema: Schema) -> bool:
    pattern = schema.get("pattern", "")
    return bool(
        {"maxLength", "enum", "const"} & set(schema)
        or (re.fullmatch(r"\^[^*+]*\$", pattern) and ",}" not in pattern)
        or schema.get("format") in ("date", "date-time", "uuid")
    )


def test_every_field_and_parameter_has_its_bound(document: Schema) -> None:
    found: list[str] = []
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            where = f"{method.upper()} {path}"
            # What stands in a path is bounded with it, by the door.
            for parameter in operation.get("parameters", ()):
                if parameter["in"] != "path":
                    found += loose(document, parameter["schema"], f"{where}?{parameter['name']}")
            for content in operation.get("requestBody", {}).get("content", {}).values():
                found += loose(document, content["schema"], where)
    assert sorted(one for one in set(found) if not one.endswith(BOUNDED_BY_CODE)) == []

"""docs/reference/api/: the API by areas, from the OpenAPI document: each operation with its parameters and examples."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from reference.document import openapi_document
from reference.markdown import cell, code, page, table

__all__ = ["api_pages"]

Json = Mapping[str, Any]
_INDEX = """All operations. The same as one document: [openapi.json](../../openapi.json), `tallystick openapi`, and
`GET /api/openapi.json` of a running API. [A client for Python](../../api-clients.md) is generated from it, as
clients for other languages can be.

- JSON, `snake_case`; amounts are whole numbers of minor units (10.50 usd is 1050), times RFC 3339 in UTC.
- `Authorization: Bearer <token>`: a JWT that your application signs. A user sees their own objects; another's is 404.
- Every `{id}` takes ours (a UUID) or Stripe's.
- `POST`, `PUT` and `DELETE` take an `Idempotency-Key`: repeated with the same key, they get the first answer.
- Lists are `{"data": […], "has_more": …}`, with `limit`, `starting_after` and `ending_before`.
- Errors are [problem documents](../errors.md) with a stable `code`."""


def api_pages() -> dict[str, str]:
    """The pages by file name."""
    document = openapi_document()
    pages = {}
    rows = []
    for tag in document["tags"]:
        file = f"{tag['name'].replace(' ', '-')}.md"
        found = [
            (method, path, operation)
            for method, path, operation in _operations(document)
            if tag["name"] in operation["tags"]
        ]
        pages[file] = page(
            f"API: {tag['name']}", tag["description"], *(_operation(document, *operation) for operation in found)
        )
        rows += [
            (
                code(f"{method.upper()} {path}"),
                f"[{operation['summary']}]({file}#{_anchor(operation)})",
                _who(operation),
            )
            for method, path, operation in found
        ]
    pages["index.md"] = page("API", _INDEX, table(("request", "what", "token"), rows))
    pages["index.md"] += "\n```{toctree}\n:hidden:\n\n" + "\n".join(
        name for name in sorted(pages) if name != "index.md"
    )
    pages["index.md"] += "\n```\n"
    return pages


def _operations(document: Json) -> Iterator[tuple[str, str, Json]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield method, path, operation


def _anchor(operation: Json) -> str:
    return str(operation["summary"]).lower().replace(" ", "-")


def _who(operation: Json) -> str:
    return "none" if operation.get("security") == [] else "yes"


def _operation(document: Json, method: str, path: str, operation: Json) -> str:
    parts = [f"## {operation['summary']}", code(f"{method.upper()} {path}"), _plain(operation["description"])]
    parameters = [parameter for parameter in operation.get("parameters", []) if parameter["name"] not in _EVERYWHERE]
    if parameters:
        rows = [
            (code(one["name"]), one["in"], cell(one.get("description", "")), _needed(one["required"]))
            for one in parameters
        ]
        parts.append(table(("parameter", "in", "what", ""), rows))
    for content in operation.get("requestBody", {}).get("content", {}).values():
        fields = list(_fields(document, content["schema"]))
        if fields:
            parts += ["The body:", table(("field", "type", "what", ""), fields)]
        parts.append(_shown(content["example"]))
    refused = []
    for status, answer in operation["responses"].items():
        if status >= "400":
            refused.append(status)
            continue
        parts.append(f"**{status}** {_plain(answer['description'])}.")
        parts += [
            _shown(content["example"])
            for kind, content in answer.get("content", {}).items()
            if kind != "text/csv" and status != "202"
        ]
    parts.append(f"[Errors](../errors.md): {', '.join(refused)}." if refused else "")
    return "\n\n".join(part for part in parts if part)


_EVERYWHERE = ("tallystick-user", "tallystick-user-email", "tallystick-user-locale")


def _plain(text: str) -> str:
    return " ".join(text.split()).replace("<", "&lt;")


def _needed(needed: bool) -> str:
    return "needed" if needed else ""


def _fields(document: Json, schema: Json) -> Iterator[tuple[str, str, str, str]]:
    for one in schema.get("anyOf", [schema]):
        told = document["components"]["schemas"].get(one.get("$ref", "").rpartition("/")[2], one)
        for name, field in told.get("properties", {}).items():
            needed = _needed(name in told.get("required", []))
            yield code(name), cell(_type(field)), cell(field.get("description", "")), needed


def _type(schema: Json) -> str:
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_type(one) for one in schema["anyOf"] if one.get("type") != "null"))
    if "enum" in schema:
        return ", ".join(str(value) for value in schema["enum"])
    if "$ref" in schema:
        return "object"
    return str(schema.get("format") or schema.get("const") or schema.get("type", "any"))


def _shown(example: Any) -> str:
    return f"```json\n{json.dumps(example, indent=2, ensure_ascii=False)}\n```"

"""The OpenAPI document: whole, and true to its own schemas."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

ROOT = Path(__file__).resolve().parents[2]
METHODS = ("get", "post", "put", "delete", "patch")


@pytest.fixture(scope="module")
def document() -> Any:
    """What is published; that it is this version's is for test_reference.py."""
    return json.loads((ROOT / "docs/openapi.json").read_text())


def operations(document: Any) -> Iterator[tuple[str, Any]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            assert method in METHODS, f"{path}: {method}"
            yield f"{method.upper()} {path}", operation


def answers(document: Any, operation: Any) -> Iterator[tuple[str, Any]]:
    for status, answer in operation["responses"].items():
        shared = answer.get("$ref", "").rpartition("/")[2]
        yield status, document["components"]["responses"][shared] if shared else answer


def test_every_operation_says_what_it_is(document: Any) -> None:
    named = [operation["operationId"] for _, operation in operations(document)]
    assert len(named) > 70
    assert len(set(named)) == len(named)
    for name, operation in operations(document):
        assert operation["summary"], name
        assert len(operation["description"]) > 8, name
        assert len(operation["tags"]) == 1, name
        assert operation["tags"][0] in [tag["name"] for tag in document["tags"]], name
        for parameter in operation.get("parameters", []):
            assert parameter.get("description"), f"{name}: {parameter['name']}"


def test_every_body_and_answer_has_an_example_that_fits_its_schema(document: Any) -> None:
    for name, operation in operations(document):
        shown = list(operation.get("requestBody", {}).get("content", {}).values())
        for _, answer in answers(document, operation):
            shown += answer.get("content", {}).values()
        assert shown, name
        for content in shown:
            assert "example" in content, name
            jsonschema.validate(content["example"], {**content["schema"], "components": document["components"]})


def test_a_body_that_may_be_absent_is_not_null_as_well(document: Any) -> None:
    """Clients are generated that send neither, but fail."""
    bodies = [operation["requestBody"] for _, operation in operations(document) if "requestBody" in operation]
    assert any("required" not in body for body in bodies)
    for body in bodies:
        (content,) = body["content"].values()
        assert {"type": "null"} not in content["schema"].get("anyOf", ())


def test_every_operation_tells_its_errors_as_problems(document: Any) -> None:
    for name, operation in operations(document):
        statuses = dict(answers(document, operation))
        for status, answer in statuses.items():
            if status >= "400":
                content = answer["content"]["application/problem+json"]
                assert content["schema"] == {"$ref": "#/components/schemas/Problem"}, name
                assert content["example"]["status"] == int(status), name
        if "/api/" in name:
            assert "503" in statuses, name
        if operation.get("requestBody"):
            assert "413" in statuses, name


def test_who_needs_a_token_is_told_that_one_is_missing(document: Any) -> None:
    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    assert document["security"] == [{"token": []}]
    for name, operation in operations(document):
        assert ("401" in operation["responses"]) == (operation.get("security") != []), name


def test_no_schema_is_named_by_its_module(document: Any) -> None:
    assert not [name for name in document["components"]["schemas"] if "__" in name]

"""Schemathesis over the whole API: whatever is sent, no answer is an error of ours, and each is as OpenAPI says.

A few cases of each operation by default; `make fuzz` sends 10,000.
"""

import asyncio
import os
import warnings
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import pytest
import pytest_asyncio
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from yarl import URL

from owning import belongings, installed, recurring_price
from system import LONG, MakeDatabase, System, running_system, token_for, unique

CASES = int(os.environ.get("TALLYSTICK_FUZZ_CASES", "10600")) if LONG else 75
_ROLES: tuple[tuple[str, ...], ...] = ((), ("admin",))
_HANGS_S = 60
# What changes nothing comes first, while there is something to look at; what deletes, last.
_ORDER = ("GET", "POST", "PUT", "DELETE")
_IDS = {"payment_method": "method", "delivery_id": "delivery"}
_KINDS = {
    "payments": ("payment", "held", "unpaid"),
    "invoices": ("invoice",),
    "subscriptions": ("subscription",),
    "customers": ("customer",),
    "products": ("product",),
    "features": ("feature",),
    "entitlements": ("feature",),
    "checkout-sessions": ("checkout",),
    "webhook-endpoints": ("endpoint",),
    "reconciliation": ("run",),
    "timeline": ("payment", "subscription", "customer"),
    "users": ("user",),
}


@pytest_asyncio.fixture(scope="module", name="system")
async def fuzzed_system(make_database: MakeDatabase) -> AsyncIterator[System]:
    async with running_system(await make_database()) as running:
        yield running


@pytest.mark.timeout(3600 if LONG else 180)
async def test_whatever_is_sent_the_answer_is_as_openapi_says(system: System) -> None:
    user = unique("fuzzed")
    price = await recurring_price(system)
    real = asdict(await belongings(system, user, price)) | asdict(await installed(system, price))
    async with system.http.get(f"{system.api_url}/api/openapi.json") as response:
        document = await response.json()
    schema = schemathesis.openapi.from_dict(document)
    found_there: list[Any] = list(schema.get_all_operations())
    operations = [result.ok() for result in found_there]
    assert len(operations) == sum(len(methods) for methods in document["paths"].values())
    each = -(-CASES // len(operations))
    tokens = [token_for(user, email=f"{user}@example.com", roles=roles) for roles in _ROLES]
    found = Findings()
    for operation in sorted(operations, key=lambda one: _ORDER.index(one.method.upper())):
        await asyncio.to_thread(_try, system, operation, real, tokens, each, found)
    assert not found.told, f"{len(found.told)} in {found.cases} cases:\n\n" + "\n\n".join(found.told.values())
    assert found.cases >= CASES * 95 // 100 - 10
    # It still works.
    assert (await system.pay(user=unique("after"))).status == 201


@dataclass
class Findings:
    """What was wrong, each once for an operation, with the request that shows it."""

    cases: int = 0
    told: dict[tuple[str, str], str] = field(default_factory=dict)


def _try(
    system: System, operation: Any, real: Mapping[str, str], tokens: Sequence[str], most: int, found: Findings
) -> None:
    cases = [operation.as_strategy(generation_mode=mode) for mode in GenerationMode]
    with requests.Session() as session, warnings.catch_warnings():
        warnings.simplefilter("ignore")

        @settings(
            max_examples=most,
            deadline=None,
            database=None,
            derandomize=not LONG,
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        )
        @given(data=st.data())
        def each(data: st.DataObject) -> None:
            case = data.draw(st.one_of(*cases))
            if data.draw(st.sampled_from([True, True, False])):
                case.path_parameters.update(_aimed(operation, data, real))
            headers = {"Authorization": f"Bearer {data.draw(st.sampled_from(tokens))}"}
            found.cases += 1
            try:
                answer = case.call(base_url=system.api_url, session=session, headers=headers, timeout=_HANGS_S)
                case.validate_response(answer, checks=_CHECKS)
            except (FailureGroup, requests.RequestException) as error:
                what = [str(one.title) for one in getattr(error, "exceptions", ())] or [type(error).__name__]
                found.told.setdefault((operation.label, str(what)), f"{operation.label}: {error}")

        each()


_CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


def _aimed(operation: Any, data: st.DataObject, real: Mapping[str, str]) -> dict[str, str]:
    """Ids of what is there: what is nowhere is answered before much has happened."""
    found = {}
    area = operation.path.split("/")[2] if operation.path.startswith("/api/") else ""
    for name in (parameter.name for parameter in operation.path_parameters):
        if name in _IDS:
            found[name] = real[_IDS[name]]
        elif name in ("id", "key"):
            found[name] = real[data.draw(st.sampled_from(_KINDS[area]))]
    return found


DEEP = b"[" * 20_000 + b"]" * 20_000
STRANGE_BODIES = (
    b"", b"null", b"[]", b'"x"', b"1", b"{", b"\xff\xfe{}", b"\xef\xbb\xbf{}", DEEP,
    b'{"a":' * 8000 + b"1" + b"}" * 8000,
    b'{"amount": %b, "currency": "usd"}' % (b"9" * 5000), b'{"amount": NaN, "currency": "usd"}',
    b'{"amount": 1e400, "currency": "usd"}', b'{"amount": 500, "amount": -1, "currency": "usd"}',
    b'{"amount": 500, "currency": "usd", "description": "\\ud800"}', b'{"amount": 500, "currency": "us\\u0000"}',
    b'{"amount": 500, "currency": "usd", "metadata": {"\\ud800": "x"}}', b'{"amount": true, "currency": "usd"}',
    b'{"amount": 500, "currency": "usd", "metadata": {"a": "\\u0000"}}', b'{"amount": "500", "currency": "usd"}',
)  # fmt: skip
_REFUSED_BODIES = frozenset({"AMOUNT_ERROR", "BODY_NOT_JSON", "BODY_TOO_LARGE", "INVALID_REQUEST", "JSON_TOO_COMPLEX"})
STRANGE_TEXTS = ("%00", "%ED%A0%80", "%FF", "..%2F..%2Fetc%2Fpasswd", "%0D%0AX-Planted:%201", "' OR 1=1 --", "{{7*7}}")
# The first and the last moment that can be written, further than a zone away from what PostgreSQL counts with.
STRANGE_MOMENTS = (
    "0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59-14:00", "2026-01-01T00:00:00", "infinity", "1e400",
    "0000-00-00", "-1", "99999999999999999999",
)  # fmt: skip


async def test_bytes_that_no_client_library_sends(system: System) -> None:
    for body in STRANGE_BODIES:
        answer = await system.call("POST", "/api/payments/payment-intent", data=body)
        assert 400 <= answer.status < 500, (body[:80], answer.body)
        assert answer.code in _REFUSED_BODIES, answer.body
    for text in STRANGE_TEXTS:
        for path in (
            f"/api/payments/payment-intent/{text}", f"/api/payments/history?starting_after={text}",
            f"/api/payments/history?status={text}", f"/api/timeline/{text}", f"/api/timeline?user={text}",
            f"/api/entitlements?user={text}", f"/api/users/{text}/erasure", f"/api/audit?actor={text}",
            f"/api/products/{text}", f"/api/reconciliation/differences?stripe_id={text}", f"/pay/{text}",
            f"/billing/open/{text}", f"/assets/{text}", f"/console/{text}", f"/payments/return?redirect_status={text}",
        ):  # fmt: skip
            await _no_fault_of_ours(system, path)
    for moment in STRANGE_MOMENTS:
        for path in (
            f"/api/payments/history?created_from={moment}", f"/api/payments/history?created_until={moment}",
            f"/api/audit?since={moment}", f"/api/audit?until={moment}", f"/api/metrics?day={moment}",
            f"/api/metrics/mrr?start={moment}", f"/api/metrics/mrr?end={moment}&by=month",
        ):  # fmt: skip
            await _no_fault_of_ours(system, path)


async def _no_fault_of_ours(system: System, path: str) -> None:
    headers = {"Authorization": f"Bearer {token_for('root', roles=('admin',))}"}
    url = URL(system.api_url + path, encoded=True)
    async with system.http.get(url, headers=headers, allow_redirects=False) as answer:
        body = await answer.text()
        assert answer.status < 500, (path, answer.status, body)
        assert "X-Planted" not in answer.headers
        assert "Traceback" not in body

"""The reads that go past the framework answer as the framework does: bodies, status, headers, and what is counted."""

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from system import Answer, MakeDatabase, System, running_system

_PAYMENTS = "/api/payments"
_BY_ID = f"{_PAYMENTS}/payment-intent"
# Of each request its own, or of the moment.
_OWN = {"x-request-id", "ratelimit", "date"}


@pytest.fixture(scope="module")
async def system(make_database: MakeDatabase) -> AsyncIterator[System]:
    async with running_system(await make_database()) as running:
        yield running


async def _both(system: System, path: str, **how: Any) -> tuple[Answer, Answer]:
    """The answer past the framework, and through it: a parameter that nobody knows is nothing to the routes."""
    there = await system.call("GET", path, **how)
    around = await system.call("GET", f"{path}{'&' if '?' in path else '?'}nobody_knows=1", **how)
    return there, around


def _shown(answer: Answer) -> tuple[int, Any, dict[str, str]]:
    body = {name: value for name, value in answer.body.items() if name not in ("request_id", "as_of")}
    return (
        answer.status,
        body,
        {name.lower(): value for name, value in answer.headers.items() if name.lower() not in _OWN},
    )


async def test_both_ways_answer_alike(system: System) -> None:
    paid = [(await system.pay(user="dora")).body for _ in range(3)]
    await system.call("POST", f"{_BY_ID}/{paid[0]['id']}/refund", {"amount": 100}, user="dora")
    declined = await system.pay("pm_card_visa_chargeDeclined", user="dora")
    one = [*(each["id"] for each in paid), paid[1]["stripe_payment_intent_id"], declined.body["payment"]["id"]]
    paths = [
        *(f"{_BY_ID}/{each}" for each in one),
        f"{_BY_ID}/00000000-0000-4000-8000-000000000000",
        f"{_BY_ID}/pi_unknown",
        f"{_BY_ID}/nonsense",
        f"{_PAYMENTS}/history",
        f"{_PAYMENTS}/history?limit=2",
        f"{_PAYMENTS}/history?limit=2&starting_after={one[1]}",
        f"{_PAYMENTS}/history?limit=99&starting_after=pi_unknown",
        "/api/entitlements",
    ]
    callers: list[dict[str, Any]] = [
        {"user": "dora"},
        {"user": "someone-else"},
        {"user": "staff", "roles": ("support",)},
        {"user": "host", "roles": ("service",), "headers": {"Tallystick-User": "dora"}},
        {"user": "host", "roles": ("service",)},
        {"user": "dora", "headers": {"Tallystick-User": "someone-else"}},
        {"user": "dora", "headers": {"Tallystick-User": "x" * 300}},
        {"user": "dora", "headers": {"Tallystick-User-Locale": "no language at all"}},
        {"token": "no.such.token"},
    ]
    seen = set()
    for path in paths:
        for caller in callers:
            there, around = await _both(system, path, **caller)
            assert _shown(there) == _shown(around), (path, caller)
            seen.add(there.status)
    assert seen == {200, 401, 403, 404, 422}


async def test_what_is_not_plain_is_for_the_framework(system: System) -> None:
    for query in ("limit=0", "limit=100", "limit=101", "limit=x", "limit=2&limit=3", "status=%00", "starting_after="):
        there, around = await _both(system, f"{_PAYMENTS}/history?{query}", user="dora")
        assert _shown(there) == _shown(around), query
    assert (await system.call("POST", f"{_PAYMENTS}/history", {}, user="dora")).status == 405
    assert (await system.call("GET", f"{_BY_ID}/pi_a%2Fb", user="dora")).status == 404


async def test_they_are_counted_and_audited_under_the_names_of_their_routes(system: System) -> None:
    await system.call("GET", f"{_BY_ID}/pi_unknown", user="nosy", roles=("support",))
    refused = await system.pool.fetchrow(
        "SELECT action, status, object_id FROM audit_log WHERE actor = 'support:nosy' ORDER BY id DESC LIMIT 1"
    )
    assert refused is not None
    assert tuple(refused) == ("get_payment_intent", 404, "pi_unknown")
    async with system.http.get(f"{system.api_url}/metrics") as answer:
        routes = set(re.findall(r'tallystick_http_requests_total\{.*route="([^"]+)"', await answer.text()))
    assert {f"{_BY_ID}/{{id}}", f"{_PAYMENTS}/history", "/api/entitlements"} <= routes

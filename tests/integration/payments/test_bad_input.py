"""Bad input gets a clear coded error and leaves nothing half done."""

from typing import Any

import pytest

from system import System, unique

BASE = "/api/payments/payment-intent"


async def counts(system: System) -> tuple[Any, ...]:
    row = await system.pool.fetchrow(
        """
        SELECT (SELECT count(*) FROM payments), (SELECT count(*) FROM attempts),
               (SELECT count(*) FROM idempotency_keys), (SELECT count(*) FROM refunds)
        """
    )
    assert row is not None
    return tuple(row)


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({}, "AMOUNT_ERROR", "amount"),
        ({"amount": -1}, "AMOUNT_ERROR", "amount"),
        ({"amount": 0}, "AMOUNT_ERROR", "amount"),
        ({"amount": 10.5}, "AMOUNT_ERROR", "amount"),
        ({"amount": 1000.0}, "AMOUNT_ERROR", "amount"),
        ({"amount": "1000"}, "AMOUNT_ERROR", "amount"),
        ({"amount": True}, "AMOUNT_ERROR", "amount"),
        ({"amount": 49}, "AMOUNT_ERROR", "amount"),
        ({"amount": 100_001}, "AMOUNT_ERROR", "amount"),
        ({"amount": 10**30}, "AMOUNT_ERROR", "amount"),
        ({"amount": 1000, "currency": "xxx"}, "AMOUNT_ERROR", "currency"),
        ({"amount": 1000, "currency": "USD"}, "AMOUNT_ERROR", "currency"),
        ({"amount": 1005, "currency": "kwd"}, "AMOUNT_ERROR", "amount"),
        ({"amount": 1000, "extra": 1}, "INVALID_REQUEST", "extra"),
        ({"amount": 1000, "payment_method": "4242424242424242"}, "INVALID_REQUEST", "payment_method"),
        ({"amount": 1000, "payment_method": "cus_1"}, "INVALID_REQUEST", "payment_method"),
        ({"amount": 1000, "confirm": True}, "INVALID_REQUEST", "payment_method"),
        ({"amount": 1000, "off_session": True}, "INVALID_REQUEST", "off_session"),
        ({"amount": 1000, "capture_method": "later"}, "INVALID_REQUEST", "capture_method"),
        ({"amount": 1000, "return_url": "javascript:alert(1)"}, "INVALID_REQUEST", "return_url"),
        ({"amount": 1000, "description": "x" * 1001}, "INVALID_REQUEST", "description"),
        ({"amount": 1000, "description": "a\x00b"}, "INVALID_REQUEST", "description"),
        ({"amount": 1000, "description": "card 4242 4242 4242 4242"}, "CARD_NUMBER_REFUSED", "description"),
        ({"amount": 1000, "metadata": {"k": "v" * 501}}, "INVALID_REQUEST", "metadata.k"),
        ({"amount": 1000, "metadata": {"k" * 41: "v"}}, "INVALID_REQUEST", "metadata"),
        ({"amount": 1000, "metadata": {"a[b]": "v"}}, "INVALID_REQUEST", "metadata"),
        ({"amount": 1000, "metadata": {str(n): "v" for n in range(51)}}, "INVALID_REQUEST", "metadata"),
        ({"amount": 1000, "metadata": {"tallystick_payment": "x"}}, "INVALID_REQUEST", "metadata"),
        ({"amount": 1000, "metadata": {"k": 5}}, "INVALID_REQUEST", "metadata.k"),
        ({"amount": 1000, "metadata": {"pan": "4000-0000-0000-0002"}}, "CARD_NUMBER_REFUSED", "metadata.pan"),
    ],
)
async def test_a_payment_that_cannot_be(system: System, body: Any, code: str, field: str) -> None:
    before = await counts(system)
    answer = await system.call("POST", BASE, body, user=unique("bad"))
    assert (answer.status, answer.code, answer.body["field"]) == (422, code, field), answer.body
    assert answer.body["suggested_action"]
    assert answer.body["request_id"] == answer.headers["X-Request-Id"]
    assert await counts(system) == before


async def test_limits_are_in_the_currency_and_stripes_own_always_hold(system: System) -> None:
    user = unique("limits")
    assert (await system.call("POST", BASE, {"amount": 50, "currency": "jpy"}, user=user)).status == 201
    assert (await system.call("POST", BASE, {"amount": 60, "currency": "huf"}, user=user)).code == "AMOUNT_ERROR"
    assert (await system.call("POST", BASE, {"amount": 1230, "currency": "kwd"}, user=user)).status == 201


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"{", 400, "BODY_NOT_JSON"),
        (b"", 400, "BODY_NOT_JSON"),
        (b"[1]", 400, "BODY_NOT_JSON"),
        (b'"text"', 400, "BODY_NOT_JSON"),
        (b'{"amount": 1000, "description": "\xff\xfe"}', 400, "BODY_NOT_JSON"),
        (b'{"amount": NaN}', 422, "AMOUNT_ERROR"),
        (b'{"amount": 1000, "description": "\\ud800"}', 422, "INVALID_REQUEST"),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, 400, "JSON_TOO_COMPLEX"),
        (b'{"amount": 1000, "description": "' + b"x" * 70_000 + b'"}', 413, "BODY_TOO_LARGE"),
    ],
)
async def test_a_body_that_cannot_be(system: System, data: bytes, status: int, code: str) -> None:
    answer = await system.call("POST", BASE, user=unique("body"), data=data)
    assert (answer.status, answer.code) == (status, code), answer.body


@pytest.mark.parametrize("key", ["x" * 256, "with space", "\u00e9"])
async def test_a_key_that_cannot_be(system: System, key: str) -> None:
    answer = await system.call("POST", BASE, {"amount": 1000}, user=unique("key"), key=key)
    assert (answer.status, answer.code) == (422, "INVALID_REQUEST")


@pytest.mark.parametrize(
    "payment_id", ["nope", "cus_123", "pi_", "pi_nope", "00000000-0000-0000-0000-000000000000", "%00", "a" * 300]
)
async def test_an_id_that_cannot_be(system: System, payment_id: str) -> None:
    for method, path in (("GET", ""), ("POST", "/confirm"), ("POST", "/refund")):
        answer = await system.call(method, f"{BASE}/{payment_id}{path}", user=unique("id"))
        assert answer.status in (404, 422), answer.body
        assert answer.code in ("NOT_FOUND", "INVALID_REQUEST")


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=101", "limit=x", "starting_after=nope", "currency=EURO", "created_from=yesterday",
     "starting_after=pi_1&ending_before=pi_2"],
)  # fmt: skip
async def test_a_history_that_cannot_be(system: System, query: str) -> None:
    answer = await system.call("GET", f"/api/payments/history?{query}", user=unique("list"))
    assert answer.status in (404, 422)
    assert answer.code in ("NOT_FOUND", "INVALID_REQUEST")


async def test_a_method_of_somebody_elses_customer_is_refused_and_nothing_stays(system: System) -> None:
    owner, thief = unique("owner"), unique("thief")
    saved = (await system.pay(user=owner, setup_future_usage="off_session")).body["payment_method"]
    before = await counts(system)
    answer = await system.pay(saved, user=thief)
    assert (answer.status, answer.code, answer.body["field"]) == (422, "PAYMENT_METHOD_NOT_USABLE", "payment_method")
    assert (await counts(system))[0] == before[0]
    assert (await system.call("GET", "/api/payments/history", user=thief)).body["data"] == []


async def test_an_unknown_method_is_refused(system: System) -> None:
    answer = await system.pay("pm_1NoSuchMethod", user=unique("nomethod"))
    assert (answer.status, answer.code) == (422, "PAYMENT_METHOD_NOT_USABLE")


async def test_nothing_internal_leaks(system: System) -> None:
    """No trace, SQL, key, or word of Stripe's in any of these answers."""
    for path in ("/api/nowhere", f"{BASE}/pi_x/refund", "/api/payments/history?limit=x"):
        answer = await system.call("GET", path, user=unique("leak"))
        text = str(answer.body).lower()
        assert not any(word in text for word in ("traceback", "select ", "asyncpg", "sk_test", "pydantic"))

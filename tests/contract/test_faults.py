"""Each fault misbehaves as asked, and an effect that was committed is replayed to a repeat."""

import http.client
import json
import time
import urllib.error
from typing import Any

import pytest
import stripe

from contract.harness import Box, Receiver, running_box
from tallystick.sandbox.versions import NEWEST, OLDEST


def customers(box: Box) -> int:
    return len(box.request("GET", "/v1/customers?limit=100").body["data"])


@pytest.mark.parametrize(
    ("status", "error"),
    [(429, stripe.RateLimitError), (500, stripe.APIError), (503, stripe.APIError)],
)
def test_status_before(box: Box, status: int, error: type[Exception]) -> None:
    box.fault(target="api", kind="status", status=status, path="/v1/customers")
    with pytest.raises(error):
        box.client(NEWEST).v1.customers.create({})
    assert customers(box) == 0
    assert box.post("/v1/customers", "").status == 200


def test_rate_limit_says_why(box: Box) -> None:
    box.fault(target="api", kind="status", status=429)
    reply = box.post("/v1/customers", "")
    assert reply.headers["stripe-rate-limited-reason"] == "global-rate"
    assert reply.body["error"]["code"] == "rate_limit"


@pytest.mark.parametrize("kind", ["status", "cut", "garbage"])
def test_after_the_effect_a_repeat_replays(box: Box, kind: str) -> None:
    box.fault(target="api", kind=kind, when="after", method="POST")
    try:
        box.post("/v1/customers", "name=A", Idempotency_Key="k-1")
    except (urllib.error.URLError, http.client.HTTPException, ConnectionError):
        assert kind == "cut"
    assert customers(box) == 1
    again = box.post("/v1/customers", "name=A", Idempotency_Key="k-1")
    assert again.headers["idempotent-replayed"] == "true"
    assert customers(box) == 1


def test_cut_is_a_broken_connection(box: Box) -> None:
    box.fault(target="api", kind="cut")
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError, urllib.error.URLError)):
        box.post("/v1/customers", "")
    assert customers(box) == 0
    box.fault(target="api", kind="cut")
    with pytest.raises(stripe.APIConnectionError):
        box.client(NEWEST).v1.customers.create({})


def test_hang_never_answers(box: Box) -> None:
    box.fault(target="api", kind="hang")
    with pytest.raises((TimeoutError, urllib.error.URLError)):
        box.request("POST", "/v1/customers", b"", timeout=0.3)
    assert customers(box) == 0


def test_slow(box: Box) -> None:
    box.fault(target="api", kind="slow", delay_s=0.3)
    start = time.monotonic()
    assert box.post("/v1/customers", "").status == 200
    assert time.monotonic() - start >= 0.3


def test_garbage_is_no_json(box: Box) -> None:
    box.fault(target="api", kind="garbage")
    with pytest.raises(stripe.APIError):
        box.client(NEWEST).v1.customers.create({})


def test_matching_counting_and_taking_back(box: Box) -> None:
    box.fault(target="api", kind="status", status=500, method="POST", path="/v1/refunds*", times=None)
    box.fault(target="api", kind="status", status=503, method="GET", path="/v1/*", times=2)
    assert box.post("/v1/customers", "").status == 200
    assert [box.request("GET", "/v1/balance").status for _ in range(3)] == [503, 503, 200]
    assert [box.post("/v1/refunds", "").status for _ in range(3)] == [500, 500, 500]
    rules = box.control("GET", "/faults")["data"]
    assert [rule["hits"] for rule in rules] == [3, 2]
    box.control("DELETE", f"/faults/{rules[0]['id']}")
    assert box.post("/v1/refunds", "").status == 400
    box.control("DELETE", "/faults")
    assert box.control("GET", "/faults") == {"data": []}


def test_probability_is_seeded(box: Box) -> None:
    seen = []
    for _ in range(2):
        box.control("DELETE", "/faults")
        box.fault(target="api", kind="status", times=None, probability=0.5, seed=7)
        seen.append([box.request("GET", "/v1/balance").status for _ in range(20)])
    assert seen[0] == seen[1]
    assert {200, 500} == set(seen[0])


def test_a_wrong_rule_is_refused(box: Box) -> None:
    for rule in (
        {"target": "api", "kind": "nonsense"},
        {"target": "webhook"},
        {"target": "api", "kind": "cut", "x": 1},
    ):
        assert box.request("POST", "/_sandbox/faults", json.dumps(rule)).status == 400


class TestWebhooks:
    @pytest.fixture(autouse=True)
    def endpoint(self, box: Box, receiver: Receiver) -> None:
        box.control("PUT", "/webhook_endpoints", {"url": receiver.url, "secret": "whsec_x"})

    def test_duplicate(self, box: Box, receiver: Receiver) -> None:
        box.fault(target="webhook", kind="duplicate", copies=3)
        box.post("/v1/customers", "")
        box.quiet()
        assert len({item.event["id"] for item in receiver.got}) == 1
        assert len(receiver.got) == 3

    def test_delay(self, box: Box, receiver: Receiver) -> None:
        box.fault(target="webhook", kind="delay", delay_s=60, type="customer.*")
        box.post("/v1/customers", "")
        box.quiet()
        assert receiver.got == []
        box.advance(61)
        assert len(receiver.got) == 1

    def test_drop(self, box: Box, receiver: Receiver) -> None:
        box.fault(target="webhook", kind="drop")
        box.post("/v1/customers", "")
        box.post("/v1/customers", "")
        box.advance("4d")
        assert len(receiver.got) == 1
        assert len(box.event_types(delivery_success=False)) == 1

    def test_shuffle(self, box: Box, receiver: Receiver) -> None:
        box.fault(target="webhook", kind="shuffle", window_s=0.5, times=None, seed=3)
        ids = [box.post("/v1/customers", "").body["id"] for _ in range(12)]
        assert receiver.got == []
        box.advance(1)
        arrived = [item.event["data"]["object"]["id"] for item in receiver.got]
        assert sorted(arrived) == sorted(ids)
        assert arrived != ids

    def test_api_version(self, box: Box, receiver: Receiver) -> None:
        box.fault(target="webhook", kind="api_version", api_version=NEWEST, type="payment_intent.*")
        for _ in range(2):
            box.post("/v1/payment_intents", "amount=900&currency=usd")
        box.quiet()
        wrong, right = sorted(receiver.got, key=lambda item: item.event["created"], reverse=True)
        versions = {item.event["api_version"] for item in (wrong, right)}
        assert versions == {NEWEST, "2023-10-16"}

    def test_a_version_that_does_not_know_an_event_tells_none(self, receiver: Receiver) -> None:
        with running_box(api_version=NEWEST) as box:
            box.control("PUT", "/webhook_endpoints", {"url": receiver.url, "secret": "whsec_x"})
            box.fault(target="webhook", kind="api_version", api_version=OLDEST, type="invoice*", times=None)
            api = box.client(NEWEST).v1
            card: Any = {
                "payment_method": "pm_card_visa",
                "invoice_settings": {"default_payment_method": "pm_card_visa"},
            }
            price: Any = {"currency": "usd", "unit_amount": 900, "recurring": {"interval": "month"}}
            made = api.prices.create({**price, "product_data": {"name": "Basic"}})
            api.subscriptions.create({"customer": api.customers.create(card).id, "items": [{"price": made.id}]})
            box.quiet()
        versions = {item.event["type"]: item.event["api_version"] for item in receiver.got}
        assert (versions["invoice.paid"], versions["invoice_payment.paid"]) == (OLDEST, NEWEST)

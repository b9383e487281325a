"""The controls that only a sandbox has."""

import time

from contract.harness import NO_REDIRECTS, Box
from tallystick.sandbox.versions import NEWEST


def test_clock(box: Box) -> None:
    clock = box.control("GET", "/clock")
    assert clock["offset_s"] == 0
    assert abs(clock["now"] - time.time()) < 3
    moved = box.advance("40d")
    assert abs(moved["offset_s"] - 40 * 86400) < 3
    assert abs(moved["wall"] - time.time()) < 3
    to = moved["now"] + 1000
    assert abs(box.control("POST", "/clock/advance", {"to": to})["now"] - to) <= 1
    iso = "2030-01-01T00:00:00Z"
    assert abs(box.control("POST", "/clock/advance", {"to": iso})["now"] - 1893456000) <= 1
    for wrong in ('{"by": -5}', '{"to": 1}', "{}", '{"by": "soon"}', '{"by": 1, "to": 2}', "[]"):
        assert box.request("POST", "/_sandbox/clock/advance", wrong).status == 400, wrong


def test_advance_goes_through_due_moments_in_order(box: Box) -> None:
    api = box.client(NEWEST)
    params = {"amount": 3000, "currency": "usd", "confirm": True, "automatic_payment_methods": NO_REDIRECTS}
    api.v1.payment_intents.create({**params, "payment_method": "pm_card_visa", "capture_method": "manual"})
    dispute = api.v1.payment_intents.create({**params, "payment_method": "pm_card_createDispute"})
    moved = box.advance("30d")
    assert moved["steps"] >= 4
    events = box.client(NEWEST).v1.events.list({"limit": 100}).data[::-1]
    moments = [event.created for event in events]
    assert moments == sorted(moments)
    closed = next(event for event in events if event.type == "charge.dispute.closed")
    assert closed.created == closed.data.object["evidence_details"]["due_by"]
    assert closed.data.object["payment_intent"] == dispute.id


def test_settings(box: Box) -> None:
    changed = box.control("POST", "/settings", {"search_lag_s": 0.5, "first_retry_s": 3})
    assert (changed["search_lag_s"], changed["first_retry_s"]) == (0.5, 3)
    assert box.control("GET", "/settings") == changed
    for wrong in ('{"nope": 1}', '{"search_lag_s": "x"}'):
        assert box.request("POST", "/_sandbox/settings", wrong).status == 400


def test_requests_and_reset(box: Box) -> None:
    box.post("/v1/customers", "name=Secret", Idempotency_Key="k-1")
    box.request("GET", "/v1/nope")
    newest, older = box.control("GET", "/requests?limit=2")["data"]
    assert (newest["method"], newest["path"], newest["status"]) == ("GET", "/v1/nope", 404)
    assert (older["idempotency_key"], older["status"]) == ("k-1", 200)
    assert older["id"].startswith("req_")
    assert "Secret" not in str(older)
    account = box.client().v1.accounts.retrieve_current().id
    box.control("POST", "/reset")
    assert box.request("GET", "/v1/customers").body["data"] == []
    assert box.client().v1.accounts.retrieve_current().id != account
    assert box.control("GET", "/health")["status"] == "ok"

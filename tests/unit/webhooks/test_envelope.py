"""From a body to a row: lanes, order keys, and secrets."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tallystick.core.ids import lane_of
from tallystick.webhooks.envelope import read_envelope, without_secrets
from tallystick.webhooks.errors import NotAnEvent
from tallystick.webhooks.models import Envelope


def envelope(thing: Any, **event: Any) -> Envelope:
    previous = event.pop("previous", None)
    whole = {
        "id": "evt_1",
        "object": "event",
        "type": "some.thing",
        "created": 1_700_000_000,
        "data": {"object": thing, "previous_attributes": previous},
        **event,
    }
    return read_envelope(json.dumps(whole).encode(), "webhook")


PAYMENT = {
    "payment_intent": {"object": "payment_intent", "id": "pi_1", "customer": "cus_1"},
    "charge": {"object": "charge", "id": "ch_1", "payment_intent": "pi_1", "customer": "cus_1"},
    "refund": {"object": "refund", "id": "re_1", "payment_intent": "pi_1", "charge": "ch_1"},
    "dispute": {"object": "dispute", "id": "dp_1", "payment_intent": {"id": "pi_1", "object": "payment_intent"}},
}


def test_all_that_touches_a_payment_shares_lane_and_key() -> None:
    routes = {(found.lane, found.object_key) for found in map(envelope, PAYMENT.values())}
    assert routes == {(lane_of("pi_1", 16), "pi_1")}
    assert envelope(PAYMENT["refund"]).object_id == "re_1"


@pytest.mark.parametrize(
    ("thing", "lane_key", "object_key"),
    [
        ({"object": "charge", "id": "ch_1", "payment_intent": None, "customer": "cus_1"}, "ch_1", "ch_1"),
        ({"object": "refund", "id": "re_1", "charge": "ch_1"}, "ch_1", "ch_1"),
        ({"object": "dispute", "id": "dp_1", "charge": {"id": "ch_1"}, "payment_intent": None}, "ch_1", "ch_1"),
        ({"object": "refund", "id": "re_1"}, "re_1", "re_1"),
        ({"object": "customer", "id": "cus_1"}, "cus_1", "cus_1"),
        ({"object": "subscription", "id": "sub_1", "customer": "cus_1"}, "cus_1", "sub_1"),
        ({"object": "subscription", "id": "sub_1", "customer": {"id": "cus_1"}}, "cus_1", "sub_1"),
        ({"object": "invoice", "id": "in_1", "customer": "cus_1", "payment_intent": "pi_1"}, "cus_1", "in_1"),
        ({"object": "invoice", "customer": "cus_1"}, "cus_1", "evt_1"),
        ({"object": "invoice", "id": None, "customer": None}, "evt_1", "evt_1"),
        ({"object": "checkout.session", "id": "cs_1", "customer": None, "payment_intent": "pi_1"}, "pi_1", "cs_1"),
        ({"object": "product", "id": "prod_1"}, "prod_1", "prod_1"),
        ({"id": ["odd"], "customer": 7, "payment_intent": {}}, "evt_1", "evt_1"),
        ({}, "evt_1", "evt_1"),
    ],
)
def test_lanes_and_keys(thing: dict[str, Any], lane_key: str, object_key: str) -> None:
    found = envelope(thing)
    assert (found.lane, found.object_key) == (lane_of(lane_key, 16), object_key)


def test_a_detached_payment_method_stays_in_its_customers_lane() -> None:
    thing = {"object": "payment_method", "id": "pm_1", "customer": None}
    assert envelope(thing, previous={"customer": "cus_1"}).lane == lane_of("cus_1", 16)
    assert envelope(thing).lane == lane_of("pm_1", 16)


@pytest.mark.parametrize("request_part", [None, "req_old", {"id": None}, {"idempotency_key": None}, {}])
def test_the_request_may_have_any_shape_stripe_ever_gave_it(request_part: Any) -> None:
    assert envelope({"id": "x"}, request=request_part).request_idempotency_key is None


def test_the_requests_key_is_read() -> None:
    assert envelope({"id": "x"}, request={"id": "r", "idempotency_key": "k"}).request_idempotency_key == "k"


def test_a_thin_event_is_taken() -> None:
    thin = {
        "id": "evt_thin",
        "object": "v2.core.event",
        "type": "v2.core.account.updated",
        "created": "2026-01-02T03:04:05.000Z",
        "related_object": {"id": "acct_1", "type": "v2.core.account", "url": "/v2/core/accounts/acct_1"},
    }
    found = read_envelope(json.dumps(thin).encode(), "webhook")
    assert (found.stripe_event_id, found.created, found.object_key) == ("evt_thin", 1767323045, "evt_thin")


@pytest.mark.parametrize(
    "change",
    [
        {"id": ""},
        {"id": "evt 1"},
        {"id": "e" * 256},
        {"id": None},
        {"type": ""},
        {"type": 3},
        {"object": "charge"},
        {"created": "soon"},
        {"created": -1},
        {"created": 10**12},
        {"created": 1.5},
        {"data": None},
        {"data": {}},
        {"data": {"object": "ch_1"}},
    ],
)
def test_what_is_no_event_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(NotAnEvent):
        envelope({"id": "x"}, **change)


@given(st.binary(max_size=200))
def test_no_bytes_make_it_fail_otherwise(body: bytes) -> None:
    with pytest.raises(NotAnEvent):
        read_envelope(body, "webhook")


# The first text that Hypothesis makes builds its table of Unicode, which a busy machine takes its time for.
patient = settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)


@patient
@given(st.dictionaries(st.sampled_from(["id", "object", "customer", "payment_intent", "charge", "x"]), json_values))
def test_any_object_finds_a_lane_and_fits_the_columns(thing: dict[str, Any]) -> None:
    found = envelope(thing)
    assert 0 <= found.lane < 16
    for text in (found.object_key, found.object_id or "x"):
        assert 0 < len(text) <= 255
        assert "\x00" not in text


# Secrets


@patient
@given(json_values, st.text(), st.sampled_from([None, 2]), st.booleans())
def test_a_client_secret_is_taken_out_and_nothing_else_changes(
    other: Any, secret: str, indent: int | None, ascii_only: bool
) -> None:
    event = {"a": other, "data": {"client_secret": secret, "list": [{"client_secret": secret}], "z": other}}
    body = json.dumps(event, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    if b"_secret_" in body:
        return
    expected = {"a": other, "data": {"client_secret": None, "list": [{"client_secret": None}], "z": other}}
    assert json.loads(without_secrets(body)) == expected


@pytest.mark.parametrize(
    "secret",
    ['pi_1_secret_x", "amount": "1', "back\\slash", 'quote"', '\\"', "\\", "", "ünï", '\\\\"client_secret": "x'],
)
def test_no_secret_breaks_out_of_its_quotes(secret: str) -> None:
    body = json.dumps({"client_secret": secret, "amount": 5}).encode()
    assert json.loads(without_secrets(body)) == {"client_secret": None, "amount": 5}


@pytest.mark.parametrize(
    "text",
    ['say "client_secret": "x" aloud', "client_secret", '"client_secret": "', "a_secret", '\\"client_secret\\": \\"x'],
)
def test_a_text_that_only_speaks_of_secrets_is_left_alone(text: str) -> None:
    event = {"description": text, "client_secret": None, "list": ["client_secret", text]}
    assert json.loads(without_secrets(json.dumps(event).encode())) == event


@pytest.mark.parametrize(
    ("address", "left"),
    [
        (
            "https://hooks.stripe.com/redirect/authenticate/src_1?client_secret=src_client_secret_abc&slug=test_1",
            "https://hooks.stripe.com/redirect/authenticate/src_1?client_secret=&slug=test_1",
        ),
        (
            "https://hooks.stripe.com/3ds?payment_intent=pi_1&payment_intent_client_secret=pi_1_secret_ab%2Fc#top",
            "https://hooks.stripe.com/3ds?payment_intent=pi_1&payment_intent_client_secret=#top",
        ),
        (
            "https://example.com/go?to=https%3A%2F%2Fx%3Fclient_secret%3Dpi_1_secret_abc%26b%3D1",
            "https://example.com/go?to=https%3A%2F%2Fx%3Fclient_secret%3D%26b%3D1",
        ),
        ("https://example.com/pi_1_secret_abc/x", "https://example.com/[removed]/x"),
    ],
)
def test_secrets_in_addresses_are_taken_out(address: str, left: str) -> None:
    event = {"next_action": {"redirect_to_url": {"url": address, "return_url": None}}}
    for body in (json.dumps(event), json.dumps(event).replace("&", "\\u0026")):
        cleaned = json.loads(without_secrets(body.encode()))
        assert cleaned == {"next_action": {"redirect_to_url": {"url": left, "return_url": None}}}

"""The dashboard's JSON is JSON still, whatever is in it, and tells no secret; its words for spans and moments."""

import json
import re
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.sandbox.faults import ApiFault, EventFault, Fault, WebhookFault
from tallystick.sandbox.pages.dashboard_json import ids_in, pretty, without_secrets
from tallystick.sandbox.pages.dashboard_words import brief, fault_in_words, kind_name, span

KEYS = st.sampled_from(
    ["id", "created", "customer", "metadata", "url", "client_secret", "secret", "<b>", '"quoted"', ""]
)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**53), 2**53),
    st.text(),
    st.sampled_from(
        ["cus_12345678", "https://shop.test/?a=1&b=2", "</pre><script>", "pi_1_secret_abc", "javascript:alert(1)"]
    ),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=20,
)


@given(VALUES)
def test_it_reads_as_the_value_it_shows(value: object) -> None:
    shown = without_secrets(value)
    html = str(pretty(shown, {"cus_12345678"}, lambda object_id: f"/dashboard/objects/{object_id}"))
    assert set(re.findall(r"</?(\w+)", html)) <= {"a", "b", "i"}
    plain = re.sub(r" <i>[^<]*</i>|<[^>]+>", "", html)
    assert json.loads(unescape(plain)) == shown
    assert not re.search(r"_secret_[A-Za-z0-9]", html)
    assert "client_secret" not in html
    assert set(re.findall(r'href="([^:"]+):', html)) <= {"https", "http"}


def test_only_known_ids_and_addresses_lead_somewhere() -> None:
    value = {"id": "ch_12345678", "customer": "cus_12345678", "invoice": "in_12345678", "created": 1_800_000_000}
    assert set(ids_in(value)) == {"ch_12345678", "cus_12345678", "in_12345678"}
    html = pretty(value, {"ch_12345678", "cus_12345678"}, lambda object_id: f"/{object_id}")
    assert re.findall(r'href="([^"]+)"', html) == ["/cus_12345678"], "it does not lead to itself"
    assert "<i>15 Jan 2027, 08:00:00</i>" in html


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59, "59 s"), (3599.5, "1 h"), (40 * 86400 - 4, "40 d"), (90061, "1 d 1 h"), (-600, "10 min")],
)
def test_a_span_in_words(seconds: float, words: str) -> None:
    assert span(seconds) == words


def test_a_moment_as_far_as_it_differs() -> None:
    now = 1_795_687_200  # 26 Nov 2026, 10:00
    assert brief(now - 60, now) == "09:59:00"
    assert brief(now - 86400, now) == "25 Nov, 10:00:00"
    assert brief(now - 366 * 86400, now) == "25 Nov 2025, 10:00:00"


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (
            ApiFault(kind="status", status=500, when="after", method="POST", path="/v1/refunds"),
            "POST requests to /v1/refunds are answered 500 after they were done",
        ),
        (ApiFault(kind="slow", delay_s=1), "Requests to /v1/* are answered 1 second late"),
        (WebhookFault(kind="drop", type="charge.*"), "Events charge.* never come"),
        (EventFault(kind="late", delay_s=30), "All events are missing from the list for 30 seconds"),
    ],
)
def test_a_fault_is_a_sentence(rule: Fault, words: str) -> None:
    assert fault_in_words(rule) == words


def test_kinds_have_names() -> None:
    assert kind_name("checkout.session", many=True) == "Checkout sessions"
    assert kind_name("invoiceitem") == "Invoice item"
    assert kind_name("test_helpers.test_clock", many=True) == "Test clocks"

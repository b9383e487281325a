"""What is taken out of Stripe's objects, and what stands: by name at any depth, by value while it is known."""

from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from tallystick.payments.models import IntentFacts
from tallystick.privacy.places import BY_STRIPE_ID, PLACES
from tallystick.privacy.redaction import Redaction, known_values, mask, redact, redact_fact, told_values
from tallystick.stripe_gateway.objects import PaymentIntent
from tallystick.stripe_gateway.ordering import Source

LATE = Redaction("erased:1")
KNOWN = Redaction("erased:1", "7", known_values(["Ann Example", "ann@example.com", "+49301234567", "Al", "card"]))

TELLING = [
    "name", "email", "phone", "address", "shipping", "receipt_email", "customer_email", "customer_name",
    "customer_address", "customer_phone", "description", "ip_address", "customer_purchase_ip", "individual_name",
    "verified_name", "hosted_invoice_url", "fingerprint", "return_url",
]  # fmt: skip
STANDING = [
    "id", "object_id", "amount", "currency", "status", "created", "tax", "total", "number", "payment_intent", "charge",
    "latest_charge", "brand", "reason", "livemode",
]  # fmt: skip

SECRET = "Wilhelmina"
shells: st.SearchStrategy[dict[str, Any]] = st.recursive(
    st.builds(dict),
    lambda inner: st.one_of(
        st.dictionaries(st.sampled_from(["data", "object_", "charges", "previous_attributes", "card"]), inner),
        st.lists(inner, max_size=3).map(lambda items: {"items": items}),
    ),
    max_leaves=6,
)


def places_in(content: Any) -> list[dict[str, Any]]:
    found = [content] if isinstance(content, dict) else []
    for item in content.values() if isinstance(content, dict) else content if isinstance(content, list) else []:
        found += places_in(item)
    return found


@given(shells, st.sampled_from(TELLING), st.sampled_from(STANDING), st.integers(0, 20))
def test_names_go_and_figures_stand_at_any_depth(shell: dict[str, Any], telling: str, standing: str, at: int) -> None:
    content = deepcopy(shell)
    nest = places_in(content)
    place = nest[at % len(nest)]
    place[telling] = {"deep": SECRET} if at % 2 else SECRET
    place[standing] = "stands"
    clean = redact(content, LATE)
    assert SECRET not in str(clean)
    assert str(clean).count("stands") == 1
    # The same shape: what was there is there, if only as null.
    assert [sorted(one) for one in places_in(clean) if standing in one] == [sorted(place)]
    assert redact(clean, LATE) == clean


def test_metadata_keeps_ours_and_names_the_pseudonym() -> None:
    metadata = {"tallystick_user": "7", "tallystick_payment": "p", "order": "12", "contact": "Ann Example"}
    assert redact({"metadata": metadata}, LATE) == {
        "metadata": {"tallystick_user": "erased:1", "tallystick_payment": "p"}
    }
    assert redact({"metadata": {"tallystick_user": "8"}}, KNOWN) == {"metadata": {"tallystick_user": "8"}}


def test_what_was_sold_stands() -> None:
    line = {
        "object": "line_item",
        "description": "1 × Gold",
        "amount": 5,
        "price": {"object": "price", "nickname": "G"},
    }
    assert redact({"lines": {"data": [line]}}, LATE) == {"lines": {"data": [line]}}
    product = {"object": "product", "name": "Gold", "description": "shiny", "metadata": {"a": "b"}}
    assert redact(product, LATE) == {**product, "metadata": {}}


def test_a_card_keeps_brand_and_last_digits() -> None:
    card = {"brand": "visa", "last4": "4242", "exp_month": 12, "exp_year": 2034, "country": "DE", "fingerprint": "x"}
    clean = redact({"card": card}, LATE)["card"]
    assert {name: value for name, value in clean.items() if value is not None} == {"brand": "visa", "last4": "4242"}


def test_what_is_known_is_found_in_free_text_and_ids_stay_whole() -> None:
    said = {"note": "for Ann Example (ANN@EXAMPLE.COM), call +49301234567", "type": "card", "id": "pi_Ann ExampleX"}
    assert redact(said, KNOWN) == {
        "note": "for [erased] ([erased]), call [erased]", "type": "card", "id": "pi_Ann ExampleX",
    }  # fmt: skip
    assert redact({"error": "no mailbox bob@example.org"}, LATE) == {"error": "no mailbox [erased]"}
    assert KNOWN.text("user:7") == "user:erased:1"
    assert KNOWN.text("7 of 7") == "7 of 7"


def test_what_only_mentions_somebody_keeps_the_rest() -> None:
    work = {"user": "7", "name": "retry", "other": {"user": "8"}, "facts": ["Ann Example", 7]}
    assert mask(work, KNOWN) == {
        "user": "erased:1", "name": "retry", "other": {"user": "8"}, "facts": ["[erased]", 7],
    }  # fmt: skip


def test_what_an_object_tells_is_collected() -> None:
    told = told_values({"data": {"object": {"name": "Ann Example", "address": {"line1": "High St 1", "city": "X"}}}})
    assert sorted(told) == ["Ann Example", "High St 1"]


def test_a_fact_as_it_may_be_recorded() -> None:
    at = datetime(2026, 11, 20, tzinfo=UTC)
    intent = PaymentIntent(
        id="pi_1", amount=5, currency="usd", status="succeeded", created=at, description="for Ann",
        metadata={"order": "1", "tallystick_user": "7"},
    )  # fmt: skip
    clean = redact_fact(IntentFacts(intent, Source("fetch", at)), LATE).value
    assert (clean.amount, clean.description, clean.metadata) == (5, None, {"tallystick_user": "erased:1"})
    assert clean.customer is UNSET


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.table)
def test_every_place_says_what_becomes_of_it(place: Any) -> None:
    assert place.delete or place.json or place.texts or place.sets
    assert BY_STRIPE_ID.get(place.by or "", place) is place

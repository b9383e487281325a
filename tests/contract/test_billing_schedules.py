"""Subscription schedules: a change that waits for the end of the period."""

import pytest
import stripe

from contract.billing_flows import customer, items, price, refused
from contract.harness import VERSIONS, Box, Json, Sdk


@pytest.fixture(params=VERSIONS)
def api(request: pytest.FixtureRequest, box: Box) -> Sdk:
    return box.client(request.param)


def scheduled(api: Sdk, subscription: str, *phases: Json, **more: object) -> str:
    """A schedule over the subscription: its present phase, then these."""
    schedule = api.v1.subscription_schedules.create({"from_subscription": subscription})
    first = schedule.phases[0]
    present: Json = {
        "start_date": first.start_date,
        "end_date": first.end_date,
        "items": [{"price": item.price, "quantity": item.quantity} for item in first["items"]],
    }
    api.v1.subscription_schedules.update(schedule.id, {"phases": [present, *phases], **more})
    made: str = schedule.id
    return made


def test_a_downgrade_waits_for_the_renewal_and_is_billed_by_it(box: Box, api: Sdk) -> None:
    gold, silver = price(api, 3000), price(api, 1000, name="Silver")
    made = api.v1.subscriptions.create({"customer": customer(api), "items": [{"price": gold}]})
    schedule = scheduled(api, made.id, {"items": [{"price": silver, "quantity": 2}], "proration_behavior": "none"})
    found = api.v1.subscriptions.retrieve(made.id)
    assert (found.schedule, items(found)[0].price.id) == (schedule, gold)
    refused(api.v1.subscriptions.update, made.id, {"cancel_at_period_end": True})
    box.advance("32d")
    found = api.v1.subscriptions.retrieve(made.id, {"expand": ["latest_invoice"]})
    item = items(found)[0]
    assert (item.id, item.price.id, item.quantity) == (items(made)[0].id, silver, 2)
    assert (found.latest_invoice.total, found.latest_invoice.status) == (2000, "paid")
    assert len(found.latest_invoice.lines.data) == 1
    box.advance("31d")
    found = api.v1.subscriptions.retrieve(made.id)
    assert (found.schedule, found.status) == (None, "active")
    assert api.v1.subscription_schedules.retrieve(schedule).status == "completed"
    assert api.v1.events.list({"type": "subscription_schedule.completed"}).data


def test_an_interval_changes_at_the_period_end(box: Box, api: Sdk) -> None:
    monthly = price(api, 1000)
    yearly = price(api, 9000, name="Yearly", recurring={"interval": "year"})
    made = api.v1.subscriptions.create({"customer": customer(api), "items": [{"price": monthly}]})
    scheduled(api, made.id, {"items": [{"price": yearly}]})
    box.advance("40d")
    found = api.v1.subscriptions.retrieve(made.id, {"expand": ["latest_invoice"]})
    assert items(found)[0].price.id == yearly
    assert found.latest_invoice.total == 9000
    invoices = api.v1.invoices.list({"subscription": made.id}).data
    assert [invoice.total for invoice in invoices] == [9000, 1000]


def test_a_trial_lasts_where_the_present_phase_is_given_with_it(api: Sdk) -> None:
    """Stripe unsets what an existing phase had and is not given again."""
    gold, silver = price(api, 3000), price(api, 1000, name="Silver")
    for named, status in ((True, "trialing"), (False, "active")):
        made = api.v1.subscriptions.create(
            {"customer": customer(api), "items": [{"price": gold}], "trial_period_days": 7}
        )
        schedule = api.v1.subscription_schedules.create({"from_subscription": made.id})
        first = schedule.phases[0]
        assert first.trial_end == made.trial_end == first.end_date
        present: Json = {"start_date": first.start_date, "end_date": first.end_date, "items": [{"price": gold}]}
        if named:
            present["trial_end"] = first.trial_end
        later = {"items": [{"price": silver}], "proration_behavior": "none"}
        changed = api.v1.subscription_schedules.update(schedule.id, {"phases": [present, later]})
        assert changed.phases[0].trial_end == (made.trial_end if named else None)
        assert api.v1.subscriptions.retrieve(made.id).status == status
    present["trial_end"] = first.end_date + 5
    refused(api.v1.subscription_schedules.update, schedule.id, {"phases": [present, later]})


def test_release_keeps_the_subscription_and_cancel_ends_it(box: Box, api: Sdk) -> None:
    gold, silver = price(api, 3000), price(api, 1000, name="Silver")
    made = api.v1.subscriptions.create({"customer": customer(api), "items": [{"price": gold}]})
    schedule = scheduled(api, made.id, {"items": [{"price": silver}]})
    released = api.v1.subscription_schedules.release(schedule)
    assert (released.status, released.released_subscription, released.subscription) == ("released", made.id, None)
    refused(api.v1.subscription_schedules.release, schedule)
    box.advance("32d")
    found = api.v1.subscriptions.retrieve(made.id)
    assert (found.schedule, items(found)[0].price.id) == (None, gold)
    another = scheduled(api, made.id, {"items": [{"price": silver}]})
    api.v1.subscription_schedules.cancel(another)
    assert api.v1.subscriptions.retrieve(made.id).status == "canceled"


def test_a_subscription_that_ends_takes_its_schedule_along(api: Sdk) -> None:
    made = api.v1.subscriptions.create({"customer": customer(api), "items": [{"price": price(api)}]})
    schedule = scheduled(api, made.id, {"items": [{"price": price(api, 500)}]})
    api.v1.subscriptions.cancel(made.id)
    assert api.v1.subscription_schedules.retrieve(schedule).status == "canceled"


def test_what_cannot_be_scheduled(api: Sdk) -> None:
    buyer = customer(api)
    made = api.v1.subscriptions.create({"customer": buyer, "items": [{"price": price(api)}]})
    schedule = api.v1.subscription_schedules.create({"from_subscription": made.id})
    with pytest.raises(stripe.InvalidRequestError, match="already attached"):
        api.v1.subscription_schedules.create({"from_subscription": made.id})
    first = schedule.phases[0]
    present: Json = {"items": [{"price": first["items"][0].price}], "end_date": first.end_date}
    for wrong in (
        {"items": [{"price": price(api, currency="eur")}]},
        {"items": [{"price": "price_none"}]},
        {"items": [{"price": price(api)}], "end_date": first.end_date - 5},
        {"items": [{"price": price(api)}], "start_date": first.end_date + 5},
    ):
        refused(api.v1.subscription_schedules.update, schedule.id, {"phases": [present, wrong]})
    one_time = api.v1.prices.create(
        {"product": api.v1.products.create({"name": "Once"}).id, "currency": "usd", "unit_amount": 5}
    )
    refused(
        api.v1.subscription_schedules.update, schedule.id, {"phases": [present, {"items": [{"price": one_time.id}]}]}
    )
    ended = api.v1.subscriptions.create({"customer": buyer, "items": [{"price": price(api)}]})
    api.v1.subscriptions.cancel(ended.id)
    refused(api.v1.subscription_schedules.create, {"from_subscription": ended.id})
    listed = api.v1.subscription_schedules.list({"customer": buyer}).data
    assert [found.id for found in listed] == [schedule.id]

"""Events and their delivery: signed, in the endpoint's version, repeated, and never lost."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
from pathlib import Path
from typing import Any

import pytest
import stripe

from contract.harness import NO_REDIRECTS, Box, Receiver, Sdk, free_port, running_box, running_receiver
from tallystick.sandbox.versions import NEWEST, OLDEST


def listen(box: Box, receiver: Receiver, **more: Any) -> Any:
    return box.client(NEWEST).v1.webhook_endpoints.create({"url": receiver.url, "enabled_events": ["*"], **more})


def pay(api: Sdk, **more: Any) -> Any:
    return api.v1.payment_intents.create(
        {"amount": 3000, "currency": "usd", "payment_method": "pm_card_visa", "confirm": True,
         "automatic_payment_methods": NO_REDIRECTS, **more}
    )  # fmt: skip


class TestEvents:
    def test_sequence_of_a_payment(self, box: Box) -> None:
        api = box.client(NEWEST)
        intent = pay(api)
        box.advance(2)
        assert box.event_types() == [
            "payment_intent.created", "charge.succeeded", "payment_intent.succeeded", "charge.updated",
        ]  # fmt: skip
        updated, succeeded = api.v1.events.list({"limit": 2}).data
        assert updated.data.previous_attributes.to_dict() == {"balance_transaction": None}
        assert updated.request.id is None
        assert succeeded.request.id.startswith("req_")
        assert len(succeeded.request.idempotency_key) == 36
        assert succeeded.data.object["id"] == intent.id
        created = api.v1.events.list({"type": "payment_intent.created"}).data[0]
        assert created.data.object["status"] == "requires_payment_method"

    def test_the_key_of_the_request_is_noted(self, box: Box) -> None:
        box.post("/v1/customers", "", Idempotency_Key="mine-1")
        event = box.request("GET", "/v1/events").body["data"][0]
        assert event["request"]["idempotency_key"] == "mine-1"
        assert list(event) == [
            "id", "object", "api_version", "created", "data", "livemode", "pending_webhooks", "request", "type",
        ]  # fmt: skip
        box.request("DELETE", f"/v1/customers/{event['data']['object']['id']}")
        deleted = box.request("GET", "/v1/events").body["data"][0]
        assert deleted["request"]["idempotency_key"] is None

    def test_filters(self, box: Box) -> None:
        api = box.client(NEWEST)
        pay(api)
        api.v1.customers.create({})
        assert box.event_types(type="charge.*") == ["charge.succeeded"]
        assert box.event_types(type="charge.succeeded") == ["charge.succeeded"]
        assert box.event_types(types=["customer.created", "charge.succeeded"]) == [
            "charge.succeeded",
            "customer.created",
        ]
        assert box.event_types(type="nothing.*") == []
        both = box.request("GET", "/v1/events?type=a&types[]=b")
        assert both.status == 400
        cursor = api.v1.events.list({"limit": 1}).data[0].id
        assert "customer.created" not in box.event_types(starting_after=cursor)
        assert box.event_types(ending_before=cursor) == []

    def test_thirty_days(self, box: Box) -> None:
        api = box.client(NEWEST)
        api.v1.customers.create({})
        event = api.v1.events.list().data[0]
        box.advance("29d")
        assert api.v1.events.retrieve(event.id).id == event.id
        box.advance("2d")
        assert list(api.v1.events.list().data) == []
        with pytest.raises(stripe.InvalidRequestError):
            api.v1.events.retrieve(event.id)
        api.v1.customers.create({})
        assert box.event_types() == ["customer.created"]

    def test_events_keep_the_version_they_happened_in(self, box: Box) -> None:
        api = box.client(NEWEST)
        api.v1.payment_intents.create({"amount": 500, "currency": "usd"})
        event = api.v1.events.list().data[0]
        assert event.api_version == OLDEST
        assert "invoice" in event.data.object.to_dict()
        box.control("POST", "/settings", {"api_version": NEWEST})
        api.v1.payment_intents.create({"amount": 500, "currency": "usd"})
        newer, older = box.client(OLDEST).v1.events.list().data
        assert (newer.api_version, older.api_version) == (NEWEST, OLDEST)
        assert "invoice" not in newer.data.object.to_dict()


class TestDelivery:
    def test_signed_and_pretty_in_both_versions(self, box: Box, receiver: Receiver) -> None:
        with running_receiver() as newer:
            old = listen(box, receiver)
            new = listen(box, newer, api_version=NEWEST)
            assert old.secret.startswith("whsec_")
            pay(box.client(NEWEST))
            box.quiet()
            for endpoint, got, version in ((old, receiver.got, OLDEST), (new, newer.got, NEWEST)):
                assert len(got) == 4
                for item in got:
                    event = stripe.Webhook.construct_event(item.body, item.headers["stripe-signature"], endpoint.secret)
                    assert event.api_version == version
                    assert item.body.startswith(b'{\n  "id": "evt_')
                    assert item.headers["content-type"] == "application/json; charset=utf-8"
                    assert item.headers["user-agent"] == "Stripe/1.0 (+https://stripe.com/docs/webhooks)"
                    assert abs(int(item.headers["stripe-signature"][2:].split(",")[0]) - item.at) < 2
        ours, theirs = receiver.of_type("payment_intent.succeeded")[0], newer.of_type("payment_intent.succeeded")[0]
        assert ours.event["id"] == theirs.event["id"]
        assert "invoice" in ours.event["data"]["object"]
        assert "invoice" not in theirs.event["data"]["object"]
        assert ours.event["pending_webhooks"] == 2
        assert "secret" not in box.client(NEWEST).v1.webhook_endpoints.retrieve(old.id).to_dict()

    def test_only_what_was_asked_for(self, box: Box, receiver: Receiver) -> None:
        listen(box, receiver, enabled_events=["charge.succeeded"])
        pay(box.client(NEWEST))
        box.quiet()
        assert receiver.types() == ["charge.succeeded"]

    def test_repeated_after_a_500_with_a_fresh_signature(self, box: Box, receiver: Receiver) -> None:
        box.control("POST", "/settings", {"first_retry_s": 1.2})
        endpoint = listen(box, receiver)
        receiver.answers = [500, 301]
        api = box.client(NEWEST)
        api.v1.customers.create({})
        box.quiet()
        event = api.v1.events.list().data[0]
        assert event.pending_webhooks == 1
        assert box.event_types(delivery_success=False) == ["customer.created"]
        assert box.event_types(delivery_success=True) == []
        time.sleep(1.3)  # signatures tell wall time, in seconds
        box.advance(11)
        assert len(receiver.got) == 3
        assert {item.event["id"] for item in receiver.got} == {event.id}
        signatures = {item.headers["stripe-signature"] for item in receiver.got}
        assert len(signatures) >= 2
        for item in receiver.got:
            stripe.Webhook.construct_event(item.body, item.headers["stripe-signature"], endpoint.secret)
        assert api.v1.events.retrieve(event.id).pending_webhooks == 0
        assert box.event_types(delivery_success=True) == ["customer.created"]
        tries = box.control("GET", f"/events/{event.id}/deliveries")["data"][0]["tries"]
        assert [item["status"] for item in tries] == [500, 301, 200]

    def test_gives_up_after_three_days(self, box: Box, receiver: Receiver) -> None:
        listen(box, receiver)
        receiver.answers = [500] * 50
        box.client(NEWEST).v1.customers.create({})
        box.advance("2d")
        so_far = len(receiver.got)
        assert 9 <= so_far <= 13
        box.advance("5d")
        assert so_far < len(receiver.got) < 20
        box.advance("20d")
        event = box.client(NEWEST).v1.events.list().data[0]
        delivery = box.control("GET", f"/events/{event.id}/deliveries")["data"][0]
        assert delivery["state"] == "failed"
        assert delivery["tries"][-1]["at"] - delivery["tries"][0]["at"] <= 3 * 86400

    def test_no_more_tries_to_a_deleted_or_disabled_endpoint(self, box: Box, receiver: Receiver) -> None:
        api = box.client(NEWEST)
        endpoint = listen(box, receiver)
        receiver.answers = [500]
        api.v1.customers.create({})
        box.quiet()
        api.v1.webhook_endpoints.update(endpoint.id, {"disabled": True})
        box.advance("1h")
        assert len(receiver.got) == 1
        api.v1.webhook_endpoints.update(endpoint.id, {"disabled": False})
        box.advance("1h")
        assert len(receiver.got) == 2
        receiver.answers = [500]
        api.v1.customers.create({})
        box.quiet()
        assert api.v1.webhook_endpoints.delete(endpoint.id).deleted
        box.advance("1d")
        assert len(receiver.got) == 3

    def test_many_at_a_time(self, box: Box, receiver: Receiver) -> None:
        listen(box, receiver)
        receiver.delay_s = 0.1
        for _ in range(40):
            box.post("/v1/customers", "")
        box.quiet()
        assert len(receiver.got) == 40
        assert 8 <= receiver.peak <= 16

    def test_upsert_with_a_given_secret(self, box: Box, receiver: Receiver) -> None:
        wanted = {"url": receiver.url, "secret": "whsec_mine", "description": "dev", "api_version": NEWEST}
        first = box.control("PUT", "/webhook_endpoints", wanted)
        again = box.control("PUT", "/webhook_endpoints", {**wanted, "secret": "whsec_next"})
        assert first["id"] == again["id"]
        assert (first["secret"], again["secret"]) == ("whsec_mine", "whsec_next")
        assert first["enabled_events"] == ["*"]
        assert len(box.client(NEWEST).v1.webhook_endpoints.list().data) == 1
        box.post("/v1/customers", "")
        box.quiet()
        item = receiver.got[0]
        event = stripe.Webhook.construct_event(item.body, item.headers["stripe-signature"], "whsec_next")
        assert event.api_version == NEWEST

    def test_resend(self, box: Box, receiver: Receiver) -> None:
        listen(box, receiver)
        box.post("/v1/customers", "")
        box.quiet()
        event = receiver.got[0].event
        assert box.control("POST", f"/events/{event['id']}/resend") == {"deliveries": 1}
        box.quiet()
        assert [item.event["id"] for item in receiver.got] == [event["id"]] * 2


class TestRestart:
    def test_state_and_pending_deliveries_survive(self, tmp_path: Path) -> None:
        database, port = str(tmp_path / "box.sqlite3"), free_port()
        with running_box(database) as box:
            api = box.client(NEWEST)
            api.v1.webhook_endpoints.create({"url": f"http://127.0.0.1:{port}/hook", "enabled_events": ["*"]})
            intent = pay(api, capture_method="manual")
            box.control("POST", "/settings", {"search_lag_s": 9})
            box.advance("2d")
            account = api.v1.accounts.retrieve_current().id
        with running_receiver(port) as receiver, running_box(database) as box:
            api = box.client(NEWEST)
            assert api.v1.accounts.retrieve_current().id == account
            assert api.v1.payment_intents.retrieve(intent.id).status == "requires_capture"
            assert box.control("GET", "/settings")["search_lag_s"] == 9
            assert abs(box.control("GET", "/clock")["offset_s"] - 2 * 86400) < 5
            box.advance("1d")
            assert sorted(receiver.types()) == [
                "charge.succeeded", "payment_intent.amount_capturable_updated", "payment_intent.created",
            ]  # fmt: skip
            box.advance("5d")
            assert api.v1.payment_intents.retrieve(intent.id).status == "canceled"

    def test_killed_in_the_middle(self, tmp_path: Path) -> None:
        """Every answered payment has its events after kill -9, and they all arrive."""
        database, port = str(tmp_path / "box.sqlite3"), free_port()
        sandbox = start_process(database, port)
        paid: list[str] = []
        try:
            with running_receiver() as receiver:
                receiver.delay_s = 0.05
                box = Box(f"http://127.0.0.1:{port}", port)
                listen(box, receiver)
                end = time.monotonic() + 0.7
                while time.monotonic() < end:
                    paid.append(pay(box.client(NEWEST)).id)
                os.kill(sandbox.pid, signal.SIGKILL)
                sandbox.wait(10)
                sandbox = start_process(database, port)
                box.quiet()
                ours = {item.event["data"]["object"]["id"] for item in receiver.of_type("payment_intent.succeeded")}
                assert len(paid) > 3
                assert set(paid) <= ours
        finally:
            sandbox.kill()
            sandbox.wait(10)


def start_process(database: str, port: int) -> subprocess.Popen[bytes]:
    """`python -m tallystick.sandbox`, ready to answer."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tallystick.sandbox", "--port", str(port), "--database", database]
    )
    box = Box(f"http://127.0.0.1:{port}", port)
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            box.control("GET", "/health")
            return process
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.02)
    raise TimeoutError("the sandbox did not start")

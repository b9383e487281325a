"""One life of a subscription at a real sandbox: all its events, and the answers of the requests that made them."""

import json
import uuid
from dataclasses import dataclass, field
from typing import Any

from contract.billing_flows import SLOW_CARD, customer, items, price, use_card
from contract.harness import Box, running_box, running_hub

__all__ = ["INSTALLATION", "USER", "Answered", "Life", "live"]

Json = dict[str, Any]

INSTALLATION, USER = "default", "ann"


@dataclass
class Answered:
    """The answer to one request of ours, when it was given, and under which idempotency key."""

    key: str
    at: int
    value: Json


@dataclass
class Life:
    """What happened to one subscription, in the order in which it did."""

    version: str
    our_id: uuid.UUID
    customer: Json = field(default_factory=dict)
    events: list[Json] = field(default_factory=list)
    answers: list[Answered] = field(default_factory=list)
    last: Json = field(default_factory=dict)
    ended_at: int = 0


class _Liver:
    def __init__(self, box: Box, life: Life) -> None:
        self._box, self._life = box, life
        self.api = box.client(life.version)
        self.id = ""

    def ours(self, path: str, **params: Any) -> Json:
        """A request of ours, whose answer is remembered."""
        key = f"tallystick-{uuid.uuid4()}"
        response = self.api.raw_request("post", path, idempotency_key=key, **params)
        value: Json = json.loads(str(self.api.deserialize(response, api_mode="V1")))
        self._life.answers.append(Answered(key, self.now(), value))
        return value

    def update(self, **params: Any) -> None:
        self.ours(f"/v1/subscriptions/{self.id}", **params)

    def elsewhere(self, **params: Any) -> None:
        """The same in the dashboard."""
        self.api.v1.subscriptions.update(self.id, params)

    def now(self) -> int:
        return int(self._box.control("GET", "/clock")["now"])

    def to(self, by: str) -> None:
        self._box.advance(by)


def live(version: str, *, to_the_end: bool) -> Life:
    """A trial, an upgrade, pauses, a renewal that fails and recovers, a cancellation that is undone; and its end.

    Not to the end, it stops in a second in which the same fields have changed to and fro.
    """
    life = Life(version, uuid.uuid4())
    with running_box(api_version=version) as box, running_hub() as hub:
        receiver = hub.add("/hook")
        box.control("PUT", "/webhook_endpoints", {"url": receiver.url, "secret": "whsec_x", "api_version": version})
        liver = _Liver(box, life)
        _live(liver, life)
        if to_the_end:
            liver.to("40d")
        box.quiet()
        events = {item.event["id"]: item.event for item in receiver.got}
        life.last = json.loads(str(liver.api.v1.subscriptions.retrieve(liver.id)))
        life.customer = json.loads(str(liver.api.v1.customers.retrieve(life.last["customer"])))
        life.ended_at = liver.now() + 1
    ordered = sorted(events.values(), key=lambda event: int(event["created"]))
    life.events = [event for event in ordered if event["data"]["object"].get("id") == liver.id]
    return life


def _live(liver: _Liver, life: Life) -> None:
    api = liver.api
    buyer = customer(api)
    silver, gold = price(api, 500, name="Silver"), price(api)
    metadata = {
        "tallystick_installation": INSTALLATION,
        "tallystick_user": USER,
        "tallystick_subscription": str(life.our_id),
    }
    made = liver.ours(
        "/v1/subscriptions", customer=buyer, items=[{"price": silver}], trial_period_days=5, metadata=metadata
    )
    liver.id = made["id"]
    item = items(made)[0]["id"]
    liver.to("6d")
    liver.update(items=[{"id": item, "price": gold}])
    liver.elsewhere(items=[{"id": item, "quantity": 3}], metadata={"note": "by hand"})
    liver.update(pause_collection={"behavior": "void"})
    liver.elsewhere(pause_collection="")
    use_card(api, buyer, SLOW_CARD)
    liver.to("33d")
    use_card(api, buyer, "pm_card_visa")
    liver.to("5d")
    liver.update(cancel_at_period_end=True, cancellation_details={"comment": "too dear"})
    liver.update(cancel_at_period_end=False)
    liver.update(default_payment_method=use_card(api, buyer, "pm_card_mastercard"))
    liver.elsewhere(cancel_at_period_end=True)

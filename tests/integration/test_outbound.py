"""Outbound webhooks and hooks: what the host application hears, over real HTTP, from the running worker."""

import asyncio
import json
import sys
import textwrap
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from system import MakeDatabase, System, free_port, running_system, serving, unique, until
from tallystick.app import create_worker
from tallystick.metrics.repository_health import HealthRepository
from tallystick.notifications import outbound
from tallystick.platform.database import Database

BASE = "/api/webhook-endpoints"
ADMIN: dict[str, Any] = {"user": "root", "roles": ("admin",)}


@dataclass
class Heard:
    """One request that a receiver got."""

    headers: dict[str, str]
    body: bytes
    path: str

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def fact(self) -> Any:
        return json.loads(self.body)

    @property
    def type(self) -> str:
        return str(self.fact["type"])

    @property
    def payment(self) -> str:
        return str(self.fact["data"]["payment"]["id"])


def _opened() -> asyncio.Event:
    gate = asyncio.Event()
    gate.set()
    return gate


@dataclass
class Receiver:
    """A host application's endpoint: `answer` says with what status, after how long, and not before `gate` is open."""

    url: str
    answer: Callable[[Heard], int] = lambda _: 204
    delay_s: float = 0
    body: bytes = b""
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    heard: list[Heard] = field(default_factory=list)
    within: int = 0
    most_within: int = 0
    gate: asyncio.Event = field(default_factory=_opened)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        heard = Heard({k.decode(): v.decode() for k, v in scope["headers"]}, body, scope["path"])
        self.heard.append(heard)
        self.within += 1
        self.most_within = max(self.within, self.most_within)
        await asyncio.sleep(self.delay_s)
        await self.gate.wait()
        self.within -= 1
        status = self.answer(heard)
        await send({"type": "http.response.start", "status": status, "headers": self.headers})
        await send({"type": "http.response.body", "body": self.body})

    def about(self, payment: str) -> list[Heard]:
        return [heard for heard in self.heard if heard.type != "webhook.test" and heard.payment == payment]


@dataclass
class Endpoint:
    """A receiver and the endpoint that leads to it."""

    id: str
    secret: str
    receiver: Receiver


@asynccontextmanager
async def listening(system: System, events: tuple[str, ...] = ("*",), **fields: Any) -> AsyncIterator[Endpoint]:
    port = free_port()
    receiver = Receiver(f"http://127.0.0.1:{port}/hear", **fields)
    async with serving(receiver, port):
        made = await system.call("POST", BASE, {"url": receiver.url, "events": list(events)}, **ADMIN)
        assert made.status == 201, made.body
        try:
            yield Endpoint(made.body["id"], made.body["secret"], receiver)
        finally:
            await system.call("DELETE", f"{BASE}/{made.body['id']}", **ADMIN)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries come at once; the rules of how long are others'."""
    monkeypatch.setattr(outbound, "_FIRST_DELAY", timedelta(milliseconds=50))


async def settled(system: System, endpoint: Endpoint, timeout_s: float = 15) -> None:
    """Wait until nothing is queued for an endpoint."""
    await system.quiet()
    for _ in range(int(timeout_s / 0.05)):
        if not await rows(system, endpoint, "queued"):
            return
        await asyncio.sleep(0.05)
    raise AssertionError(await rows(system, endpoint, "queued"))


async def rows(system: System, endpoint: Endpoint, state: str | None = None) -> Any:
    query = f"?limit=100&state={state}" if state else "?limit=100"
    return (await system.call("GET", f"{BASE}/{endpoint.id}/deliveries{query}", **ADMIN)).body["data"]


async def wait_for(system: System, endpoint: Endpoint, state: str, count: int = 1) -> Any:
    for _ in range(200):
        found = await rows(system, endpoint, state)
        if len(found) >= count:
            return found
        await asyncio.sleep(0.05)
    raise AssertionError(await rows(system, endpoint))


def verify(heard: Heard, secret: str) -> Any:
    return Webhook(secret).verify(heard.body, heard.headers)


async def test_every_fact_is_told_once_signed_and_in_order_however_stripe_tells_it(system: System) -> None:
    await system.fault(target="webhook", kind="duplicate", copies=3, times=None)
    await system.fault(target="webhook", kind="shuffle", window_s=0.3, times=None)
    ann = unique("ann")
    try:
        async with listening(system) as endpoint:
            paid = (await system.pay(user=ann, metadata={"order": "17"})).body
            refund = {"amount": 300}
            path = f"/api/payments/payment-intent/{paid['id']}/refund"
            refunded = (await system.call("POST", path, refund, user=ann)).body
            failed = (await system.pay("pm_card_visa_chargeDeclinedInsufficientFunds", user=ann)).body["payment"]["id"]
            canceled = (await system.call("POST", "/api/payments/payment-intent", {"amount": 900}, user=ann)).body["id"]
            await system.call("POST", f"/api/payments/payment-intent/{canceled}/cancel", {}, user=ann)
            await settled(system, endpoint)
            heard = endpoint.receiver.heard
            for one in heard:
                assert verify(one, endpoint.secret)["id"] == one.id
                assert one.fact["data"]["user"] == ann
                assert b"client_secret" not in one.body
            assert len({one.id for one in heard}) == len(heard)
            types = [one.type for one in endpoint.receiver.about(paid["id"])]
            assert types == ["payment.succeeded", "payment.refunded"]
            success, back = (one.fact["data"] for one in endpoint.receiver.about(paid["id"]))
            assert success["payment"]["status"] == "succeeded"
            assert success["payment"]["metadata"] == {"order": "17"}
            assert back["payment"]["amount_refunded"] == 300
            assert back["refund"]["id"] == refunded["id"]
            failures = endpoint.receiver.about(failed)
            assert [one.type for one in failures] == ["payment.failed"]
            assert failures[0].fact["data"]["failure"]["code"] == "INSUFFICIENT_FUNDS"
            assert [one.type for one in endpoint.receiver.about(canceled)] == ["payment.canceled"]
    finally:
        await system.sandbox("DELETE", "/_sandbox/faults")


async def test_three_d_secure_failed_refunds_and_disputes_are_told(system: System) -> None:
    ann = unique("ann")
    async with listening(system) as endpoint:
        asked = (await system.pay("pm_card_threeDSecure2Required", user=ann)).body
        await system.quiet()
        await system.authenticate(asked["stripe_payment_intent_id"])
        card = await system.card("4000000000005126")
        back = (await system.pay(card, user=ann)).body
        await system.call("POST", f"/api/payments/payment-intent/{back['id']}/refund", {}, user=ann)
        disputed = (await system.pay("pm_card_createDispute", user=ann)).body
        await system.quiet()
        intent = disputed["stripe_payment_intent_id"]
        dispute = (await system.stripe(f"/v1/disputes?payment_intent={intent}"))["data"][0]
        await system.stripe(f"/v1/disputes/{dispute['id']}/close", {})
        await settled(system, endpoint)

        def types(payment: str) -> list[str]:
            return [one.type for one in endpoint.receiver.about(payment)]

        assert types(asked["id"]) == ["payment.requires_action", "payment.succeeded"]
        assert types(back["id"]) == ["payment.succeeded", "payment.refunded", "refund.failed"]
        assert types(disputed["id"]) == ["payment.succeeded", "dispute.created", "dispute.closed"]
        assert endpoint.receiver.about(disputed["id"])[-1].fact["data"]["dispute"]["status"] == "lost"
        listed = (await system.call("GET", f"{BASE}/event-types", **ADMIN)).body["data"]
        examples = {type_["type"]: type_["example"] for type_ in listed}
        for heard in endpoint.receiver.heard:
            assert _shape(heard.fact) == _shape(examples[heard.type])


def _shape(fact: Any) -> Any:
    return {name: _shape(value) for name, value in fact.items() if name != "metadata"} if isinstance(fact, dict) else 0


async def test_what_was_made_elsewhere_is_not_told_and_only_chosen_types_are(system: System) -> None:
    async with listening(system, ("payment.refunded",)) as endpoint:
        data = {"amount": "500", "currency": "usd", "payment_method": "pm_card_visa", "confirm": "true"}
        foreign = await system.stripe("/v1/payment_intents", {**data, "return_url": "https://shop.test/"})
        await system.stripe("/v1/refunds", {"payment_intent": foreign["id"]})
        ann = unique("ann")
        paid = (await system.pay(user=ann)).body
        await system.stripe("/v1/refunds", {"payment_intent": paid["stripe_payment_intent_id"]})
        await settled(system, endpoint)
        assert [(one.type, one.payment) for one in endpoint.receiver.heard] == [("payment.refunded", paid["id"])]


async def test_a_later_fact_waits_for_the_earlier_one_and_other_objects_go_on(system: System) -> None:
    ann, held = unique("ann"), asyncio.Event()
    async with listening(system) as endpoint:
        first = (await system.pay(user=ann)).body["id"]
        await settled(system, endpoint)
        assert len(endpoint.receiver.about(first)) == 1
        endpoint.receiver.heard.clear()

        def answer(heard: Heard) -> int:
            return 500 if heard.payment == stuck and not held.is_set() else 200

        stuck = ""
        made = (await system.call("POST", "/api/payments/payment-intent", {"amount": 700}, user=ann)).body
        stuck, endpoint.receiver.answer = made["id"], answer
        path = f"/api/payments/payment-intent/{stuck}"
        await system.call("POST", f"{path}/confirm", {"payment_method": "pm_card_visa"}, user=ann)
        await system.call("POST", f"{path}/refund", {"amount": 100}, user=ann)
        other = (await system.pay(user=ann)).body["id"]
        await system.quiet()
        await until(lambda: endpoint.receiver.about(other), "the other payment is told")
        await until(lambda: len(endpoint.receiver.about(stuck)) >= 3, "it is tried again")
        assert {one.type for one in endpoint.receiver.about(stuck)} == {"payment.succeeded"}
        held.set()
        await settled(system, endpoint)
        told = endpoint.receiver.about(stuck)
        assert [one.type for one in told[-2:]] == ["payment.succeeded", "payment.refunded"]
        assert len({one.id for one in told}) == 2
        (row,) = [row for row in await rows(system, endpoint) if row["webhook_id"] == told[0].id]
        assert (row["state"], row["attempts"], row["response_status"]) == ("delivered", len(told) - 1, 200)


async def test_a_slow_receiver_holds_nobody_else_up(system: System) -> None:
    async with listening(system) as slow, listening(system) as fast:
        slow.receiver.gate.clear()
        payments = [(await system.pay(user=unique("ann"))).body["id"] for _ in range(8)]
        await until(lambda: all(fast.receiver.about(payment) for payment in payments), "the fast one has heard", 5)
        assert len(slow.receiver.heard) <= 4
        slow.receiver.gate.set()
        await settled(system, slow)
        assert slow.receiver.most_within <= 4
        assert sorted(one.payment for one in slow.receiver.heard) == sorted(payments)


async def test_after_a_day_a_delivery_is_dead_and_can_be_replayed(system: System) -> None:
    async with listening(system, answer=lambda _: 503, body=b"key sk_test_abcdef " + b"x" * 5000) as endpoint:
        paid = (await system.pay(user=unique("ann"))).body["id"]
        await until(lambda: len(endpoint.receiver.heard) > 1, "it is tried again")
        (waiting,) = await rows(system, endpoint, "queued")
        assert (waiting["error"], waiting["response_status"]) == ("answered 503", 503)
        assert "sk_test" not in waiting["response_body"]
        assert len(waiting["response_body"]) <= 1024
        await system.fetch("UPDATE outbound_deliveries SET first_tried_at = now() - interval '25 h'")
        (dead,) = await wait_for(system, endpoint, "dead")
        endpoint.receiver.answer = lambda _: 200
        replayed = await system.call("POST", f"{BASE}/{endpoint.id}/deliveries/{dead['id']}/replay", **ADMIN)
        assert (replayed.status, replayed.body["state"]) == (200, "queued")
        await settled(system, endpoint)
        assert {one.id for one in endpoint.receiver.about(paid)} == {dead["webhook_id"]}
        (done,) = await rows(system, endpoint)
        assert (done["state"], done["error"], done["payload"]["type"]) == ("delivered", None, "payment.succeeded")


async def test_the_day_ends_with_a_last_try(system: System) -> None:
    async with listening(system, answer=lambda _: 500) as endpoint:
        await system.stop_workers()
        try:
            outbound_delay = outbound._FIRST_DELAY
            outbound._FIRST_DELAY = timedelta(hours=1)
            await system.pay(user=unique("ann"))
            await system.fetch("UPDATE outbound_deliveries SET first_tried_at = now() - interval '23 h 30 min'")
        finally:
            system.start_worker()
        await until(lambda: endpoint.receiver.heard, "it is tried")
        for _ in range(100):
            left = await system.value(
                "SELECT not_before - first_tried_at FROM outbound_deliveries WHERE state = 'queued' AND attempts = 1"
            )
            if left:
                break
            await asyncio.sleep(0.05)
        outbound._FIRST_DELAY = outbound_delay
        assert left == timedelta(hours=24)


async def test_for_a_day_after_a_rotation_both_secrets_verify(system: System) -> None:
    async with listening(system) as endpoint:
        rotated = await system.call("POST", f"{BASE}/{endpoint.id}/rotate", **ADMIN)
        new = rotated.body["secret"]
        assert new.startswith("whsec_")
        assert new != endpoint.secret
        test = await system.call("POST", f"{BASE}/{endpoint.id}/test", **ADMIN)
        assert (test.status, test.body["type"]) == (200, "webhook.test")
        await settled(system, endpoint)
        (heard,) = endpoint.receiver.heard
        assert heard.headers["webhook-signature"].count("v1,") == 2
        for secret in (new, endpoint.secret):
            assert verify(heard, secret)["data"] == {"test": True}
        await system.fetch("UPDATE webhook_endpoints SET previous_secret_until = now() - interval '1 s'")
        await system.call("POST", f"{BASE}/{endpoint.id}/test", **ADMIN)
        await settled(system, endpoint)
        assert verify(endpoint.receiver.heard[-1], new)
        with pytest.raises(WebhookVerificationError):
            verify(endpoint.receiver.heard[-1], endpoint.secret)


async def test_a_redirect_is_not_followed(system: System) -> None:
    async with listening(system) as target:
        moved = [(b"location", target.receiver.url.encode())]
        async with listening(system, answer=lambda _: 307, headers=moved) as endpoint:
            await system.call("POST", f"{BASE}/{endpoint.id}/test", **ADMIN)
            await until(lambda: len(endpoint.receiver.heard) > 1, "it is tried again")
            (row,) = await rows(system, endpoint)
            assert row["error"] == "answered 307 (redirects are not followed)"
        assert target.receiver.heard == []


async def test_after_three_days_an_endpoint_is_switched_off_told_once_and_resumes(system: System) -> None:
    async with listening(system, answer=lambda _: 500) as endpoint:
        before = len(_alerts(system))
        for _ in range(3):
            await system.pay(user=unique("ann"))
        await until(lambda: len(endpoint.receiver.heard) > 3, "it is tried")
        assert (await system.call("GET", f"{BASE}/{endpoint.id}", **ADMIN)).body["enabled"] is True
        await system.fetch("UPDATE webhook_endpoints SET failing_since = failing_since - interval '3 days'")
        for _ in range(100):
            state = (await system.call("GET", f"{BASE}/{endpoint.id}", **ADMIN)).body
            if not state["enabled"]:
                break
            await asyncio.sleep(0.05)
        assert state["disabled_reason"] == "failing"
        await system.quiet()
        assert len(_alerts(system)) == before + 1
        refused = await system.call("POST", f"{BASE}/{endpoint.id}/test", **ADMIN)
        assert (refused.status, refused.code) == (409, "WEBHOOK_ENDPOINT_DISABLED")
        # What happens meanwhile waits with the rest.
        await system.pay(user=unique("ann"))
        await system.quiet()
        quiet_since = len(endpoint.receiver.heard)
        await asyncio.sleep(1.2)
        assert len(endpoint.receiver.heard) == quiet_since
        endpoint.receiver.answer = lambda _: 200
        on = await system.call("PUT", f"{BASE}/{endpoint.id}", {"enabled": True}, **ADMIN)
        assert (on.body["enabled"], on.body["disabled_reason"], on.body["failing_since"]) == (True, None, None)
        await settled(system, endpoint)
        assert [row["state"] for row in await rows(system, endpoint)] == ["delivered"] * 4


def _alerts(system: System) -> list[str]:
    return [mail.subject for mail in system.mails if "webhook" in mail.subject.lower()]


async def test_410_switches_an_endpoint_off_at_once(system: System) -> None:
    async with listening(system, answer=lambda _: 410) as endpoint:
        await system.call("POST", f"{BASE}/{endpoint.id}/test", **ADMIN)
        (dead,) = await wait_for(system, endpoint, "dead")
        assert dead["response_status"] == 410
        state = (await system.call("GET", f"{BASE}/{endpoint.id}", **ADMIN)).body
        assert (state["enabled"], state["disabled_reason"]) == (False, "gone")
        database = await Database.connect(system.database_url)
        try:
            async with database.connection() as connection:
                health = await HealthRepository().health(connection, now=system.now(), wall=system.now())
        finally:
            await database.close()
        assert health.endpoints_disabled == 1, "staff hear of it"
        await system.pay(user=unique("ann"))
        await system.quiet()
        assert len(await rows(system, endpoint)) == 1
        assert len(endpoint.receiver.heard) == 1


async def test_what_the_old_address_answers_is_not_held_against_the_new_one(system: System) -> None:
    async with (
        listening(system, answer=lambda _: 410) as old,
        listening(system, events=("refund.failed",)) as new,
    ):
        old.receiver.gate.clear()
        await system.call("POST", f"{BASE}/{old.id}/test", **ADMIN)
        await until(lambda: old.receiver.heard, "the old address has it")
        changed = await system.call("PUT", f"{BASE}/{old.id}", {"url": new.receiver.url}, **ADMIN)
        assert changed.status == 200, changed.body
        old.receiver.gate.set()
        await wait_for(system, old, "delivered")
        state = (await system.call("GET", f"{BASE}/{old.id}", **ADMIN)).body
        assert (state["enabled"], state["disabled_reason"]) == (True, None)
        assert [heard.id for heard in new.receiver.heard] == [old.receiver.heard[0].id]


async def test_a_new_address_begins_without_the_failures_of_the_old_one(system: System) -> None:
    failing = "SELECT failing_since FROM webhook_endpoints WHERE id = $1::uuid"
    async with listening(system, answer=lambda _: 500) as old, listening(system, events=("refund.failed",)) as new:
        await system.call("POST", f"{BASE}/{old.id}/test", **ADMIN)
        for _ in range(100):
            if await system.value(failing, old.id) is not None:
                break
            await asyncio.sleep(0.05)
        new.receiver.gate.clear()
        await system.call("PUT", f"{BASE}/{old.id}", {"url": new.receiver.url}, **ADMIN)
        await until(lambda: new.receiver.heard, "the new address has it")
        assert await system.value(failing, old.id) is None
        new.receiver.gate.set()
        await wait_for(system, old, "delivered")


async def test_a_worker_that_dies_in_the_middle_is_followed_by_one_with_the_same_id(system: System) -> None:
    async with listening(system, delay_s=5) as endpoint:
        await system.stop_workers()
        try:
            doomed = asyncio.create_task(create_worker(system.settings).run(asyncio.Event()))
            await system.call("POST", f"{BASE}/{endpoint.id}/test", **ADMIN)
            await until(lambda: endpoint.receiver.heard, "it is on its way")
            doomed.cancel()
            await asyncio.gather(doomed, return_exceptions=True)
        finally:
            endpoint.receiver.delay_s = 0
            system.start_worker()
        await asyncio.sleep(0.5)
        assert len(endpoint.receiver.heard) == 1
        await system.fetch(
            "UPDATE outbound_deliveries SET leased_until = now() - interval '1 s' WHERE state = 'queued'"
        )
        await settled(system, endpoint)
        first, second = endpoint.receiver.heard
        assert first.id == second.id
        assert first.body == second.body


async def test_two_workers_deliver_once(system: System) -> None:
    system.start_worker()
    async with listening(system, delay_s=0.02) as endpoint:
        await asyncio.gather(*(system.pay(user=unique("ann")) for _ in range(15)))
        await settled(system, endpoint)
        ids = [one.id for one in endpoint.receiver.heard]
        assert (len(ids), len(set(ids))) == (15, 15)


async def test_who_may_manage_and_who_may_look(system: System) -> None:
    body = {"url": "http://127.0.0.1:9/", "events": ["payment.failed"], "enabled": False}
    made = (await system.call("POST", BASE, body, user="backend", roles=("service",))).body
    assert made["secret"].startswith("whsec_")
    one = f"{BASE}/{made['id']}"
    reads = [BASE, f"{BASE}/event-types", one, f"{one}/deliveries"]
    writes = [("POST", BASE, body), ("PUT", one, {"enabled": False}), ("DELETE", one, None)]
    writes += [("POST", f"{one}/{verb}", None) for verb in ("rotate", "test", f"deliveries/{made['id']}/replay")]
    for path in reads:
        assert (await system.call("GET", path)).code == "FORBIDDEN"
        seen = await system.call("GET", path, user="sue", roles=("support",))
        assert seen.status == 200
        assert "whsec_" not in json.dumps(seen.body)
    for method, path, sent in writes:
        for roles in ((), ("support",)):
            refused = await system.call(method, path, sent, roles=roles)
            assert (refused.status, refused.code) == (403, "FORBIDDEN"), path
    assert (await system.call("DELETE", one, **ADMIN)).body == {
        "id": made["id"],
        "object": "webhook_endpoint",
        "deleted": True,
    }
    assert (await system.call("GET", one, **ADMIN)).status == 404
    assert await system.value("SELECT count(*) FROM webhook_endpoints WHERE deleted AND secret <> ''") == 0


@pytest.mark.parametrize(
    ("body", "code", "where"),
    [
        ({"url": "ftp://example.com/", "events": ["*"]}, "WEBHOOK_URL_REFUSED", "url"),
        ({"url": "https://a:b@example.com/", "events": ["*"]}, "WEBHOOK_URL_REFUSED", "url"),
        ({"url": "https://example.com:99999/", "events": ["*"]}, "WEBHOOK_URL_REFUSED", "url"),
        ({"url": "https://example.com/", "events": ["payment.eaten"]}, "EVENT_TYPE_UNKNOWN", "events"),
        ({"url": "https://example.com/", "events": []}, "INVALID_REQUEST", "events"),
        ({"url": "https://example.com/", "events": ["*"], "secret": "x"}, "INVALID_REQUEST", "secret"),
        ({"url": "https://example.com/", "events": ["*"], "description": "\0"}, "INVALID_REQUEST", "description"),
    ],
)
async def test_bad_input(system: System, body: Any, code: str, where: str) -> None:
    answer = await system.call("POST", BASE, body, **ADMIN)
    assert (answer.status, answer.code, answer.body["field"]) == (422, code, where)


async def test_nothing_can_be_set_to_nothing(system: System) -> None:
    body = {"url": "https://example.com/", "events": ["*"], "description": "x", "enabled": False}
    one = f"{BASE}/{(await system.call('POST', BASE, body, **ADMIN)).body['id']}"
    changes: list[dict[str, Any]] = [{"url": None}, {"events": None}, {"events": []}, {"enabled": None}, {"url": "no"}]
    for change in changes:
        assert (await system.call("PUT", one, change, **ADMIN)).status == 422, change
    changed = await system.call("PUT", one, {"description": None, "events": ["dispute.created"]}, **ADMIN)
    assert (changed.body["description"], changed.body["events"]) == (None, ["dispute.created"])
    assert changed.body["url"] == body["url"]
    await system.call("DELETE", one, **ADMIN)


async def test_deliveries_are_listed_in_pages(system: System) -> None:
    async with listening(system) as endpoint:
        for _ in range(5):
            await system.call("POST", f"{BASE}/{endpoint.id}/test", **ADMIN)
        await settled(system, endpoint)
        path = f"{BASE}/{endpoint.id}/deliveries"
        everything = [row["id"] for row in await rows(system, endpoint)]
        first = (await system.call("GET", f"{path}?limit=2", **ADMIN)).body
        assert ([row["id"] for row in first["data"]], first["has_more"]) == (everything[:2], True)
        second = (await system.call("GET", f"{path}?limit=3&starting_after={everything[1]}", **ADMIN)).body
        assert ([row["id"] for row in second["data"]], second["has_more"]) == (everything[2:], False)
        back = (await system.call("GET", f"{path}?limit=2&ending_before={everything[2]}", **ADMIN)).body
        assert [row["id"] for row in back["data"]] == everything[:2]
        assert (await system.call("GET", f"{path}?starting_after={endpoint.id}", **ADMIN)).status == 422


HOOK = """
    import asyncio
    from tallystick.hooks import Fact

    heard = []
    calls = []

    async def good(fact: Fact) -> None:
        heard.append(fact)

    async def moody(fact: Fact) -> None:
        calls.append((fact.type, fact.id))
        if len(calls) < 3:
            raise RuntimeError("not now")
"""


@pytest.fixture
def hook_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An installed package with hooks."""
    (tmp_path / "hooks_of_a_host.py").write_text(textwrap.dedent(HOOK))
    info = tmp_path / "hooks_of_a_host-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: hooks-of-a-host\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[tallystick.hooks]\ngood = hooks_of_a_host:good\nmoody = hooks_of_a_host:moody\nmissing = not_there:at_all\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    import hooks_of_a_host  # type: ignore[import-not-found]

    yield hooks_of_a_host
    del sys.modules["hooks_of_a_host"]


async def test_hooks_hear_of_facts_in_order_and_again_until_they_are_done(
    make_database: MakeDatabase, hook_module: Any
) -> None:
    async with running_system(await make_database()) as system:
        ann = unique("ann")
        paid = (await system.pay(user=ann)).body
        await system.call("POST", f"/api/payments/payment-intent/{paid['id']}/refund", {}, user=ann)
        await system.quiet()
        await until(lambda: len(hook_module.calls) == 4 and len(hook_module.heard) == 2, "the hooks have heard")
        assert [fact.type for fact in hook_module.heard] == ["payment.succeeded", "payment.refunded"]
        fact = hook_module.heard[0]
        assert (fact.data["payment"]["id"], fact.data["user"]) == (paid["id"], ann)
        assert fact.occurred_at.tzinfo is not None
        assert [name for name, _ in hook_module.calls] == ["payment.succeeded"] * 3 + ["payment.refunded"]
        assert len({fact_id for _, fact_id in hook_module.calls}) == 2
        broken = await system.fetch("SELECT state, last_error FROM outbound_deliveries WHERE receiver = 'hook:missing'")
        assert {row["state"] for row in broken} == {"queued"}
        assert "the hook cannot be loaded: ModuleNotFoundError" in {row["last_error"] for row in broken}

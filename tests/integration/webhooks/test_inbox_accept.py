"""What comes in: every good event is stored before its 200, every bad one is refused, nothing is lost between."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

import pytest

from integration.webhooks.inbox_kit import SECRET, Inbox, body_of, call, make_event, make_settings
from tallystick.core.clock import to_unix
from tallystick.platform.database import WEATHER, Connection, Database
from tallystick.stripe_gateway.signatures import sign
from tallystick.webhooks.controller import WebhookController
from tallystick.webhooks.envelope import read_envelope
from tallystick.webhooks.errors import InboxUnavailable
from tallystick.webhooks.group_commit import GroupCommitter
from tallystick.webhooks.models import Envelope
from tallystick.webhooks.repository import CHANNEL, WebhookEventRepository


async def test_an_event_is_stored_with_all_that_later_steps_need(inbox: Inbox) -> None:
    event = make_event(object_id="pi_1", request_key="key-1", customer="cus_1", amount=1050)
    answer = await inbox.post(body_of(event))
    assert (answer.status, answer.content) == (200, {"received": True})
    [row] = await inbox.events()
    assert row["payload"] == event
    assert row["state"] == "pending"
    assert row["source"] == "webhook"
    assert (row["event_type"], row["object_id"], row["object_key"]) == ("payment_intent.succeeded", "pi_1", "pi_1")
    assert (row["api_version"], row["request_idempotency_key"]) == ("2023-10-16", "key-1")
    assert to_unix(row["event_created_at"]) == event["created"]
    assert not row["processed"]


async def test_a_replayed_event_is_answered_and_stored_once(inbox: Inbox) -> None:
    body = body_of(make_event())
    assert [(await inbox.post(body)).status for _ in range(3)] == [200, 200, 200]
    assert len(await inbox.events()) == 1


def deep(levels: int) -> bytes:
    event = json.dumps(make_event()).encode()
    return event[:-1] + b', "x": ' + b"[" * levels + b"]" * levels + b"}"


BAD_BODIES = {
    "not JSON": b"{",
    "empty": b"",
    "a list": b"[]",
    "no event": b'{"object": "charge", "id": "ch_1"}',
    "not UTF-8": body_of(make_event()).replace(b"req_1", b"req_\xff"),
    "nested too deep": deep(100_000),
    "id of another type": body_of(make_event()).replace(b'"id": "evt_', b'"id": 1, "x": "'),
    "an id with a NUL": body_of(make_event()).replace(b'"evt_', b'"evt_\\u0000'),
    "a time beyond time": body_of(make_event()).replace(b"1790000000", b"17900000000000000000"),
    "no data": json.dumps({**make_event(), "data": None}).encode(),
    "NaN": body_of(make_event()).replace(b"1790000000", b"NaN"),
}


@pytest.mark.parametrize("name", BAD_BODIES)
async def test_a_signed_body_that_is_no_event_is_refused(inbox: Inbox, name: str) -> None:
    answer = await inbox.post(BAD_BODIES[name])
    assert (answer.status, answer.content["code"]) == (400, "BODY_NOT_JSON")
    assert answer.headers["content-type"] == "application/problem+json"
    assert await inbox.events() == []


async def test_a_tampered_stale_or_unsigned_body_is_refused(inbox: Inbox) -> None:
    body = body_of(make_event(amount=100))
    right = sign(body, SECRET, to_unix(inbox.clock.at))
    answers = [
        await inbox.post(body.replace(b"100", b"900"), signature=right),
        await inbox.post(body, age_s=301),
        await inbox.post(body, signature=""),
        await inbox.post(body, signature=right.replace("v1=", "v0=")),
        await inbox.post(body, signature="t=é,v1=é"),
        await inbox.post(body, signature=sign(body, b"whsec_other", to_unix(inbox.clock.at))),
        await call(inbox.controller, [body], {}),
    ]
    assert {(answer.status, answer.content["code"]) for answer in answers if answer} == {(400, "SIGNATURE_INVALID")}
    assert None not in answers
    assert await inbox.events() == []
    assert (await inbox.post(body, age_s=300)).status == 200


async def test_any_of_several_secrets_will_do(inbox: Inbox) -> None:
    settings = make_settings(STRIPE_WEBHOOK_SECRET="whsec_old,whsec_new")
    controller = WebhookController(settings, inbox.committer, inbox.clock)
    for secret in (b"whsec_old", b"whsec_new"):
        body = body_of(make_event())
        answer = await call(controller, [body], {"Stripe-Signature": sign(body, secret, to_unix(inbox.clock.at))})
        assert answer
        assert answer.status == 200
    assert len(await inbox.events()) == 2


async def test_the_body_is_bounded_whatever_its_length_is_said_to_be(inbox: Inbox) -> None:
    settings = make_settings(WEBHOOK_BODY_MAX_BYTES="5000")
    controller = WebhookController(settings, inbox.committer, inbox.clock)
    body = body_of(make_event(note="x" * 6000))
    signed = {"Stripe-Signature": sign(body, SECRET, to_unix(inbox.clock.at))}
    chunks = [body[at : at + 1000] for at in range(0, len(body), 1000)]
    for sent, headers in (
        ([body], signed),
        ([body], {**signed, "Content-Length": "10"}),
        (chunks, signed),
        ([b""], {**signed, "Content-Length": "999999"}),
    ):
        answer = await call(controller, sent, headers)
        assert answer
        assert (answer.status, answer.content["code"]) == (413, "BODY_TOO_LARGE")
    assert await inbox.events() == []


async def test_a_body_in_pieces_is_put_together(inbox: Inbox) -> None:
    body = body_of(make_event())
    pieces = [body[at : at + 7] for at in range(0, len(body), 7)]
    answer = await call(inbox.controller, pieces, {"Stripe-Signature": sign(body, SECRET, to_unix(inbox.clock.at))})
    assert answer
    assert answer.status == 200
    assert len(await inbox.events()) == 1


async def test_who_hangs_up_or_dawdles_leaves_nothing(inbox: Inbox) -> None:
    controller = WebhookController(inbox.settings, inbox.committer, inbox.clock, body_timeout_s=0.05)
    body = body_of(make_event())
    signed = {"Stripe-Signature": sign(body, SECRET, to_unix(inbox.clock.at))}
    assert await call(controller, [body], signed, hang_up=True) is None
    slow = await call(controller, [body], signed, hang=True)
    assert slow
    assert (slow.status, slow.content["code"]) == (408, "BODY_TIMEOUT")
    assert await inbox.events() == []


async def test_only_post(inbox: Inbox) -> None:
    answer = await call(inbox.controller, [b""], {}, method="GET")
    assert answer
    assert (answer.status, answer.content["code"], answer.headers["allow"]) == (405, "METHOD_NOT_ALLOWED", "POST")


@pytest.mark.parametrize(
    "note",
    [
        pytest.param(rb"\u0000", id="NUL"),
        pytest.param(rb"\ud800", id="lone surrogate"),
        pytest.param(b'", "n": 1e999999, "m": "', id="absurd number"),
    ],
)
async def test_what_jsonb_refuses_is_kept_as_bytes_and_the_rest_of_the_flush_is_stored(
    inbox: Inbox, note: bytes
) -> None:
    poison = body_of(make_event(event_id="evt_poison", note="REPLACED", client_secret="pi_1_secret_x")).replace(
        b"REPLACED", note
    )
    answers = await asyncio.gather(*(inbox.post(body) for body in [body_of(make_event()), poison, poison]))
    assert [answer.status for answer in answers] == [200, 200, 200]
    row = await inbox.event("evt_poison")
    assert (row["state"], row["payload"], row["processed"]) == ("parked", None, False)
    assert row["raw"] == poison.replace(b'"pi_1_secret_x"', b"null")
    assert Counter(event["state"] for event in await inbox.events()) == {"pending": 1, "parked": 1}
    assert [item["business_key"] for item in await inbox.work()] == ["alert.dead_letter:evt_poison"]


async def test_secrets_are_not_stored(inbox: Inbox) -> None:
    event = make_event(
        client_secret="pi_1_secret_abc",
        next_action={
            "type": "redirect_to_url",
            "redirect_to_url": {
                "url": "https://hooks.stripe.com/3d_secure_2?payment_intent_client_secret=pi_1_secret_abc&source=src_1",
                "return_url": "https://example.com/back?x=1",
            },
        },
    )
    await inbox.deliver(event)
    [row] = await inbox.events()
    stored = row["payload"]["data"]["object"]
    assert "secret_abc" not in json.dumps(row["payload"])
    assert stored["client_secret"] is None
    assert stored["next_action"]["redirect_to_url"]["return_url"] == "https://example.com/back?x=1"
    assert stored["next_action"]["redirect_to_url"]["url"].endswith("source=src_1")


async def test_a_thousand_concurrent_deliveries_with_doubles_are_stored_once_each(inbox: Inbox) -> None:
    events = [make_event() for _ in range(600)]
    bodies = [body_of(event) for event in events + events[:400]]
    random.Random(7).shuffle(bodies)
    answers = await asyncio.gather(*(inbox.post(body) for body in bodies))
    assert {answer.status for answer in answers} == {200}
    assert sorted(row["stripe_event_id"] for row in await inbox.events()) == sorted(event["id"] for event in events)


async def test_events_are_numbered_as_they_arrived(inbox: Inbox) -> None:
    events = [make_event(event_id=f"evt_{number:03}") for number in reversed(range(50))]
    await asyncio.gather(*(inbox.post(body_of(event)) for event in events))
    assert [row["stripe_event_id"] for row in await inbox.events()] == [event["id"] for event in events]


async def test_two_processes_with_the_same_events_in_another_order_do_not_block_each_other(inbox: Inbox) -> None:
    other = GroupCommitter(inbox.database, inbox.clock)
    for _ in range(10):
        envelopes = [read_envelope(body_of(make_event()), "webhook") for _ in range(64)]
        await asyncio.gather(
            *(inbox.committer.submit(envelope) for envelope in envelopes),
            *(other.submit(envelope) for envelope in reversed(envelopes)),
        )
    await other.stop()
    assert len(await inbox.events()) == 640
    [stats] = await inbox.fetch("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    assert stats["deadlocks"] == 0


async def test_requests_share_commits(inbox: Inbox) -> None:
    flushes: list[int] = []

    class Counting(WebhookEventRepository):
        async def insert(self, connection: Connection, envelopes: Sequence[Envelope], now: datetime) -> int:
            flushes.append(len(envelopes))
            return await super().insert(connection, envelopes, now)

    inbox.committer._repository = Counting()
    await asyncio.gather(*(inbox.post(body_of(make_event())) for _ in range(200)))
    assert sum(flushes) == 200
    assert max(flushes) == 64
    assert len(flushes) <= 5


async def test_a_flush_is_told_once_and_a_duplicate_not_at_all(inbox: Inbox) -> None:
    told: list[None] = []
    stop = asyncio.Event()
    listening = asyncio.create_task(inbox.database.listen(CHANNEL, lambda: told.append(None), stop))
    while not told:
        await asyncio.sleep(0.01)
    told.clear()
    bodies = [body_of(make_event()) for _ in range(128)]
    for _ in range(2):
        await asyncio.gather(*(inbox.post(body) for body in bodies))
        await asyncio.sleep(0.2)
    stop.set()
    await listening
    assert 1 <= len(told) <= 4


async def test_no_answer_before_the_commit(inbox: Inbox) -> None:
    async with inbox.database.transaction() as tx:
        # Whoever inserts the same event has to wait for us.
        event = make_event()
        await inbox.service.ingest(tx, [event], "poll")
        request = asyncio.create_task(inbox.post(body_of(event)))
        await asyncio.sleep(0.1)
        assert not request.done()
    assert (await request).status == 200
    assert len(await inbox.events()) == 1


async def test_a_connection_killed_in_the_middle_is_a_503_and_nothing_acknowledged_is_missing(inbox: Inbox) -> None:
    bodies = {event["id"]: body_of(event) for event in (make_event() for _ in range(400))}
    acknowledged: set[str] = set()
    refused: set[str] = set()

    async def send(event_id: str, body: bytes) -> None:
        answer = await inbox.post(body)
        if answer.status == 200:
            acknowledged.add(event_id)
        else:
            assert (answer.status, answer.content["code"]) == (503, "INBOX_UNAVAILABLE")
            assert int(answer.headers["retry-after"]) > 0
            refused.add(event_id)

    async def kill() -> None:
        for _ in range(8):
            await asyncio.sleep(0.005)
            with suppress(*WEATHER):
                await inbox.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%WITH arrived%' "
                    "AND pid <> pg_backend_pid()"
                )

    async def stored() -> set[str]:
        while True:
            # One of the connections that were killed at rest may be the one that this is asked over.
            with suppress(*WEATHER):
                return {row["stripe_event_id"] for row in await inbox.events()}

    killer = asyncio.create_task(kill())
    while bodies.keys() - acknowledged:
        missing = list(bodies.keys() - acknowledged)[:40]
        await asyncio.gather(*(send(event_id, bodies[event_id]) for event_id in missing))
        assert acknowledged <= await stored()
    await killer
    assert refused
    assert len(await stored()) == 400


async def test_a_database_that_is_away_is_a_503_and_comes_back(inbox: Inbox) -> None:
    nowhere = await Database.connect("postgresql://nobody:x@127.0.0.1:1/none")
    inbox.committer._database = nowhere
    bodies = [body_of(make_event()) for _ in range(100)]
    async with asyncio.timeout(10):
        answers = await asyncio.gather(*(inbox.post(body) for body in bodies))
    assert {answer.content.get("code") for answer in answers} == {"INBOX_UNAVAILABLE"}
    await nowhere.close()
    inbox.committer._database = inbox.database
    assert (await inbox.post(bodies[0])).status == 200
    assert len(await inbox.events()) == 1


async def test_the_queue_is_bounded(inbox: Inbox) -> None:
    committer = GroupCommitter(inbox.database, inbox.clock, queue_limit=10)
    envelopes = [read_envelope(body_of(make_event()), "webhook") for _ in range(30)]
    results = await asyncio.gather(*(committer.submit(envelope) for envelope in envelopes), return_exceptions=True)
    stored = len(await inbox.events())
    assert stored == results.count(None) == 10
    assert sum(isinstance(result, InboxUnavailable) for result in results) == 20
    await committer.stop()


async def test_stopping_settles_what_was_taken_and_takes_no_more(inbox: Inbox) -> None:
    waiting = [
        asyncio.create_task(inbox.committer.submit(read_envelope(body_of(make_event()), "webhook"))) for _ in range(100)
    ]
    await asyncio.sleep(0)
    await inbox.committer.stop()
    await asyncio.gather(*waiting)
    assert len(await inbox.events()) == 100
    with pytest.raises(InboxUnavailable):
        await inbox.committer.submit(read_envelope(body_of(make_event()), "webhook"))


async def test_polled_events_join_delivered_ones(inbox: Inbox) -> None:
    known, fresh, poison = make_event(), make_event(), make_event(event_id="evt_nul", note="a\x00b")
    await inbox.deliver(known)
    async with inbox.database.transaction() as tx:
        assert await inbox.service.ingest(tx, [known, fresh], "poll") == 1
        assert await inbox.service.ingest(tx, [fresh, poison], "poll") == 1
        assert await inbox.service.ingest(tx, [], "poll") == 0
    assert Counter((row["source"], row["state"]) for row in await inbox.events()) == {
        ("webhook", "pending"): 1,
        ("poll", "pending"): 1,
        ("poll", "parked"): 1,
    }

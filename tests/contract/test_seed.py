"""A sandbox filled with a past: what is in it is whole and in order, and can be acted on like anything else."""

import json
from itertools import count
from typing import Any

import pytest

from contract.harness import Box
from tallystick.sandbox.engine import Engine
from tallystick.sandbox.lists import page
from tallystick.sandbox.resources.test_clocks import left_out
from tallystick.sandbox.seed import seed_at_once
from tallystick.sandbox.settings import SandboxConfig
from tallystick.sandbox.versions import NEWEST, OLDEST

KINDS = (
    "products", "prices", "customers", "payment_intents", "charges", "refunds", "setup_intents", "subscriptions",
    "invoices",
)  # fmt: skip


def listed(box: Box, path: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    more = True
    while more:
        after = f"&starting_after={found[-1]['id']}" if found else ""
        page = box.request("GET", f"/v1/{path}{'&' if '?' in path else '?'}limit=100{after}").body
        found += page["data"]
        more = page["has_more"]
    return found


def test_a_seeded_account_is_whole(box: Box) -> None:
    made = box.control("POST", "/seed", {"objects": 1200})
    assert made["objects"] >= 1200
    everything = {kind: listed(box, f"{kind}?status=all" if kind == "subscriptions" else kind) for kind in KINDS}
    assert len(everything["customers"]) == made["customers"] > 100
    assert len({customer["email"] for customer in everything["customers"]}) == made["customers"]
    for kind, objects in everything.items():
        assert objects, kind
        times = [int(str(one["created"])) for one in objects]
        assert times == sorted(times, reverse=True), kind
        assert len({one["id"] for one in objects}) == len(objects), kind
    assert {one["status"] for one in everything["subscriptions"]} == {"active", "canceled"}
    # Each names others that are there, in its own family.
    charges = {charge["id"]: charge for charge in everything["charges"]}
    for intent in everything["payment_intents"]:
        if intent["latest_charge"]:
            charge = charges[intent["latest_charge"]]
            assert (charge["payment_intent"], charge["customer"]) == (intent["id"], intent["customer"])
    for version in (OLDEST, NEWEST):
        client = box.client(version)
        for kind in KINDS:
            getattr(client.v1, kind).retrieve(everything[kind][0]["id"])
    assert box.event_types() == []


def test_what_was_seeded_can_be_acted_on(box: Box) -> None:
    box.control("POST", "/seed", {"objects": 200})
    client = box.client(NEWEST)
    intent = next(one for one in client.v1.payment_intents.list({"limit": 100}).data if one.status == "succeeded")
    assert client.v1.refunds.create({"payment_intent": intent.id}).status == "succeeded"
    subscription = client.v1.subscriptions.list().data[0]
    assert client.v1.subscriptions.cancel(subscription.id).status == "canceled"
    later = client.v1.customers.create({"email": "later@example.com"})
    assert client.v1.customers.list({"limit": 1}).data[0].id == later.id


@pytest.mark.parametrize("wrong", [{}, {"objects": 0}, {"objects": "many"}, {"customers": 5}])
def test_how_many_is_asked_plainly(box: Box, wrong: dict[str, object]) -> None:
    refused = box.request("POST", "/_sandbox/seed", json.dumps(wrong))
    assert refused.status == 400
    assert "from 1 to 10,000,000" in refused.body["error"]


def test_times_rise_with_places_however_the_seconds_fall(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(SandboxConfig(database=":memory:"))
    moments = count(engine.clock.unix())
    monkeypatch.setattr(engine.clock, "unix", lambda: next(moments))
    seed_at_once(engine, 400)
    made = [row[0] for row in engine.store.execute("SELECT created FROM objects ORDER BY seq").fetchall()]
    assert len(made) >= 400
    assert made == sorted(made)


@pytest.mark.parametrize(
    ("kind", "params", "filters"),
    [
        ("charge", {}, {}),
        ("charge", {"starting_after": "last"}, {}),
        ("charge", {"created": {"gte": 1, "lt": 2_000_000_000}, "starting_after": "last"}, {}),
        ("payment_method", {}, {"customer": "cus_1"}),
        ("subscription", {"created": {"lt": 1_700_000_000}}, {"status": "active"}),
    ],
)
def test_no_list_reads_all_there_is(kind: str, params: dict[str, Any], filters: dict[str, str]) -> None:
    engine = Engine(SandboxConfig(database=":memory:"))
    seed_at_once(engine, 200)
    said: list[str] = []
    with engine.unit() as ctx:
        first = ctx.store.execute("SELECT id FROM objects WHERE object = ? LIMIT 1", kind).fetchone()[0]
        given = params | ({"starting_after": first} if "starting_after" in params else {})
        engine.store._db.set_trace_callback(said.append)
        page(ctx, kind, "/v1/things", given, filters, extra=left_out(given))
        engine.store._db.set_trace_callback(None)
        plans = [row[3] for sql in said for row in ctx.store.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall()]
    assert any("objects_kind" in plan or "PRIMARY KEY" in plan for plan in plans), plans
    assert not [plan for plan in plans if plan.startswith("SCAN") or "TEMP B-TREE" in plan], plans

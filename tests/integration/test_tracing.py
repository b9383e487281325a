"""Traces by OpenTelemetry: of one story through two processes, without anything that is nobody's business."""

import asyncio
import json
import os
import re
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from collecting import Collector, Told, collecting, environment_of
from system import MakeDatabase, System, free_port, running_system, serving, until
from tallystick.platform import tracing_otel
from tallystick.platform.logging import configure_logging
from tallystick.platform.tracing import configure_tracing, flush_traces, here, mark_of, span, trace_ids, use_engine
from tallystick.platform.tracing_otel import Engine

CALLER = "00-11111111111111111111111111111111-2222222222222222-01"
PLANTED = {
    "query": "planted-query",
    "agent": "planted-agent",
    "state": "planted=state",
    "key": "planted-key",
    "name": "Planted Name",
    "email": "planted-ann",
    "description": "planted description",
    "metadata": "planted-metadata",
    "hook": "planted-hook",
    "answer": "planted answer",
    "page": "planted-page-token",
}
SECRETS = ("sk_test_system", "whsec_tests", "_secret_", "eyJ", "@example.com", "4242", "pm_card", "postgresql://")


@contextmanager
def traced_by(engine: Engine) -> Iterator[None]:
    before = use_engine(engine)
    try:
        yield
    finally:
        use_engine(before)


class Hook:
    """A host application's endpoint that keeps the headers it got."""

    def __init__(self) -> None:
        self.heard: list[dict[str, str]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return
        while (await receive()).get("more_body"):
            pass
        self.heard.append({k.decode(): v.decode() for k, v in scope["headers"]})
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": PLANTED["answer"].encode()})


@asynccontextmanager
async def working(system: System, collector: Collector, folder: Path) -> AsyncIterator[None]:
    """A worker in a process of its own, which sends its spans to the collector."""
    settings = environment_of(
        system.settings, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_BSP_SCHEDULE_DELAY="100", LOG_LEVEL="info"
    )
    with (folder / "worker.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tallystick.cli.main", "worker", env={**os.environ, **settings}, stderr=log
        )
        try:
            yield
        finally:
            process.terminate()
            await process.wait()


async def play(system: System, hook_url: str) -> None:
    """A story with something planted wherever it might be kept; `CALLER` asks for a payment."""
    hook = {"url": f"{hook_url}?token={PLANTED['hook']}", "events": ["*"]}
    made = await system.call("POST", "/api/webhook-endpoints", hook, user="root", roles=("admin",))
    assert made.status == 201, made.body
    user = PLANTED["email"]
    customer = {"name": PLANTED["name"], "metadata": {"note": PLANTED["metadata"]}}
    await system.call("POST", "/api/customers", customer, user=user)
    body = {
        "amount": 1050,
        "currency": "usd",
        "payment_method": await system.card("4242424242424242"),
        "confirm": True,
        "description": PLANTED["description"],
        "metadata": {"note": PLANTED["metadata"]},
    }
    headers = {"traceparent": CALLER, "tracestate": PLANTED["state"], "User-Agent": PLANTED["agent"]}
    path = f"/api/payments/payment-intent?note={PLANTED['query']}"
    paid = await system.call("POST", path, body, user=user, key=PLANTED["key"], headers=headers)
    assert paid.status == 201, paid.body
    declined = await system.pay("pm_card_visa_chargeDeclined", user=user)
    assert declined.status == 402
    challenged = await system.pay("pm_card_threeDSecure2Required", user=user)
    await system.authenticate(challenged.body["stripe_payment_intent_id"])
    async with system.http.get(f"{system.api_url}/pay/{PLANTED['page']}") as page:
        assert page.status == 404
    await system.call("GET", f"/nowhere/{PLANTED['page']}", user=user)


async def test_a_story_has_one_trace_through_processes_and_tells_no_secret(
    make_database: MakeDatabase, tmp_path: Path
) -> None:
    kept, hook, port = InMemorySpanExporter(), Hook(), free_port()
    engine = Engine(kept, "api")
    with collecting() as collector, traced_by(engine):
        async with running_system(await make_database(), workers=0) as system, serving(hook, port):
            await play(system, f"http://127.0.0.1:{port}/hear")
            await system.sandbox("POST", "/_sandbox/quiet?timeout_s=60")
            async with working(system, collector, tmp_path):
                await system.quiet(timeout_s=90)
        await asyncio.to_thread(flush_traces)
    spans = [*_ours(kept), *collector.spans]
    _assert_nothing_planted([*(each.to_json() for each in kept.get_finished_spans()), *map(repr, collector.raw)])
    _assert_payment(spans)
    _assert_challenge(spans)
    told = {headers["traceparent"].split("-")[2] for headers in hook.heard}
    assert told == {each.span for each in spans if each.name.startswith("deliver ")}
    lines = [json.loads(line) for line in (tmp_path / "worker.log").read_text().splitlines() if "mail.sent" in line]
    mails = {(each.trace, each.span) for each in spans if each.name.startswith("mail ")}
    assert {(line["trace_id"], line["span_id"]) for line in lines} == mails


def _assert_payment(spans: list[Told]) -> None:
    """The payment that a caller with a trace of its own asked for."""
    trace, caller = CALLER.split("-")[1:3]
    of_it = {each.name: each for each in spans if each.trace == trace}
    request = of_it["POST /api/payments/payment-intent"]
    assert (request.process, request.parent) == ("api", caller)
    assert request.attributes["http.route"] == "/api/payments/payment-intent"
    assert request.attributes["http.response.status_code"] == 201
    assert len(str(request.attributes["tallystick.request_id"])) == 36
    attempt, call = of_it["attempt payment.create"], of_it["POST /v1/payment_intents"]
    assert (attempt.parent, call.parent) == (request.span, attempt.span)
    assert call.attributes["tallystick.stripe.outcome"] == "done"
    assert str(call.attributes["tallystick.stripe.request_id"]).startswith("req_")
    assert call.attributes["http.response.status_code"] == 200
    # What Stripe tells of it later, in another process.
    for name in ("event payment_intent.succeeded", "event charge.succeeded", "mail payment_confirmation"):
        assert (of_it[name].process, of_it[name].parent) == ("worker", request.span), name
    assert of_it["deliver payment.succeeded"].parent == request.span
    # The events waited for a worker together: one batch, to which they point.
    batches = {(each.trace, each.span): each for each in spans if each.name == "inbox batch"}
    batch = batches[of_it["event payment_intent.succeeded"].links[0]]
    assert int(batch.attributes["messaging.batch.message_count"]) >= 2
    assert batch.parent == ""


def _assert_challenge(spans: list[Told]) -> None:
    """Paid by the customer at Stripe: its event is no request's, so a trace begins with it."""
    [mail, *_] = [each for each in spans if each.name == "mail payment_confirmation" and each.trace != CALLER[3:35]]
    [cause] = [each for each in spans if each.span == mail.parent]
    assert (cause.name, cause.parent) == ("event payment_intent.succeeded", "")
    [declined] = [each for each in spans if each.attributes.get("tallystick.stripe.outcome") == "declined"]
    assert declined.failed
    assert declined.attributes["error.type"] == "GatewayDeclined"


def _assert_nothing_planted(exported: list[str]) -> None:
    text = "\n".join(exported)
    assert "tallystick.stripe.request_id" in text
    assert [word for word in (*PLANTED.values(), *SECRETS) if word in text] == []


def _ours(kept: InMemorySpanExporter) -> list[Told]:
    return [
        Told(
            name=each.name,
            trace=f"{each.context.trace_id:032x}",
            span=f"{each.context.span_id:016x}",
            parent=f"{each.parent.span_id:016x}" if each.parent else "",
            process=str(each.resource.attributes["tallystick.process"]),
            attributes=dict(each.attributes or {}),
            links=[(f"{link.context.trace_id:032x}", f"{link.context.span_id:016x}") for link in each.links],
            failed=not each.status.is_ok and each.status.status_code.name == "ERROR",
        )
        for each in kept.get_finished_spans()
    ]


async def test_a_collector_that_hangs_holds_nobody_up_and_costs_only_its_spans(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "64")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "16")
    monkeypatch.setattr(tracing_otel, "_FLUSH_S", 0.1)
    with collecting() as collector:
        settings = system.settings.model_copy(update={"otel_exporter_otlp_endpoint": collector.url})
        collector.answers.clear()
        with traced_by(Engine.exporting(settings, "api")):
            for _ in range(100):
                assert (await system.call("GET", "/api/payments/history")).status == 200
            await asyncio.to_thread(collector.asked.wait, 60)
            for number in range(1000):
                with span(f"one of many {number}"):
                    pass
            began = time.monotonic()
            await asyncio.to_thread(flush_traces)
            assert time.monotonic() - began < 30
            collector.answers.set()
            await until(lambda: collector.named("one of many 999"), "the last one is sent", 60)
        # One batch was under way, and perhaps a second when it was let go; the queue's bound did the rest.
        assert len(collector.spans) <= 100 + 64 + 2 * 16


async def test_without_a_collector_requests_are_answered_all_the_same(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracing_otel, "_FLUSH_S", 0.1)
    settings = system.settings.model_copy(update={"otel_exporter_otlp_endpoint": f"http://127.0.0.1:{free_port()}"})
    with traced_by(Engine.exporting(settings, "api")):
        assert (await system.pay(user="unseen")).status == 201
        await system.quiet()
        await asyncio.to_thread(flush_traces)


def test_opentelemetry_is_imported_in_one_place_and_only_where_it_is_switched_on() -> None:
    source = Path(tracing_otel.__file__).parents[1]
    importers = [
        path for path in source.rglob("*.py") if re.search(r"^\s*(from|import) opentelemetry", path.read_text(), re.M)
    ]
    assert importers == [Path(tracing_otel.__file__)]
    # At the top of a file it would be loaded everywhere.
    loads = re.compile(r"^(from|import) tallystick\.platform\.tracing_otel", re.M)
    assert [path for path in source.rglob("*.py") if loads.search(path.read_text())] == []


def test_where_nothing_is_set_nothing_is_traced(system: System) -> None:
    before = use_engine(None)
    try:
        configure_tracing(system.settings, "api")
        with span("nothing") as nothing:
            assert (here(), nothing.mark, dict(trace_ids())) == (None, None, {})
    finally:
        use_engine(before)


@pytest.mark.parametrize(
    ("header", "mark"),
    [
        (CALLER, "11" * 16 + "22" * 8 + "01"),
        ("00-" + "11" * 16 + "-" + "22" * 8 + "-00", "11" * 16 + "22" * 8 + "00"),
        # A later version may say more.
        ("01-" + "11" * 16 + "-" + "22" * 8 + "-01-more", "11" * 16 + "22" * 8 + "01"),
        ("ff-" + "11" * 16 + "-" + "22" * 8 + "-01", None),
        ("00-" + "00" * 16 + "-" + "22" * 8 + "-01", None),
        ("00-" + "11" * 16 + "-" + "00" * 8 + "-01", None),
        ("00-" + "AA" * 16 + "-" + "22" * 8 + "-01", None),
        ("nonsense", None),
        ("", None),
    ],
)
def test_a_callers_header_is_believed_where_it_is_well_formed(header: str, mark: str | None) -> None:
    found = mark_of(header.encode())
    assert (found.hex() if found else None) == mark


async def test_whom_the_caller_does_not_follow_nobody_follows(system: System) -> None:
    kept = InMemorySpanExporter()
    with traced_by(Engine(kept, "api")):
        headers = {"traceparent": CALLER[:-2] + "00"}
        await system.call("GET", "/api/payments/history", headers=headers)
        await asyncio.to_thread(flush_traces)
    assert [each.name for each in kept.get_finished_spans() if each.name.startswith("GET")] == []


def test_lines_of_the_log_name_their_span(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", "json", "tests")
    with traced_by(Engine(InMemorySpanExporter(), "tests")), span("one"):
        structlog.get_logger().info("inside")
        mark = here()
    structlog.get_logger().info("outside")
    inside, outside = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert mark is not None
    assert (inside["trace_id"], inside["span_id"]) == (mark[:16].hex(), mark[16:24].hex())
    assert "trace_id" not in outside

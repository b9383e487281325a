"""The dashboard without a browser: who may see it, what it keeps to itself, and that a full store does not slow it."""

import re
import sqlite3
from collections.abc import Iterator
from html import unescape
from typing import Any

import pytest

from contract.harness import NO_REDIRECTS, Box, Receiver, Reply, running_box
from tallystick.sandbox.app import Sandbox
from tallystick.sandbox.resources import customers, webhook_endpoints
from tallystick.sandbox.settings import SandboxConfig

SECRET = "whsec_0123456789abcdefghij"


@pytest.fixture(scope="module")
def used() -> Iterator[Box]:
    """A sandbox in which something of every kind that the pages show has happened."""
    with running_box() as box:
        box.control("PUT", "/webhook_endpoints", {"url": "http://127.0.0.1:9/hook", "secret": SECRET})
        api = box.client()
        customer = api.v1.customers.create({"name": "<script>alert(1)</script>", "email": "ada@example.com"})
        params = {"amount": 4200, "currency": "usd", "customer": customer.id, "confirm": True}
        methods = {"automatic_payment_methods": NO_REDIRECTS}
        paid = api.v1.payment_intents.create({**params, "payment_method": "pm_card_visa", **methods})
        api.v1.refunds.create({"payment_intent": paid.id, "amount": 100})
        api.v1.payment_intents.create(
            {**params, "payment_method": "pm_card_threeDSecure2Required", "return_url": "http://shop.test/done"}
        )
        api.v1.setup_intents.create({"customer": customer.id})
        price = api.v1.prices.create(
            {
                "currency": "usd",
                "unit_amount": 1500,
                "recurring": {"interval": "month"},
                "product_data": {"name": "Tea"},
            }
        )
        method = api.v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})
        items = [{"price": price.id}]
        api.v1.subscriptions.create({"customer": customer.id, "items": items, "default_payment_method": method.id})
        api.v1.checkout.sessions.create(
            {"mode": "payment", "line_items": [{"price_data": {"currency": "usd", "unit_amount": 900,
             "product_data": {"name": "Pot"}}, "quantity": 1}], "success_url": "http://shop.test/"}
        )  # fmt: skip
        api.v1.coupons.create({"id": "TEA_20", "percent_off": 20, "duration": "once"})
        yield box


def page(box: Box, path: str = "", **headers: str) -> Reply:
    return box.request("GET", f"/dashboard{path}", headers=headers)


def text(box: Box, path: str = "") -> str:
    reply = page(box, path)
    assert reply.status == 200, (path, reply.body)
    return str(reply.body.decode())


def send(box: Box, path: str, form: str = "", **headers: str) -> Reply:
    return box.request("POST", f"/dashboard{path}", form, {"Origin": box.url, **headers})


def links(html: str) -> list[str]:
    """The addresses below the dashboard's that a page leads to."""
    found = re.findall(r'href="/dashboard([^"]*)"', html)
    return [unescape(address) for address in found]


def crawl(box: Box) -> dict[str, str]:
    """Every page that can be come to from the first, by its path."""
    seen: dict[str, str] = {}
    waiting = ["", "/find?q=cus_", "/find?q=nothing", "/requests?failed=1", "/webhooks?state=failed"]
    while waiting:
        path = waiting.pop()
        if path not in seen:
            seen[path] = text(box, path)
            waiting += [link for link in links(seen[path]) if link not in seen]
    return seen


def test_every_page_can_be_seen_and_none_tells_a_secret(used: Box) -> None:
    pages = crawl(used)
    kinds = {path.removeprefix("/kinds/") for path in pages if path.startswith("/kinds/") and "?" not in path}
    assert kinds >= {"customer", "payment_intent", "charge", "subscription", "invoice", "event", "webhook_endpoint"}
    assert sum(path.startswith("/objects/evt_") for path in pages) > 20
    for path, html in pages.items():
        assert not re.search(r"_secret_[A-Za-z0-9]", html), path
        assert '"client_secret"' not in unescape(html), path
        assert SECRET not in html, path
        assert "<script>alert" not in html, path
        assert "style=" not in html, path
        assert not re.search(r"<script(?![^>]*src=)", html), path
    assert "•••• ghij" in pages["/webhooks"]


def test_only_callers_at_this_machine_and_forms_of_the_page_itself(used: Box) -> None:
    before = used.control("GET", "/clock")["offset_s"]
    posts = ("/clock", "/faults", "/faults/remove", "/resend", "/reset")
    for path in posts:
        for headers in (
            {"Origin": "https://evil.test"},
            {"Origin": "null"},
            {"Origin": used.url.replace("127.0.0.1", "localhost")},
            {"Sec-Fetch-Site": "cross-site"},
            {},
        ):
            reply = used.request("POST", f"/dashboard{path}", "by=40d", headers)
            assert reply.status == 403, (path, headers)
    assert used.control("GET", "/clock")["offset_s"] == before
    assert page(used, Host="evil.test").status == 403, "a name of another site, pointed at this machine"
    assert page(used, Host=f"localhost:{used.port}").status == 200
    for path in ("/resend", "/faults/remove"):
        assert page(used, path).status == 404, "nothing is changed by GET"
    headers = page(used).headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "script-src 'self'" in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"
    assert used.request("HEAD", "/dashboard").status == 200
    assert used.request("GET", "/").headers["location"].endswith("/dashboard")


@pytest.mark.parametrize(("open_control", "status"), [(False, 403), (True, 200)])
async def test_other_machines_are_kept_out_unless_they_are_let_in(open_control: bool, status: int) -> None:
    sandbox = Sandbox(SandboxConfig(open_control=open_control))
    assert (await ask(sandbox, "/dashboard", client="10.1.2.3"))[0] == status
    sandbox.engine.close()


async def ask(sandbox: Sandbox, path: str, *, client: str = "127.0.0.1") -> tuple[int, bytes]:
    """A page, asked for without a socket."""
    told: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def tell(message: Any) -> None:
        told.append(message)

    path, _, query = path.partition("?")
    scope: dict[str, Any] = {
        "type": "http", "http_version": "1.1", "method": "GET", "scheme": "http", "path": path,
        "raw_path": path.encode(), "query_string": query.encode(), "root_path": "", "client": (client, 1),
        "server": ("127.0.0.1", 1), "headers": [(b"host", b"127.0.0.1:1")],
    }  # fmt: skip
    await sandbox(scope, receive, tell)
    return told[0]["status"], b"".join(message.get("body", b"") for message in told)


def test_what_is_not_there_is_told(used: Box) -> None:
    for path in ("/objects/cus_nobody", "/kinds/nonsense", "/nowhere", "/objects/..%2F..%2Fetc%2Fpasswd"):
        reply = page(used, path)
        assert reply.status == 404, path
        assert b"There is no such" in reply.body
    assert page(used, "/kinds/customer?starting_after=cus_nobody").status == 400
    assert page(used, "/webhooks?before=x&state=nonsense").status == 200
    assert send(used, "/resend", "event=evt_none").status == 404


def test_an_object_leads_to_its_relatives(used: Box) -> None:
    customer = used.client().v1.customers.list({"email": "ada@example.com"}).data[0].id
    html = text(used, f"/objects/{customer}")
    assert "/kinds/payment_intent?customer=" + customer in links(html)
    assert any(link.startswith("/objects/evt_") for link in links(html))
    intents = text(used, f"/kinds/payment_intent?customer={customer}&status=succeeded")
    assert "$42.00" in intents
    assert "requires action" not in intents
    reply = page(used, "/find?q=ada@example.com")
    assert reply.status == 303
    assert "email=ada%40example.com" in reply.headers["location"]
    assert page(used, f"/find?q={customer}").headers["location"].endswith(customer)


def test_a_deleted_object_is_shown_as_it_last_was(used: Box) -> None:
    api = used.client()
    customer = api.v1.customers.create({"name": "Gone"})
    api.v1.customers.delete(customer.id)
    html = text(used, f"/objects/{customer.id}")
    assert ">deleted</span>" in html
    assert "customer.<wbr>deleted" in html, "the event that holds its last form"
    assert customer.id not in text(used, "/kinds/customer")
    odd = api.v1.coupons.create({"id": "20-OFF", "percent_off": 20, "duration": "once", "name": "A fifth"}).id
    api.v1.coupons.delete(odd)
    assert "A fifth" in text(used, f"/objects/{odd}")


def test_lists_are_paged_by_cursor(box: Box) -> None:
    api = box.client()
    made = [api.v1.customers.create({"name": f"Customer {number}"}).id for number in range(60)]
    seen: list[str] = []
    path, pages = "/kinds/customer", 0
    while path:
        html = text(box, path)
        seen += re.findall(r'href="/dashboard/objects/(cus_\w+)"', html)
        pages += 1
        older = re.search(r'href="(\?starting_after=[^"]+)">Older', html)
        path = f"/kinds/customer{unescape(older[1])}" if older else ""
    assert (seen, pages) == (made[::-1], 3)
    newer = re.search(r'href="(\?ending_before=[^"]+)">Newer', html)
    assert newer is not None
    back = re.findall(r'href="/dashboard/objects/(cus_\w+)"', text(box, f"/kinds/customer{unescape(newer[1])}"))
    assert back == made[::-1][20:40]
    assert re.search(r"Customers <span>60</span>", text(box))
    api.v1.customers.delete(made[0])
    api.v1.customers.create({"name": "One more"})
    assert re.search(r"Customers <span>60</span>", text(box)), "one came, one went"
    box.control("POST", "/reset")
    assert "Nothing here yet" in text(box)


def test_deliveries_that_failed_are_listed_and_sent_again(box: Box, receiver: Receiver) -> None:
    box.control("PUT", "/webhook_endpoints", {"url": receiver.url})
    receiver.answers = [500]
    customer = box.client().v1.customers.create({"name": "Ada"})
    event = box.client().v1.events.list({"limit": 1}).data[0].id
    box.quiet()
    assert "1 try, the last: 500" in text(box, "/webhooks")
    box.advance(60)
    html = text(box, f"/objects/{event}")
    assert receiver.types() == ["customer.created", "customer.created"]
    assert re.search(r"<strong>500</strong>", html)
    assert re.search(r"<strong>200</strong>", html)
    assert send(box, "/resend", f"event={event}").headers["location"].endswith(f"{event}?done=resent")
    box.quiet()
    assert len(receiver.got) == 3
    assert customer.id in receiver.got[2].body.decode()
    api = box.client()
    api.v1.webhook_endpoints.delete(api.v1.webhook_endpoints.list().data[0].id)
    assert send(box, "/resend", f"event={event}").headers["location"].endswith("?done=nobody")


async def test_no_page_looks_through_the_store() -> None:
    """Whatever SQL the pages run is answered by indexes; only narrow ones are read from end to end."""
    sandbox = Sandbox(SandboxConfig())
    engine = sandbox.engine
    with engine.unit() as ctx:
        webhook_endpoints.create(ctx, {"url": "http://127.0.0.1:9/x", "enabled_events": ["*"]})
        made = [customers.create(ctx, {"name": str(number)})["id"] for number in range(30)]
    event = engine.store.execute("SELECT id FROM objects WHERE object = 'event' LIMIT 1").fetchone()[0]
    database: sqlite3.Connection = engine.store._db
    paths = (
        "", "/kinds/customer", f"/kinds/customer?starting_after={made[9]}", f"/kinds/customer?ending_before={made[9]}",
        "/kinds/customer?email=x@example.com", "/kinds/event?type=customer.created", "/kinds/invoice?status=paid",
        f"/kinds/event?data.object.id={made[3]}", f"/objects/{made[3]}", f"/objects/{event}", "/webhooks",
        "/webhooks?state=failed&before=9", "/clock", "/faults", "/requests", f"/find?q={made[3][:8]}", "/reset",
    )  # fmt: skip
    for path in ("", *paths):
        ran: list[str] = []
        database.set_trace_callback(ran.append)
        assert (await ask(sandbox, f"/dashboard{path}"))[0] == 200
        database.set_trace_callback(None)
        for statement in ran:
            if statement.lstrip().startswith(("SELECT", "WITH")):
                steps = [row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {statement}")]
                whole = [step for step in steps if re.match(r"SCAN (o|d|objects|refs|deliveries)\b", step)]
                assert all("INDEX" in step for step in whole), (path, statement, steps)
    engine.close()

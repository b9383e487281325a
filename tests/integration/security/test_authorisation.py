"""Every route × every caller × own and foreign objects, by requests: what each may do is said in `authorisation.py`.

Whoever is turned away changes nothing, neither in the database nor at Stripe, and reads nothing of the object.
"""

import asyncio
import re
import secrets
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest_asyncio

import tallystick.app.api as wiring
from authorisation import API, CALLERS, FRONT, PAGES, Page, Rule
from owning import Browser, belongings, console_of, installed, portal_of, recurring_price
from system import JWT_SECRET, MakeDatabase, System, running_system, token_for, unique
from tallystick.app import create_app

# What a request may change that is refused: who came by, who was refused, when a session was seen, what was counted.
_MAY_CHANGE = frozenset(
    {"audit_log", "users", "console_sessions", "portal_sessions", "telemetry_minutes", "stripe_slowdown", "work",
     "leases", "event_cursors", "rate_buckets", "stripe_calls", "webhook_events", "webhook_secrets", "metrics_stale",
     "metrics_days"}
)  # fmt: skip
_MUST_NOT = (401, 403)
_REDIRECTED = 303


@dataclass
class World:
    """The system with the objects of two users, and whoever sends requests."""

    system: System
    objects: Mapping[str, str]
    headers: Mapping[str, Mapping[str, str]]
    browsers: Mapping[str, Browser]
    marks: tuple[str, ...]
    owner: str

    async def ask(self, method: str, path: str, **more: Any) -> tuple[int, str, str]:
        """Status, body and where it leads."""
        more = {"allow_redirects": False, **more}
        async with self.system.http.request(method, self.system.api_url + path, **more) as answer:
            return answer.status, await answer.text(), answer.headers.get("Location", "")


@pytest_asyncio.fixture(scope="module", name="world")
async def a_world(make_database: MakeDatabase) -> AsyncIterator[World]:
    async with running_system(
        await make_database(), ALLOW_MULTIPLE_SUBSCRIPTIONS="true", METRICS_TOKEN="for-prometheus"
    ) as system:
        owner, other = unique("owner"), unique("other")
        price = await recurring_price(system)
        mine = await belongings(system, owner, price)
        theirs = await belongings(system, other, price)
        objects = {**asdict(await installed(system, price)), **asdict(mine)}
        await system.quiet()
        # From here on nobody changes anything but requests.
        await system.stop_workers()
        browsers = {
            "owner": await portal_of(system, owner),
            "other": await portal_of(system, other),
            "admin": await console_of(system, "admin"),
            "support": await console_of(system, "support"),
        }
        marks = tuple(value for name, value in asdict(mine).items() if name not in ("user", "method"))
        stripe_ids = await system.fetch(
            "SELECT stripe_customer_id AS id FROM customers WHERE user_id = $1::text::uuid UNION ALL "
            "SELECT stripe_payment_intent_id FROM payments WHERE user_id = $1::text::uuid",
            mine.user_id,
        )
        marks += (f"{owner}@example.com", *(row["id"] for row in stripe_ids))
        assert theirs.payment not in marks
        yield World(system, objects, _callers(owner, other, browsers), browsers, marks, owner)


def _callers(owner: str, other: str, browsers: Mapping[str, Browser]) -> dict[str, dict[str, str]]:
    past = datetime.now(UTC) - timedelta(minutes=5)
    claims = jwt.decode(token_for(owner), options={"verify_signature": False})
    cookies = "; ".join(f"{name}={value}" for each in browsers.values() for name, value in each.cookies.items())
    tokens = {
        "forged": jwt.encode(claims, JWT_SECRET[::-1]),
        "expired": token_for(owner, exp=past),
        "other": token_for(other, email=f"{other}@example.com"),
        "owner": token_for(owner, email=f"{owner}@example.com"),
        "support": token_for("sue", roles=("support",)),
        "admin": token_for("root", roles=("admin",)),
        **{name: token_for("the-shop", roles=("service",)) for name in ("service_owner", "service_other")},
    }
    headers = {name: {"Authorization": f"Bearer {token}"} for name, token in tokens.items()}
    headers["service_owner"]["Tallystick-User"] = owner
    headers["service_other"]["Tallystick-User"] = other
    return {"nobody": {}, "cookies": {"Cookie": cookies}, **headers}


# That nothing is left out


def _routes(routes: Iterable[Any], prefix: str = "") -> Iterator[str]:
    for route in routes:
        if hasattr(route, "original_router"):
            yield from _routes(route.original_router.routes, prefix)
        elif getattr(route, "methods", None) is None:
            yield from _routes(route.routes, prefix + route.path)
        else:
            yield from (f"{method} {prefix}{route.path}" for method in route.methods if method != "HEAD")


async def test_every_route_has_a_rule(world: World) -> None:
    app = create_app(world.system.settings, logs=False)
    found = set(_routes(app._api.routes))
    assert found == set(API) | set(PAGES), "a route without a rule, or a rule without a route"
    document = app._api.openapi()
    listed = {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}
    assert listed - {f"POST {path}" for path in FRONT} == set(API)
    # A rule that forgot a caller would let it pass unasked.
    assert all(set(rule.policy) == set(CALLERS) for rule in API.values())
    in_front = {value for name, value in vars(wiring).items() if name.endswith("_PATH") and isinstance(value, str)}
    assert in_front == set(FRONT)


# The API


async def test_whoever_is_turned_away_reads_and_changes_nothing(world: World) -> None:
    before = await _at_rest(world.system)
    wrong = []
    for name, rule in API.items():
        for caller, expected in rule.policy.items():
            if expected == "in":
                continue
            status, body, _ = await _send(world, name, rule, caller)
            leaked = [mark for mark in world.marks if mark in body]
            if str(status) != expected or leaked or (status == 404 and "NOT_FOUND" not in body):
                wrong.append(f"{name} by {caller}: {status} instead of {expected} {leaked} {body[:200]}")
    assert not wrong, "\n".join(wrong)
    assert await _changed(world.system, before) == []


async def test_a_foreign_object_is_as_one_that_is_not(world: World) -> None:
    """By Stripe's id, too; and the answer is the same to the letter as for an id that nobody has."""
    stripe = {
        "payment": "SELECT stripe_payment_intent_id FROM payments WHERE id = $1::text::uuid",
        "subscription": "SELECT stripe_subscription_id FROM subscriptions WHERE id = $1::text::uuid",
        "invoice": "SELECT stripe_invoice_id FROM invoices WHERE id = $1::text::uuid",
        "customer": "SELECT stripe_customer_id FROM customers WHERE id = $1::text::uuid",
    }
    ids = {name: await world.system.value(sql, world.objects[name]) for name, sql in stripe.items()}
    nowhere = dict.fromkeys(world.objects, "01900000-0000-7000-8000-000000000000")
    for name, rule in API.items():
        if rule.policy["other"] != "404":
            continue
        aims = [world.objects, {**world.objects, **ids}, {**world.objects, **nowhere}]
        answers = [await _send(replace(world, objects=objects), name, rule, "other") for objects in aims]
        told = {_without_ids(body) for _, body, _ in answers}
        assert [status for status, _, _ in answers] == [404, 404, 404], (name, answers)
        assert len(told) == 1, (name, told)


def _without_ids(body: str) -> str:
    return body.partition(',"request_id"')[0]


async def test_ids_of_others_are_of_no_use_in_queries_and_bodies(world: World) -> None:
    """Cursors, filters, payment methods and customers of somebody else."""
    objects, headers = world.objects, world.headers["other"]
    me, before = "/api/customers/me", await _standing(world.system, of=objects["user_id"])
    for method, path, body, statuses in (
        ("GET", f"/api/payments/history?starting_after={objects['payment']}", None, (404, 422)),
        ("GET", f"/api/payments/history?ending_before={objects['payment']}", None, (404, 422)),
        ("GET", f"/api/subscriptions?starting_after={objects['subscription']}", None, (404, 422)),
        ("GET", f"/api/invoices?starting_after={objects['invoice']}", None, (404, 422)),
        ("GET", f"/api/invoices?subscription={objects['subscription']}", None, (200, 404)),
        ("GET", f"/api/invoices?user={world.owner}", None, (403,)),
        ("GET", f"/api/entitlements?user={world.owner}", None, (403,)),
        ("GET", f"/api/entitlements/exports?user={world.owner}", None, (403,)),
        ("GET", f"/api/users/{world.owner}/export", None, (403,)),
        ("POST", f"{me}/payment-methods/{objects['method']}/default", None, (404,)),
        ("DELETE", f"{me}/payment-methods/{objects['method']}", None, (404,)),
        ("POST", f"{me}/payment-methods", {"payment_method": objects["method"]}, (402, 404, 422)),
        ("POST", "/api/payments/payment-intent",
         {"amount": 500, "currency": "usd", "payment_method": objects["method"], "confirm": True}, (402, 404, 422)),
        ("POST", "/api/subscriptions", {"price": objects["price"], "payment_method": objects["method"]}, (404, 422)),
    ):  # fmt: skip
        status, text, _ = await world.ask(method, path, json=body, headers=headers)
        assert status in statuses, (method, path, status, text)
        shown = text.replace(objects["method"], "")
        assert not [mark for mark in world.marks if mark in shown and mark not in path], (path, text)
    # A try of theirs may stand as a payment of theirs that failed; nothing of the owner's has moved.
    assert await _changed(world.system, before, of=objects["user_id"]) == []
    for header in (world.owner, "nobody-we-know"):
        named = {**headers, "Tallystick-User": header}
        status, text, _ = await world.ask("GET", "/api/payments/history", headers=named)
        assert (status, "FORBIDDEN" in text) == (403, True)


async def test_whoever_may_gets_past_the_door(world: World) -> None:
    """Otherwise a rule that turns everybody away would hold."""
    order = ("GET", "POST", "PUT", "DELETE")
    for name, rule in sorted(API.items(), key=lambda one: (one[1].last, order.index(one[0].split()[0]))):
        first = True
        for caller in (caller for caller, expected in rule.policy.items() if expected == "in"):
            status, body, _ = await _send(world, name, rule, caller)
            assert status not in _MUST_NOT, (name, caller, body)
            assert status < 500, (name, caller, body)
            if first:
                assert status != 404 or name.endswith("/erasure"), (name, caller, body)
            if caller == "other":
                # An export tells what its user tried to reach, by the ids that were sent.
                told = re.sub(r'"acts": \[.*?\]', "", body, flags=re.DOTALL)
                assert not [mark for mark in world.marks if mark in told], (name, caller, told)
            first = False


async def _send(world: World, name: str, rule: Rule, caller: str) -> tuple[int, str, str]:
    method, path = _aimed(world, name, rule)
    return await world.ask(method, path, json=_filled(world, rule.body), headers=world.headers[caller])


def _aimed(world: World, name: str, rule: Rule | Page) -> tuple[str, str]:
    method, path = name.split()
    for part, wanted in rule.at.items():
        value = wanted[1:] if wanted.startswith("=") else world.objects[wanted]
        path = path.replace(f"{{{part}}}", value)
    return method, path + rule.query.format(**world.objects)


def _filled(world: World, body: Any) -> Any:
    if not isinstance(body, Mapping):
        return body
    return {name: value.format(**world.objects) if isinstance(value, str) else value for name, value in body.items()}


# Pages, forms and what stands in front


async def test_pages_and_forms_ask_for_their_session(world: World) -> None:
    """A token opens no page, one kind of session none of the other, and no form is carried out without its secret."""
    before = await _at_rest(world.system)
    wrong = []
    for name, page in PAGES.items():
        for who, cookies, headers, csrf, expected in _refused(world, page):
            status, body, location = await _visit(world, name, page, cookies, headers, csrf)
            leaked = [mark for mark in world.marks if mark in body]
            if not _turned_away(expected, status, body, location) or leaked:
                wrong.append(f"{name} by {who}: {status} {location} instead of {expected} {leaked}")
    assert not wrong, "\n".join(wrong)
    assert await _changed(world.system, before) == []


def _refused(world: World, page: Page) -> Iterator[tuple[str, Mapping[str, str], Mapping[str, str], str, str]]:
    """Who is turned away: a name, cookies, headers, the form's secret, and how."""
    kind, browsers = page.kind, world.browsers
    if kind in ("public", "link"):
        return
    staff, form = kind.startswith("console"), kind in ("console admin", "console form") or "form" in kind
    outside = "login" if staff else "stale" if kind == "portal call" else "outside"
    mine, foreign = (browsers["admin"], browsers["owner"]) if staff else (browsers["owner"], browsers["admin"])
    yield "nobody", {}, {}, "", outside
    yield "a token", {}, world.headers["admin" if staff else "owner"], "", outside
    yield "another kind of session", foreign.cookies, {}, foreign.csrf, outside
    if kind == "console admin":
        yield "support", browsers["support"].cookies, {}, browsers["support"].csrf, "403"
    if form:
        yield "a form without its secret", mine.cookies, {}, "", "403"
        strange = browsers["support" if staff else "other"]
        yield "a form of another session", mine.cookies, {}, strange.csrf, "403"
    if kind.endswith("own") or (kind == "portal call" and "invoice" in page.at):
        yield "a customer whose it is not", browsers["other"].cookies, {}, browsers["other"].csrf, "not theirs"


def _turned_away(expected: str, status: int, body: str, location: str) -> bool:
    if expected == "login":
        return status == _REDIRECTED and location.startswith("/console/login")
    if expected == "outside":
        # The page that says how to get in, and nothing of anybody's.
        return status in (200, 403) and "csrf" not in body
    if expected == "stale":
        return status == 403 and '"problem"' in body
    if expected == "not theirs":
        # A method that is none of theirs is as one that was removed already.
        return status in (404, 422) or (status == _REDIRECTED and location == "/billing?done=card_removed")
    return str(status) == expected


async def _visit(
    world: World, name: str, page: Page, cookies: Mapping[str, str], headers: Mapping[str, str], csrf: str
) -> tuple[int, str, str]:
    method, path = _aimed(world, name, page)
    sent = {"Cookie": "; ".join(f"{key}={value}" for key, value in cookies.items()), **headers}
    if page.kind == "portal call":
        keyed = {"X-Form-Token": csrf, "X-Form-Key": secrets.token_urlsafe(18)}
        return await world.ask(method, path, headers={**sent, **keyed})
    data = (
        {**_filled(world, page.body or {}), "csrf": csrf, "key": secrets.token_urlsafe(18)}
        if method == "POST"
        else None
    )
    return await world.ask(method, path, headers=sent, data=data)


async def test_whoever_is_signed_in_gets_in(world: World) -> None:
    for name, page in sorted(PAGES.items(), key=lambda one: (one[1].last, one[0].startswith("POST"))):
        if page.kind == "public" or page.kind == "link":
            status, _, _ = await _visit(world, name, page, {}, {}, "")
            assert status not in _MUST_NOT or name == "POST /console/login", (name, status)
            continue
        visitors = ["owner"] if page.kind.startswith("portal") else ["admin"]
        visitors += ["support"] if page.kind in ("console", "console form") and ".csv" not in name else []
        for who in visitors:
            browser = world.browsers[who]
            status, body, location = await _visit(world, name, page, browser.cookies, {}, browser.csrf)
            assert status not in _MUST_NOT, (name, who, body)
            assert status < 500, (name, who, body)
            if page.last:
                assert location in ("/console/login", "/billing?out=1"), (name, who, location)
            else:
                assert not location.startswith("/console/login"), (name, who)


async def test_a_link_is_opened_by_its_own_token_only(world: World) -> None:
    token = world.objects["checkout_token"]
    almost = token[:-1] + ("A" if token[-1] != "A" else "B")
    headers = world.headers["admin"]
    for path in ("", "/state"):
        for guess in (almost, token.swapcase(), token + "A", world.objects["checkout"]):
            status, body, _ = await world.ask("GET", f"/pay/{guess}{path}", headers=headers)
            assert status == 404, (path, guess)
            assert not [mark for mark in world.marks if mark in body]
    assert (await world.ask("POST", f"/pay/{almost}/start"))[0] == 404


async def test_what_only_a_signature_opens(world: World) -> None:
    count = await world.system.value("SELECT count(*) FROM webhook_events")
    for headers in ({}, world.headers["admin"], {"Stripe-Signature": "t=1,v1=00"}):
        data = b'{"id": "evt_planted", "object": "event", "type": "payment_intent.succeeded"}'
        status, _, _ = await world.ask("POST", "/api/webhooks/stripe", data=data, headers=headers)
        assert status == 400
    assert await world.system.value("SELECT count(*) FROM webhook_events") == count


async def test_metrics_ask_for_their_token(world: World) -> None:
    for headers in ({}, world.headers["admin"], {"Authorization": "Bearer for-prometheus "}, {"Authorization": "é"}):
        status, body, _ = await world.ask("GET", "/metrics", headers=headers)
        assert (status, body) == (404, "") or "prometheus " in str(headers), headers
    status, body, _ = await world.ask("GET", "/metrics", headers={"Authorization": "Bearer for-prometheus"})
    assert (status, "tallystick_" in body) == (200, True)


# What stands in the database and at Stripe


async def _standing(system: System, of: str | None = None) -> dict[str, str]:
    """A digest of each table (of what is a user's, if one is named), and of what Stripe has told of."""
    tables = await system.fetch(
        "SELECT table_name AS name, bool_or(column_name = 'user_id') AS owned FROM information_schema.columns "
        "WHERE table_schema = 'public' GROUP BY 1 ORDER BY 1"
    )
    digest = "SELECT coalesce(md5(string_agg(t::text, '|' ORDER BY t::text)), '') FROM \"{}\" t {}"
    standing = {}
    for row in tables:
        if row["name"] in _MAY_CHANGE or (of and not row["owned"]):
            continue
        where = f"WHERE user_id = '{of}'" if of else ""
        standing[row["name"]] = await system.value(digest.format(row["name"], where))
    if of is None:
        events = (await system.stripe("/v1/events?limit=100"))["data"]
        # What Stripe does by itself comes when it comes; what anybody asked it to do names the request.
        standing["Stripe"] = next(event["id"] for event in events if event["request"]["id"])
    return standing


async def _at_rest(system: System, of: str | None = None) -> dict[str, str]:
    """The same, once the events of what was done before have come."""
    standing, before = await _standing(system, of), None
    while standing != before:
        await asyncio.sleep(0.5)
        standing, before = await _standing(system, of), standing
    return standing


async def _changed(system: System, before: Mapping[str, str], of: str | None = None) -> list[str]:
    after = await _standing(system, of)
    return [name for name in before if before[name] != after[name]]

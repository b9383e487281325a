"""The console's door, and what somebody may try who should not get further: all by requests, without a browser."""

import csv
import inspect
import io
import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http.cookies import SimpleCookie
from urllib.parse import urlencode

import aiohttp
import jwt
import pytest
import pytest_asyncio
from yarl import URL

from system import System, token_for, unique
from tallystick.console.controller_actions import ActionController
from tallystick.console.errors import LoginRefused, TooManyTries
from tallystick.console.listings import LISTINGS
from tallystick.console.repository import ConsoleRepository
from tallystick.console.service import ConsoleService
from tallystick.platform.auth import TokenVerifier
from tallystick.platform.database import Database

COOKIE = "tallystick_console"
STRANGE = "%00"


@asynccontextmanager
async def browser() -> AsyncIterator[aiohttp.ClientSession]:
    """Somebody with a cookie jar."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        yield session


async def sign_in(
    session: aiohttp.ClientSession, system: System, role: str = "admin", then: str = "", token: str | None = None
) -> aiohttp.ClientResponse:
    data = {"token": token or token_for("root", email="root@example.com", roles=(role,)), "then": then}
    return await session.post(f"{system.api_url}/console/login", data=data, allow_redirects=False)


def csrf_of(page: str) -> str:
    found = re.search(r'name="csrf" value="([0-9a-f]+)"', page)
    assert found
    return found[1]


def session_of(session: aiohttp.ClientSession) -> str:
    return next(each.value for each in session.cookie_jar if each.key == COOKIE)


@pytest_asyncio.fixture(autouse=True)
async def nobody_was_refused(system: System) -> None:
    await system.fetch("DELETE FROM console_tries")


@pytest.mark.parametrize(
    ("then", "leads"),
    [
        ("/console/payments?status=failed", "/console/payments?status=failed"),
        ("//evil.example/console/", "/console"),
        ("https://evil.example/console", "/console"),
        ("/console/\\evil.example", "/console"),
        ("/consolea", "/console"),
        ("http://[", "/console"),
        ("javascript:alert(1)", "/console"),
    ],
)
async def test_the_door_leads_nowhere_else(system: System, then: str, leads: str) -> None:
    async with browser() as somebody:
        answer = await sign_in(somebody, system, then=then)
        assert (answer.status, answer.headers["location"]) == (303, leads)
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "path=/console" in cookie
        assert "samesite=lax" in cookie


async def test_a_session_is_new_each_time_and_the_old_one_ends(system: System) -> None:
    async with browser() as somebody:
        somebody.cookie_jar.update_cookies(SimpleCookie(f"{COOKIE}={'A' * 43}; Path=/console"), URL(system.api_url))
        assert session_of(somebody) == "A" * 43
        await sign_in(somebody, system)
        first = session_of(somebody)
        assert first != "A" * 43
        await sign_in(somebody, system)
        assert session_of(somebody) != first
        stored = await system.fetch("SELECT encode(token_hash, 'hex') AS hash FROM console_sessions")
        assert first not in str(stored)
    async with browser() as thief:
        headers = {"Cookie": f"{COOKIE}={first}"}
        async with thief.get(f"{system.api_url}/console", headers=headers, allow_redirects=False) as answer:
            assert answer.status == 303


async def pass_minutes(system: System) -> None:
    """Let more than ten minutes pass for all tries; by as much each time that none falls on another's minute."""
    await system.fetch(
        "UPDATE console_tries SET minute = minute - (SELECT max(minute) - min(minute) FROM console_tries)"
        " - interval '11 minutes'"
    )


async def test_whoever_guesses_has_to_wait(system: System) -> None:
    await system.fetch("DELETE FROM console_places")
    async with browser() as somebody:
        statuses = [(await sign_in(somebody, system, token="wrong")).status for _ in range(21)]
        assert statuses == [401] * 20 + [429]
        # Also with the right one: a guess is not told from it.
        answer = await sign_in(somebody, system)
        assert (answer.status, answer.headers["retry-after"]) == (429, "600")
        assert "Wait ten minutes" in await answer.text()
        await pass_minutes(system)
        assert (await sign_in(somebody, system)).status == 303
        # Who gets in is not counted.
        assert await system.value("SELECT sum(failed)::int FROM console_tries WHERE NOT address LIKE 'name:%'") == 22
        assert (await sign_in(somebody, system, "user")).status == 401
        told = await system.fetch("SELECT error_code, count(*)::int FROM audit_log WHERE actor = 'nobody' GROUP BY 1")
        # Each that was looked at, and the first that was not.
        assert dict(told) == {"LOGIN_REFUSED": 21, "TOO_MANY_TRIES": 1}


async def test_nobody_locks_staff_out_of_where_they_have_been(system: System) -> None:
    async with browser() as somebody:
        assert (await sign_in(somebody, system)).status == 303
        await pass_minutes(system)
        for _ in range(22):
            answer = await sign_in(somebody, system, token="wrong")
        assert answer.status == 429
        assert (await sign_in(somebody, system)).status == 303, "this name has signed in from here before"
        elsewhere = token_for("else", roles=("admin",))
        assert (await sign_in(somebody, system, token=elsewhere)).status == 429, "that one has not"
        await pass_minutes(system)


async def test_nobody_locks_staff_out_by_trying_in_their_name(system: System) -> None:
    forged = jwt.encode({"sub": "grace"}, "x" * 64)
    verifier = TokenVerifier(system.settings)
    database = await Database.connect(system.database_url)
    try:
        service = ConsoleService(database, system.clock, verifier, slow_s=0)
        refused = []
        for number in range(22):
            with pytest.raises((LoginRefused, TooManyTries)) as error:
                await service.sign_in(forged, address=f"198.51.100.{number}", before=None)
            refused.append(error.value.code)
        assert refused == ["LOGIN_REFUSED"] * 20 + ["TOO_MANY_TRIES"] * 2
        right = token_for("grace", roles=("admin",))
        _, identity = await service.sign_in(right, address="203.0.113.77", before=None)
        assert identity.subject == "grace"
    finally:
        await database.close()


async def test_a_session_runs_out_though_its_page_asks_for_itself(system: System) -> None:
    async with browser() as somebody:
        await sign_in(somebody, system)
        await system.fetch("UPDATE console_sessions SET seen_at = seen_at - interval '5 minutes'")
        url, live = f"{system.api_url}/console/payments", {"X-Tallystick-Live": "1"}
        ends = await system.value("SELECT max(expires_at) FROM console_sessions")
        async with somebody.get(url, headers=live) as answer:
            assert answer.status == 200
        assert await system.value("SELECT max(expires_at) FROM console_sessions") == ends
        async with somebody.get(url) as answer:
            assert answer.status == 200
        assert await system.value("SELECT max(expires_at) FROM console_sessions") > ends
        await system.fetch("UPDATE console_sessions SET expires_at = now() - interval '1 second'")
        async with somebody.get(url, headers=live, allow_redirects=False) as answer:
            assert answer.status == 303


async def test_forms_of_others_do_nothing(system: System) -> None:
    paid = (await system.pay(amount=2000)).body
    url = f"{system.api_url}/console/payments/{paid['id']}/refund"
    async with browser() as staff, browser() as support:
        await sign_in(staff, system)
        await sign_in(support, system, "support")
        ours = csrf_of(await (await staff.get(f"{system.api_url}/console/payments")).text())
        theirs = csrf_of(await (await support.get(f"{system.api_url}/console/payments")).text())
        evil = {"Sec-Fetch-Site": "cross-site"}
        for session, data, headers in (
            (staff, {}, {}),
            (staff, {"csrf": theirs}, {}),
            (staff, {"csrf": "é"}, {}),
            (staff, {"csrf": ours}, evil),
            (support, {"csrf": theirs}, {}),
        ):
            async with session.post(url, data=data, headers=headers, allow_redirects=False) as answer:
                assert answer.status == 403, data
        async with staff.post(f"{system.api_url}/console/login", data={"token": "x"}, headers=evil) as answer:
            assert answer.status == 403
        assert await system.value("SELECT count(*) FROM refunds") == 0


async def test_a_form_is_carried_out_once(system: System) -> None:
    """Sent twice with its key, whether it moves money or our own queues, it gives the same answer, and is done once."""
    paid = (await system.pay(amount=2000)).body
    await system.quiet()
    event = await system.value(
        "UPDATE webhook_events SET state = 'dead' WHERE id = (SELECT id FROM webhook_events ORDER BY id DESC LIMIT 1) "
        "RETURNING id::text"
    )
    async with browser() as staff:
        await sign_in(staff, system)
        csrf = csrf_of(await (await staff.get(f"{system.api_url}/console/payments")).text())
        for path, fields in (
            (f"payments/{paid['id']}/refund", {"amount": "7.00"}),
            (f"events/{event}/discard", {"reason": "a duplicate of yesterday's"}),
        ):
            data = {"csrf": csrf, "key": f"key-of-{fields}", **fields}
            answers = []
            for _ in range(2):
                url = f"{system.api_url}/console/{path}"
                async with staff.post(url, data=data, allow_redirects=False) as answer:
                    answers.append((answer.status, answer.headers["location"]))
            assert answers[0] == answers[1], path
            assert answers[0][0] == 303, path
        await system.quiet()
        assert await system.value("SELECT count(*) FROM refunds WHERE payment_id = $1::text::uuid", paid["id"]) == 1
        said = await system.value("SELECT error_message FROM webhook_events WHERE id = $1::text::uuid", event)
        assert said.startswith("discarded: a duplicate of yesterday's (admin:root)")
        # The words that are said are this session's; a link cannot make any up.
        shown = await (await staff.get(f"{system.api_url}{answers[0][1]}")).text()
        assert "Discarded; its object is read from Stripe." in shown
        forged = await (await staff.get(f"{system.api_url}/console?done=good:Call+0900-1&mark=0")).text()
        assert "0900" not in forged


@pytest.mark.parametrize("charset", ["punycode", "undefined", "utf-8"])
async def test_a_form_is_of_the_kind_that_our_pages_send(
    system: System, monkeypatch: pytest.MonkeyPatch, charset: str
) -> None:
    """The other kind is decoded by a codec that the caller names: some take minutes, some raise."""
    parsed: list[str] = []
    monkeypatch.setattr("starlette.requests.MultiPartParser", lambda *_, **__: parsed.append("a part"))
    body = b'--x\r\nContent-Disposition: form-data; name="token"\r\n\r\nx-aaa\r\n--x--\r\n'
    urlencoded = f"application/x-www-form-urlencoded; charset={charset}"
    async with browser() as somebody:
        url = f"{system.api_url}/console/login"
        for kind, status in (
            (f"multipart/form-data; boundary=x; charset={charset}", 422),
            (f"Multipart/Form-Data;boundary=x;charset={charset}; application/x-www-form-urlencoded", 422),
            ("application/json", 422),
            (urlencoded, 401),
        ):
            async with somebody.post(url, data=body, headers={"Content-Type": kind}) as answer:
                assert answer.status == status, kind
    assert parsed == []


async def test_whatever_a_form_holds_what_it_did_is_written_down(system: System) -> None:
    paid = (await system.pay(amount=2000)).body
    await system.quiet()
    names = list(inspect.signature(ActionController._note).parameters)
    assert {"kind", "error", "details"} <= set(names)
    refunds, who = "SELECT count(*) FROM refunds WHERE payment_id = $1::text::uuid", unique("grace")
    async with browser() as staff:
        await sign_in(staff, system, token=token_for(who, roles=("admin",)))
        csrf = csrf_of(await (await staff.get(f"{system.api_url}/console/payments")).text())
        written = 0

        async def send(path: str, fields: Mapping[str, str], status: int = 303) -> None:
            form = urlencode({"csrf": csrf, "key": unique("k"), **fields})
            url, kind = f"{system.api_url}/console/{path}", {"Content-Type": "application/x-www-form-urlencoded"}
            async with staff.post(url, data=form, headers=kind, allow_redirects=False) as answer:
                assert answer.status == status, fields

        for name in [*names, "count", "outcome"]:
            await send(f"payments/{paid['id']}/refund", {"amount": "1.00", name: "NOT_REALLY"})
            written += 1
            told = await system.fetch(
                "SELECT outcome, error_code, details FROM audit_log WHERE object_id = $1 ORDER BY id", paid["id"]
            )
            assert [(row["outcome"], row["error_code"]) for row in told] == [("done", None)] * written, name
            await system.quiet()
        assert await system.value(refunds, paid["id"]) == written
        await send(f"payments/{paid['id']}/refund", {"amount": "1.00", "a\x00b": "x"}, 422)
        strange = {"count": "7", "error": "NOT_REALLY", "kind": "x"}
        await send("events/many", {"do": "replay", "chosen": "evt_of_nobody", **strange})
        await send("differences/run", {"mode": "full", "error": "NOT_REALLY", "kind": "x"})
    assert await system.value(refunds, paid["id"]) == written
    told = await system.fetch(
        "SELECT action, outcome, details->>'count' AS count FROM audit_log "
        "WHERE actor = $1 AND action IN ('console_events_replay', 'console_reconcile') ORDER BY id",
        f"admin:{who}",
    )
    assert [tuple(row) for row in told] == [("console_events_replay", "done", "0"), ("console_reconcile", "done", None)]


async def test_what_is_no_text_no_page_and_no_method(system: System) -> None:
    async with browser() as staff:
        await sign_in(staff, system)
        for path, status in (
            (f"/console/payments/{STRANGE}", 422),
            (f"/console/payments?user={STRANGE}", 422),
            (f"/console/find?q={STRANGE}", 422),
            ("/console/payments?status=' OR true --", 422),
            ("/console/payments?cursor=W10", 422),
            ("/console/payments?since=yesterday", 422),
            ("/console/figures?currency=xxx", 422),
            ("/console/figures.csv?report=__init__", 404),
            ("/console/nothing/here", 404),
            ("/console/payments/0", 404),
            ("/console/payments.csv?since=never", 422),
        ):
            async with staff.get(system.api_url + path) as answer:
                page = await answer.text()
                assert answer.status == status, path
                assert "text/html" in answer.headers["content-type"]
                assert "Traceback" not in page
                assert "asyncpg" not in page
        async with staff.get(f"{system.api_url}/console/payments/") as answer:
            assert (answer.status, answer.url.path) == (200, "/console/payments")
        for path in ("/console", "/console/payments", "/console/figures"):
            async with staff.head(system.api_url + path) as answer:
                assert answer.status == 200
                assert not await answer.read()
            async with staff.get(system.api_url + path) as answer:
                policy = answer.headers["content-security-policy"]
                assert "unsafe" not in policy
                assert "script-src 'self'" in policy
                assert answer.headers["cache-control"] == "no-store"
        async with staff.post(f"{system.api_url}/console/payments") as answer:
            assert answer.status == 405


async def test_a_list_that_is_asked_for_often_keeps_its_plan(system: System) -> None:
    """PostgreSQL would go over to a plan for any value, which reads the whole order where the value is rare."""
    database = await Database.connect(system.database_url, size=1)
    try:
        listing = LISTINGS["audit"]
        async with database.connection() as connection:
            for _ in range(8):
                await ConsoleRepository().page(
                    connection, listing, {"actor": "nobody"}, order=listing.orders[0], cursor=None, limit=25
                )
            plans = await connection.fetchrow(
                "SELECT generic_plans::int AS generic, custom_plans::int AS custom FROM pg_prepared_statements "
                "WHERE statement LIKE '%FROM audit_log%' AND statement NOT LIKE '%generic%'"
            )
            assert plans is not None
            assert (plans["generic"], plans["custom"]) == (0, 8)
    finally:
        await database.close()


async def figures(staff: aiohttp.ClientSession, url: str) -> list[dict[str, str]]:
    headers = {"Authorization": f"Bearer {token_for('root', roles=('support',))}"}
    async with staff.get(url, headers=headers) as answer:
        assert answer.status == 200
        return list(csv.DictReader(io.StringIO(await answer.text())))


async def test_csv_is_text_and_agrees_with_the_page(system: System) -> None:
    await system.pay(amount=3300, user="eve", description='=HYPERLINK("http://evil.example")')
    await system.quiet()
    async with browser() as staff:
        await sign_in(staff, system, "support")
        async with staff.get(f"{system.api_url}/console/payments.csv?user=eve") as answer:
            rows = list(csv.DictReader(io.StringIO(await answer.text())))
        assert [row["amount"] for row in rows] == ["33.00 usd"]
        assert rows[0]["description"].startswith("'=HYPERLINK")
        for report in ("mrr", "subscribers", "trials", "money"):
            ends = time.monotonic() + 15
            while True:
                shown = await figures(staff, f"{system.api_url}/console/figures.csv?report={report}&span=30d")
                told = await figures(staff, f"{system.api_url}/api/metrics/{report}?format=csv")
                # What was paid just now is counted a few seconds later, perhaps between the two.
                if shown == told or time.monotonic() > ends:
                    break
            assert shown == told, report

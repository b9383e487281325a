"""Links to the billing pages by their routes, without a browser: opened once, by one; and forms of one session."""

import asyncio
import hashlib
import re
from typing import Any

import aiohttp
import pytest

from subscribing import plan, subscribed
from system import System, unique

BASE = "/api/portal-sessions"
HEADERS = ("no-store", "same-origin", "DENY", "nosniff")


async def link(system: System, user: str, **body: Any) -> str:
    answer = await system.call("POST", BASE, body, user=user)
    assert answer.status == 201, answer.body
    return str(answer.body["url"])


async def opened(system: System, url: str, **more: Any) -> tuple[int, str | None, aiohttp.ClientSession]:
    """Open a link in a browser of its own: status, where it leads, and the browser."""
    jar = aiohttp.CookieJar(unsafe=True)
    browser = aiohttp.ClientSession(cookie_jar=jar)
    async with browser.get(url, allow_redirects=False, **more) as answer:
        return answer.status, answer.headers.get("Location"), browser


async def test_of_many_who_open_a_link_at_once_one_gets_in(system: System) -> None:
    user = unique("buyer")
    url = await link(system, user)
    token = url.rpartition("/")[2]
    # A browser that only guesses does not use it up.
    status, _, guessing = await opened(system, url, headers={"Sec-Purpose": "prefetch;prerender"})
    assert status == 503
    tries = await asyncio.gather(*(opened(system, url) for _ in range(6)))
    assert sorted(status for status, _, _ in tries) == [303, 410, 410, 410, 410, 410]
    hashed = hashlib.sha256(token.encode()).digest()
    assert await system.value("SELECT count(*) FROM portal_sessions WHERE link_hash = $1", hashed) == 1
    rows = await system.fetch("SELECT l::text AS row FROM portal_links l")
    assert not any(token in row["row"] for row in rows)
    for _, _, browser in (*tries, (0, None, guessing)):
        await browser.close()


@pytest.mark.parametrize(
    ("flow", "target"),
    [
        ("cancel", r"/subscriptions/.+/cancel$"),
        ("change", r"/subscriptions/.+/change$"),
        ("payment_method", "/methods/add$"),
        ("pay", "/billing$"),
    ],
)
async def test_a_link_leads_to_what_the_customer_wants(system: System, flow: str, target: str) -> None:
    user = unique("buyer")
    await subscribed(system, user, await plan(system))
    status, first, browser = await opened(system, await link(system, user, flow=flow))
    assert (status, first) == (303, f"/billing?flow={flow}")
    async with browser.get(f"{system.api_url}{first}") as answer:
        assert answer.status == 200
        assert re.search(target, str(answer.url)), answer.url
        found = tuple(
            answer.headers[name]
            for name in ("cache-control", "referrer-policy", "x-frame-options", "x-content-type-options")
        )
        assert found == HEADERS
        assert "script-src 'self'" in answer.headers["content-security-policy"]
        assert "unsafe" not in answer.headers["content-security-policy"]
    await browser.close()


async def test_what_a_link_may_not_be(system: System) -> None:
    user = unique("buyer")
    refused = await system.call("POST", BASE, {"return_url": "https://evil.test/"}, user=user)
    assert (refused.status, refused.code, refused.body["field"]) == (422, "RETURN_URL_REFUSED", "return_url")
    for body in ({"flow": "everything"}, {"return_url": "javascript:alert(1)"}, {"user": "bob"}, {"locale": "<b>"}):
        assert (await system.call("POST", BASE, body, user=user)).status == 422, body
    support = await system.call("POST", BASE, {}, user=unique("staff"), roles=("support",))
    assert support.status == 403
    # A service names whose page it is.
    behalf = await system.call("POST", BASE, {}, roles=("service",), headers={"Tallystick-User": user})
    assert behalf.status == 201
    found = await system.value(
        "SELECT count(*) FROM portal_links l JOIN users u ON u.id = l.user_id WHERE external_id = $1", user
    )
    assert found == 1
    for tail in ("x", "A" * 43, "%00", "é" * 43):
        async with system.http.get(f"{system.api_url}/billing/open/{tail}") as answer:
            assert answer.status == 404
            assert "There is no such link" in await answer.text()


async def test_nothing_is_changed_without_this_sessions_form(system: System) -> None:
    user, other = unique("buyer"), unique("other")
    subscription = (await subscribed(system, user, await plan(system)))["id"]
    path = f"{system.api_url}/billing/subscriptions/{subscription}/cancel"
    _, _, mine = await opened(system, await link(system, user))
    _, _, foreign = await opened(system, await link(system, other))
    async with foreign.get(f"{system.api_url}/billing/methods/add") as answer:
        theirs = _field(await answer.text(), "csrf")
    async with mine.get(path) as answer:
        page = await answer.text()
    form = {"csrf": _field(page, "csrf"), "key": _field(page, "key")}
    for browser, sent, status in (
        (mine, {"key": form["key"]}, 403),
        (mine, {**form, "csrf": theirs}, 403),
        (system.http, form, 200),
        (foreign, {**form, "csrf": theirs}, 404),
        (mine, {**form, "key": "x"}, 403),
        (mine, {**form, **{f"field{number}": "1" for number in range(100)}}, 404),
    ):
        async with browser.post(path, data=sent) as answer:
            assert answer.status == status, (sent, await answer.text())
    async with mine.get(f"{path}?csrf={form['csrf']}&key={form['key']}") as answer:
        assert answer.status == 200
    for script in ("/billing/methods/setup", "/billing/invoices/in_x/secret"):
        async with mine.post(system.api_url + script) as answer:
            assert answer.status == 403
    row = (await system.call("GET", f"/api/subscriptions/{subscription}", user=user)).body
    assert not row["cancel_at_period_end"]
    # Sent ten times at once, the form is one cancellation.
    answers = await asyncio.gather(*(_post(mine, path, form) for _ in range(10)))
    assert {(status, target) for status, target in answers} == {(303, "/billing?done=canceled")}
    kinds = await system.fetch("SELECT kind FROM attempts WHERE subject_id = $1::uuid", subscription)
    assert [row["kind"] for row in kinds].count("subscription.cancel_later") == 1
    await mine.close()
    await foreign.close()


@pytest.mark.parametrize("charset", ["punycode", "undefined"])
async def test_a_form_is_of_the_kind_that_our_pages_send(
    system: System, monkeypatch: pytest.MonkeyPatch, charset: str
) -> None:
    parsed: list[str] = []
    monkeypatch.setattr("starlette.requests.MultiPartParser", lambda *_, **__: parsed.append("a part"))
    _, _, browser = await opened(system, await link(system, unique("buyer")))
    async with browser.get(f"{system.api_url}/billing/methods/add") as answer:
        csrf = _field(await answer.text(), "csrf")
    body = f'--x\r\nContent-Disposition: form-data; name="csrf"\r\n\r\n{csrf}\r\n--x--\r\n'.encode()
    for path in ("logout", "subscribe"):
        headers = {"Content-Type": f"multipart/form-data; boundary=x; charset={charset}"}
        async with browser.post(f"{system.api_url}/billing/{path}", data=body, headers=headers) as answer:
            assert answer.status == 404, path
    # Nor can what is no text be stored.
    assert (await _post(browser, f"{system.api_url}/billing/logout", {"csrf": csrf, "x": "a\x00b"}))[0] == 404
    assert parsed == []
    assert await _post(browser, f"{system.api_url}/billing/logout", {"csrf": csrf}) == (303, "/billing?out=1")
    await browser.close()


async def _post(browser: aiohttp.ClientSession, path: str, form: dict[str, str]) -> tuple[int, str | None]:
    async with browser.post(path, data=form, allow_redirects=False) as answer:
        return answer.status, answer.headers.get("Location")


def _field(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]+)"', page)
    assert found is not None, page
    return found[1]


async def test_what_nobody_knows_yet_is_said_and_not_done_twice(system: System) -> None:
    user = unique("buyer")
    subscription = (await subscribed(system, user, await plan(system)))["id"]
    path = f"{system.api_url}/billing/subscriptions/{subscription}/cancel"
    _, _, browser = await opened(system, await link(system, user))
    async with browser.get(path) as answer:
        page = await answer.text()
    form = {"csrf": _field(page, "csrf"), "key": _field(page, "key"), "reason": "unused"}
    await system.fault(target="api", kind="cut", method="POST", path="/v1/subscriptions/*", when="after", times=None)
    status, target = await _post(browser, path, form)
    assert (status, target) == (303, "/billing?done=unknown")
    async with browser.get(system.api_url + str(target)) as answer:
        assert "We do not know yet whether that has worked" in await answer.text()
    await system.sandbox("DELETE", "/_sandbox/faults")
    await system.quiet()
    assert await _post(browser, path, form) == (303, "/billing?done=canceled")
    history = await system.call("GET", f"/api/subscriptions/{subscription}/history", user=user)
    assert [change["action"] for change in history.body["data"]].count("cancel_scheduled") == 1
    await browser.close()

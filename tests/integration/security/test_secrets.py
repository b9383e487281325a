"""Marked secrets everywhere, a story in which everything fails, and a search of all that was said and stored.

Where a secret belongs (its owner's own answer, the cookie of its browser) it was taken from; anywhere else is a leak.
"""

import asyncio
import html
import json
import re
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote, urlsplit

import asyncpg
import pytest
import structlog
from aiohttp import web
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from pydantic import SecretStr
from standardwebhooks import Webhook

from checking_out import Customer, make
from owning import console_of, portal_of
from running_dev import RunningDev
from system import LONG, MakeDatabase, System, free_port, running_system, token_for, unique
from tallystick.payments.service import StripePaymentService
from tallystick.platform.logging import hide, scrub
from tallystick.platform.settings import Settings, SettingsError, load_settings
from tallystick.webhooks.registry import Handler, Registry

MARKED = {
    "STRIPE_SECRET_KEY": "sk_test_MARKEDofStripe1",
    "JWT_SECRET": "MARKED-of-tokens-with-32-characters-and-more",
    "METRICS_TOKEN": "MARKED-of-prometheus",
    "SEALING_KEYS": "MARKED-what-stored-secrets-are-sealed-by",
}
NEW_KEY = "MARKED-the-key-that-takes-its-place-soon"
MAIL_PASSWORD = "MARKED-of:the/mail server"
DATABASE_PASSWORD = "MARKED-of@the#database"
CHANNEL = "MARKED-of-the-channel"
CARD = "4242424242424242"


class _Refusing:
    """A mail server that says back whatever it was told."""

    async def handle_DATA(self, server: object, session: object, envelope: object) -> str:
        return f"550 5.7.1 no, {MAIL_PASSWORD} and sk_test_MARKEDofStripe1"


def _let_in(*_: object) -> AuthResult:
    return AuthResult(success=True)


@asynccontextmanager
async def echoing() -> AsyncIterator[tuple[str, list[str], list[str]]]:
    """A receiver of webhooks that answers with all it knows, its signing secret too, and an error; and which were
    signed by what it knows."""
    known: list[str] = []
    signed: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        secret = next((secret for secret in known if secret.startswith("whsec_")), "")
        Webhook(secret).verify(await request.read(), dict(request.headers))
        signed.append(request.headers["webhook-id"])
        told = {name: value for name, value in request.headers.items() if name.startswith("webhook-")}
        return web.Response(status=500, text=json.dumps({"secrets": known, **told}))

    app = web.Application()
    app.router.add_post("/", answer)
    runner, port = web.AppRunner(app), free_port()
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}/", known, signed
    finally:
        await runner.cleanup()


async def _marked_role(database_url: str) -> str:
    """The same database, by a role whose password is marked."""
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute("DROP ROLE IF EXISTS marked")
        await connection.execute(f"CREATE ROLE marked SUPERUSER LOGIN PASSWORD '{DATABASE_PASSWORD}'")
    finally:
        await connection.close()
    return re.sub(r"//[^@]+@", f"//marked:{quote(DATABASE_PASSWORD, safe='')}@", database_url)


async def test_no_secret_is_said_or_stored_where_it_does_not_belong(
    make_database: MakeDatabase, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    smtp_port = free_port()
    smtp = Controller(_Refusing(), hostname="127.0.0.1", port=smtp_port, authenticator=_let_in, auth_require_tls=False)
    smtp.start()
    monkeypatch.setattr("system.JWT_SECRET", MARKED["JWT_SECRET"])
    changes: dict[str, Any] = {
        **MARKED,
        "SMTP_URL": f"smtp://mailer:{quote(MAIL_PASSWORD, safe='')}@127.0.0.1:{smtp_port}?starttls=never",
        "ALERT_URLS": f"json://{CHANNEL}@127.0.0.1:9/",
        "LOG_LEVEL": "debug",
    }
    owner_url = await make_database()
    database_url = await _marked_role(owner_url)
    async with running_system(database_url, **changes) as system, echoing() as (receiver, known, signed):
        secrets = {**MARKED, "mail": MAIL_PASSWORD, "database": DATABASE_PASSWORD, "channel": CHANNEL, "card": CARD}
        answers = await _story(system, receiver, known, secrets, monkeypatch)
        answers += await _break_down(system, owner_url)
        assert len(secrets) >= 17, secrets
        _search(secrets, "answers", answers)
        _search(secrets, "what staff see", await _seen_by_staff(system))
        _search(secrets, "the database", await _stored(system))
        await _change_the_key(system)
        assert signed, "nothing was signed by the secret that was sealed"
    smtp.stop()
    said = capfd.readouterr()
    _search(secrets, "what was logged", [said.err, said.out])
    # The story was told: otherwise nothing could have been found in it.
    for part in ("request.failed", "a bug in a request", "a bug in a worker", "readyz.failed", "stripe.failed"):
        assert part in said.err, part


async def _story(
    system: System, receiver: str, known: list[str], secrets: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """Everybody does something, and much goes wrong; what was answered to those who may not see it."""
    ann, eve = unique("ann"), unique("eve")
    secrets["access token"] = token_for(ann, email=f"{ann}@example.com")
    endpoint = await system.call("POST", "/api/webhook-endpoints", {"url": receiver, "events": ["*"]}, roles=("admin",))
    secrets["signing secret"] = endpoint.body["secret"]
    known += secrets.values()
    begun = await system.call(
        "POST", "/api/payments/payment-intent", {"amount": 900, "currency": "usd"}, token=secrets["access token"]
    )
    secrets["client secret"] = begun.body["client_secret"]
    secured = await system.pay("pm_card_authenticationRequired", user=ann)
    secrets["client secret of 3D Secure"] = secured.body["client_secret"]
    setup = await system.call("POST", "/api/customers", {}, user=ann)
    setup = await system.call("POST", "/api/customers/me/setup-intents", user=ann)
    secrets["client secret of a card"] = setup.body["client_secret"]
    _, customer = await make(system, user=ann)
    secrets["checkout link"] = customer.url.rpartition("/")[2]
    secrets["client secret of a page"] = (await customer.start())[1]["client_secret"]
    link = (await system.call("POST", "/api/portal-sessions", {}, user=ann)).body["url"]
    secrets["portal link"] = link.rpartition("/")[2]
    secrets["portal session"] = next(iter((await portal_of(system, ann)).cookies.values()))
    secrets["console session"] = next(iter((await console_of(system, "admin")).cookies.values()))
    answers = [await _refused(system, ann, eve, customer, secrets)]
    assert (await system.pay("pm_card_visa_chargeDeclined", user=ann)).status == 402
    await system.fault(target="api", kind="status", path="/v1/payment_intents", method="POST")
    answers.append(str((await system.pay(user=ann)).body))

    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError(f"a bug in a request, with {_formed(secrets)}")

    with monkeypatch.context() as patch:
        patch.setattr(StripePaymentService, "history", broken)
        failed = await system.call("GET", "/api/payments/history", user=ann)
        assert failed.status == 500
        answers.append(str(failed.body))
    with monkeypatch.context() as patch:
        patch.setattr(Registry, "find", lambda *_: Handler(_bug_of(secrets), _nothing, 0))
        await system.call("POST", "/api/payments/payment-intent", {"amount": 800, "currency": "usd"}, user=ann)
        await _until(system, "SELECT count(*) FROM webhook_events WHERE error_message LIKE '%a bug in a worker%'")
    await _until(system, "SELECT count(*) FROM outbound_deliveries WHERE response_body IS NOT NULL")
    await _until(system, "SELECT count(*) FROM mails WHERE last_error IS NOT NULL")
    return answers


def _formed(secrets: Mapping[str, str]) -> list[str]:
    """Those that a log can tell by their form, or was told of. A link's token is looked for where links are handled."""
    opaque = ("checkout link", "portal link", "portal session", "console session")
    return [secret for name, secret in secrets.items() if name not in opaque]


async def _nothing(*_: object) -> None:
    """Records nothing."""


def _bug_of(secrets: Mapping[str, str]) -> Callable[[object], NoReturn]:
    def translate(_: object) -> NoReturn:
        raise RuntimeError(f"a bug in a worker, with {_formed(secrets)}")

    return translate


async def _until(system: System, count: str) -> None:
    for _ in range(1000):
        if await system.value(count):
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"it never came: {count}")


async def _refused(system: System, ann: str, eve: str, customer: Customer, secrets: Mapping[str, str]) -> str:
    """What others are told of what is Ann's, and of their own forgeries."""
    payments = (await system.call("GET", "/api/payments/history", user=ann)).body["data"]
    told = [payments]
    for payment in payments:
        told.append((await system.call("GET", f"/api/payments/payment-intent/{payment['id']}", user=eve)).body)
        path = f"/api/payments/payment-intent/{payment['id']}/confirm"
        told.append((await system.call("POST", path, {"payment_method": CARD}, user=eve)).body)
    for token in (secrets["access token"] + "x", f"a.{MARKED['JWT_SECRET']}.c"):
        told += [(await system.call("GET", "/api/payments/history", token=token)).body]
    # Whoever sends a card's number is not told it again.
    for field in ("description", "payment_method", "currency"):
        told += [(await system.call("POST", "/api/payments/payment-intent", {"amount": 500, field: CARD})).body]
    for path in ("/api/openapi.json", "/readyz", f"/api/customers/{ann}"):
        told += [(await system.call("GET", path, user=eve)).body]
    page = await customer.page()
    assert page[0] == 200
    return json.dumps(told)


async def _break_down(system: System, owner_url: str) -> list[str]:
    """The database turns everybody away, and settings cannot be used; what is said of it."""
    owner = await asyncpg.connect(owner_url)
    try:
        await owner.execute("ALTER ROLE marked NOLOGIN")
        await owner.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'marked'")
        ready, asked = await system.call("GET", "/readyz"), await system.call("GET", "/api/payments/history")
        assert (ready.status, asked.status) == (503, 503), asked.body
    finally:
        await owner.execute("ALTER ROLE marked LOGIN")
        await owner.close()
    wrong = {name.upper(): "MARKED-and-wrong" for name in Settings.model_fields}
    with pytest.raises(SettingsError) as refused:
        load_settings(wrong)
    assert "MARKED" not in str(refused.value)
    assert "MARKED" not in repr(system.settings)
    return [str(ready.body), str(asked.body)]


async def _seen_by_staff(system: System) -> list[str]:
    """All that administrators can ask for: reports, logs, stories, every list and object of the console."""
    browser = await console_of(system, "admin")
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    admin = {"Authorization": f"Bearer {token_for('root', roles=('admin',))}"}
    endpoint = await system.value("SELECT id::text FROM webhook_endpoints LIMIT 1")
    users = await system.fetch("SELECT external_id AS id FROM users WHERE email IS NOT NULL LIMIT 3")
    seen, pages = [], list(_CONSOLE)
    for path in (
        "/api/webhook-endpoints", f"/api/webhook-endpoints/{endpoint}",
        f"/api/webhook-endpoints/{endpoint}/deliveries?limit=100", "/api/audit?limit=100", "/api/payments/history",
        "/api/reconciliation/differences", *(f"/api/timeline?user={row['id']}&limit=100" for row in users),
        *(f"/api/users/{row['id']}/export?payloads=true" for row in users),
    ):  # fmt: skip
        async with system.http.get(system.api_url + path, headers=admin) as answer:
            assert answer.status == 200, path
            seen.append(await answer.text())
    metrics = {"Authorization": f"Bearer {MARKED['METRICS_TOKEN']}"}
    async with system.http.get(f"{system.api_url}/metrics", headers=metrics) as answer:
        seen.append(await answer.text())
    while pages:
        path = pages.pop()
        async with system.http.get(system.api_url + path, headers={"Cookie": cookie}) as answer:
            assert answer.status == 200, path
            seen.append(await answer.text())
        if path in _CONSOLE:
            pages += re.findall(rf'href="({path}/[0-9a-f-]{{36}})"', seen[-1])[:3]
    return seen


_CONSOLE = tuple(
    f"/console/{name}" for name in ("payments", "customers", "events", "mails", "deliveries", "endpoints", "audit")
)


async def _stored(system: System) -> list[str]:
    """Every row of every table as text."""
    tables = await system.fetch(
        "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public'"
    )
    return [
        await system.value(f"SELECT coalesce(string_agg(t::text, E'\\n'), '') FROM \"{table['name']}\" t")
        for table in tables
    ]


async def _change_the_key(system: System) -> None:
    """A worker that is started with another key in front seals by it what the old one had sealed."""
    sealed = await system.value("SELECT secret FROM webhook_endpoints")
    assert sealed.startswith("sealed.")
    keys = [SecretStr(NEW_KEY), *system.settings.sealing_keys]
    await system.stop_workers()
    system.settings = system.settings.model_copy(update={"sealing_keys": keys})
    system.start_worker()
    await _until(
        system, f"SELECT count(*) FROM webhook_endpoints WHERE secret <> '{sealed}' AND secret LIKE 'sealed.%'"
    )


def _search(secrets: Mapping[str, str], where: str, texts: Iterable[str]) -> None:
    """Fail if a secret is in a text, as it is or as an address, JSON or HTML would write it."""
    for text in texts:
        for name, secret in secrets.items():
            for written in {
                secret,
                quote(secret),
                quote(secret, safe=""),
                html.escape(secret),
                json.dumps(secret)[1:-1],
            }:
                place = text.find(written)
                assert place < 0, f"{where}: {name} in {text[max(0, place - 200) : place]}…"


# Where secrets come from


@pytest.mark.parametrize(
    "name", [name for name, field in Settings.model_fields.items() if "Secret" in str(field.annotation)]
)
def test_every_secret_may_be_a_file_and_is_hidden_once_it_was_read(name: str, tmp_path: Path) -> None:
    values = {
        "database_url": "postgresql://a:MARKED-in-a-file@localhost/x", "stripe_secret_key": "sk_test_MARKEDinafile",
        "stripe_webhook_secret": "whsec_MARKEDinafile",
        "sealing_keys": "MARKED-in-a-file-with-32-characters", "smtp_url": "smtp://a:MARKED-in-a-file@localhost",
    }  # fmt: skip
    rest = {name.upper(): value for name, value in values.items()} | {"JWT_SECRET": "MARKED" * 8}
    path = tmp_path / "secret"
    path.write_text(values.get(name, "postgresql://MARKED-in-a-file-" + name + "@h/x") + "\n")
    rest.pop(name.upper(), None)
    settings = load_settings({**rest, f"{name.upper()}_FILE": str(path)})
    found = getattr(settings, name)
    found = found[0] if isinstance(found, list) else found
    assert found.get_secret_value() == path.read_text().strip()
    assert "MARKED" not in repr(settings)
    assert "MARKED" not in str(settings.model_dump(mode="json"))
    assert "MARKED" not in scrub(f"it is {found.get_secret_value()}, really")
    missing = {**rest, f"{name.upper()}_FILE": str(tmp_path / "nowhere")}
    with pytest.raises(SettingsError, match=f"{name.upper()}_FILE: cannot be read"):
        load_settings(missing)


def test_what_a_library_logs_and_what_nobody_caught_is_scrubbed_too(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (sys, threading):
        monkeypatch.setattr(module, "excepthook", module.__excepthook__)
    import logging

    from tallystick.platform.logging import configure_logging

    hide(["MARKED in no known form"])
    configure_logging("info", "json", "test")
    logging.getLogger("library").warning("%s said %s", "sk_test_MARKEDbylibrary", "MARKED in no known form")
    try:
        int("MARKED in no known form")
    except ValueError as error:
        logging.getLogger("library").exception("it failed")
        sys.excepthook(type(error), error, error.__traceback__)
    thread = threading.Thread(target=int, args=["MARKED in no known form"])
    thread.start()
    thread.join()
    structlog.get_logger().warning("nested", found=[{"deep": ("MARKED in no known form", 5)}])
    said = capfd.readouterr().err
    assert "MARKED" not in said
    assert said.count("[removed]") >= 7
    assert '"found":[{"deep":["[removed]",5]}]' in said


@pytest.mark.skipif(not LONG, reason="a whole `dev` in processes of its own: a long run")
def test_no_process_shows_a_secret_to_the_machine(running_dev: RunningDev) -> None:
    """Neither titles of processes, nor logs, nor what commands print; and files that hold some are their owner's."""
    told = running_dev.json
    password = urlsplit(told["database_url"]).password
    secrets = {
        "Stripe's": told["stripe_secret_key"],
        "webhooks'": told["stripe_webhook_secret"],
        "database's": password,
    }
    assert all(secrets.values())
    titles = list(_titles())
    assert any("tallystick" in title for title in titles)
    _search(secrets, "titles of processes", titles)
    logs = [path.read_text(errors="replace") for path in running_dev.folder.rglob("*.log*")]
    assert logs
    _search(secrets, "logs", logs)
    away = {"DATABASE_URL": f"postgresql://tallystick:{password}@127.0.0.1:{free_port()}/tallystick"}
    for command, environment in (
        (("doctor", "--json"), {}),
        (("doctor", "--json"), away),
        (("events", "list"), away),
        (("migrate",), {"DATABASE_URL": f"nonsense://{password}"}),
        (("serve", "--port", "0"), {"STRIPE_SECRET_KEY": f"wrong-{password}", **away}),
        (("worker",), {"JWT_SECRET": "short", "SMTP_URL": f"smtp://a:{password}@nowhere:x", **away}),
    ):
        done = running_dev.call(*command, **environment)
        _search(secrets, f"tallystick {' '.join(command)}", [done.stdout, done.stderr])
    assert running_dev.folder.stat().st_mode & 0o077 == 0


def _titles() -> Iterator[str]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # one that has ended
            yield path.read_bytes().replace(b"\0", b" ").decode(errors="replace")

"""Every parser of what comes from outside, in one table: whatever is handed to it, it reads it, or refuses it by an
error that the caller is told of. Never another exception; a hang is the test's time-out.

What FastAPI and pydantic parse (bodies, queries, headers of the API) is `integration/security/test_api_fuzz.py`.
"""

import asyncio
import base64
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from system import JWT_SECRET, LONG, settings_for, token_for
from tallystick.cli.asked import moment
from tallystick.cli.clock import _parse as clock_moment
from tallystick.cli.errors import Problem
from tallystick.console.errors import CursorInvalid, FilterInvalid
from tallystick.console.listing import Cursor, Listing, query_of
from tallystick.console.listings import LISTINGS
from tallystick.console.rendering import _inside
from tallystick.core.checks import check_metadata
from tallystick.core.errors import DomainError, InvalidRequest, Unauthorized
from tallystick.core.ids import is_stripe_id, parse_uuid
from tallystick.core.money import format_money, parse_money
from tallystick.metrics.service import _RATE
from tallystick.notifications.addresses import InvalidAddress, Sender, parse_recipient, printable
from tallystick.notifications.errors import UrlRefused
from tallystick.notifications.outbound_sender import GuardedResolver, check_url
from tallystick.pages.billing.controller_plans import code_of, quantity_of
from tallystick.pages.errors import ReturnUrlRefused
from tallystick.pages.rendering import _languages
from tallystick.pages.return_urls import check_return_url
from tallystick.platform.auth import TokenVerifier
from tallystick.platform.http import _incoming_id
from tallystick.platform.logging import scrub
from tallystick.platform.mail import parse_smtp_url
from tallystick.platform.proxies import Proxies
from tallystick.platform.settings import Settings, SettingsError, load_settings
from tallystick.platform.tracing import mark_of
from tallystick.stripe_gateway import translate, translate_billing
from tallystick.stripe_gateway.dating import left_at
from tallystick.stripe_gateway.errors import GatewayError
from tallystick.stripe_gateway.service import BROKEN, _classify
from tallystick.stripe_gateway.signatures import SignatureInvalid, verify
from tallystick.timeline.errors import BadCursor
from tallystick.timeline.service import _place_of
from tallystick.webhooks.envelope import read_envelope, without_secrets
from tallystick.webhooks.errors import NotAnEvent

_EXAMPLES = 1500 if LONG else 25
_SETTINGS = settings_for(
    "postgresql://a:b@127.0.0.1/x", sandbox_url="http://127.0.0.1:2", api_url="http://x", smtp_port=1
)
_VERIFIER = TokenVerifier(_SETTINGS)
_PROXIES = {name: Proxies(_SETTINGS.trusted_proxies, name) for name in ("x-forwarded", "forwarded")}

_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
_JSON = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
)
# Text with lone surrogates and NUL, as JSON and file names may hold it; and what nearly is what was meant.
_TEXT = st.text(st.characters(), max_size=200) | st.text(
    "0123456789-+eE.,:;=/?&%#@[]{}\"'\\ \t\r\n\x00é٣😀", max_size=60
)


def _like(*examples: str) -> st.SearchStrategy[str]:
    """Something that begins as what is meant, and goes wrong."""
    whole = st.sampled_from(examples)
    bent = st.builds(lambda text, at, what: text[: at % (len(text) + 1)] + what + text[at % (len(text) + 1) :], whole,
                     st.integers(0, 300), _TEXT)  # fmt: skip
    return st.one_of(_TEXT, whole, bent, st.builds(lambda text, at: text[:at], whole, st.integers(0, 100)))


def _bytes_like(*examples: str) -> st.SearchStrategy[bytes]:
    return st.binary(max_size=300) | _like(*examples).map(lambda text: text.encode("utf-8", "surrogatepass"))


_EVENT = json.dumps(
    {"id": "evt_1", "object": "event", "type": "charge.succeeded", "created": 1, "data": {"object": {"id": "ch_1"}}}
)
_EVENTS = st.fixed_dictionaries(
    {},
    optional={
        "id": st.just("evt_1") | _JSON, "object": st.just("event") | _JSON, "type": st.just("charge.failed") | _JSON,
        "created": st.integers() | _JSON, "data": st.fixed_dictionaries({"object": _JSON}) | _JSON, "request": _JSON,
        "api_version": _JSON,
    },
)  # fmt: skip
_INTENT = {
    "id": "pi_1", "object": "payment_intent", "amount": 100, "currency": "usd", "status": "succeeded", "created": 1,
    "metadata": {}, "last_payment_error": None, "latest_charge": None,
}  # fmt: skip
_OBJECTS = st.builds(lambda more: {**_INTENT, **more}, st.dictionaries(
    st.sampled_from(["id", "amount", "created", "metadata", "last_payment_error", "latest_charge", "customer", "card",
                     "invoice_settings", "recurring", "outcome", "payment_method_details", "canceled_at", "items",
                     "lines", "evidence_details", "product", "discounts", "features", "status"]), _JSON, max_size=4,
))  # fmt: skip
_NOW = datetime.now(UTC)
_CLAIMS = st.fixed_dictionaries(
    {},
    optional={
        "sub": _TEXT | _JSON, "email": _TEXT | _JSON, "roles": _JSON, "exp": st.integers(2**33, 10**400) | _JSON,
        "iat": _JSON, "nbf": _JSON, "iss": _JSON, "aud": _JSON, "jti": _JSON,
    },
)  # fmt: skip


def _signed(claims: Mapping[str, Any]) -> str:
    """A token that proves its claims, whatever their shape."""
    known = {"iss": "tallystick", "aud": "tallystick", "sub": "ann", "exp": _NOW + timedelta(days=400), **claims}
    body = {name: int(value.timestamp()) if isinstance(value, datetime) else value for name, value in known.items()}
    return jwt.api_jws.encode(json.dumps(body).encode(), JWT_SECRET, algorithm="HS256")


def _proven(claims: Mapping[str, Any]) -> None:
    identity = _run(_VERIFIER.verify(f"Bearer {_signed(claims)}"))
    # What is believed has to fit into the database.
    assert b"\x00" not in f"{identity.subject}{identity.email}".encode()


def _run(work: Any) -> Any:
    return asyncio.run(work)


async def _lookup(host: str, port: int, family: int) -> Any:
    return [(family, 1, 6, "", (host, port))]


@dataclass(frozen=True)
class Parser:
    """What is read: from what, and by which errors it may be refused."""

    read: Callable[[Any], object]
    of: st.SearchStrategy[Any]
    refused_by: tuple[type[Exception], ...] = ()


def _filters(listing: Listing) -> list[str]:
    return [each.name for each in listing.filters]


def _resolved(host: str) -> object:
    resolver = GuardedResolver(_lookup, allow_private=False)
    return _run(resolver.resolve(host))


def _classified(body: Any) -> object:
    import stripe

    kind: Any = stripe.InvalidRequestError
    return _classify(kind("no", None, http_status=400, json_body={"error": body}, headers={}))


def _translated(obj: Any) -> None:
    """As the gateway does: what cannot be read is an answer that is not what it should be."""
    readers = [getattr(module, name) for module in (translate, translate_billing) for name in module.__all__]
    for reader in readers:
        if reader.__code__.co_argcount == 1 and "obj" in reader.__code__.co_varnames:
            with suppress(*BROKEN):
                reader(obj)


_URLS = _like("https://example.com/hooks", "http://[::1]:99999/", "https://a:b@[fe80::1%25eth0]/x", "https://127.1/")

PARSERS: Mapping[str, Parser] = {
    "a webhook's body": Parser(lambda body: read_envelope(body, "webhook"), _bytes_like(_EVENT), (NotAnEvent,)),
    "an event that Stripe signed": Parser(
        lambda event: read_envelope(json.dumps(event).encode(), "webhook"), _EVENTS, (NotAnEvent,)
    ),
    "secrets in a payload": Parser(without_secrets, _bytes_like('{"client_secret": "pi_1_secret_2", "u": "_secret_"}')),
    "Stripe-Signature": Parser(
        lambda header: verify(b"{}", header, [b"whsec_a"], tolerance_s=300, now=1),
        _like("t=1,v1=00ff", "t=1767225600,v0=aa,v1=bb"),
        (SignatureInvalid,),
    ),
    "Authorization": Parser(
        lambda header: _run(_VERIFIER.verify(header)),
        _like(f"Bearer {token_for('ann')}", "Bearer a.b.c", "Basic YTpi"),
        (Unauthorized,),
    ),
    "the claims of a signed token": Parser(_proven, _CLAIMS, (Unauthorized,)),
    "X-Request-Id": Parser(
        lambda value: _incoming_id({"headers": [(b"x-request-id", value)]}), _bytes_like("0193f0c2-8a5d")
    ),
    "X-Forwarded-For": Parser(
        lambda value: _PROXIES["x-forwarded"].origin("127.0.0.1", {b"x-forwarded-for": value}),
        _bytes_like("203.0.113.7, 10.0.0.1", "[2001:db8::1]:80"),
    ),
    "Forwarded": Parser(
        lambda value: _PROXIES["forwarded"].origin("127.0.0.1", {b"forwarded": value}),
        _bytes_like('for="[2001:db8::1]:80";proto=https, for=10.0.0.1'),
    ),
    "traceparent": Parser(mark_of, _bytes_like(f"00-{'a' * 32}-{'b' * 16}-01")),
    "Accept-Language": Parser(_languages, _like("de-AT,de;q=0.8,en;q=0.5", "en;q=nan, fr;q=-1")),
    "a cursor of the console": Parser(
        Cursor.read,
        _like(Cursor(_NOW, "01900000-0000-7000-8000-000000000000").text())
        | _JSON.map(lambda value: base64.urlsafe_b64encode(json.dumps(value).encode()).decode()),
        (CursorInvalid,),
    ),
    "a filter of the console": Parser(
        lambda text: [
            query_of(listing, dict.fromkeys(_filters(listing), text), order=listing.orders[0], cursor=None, limit=1)
            for listing in LISTINGS.values()
        ],
        _like("2026-01-31T14:30", "failed"),
        (FilterInvalid,),
    ),
    "a cursor of the timeline": Parser(_place_of, _like("AAAAAAAAAAAA" * 3), (BadCursor,)),
    "an id of ours": Parser(parse_uuid, _like("0193f0c2-8a5d-7c3e-9f10-a1b2c3d4e5f6")),
    "an id of Stripe's": Parser(lambda text: is_stripe_id(text, "pi_"), _like("pi_3abc")),
    "an amount in a form": Parser(lambda text: parse_money(text, "kwd"), _like("1050", "10.500", "١٢"), (ValueError,)),
    "an amount to be shown": Parser(lambda amount: format_money(amount, "kwd"), st.integers(-(2**63), 2**63)),
    "a quantity in a form": Parser(lambda text: quantity_of({"quantity": text}), _like("12", "²")),
    "a promotion code in a form": Parser(lambda text: code_of({"promotion_code": text}), _TEXT),
    "metadata": Parser(
        check_metadata, st.dictionaries(_TEXT, _like("4242 4242 4242 4242"), max_size=3), (DomainError,)
    ),
    "an exchange rate": Parser(_RATE.fullmatch, _like("0.9123", "1" * 40)),
    "an e-mail address": Parser(parse_recipient, _like("ann@bücher.example", "a@[127.0.0.1]"), (InvalidAddress,)),
    "MAIL_FROM": Parser(lambda text: Sender.parse(text, None), _like("Acme <a@b.example>"), (ValueError,)),
    "SMTP_URL": Parser(parse_smtp_url, _like("smtp://a:b@[::1]:25?starttls=never"), (ValueError,)),
    "text for a line": Parser(lambda text: printable(text, 80), _TEXT),
    "text for the log": Parser(scrub, _like("sk_test_a eyJ.a.b postgresql://a:b@c 4242424242424242")),
    "the address of an endpoint": Parser(
        lambda url: _run(check_url(url, https_only=True, allow_private=False, lookup=_lookup)), _URLS, (UrlRefused,)
    ),
    "the host of an endpoint": Parser(_resolved, _like("example.com", "0x7f.1", "::ffff:127.0.0.1"), (OSError,)),
    "where a page leads back to": Parser(
        lambda url: check_return_url(_SETTINGS, "return_url", url), _URLS, (ReturnUrlRefused, InvalidRequest)
    ),
    "where the console's door leads": Parser(_inside, _like("/console/payments?a=b", "//evil.example")),
    "a time on the command line": Parser(
        lambda text: moment(text, "--since"), _like("7d", "2026-11-20T08:30Z"), (Problem,)
    ),
    "where the clock goes": Parser(clock_moment, _like("2027-01-31"), (Problem,)),
    "an answer of Stripe's": Parser(_translated, _OBJECTS | st.dictionaries(st.text(max_size=5), _JSON, max_size=3)),
    "an error of Stripe's": Parser(
        _classified,
        st.dictionaries(st.sampled_from(["code", "message", "payment_intent", "charge"]), _JSON),
        (GatewayError,),
    ),
    "the date of Stripe's answer": Parser(
        lambda date: left_at({"Date": date}), _like("Thu, 26 Nov 2026 12:00:00 GMT", "Thu, 26 Nov 99999 12:00:00 -0000")
    ),
    "the environment": Parser(
        load_settings,
        st.dictionaries(st.sampled_from([name.upper() for name in Settings.model_fields]), _like("1", "https://x")),
        (SettingsError,),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PARSERS)
def test_whatever_comes_is_read_or_refused(name: str) -> None:
    parser = PARSERS[name]

    @settings(max_examples=_EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(parser.of)
    def each(value: Any) -> None:
        try:
            parser.read(value)
        except parser.refused_by as refusal:
            if isinstance(refusal, DomainError):
                told = refusal.status, refusal.code
                assert 400 <= told[0] < 500, told
                assert told[1] != DomainError.code

    each()

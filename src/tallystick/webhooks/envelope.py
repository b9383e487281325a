"""From a body to a row: the few fields the inbox needs, the secrets taken out, the lane and the order key.

How an event finds its lane (decided here, because order across objects is decided by it):

* Events in one lane are applied one after the other, events of different lanes at once. Objects whose events touch
  one row of ours must therefore share a lane, or two workers lock that row in turns and see each other's past.
* A payment's row is touched by its intent, its charges, refunds and disputes. In 2023-10-16 refunds and disputes do
  not name the customer while intents and charges do, so a lane by customer would tear a payment apart. For these
  four the lane key is the payment intent (a refund or dispute without one: its charge; a charge without one: itself).
* Everything else (subscriptions, invoices, payment methods …) hangs on a customer, so the customer is its lane key,
  then a payment intent it names, then itself. A customer's own events are in the lane of its id. A detached payment
  method names its customer only among the previous attributes, and still belongs in the lane it was attached in.
* `object_key` is what a failing event holds up: the payment key for the four, else the object itself. Not the
  customer: one bad invoice should not stop that customer's subscriptions.
* An object without an id (`invoice.upcoming`) is nobody's predecessor: its key is the event's own id.
"""

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NoReturn

import msgspec

from tallystick.core.clock import to_unix
from tallystick.core.ids import lane_of
from tallystick.webhooks.errors import NotAnEvent
from tallystick.webhooks.models import LANES, Envelope

__all__ = ["encode_event", "read_envelope", "route", "without_secrets"]

_PAYMENT_KINDS = frozenset({"payment_intent", "charge", "refund", "dispute"})
_NAME = re.compile(r"[\x21-\x7e]{1,255}\Z")
_LATEST = 253_402_300_799  # the end of the year 9999, where Python's and PostgreSQL's readable times end

_KEY = re.compile(rb'("client_secret"\s*:\s*)"[^"\\]*(?:\\.[^"\\]*)*"')
# In an address (of `next_action`), also where that address is itself a parameter of another one. Both patterns begin
# with plain text, which is what makes them fast: most bodies have `client_secret` in them.
_QUERY = re.compile(rb'(client_secret(?:=|%3[Dd]|\\u003[Dd]))(?:[^&"\\#%\s]|%(?!26|23))*')
_TOKEN = re.compile(rb"[a-z]+_[A-Za-z0-9]+_secret_[A-Za-z0-9]+")


class _Object(msgspec.Struct, gc=False):
    # References are ids, expanded objects, null or missing, by event and version: so nothing is asserted here.
    id: Any = None
    object: Any = None
    customer: Any = None
    payment_intent: Any = None
    charge: Any = None


class _Previous(msgspec.Struct, gc=False):
    customer: Any = None


class _Data(msgspec.Struct, gc=False):
    object: _Object
    previous_attributes: _Previous | None = None


class _Request(msgspec.Struct, gc=False):
    idempotency_key: str | None = None


class _Event(msgspec.Struct, gc=False):
    id: str
    object: str
    type: str
    created: int | str
    api_version: str | None = None
    data: _Data | None = None
    # Before 2017-05-25 this was the request's id alone.
    request: _Request | str | None = None


_decoder = msgspec.json.Decoder(_Event)


def read_envelope(body: bytes, source: str) -> Envelope:
    """The row to store for an event's JSON.

    Thin events (`v2.core.event`, no `data`) are taken too: nobody handles them, but they are not lost.

    Raises:
        NotAnEvent: not UTF-8, not JSON, nested beyond reading, or no event object.
    """
    try:
        # Also where the parser would skip over it: what is stored is text.
        body.decode()
        event = _parse(body)
        created = event.created if isinstance(event.created, int) else to_unix(datetime.fromisoformat(event.created))
    except (ValueError, RecursionError) as error:
        raise NotAnEvent from error
    named = _NAME.match(event.id) and _NAME.match(event.type)
    if not named or event.object not in ("event", "v2.core.event") or not 0 <= created <= _LATEST:
        raise NotAnEvent
    if event.object == "event" and event.data is None:
        raise NotAnEvent
    thing = event.data.object if event.data else _Object()
    previous = event.data.previous_attributes if event.data else None
    lane, object_key = route(thing, previous, event.id)
    request = event.request
    return Envelope(
        stripe_event_id=event.id,
        type=event.type,
        created=created,
        api_version=_clean(event.api_version),
        lane=lane,
        object_key=object_key,
        object_id=_reference(thing.id),
        request_idempotency_key=_clean(request.idempotency_key) if isinstance(request, _Request) else None,
        payload=without_secrets(body).decode(),
        source=source,
    )


def route(thing: Any, previous: Any, event_id: str) -> tuple[int, str]:
    """The lane and the order key of an event about `thing` (see the top of this page)."""
    own = _reference(thing.id) or event_id
    intent = _reference(thing.payment_intent)
    kind = thing.object if isinstance(thing.object, str) else ""
    if kind in _PAYMENT_KINDS:
        key = intent or (_reference(thing.charge) if kind in ("refund", "dispute") else None) or own
        return lane_of(key, LANES), key
    customer = _reference(thing.customer) or (_reference(previous.customer) if previous else None)
    if kind == "customer":
        customer = own
    return lane_of(customer or intent or own, LANES), own


def encode_event(event: Mapping[str, Any]) -> bytes:
    """An event that came as an object (polled, imported, fetched) in the form in which webhooks come."""
    return msgspec.json.encode(event)


def without_secrets(body: bytes) -> bytes:
    """`body` (JSON) with every client secret taken out: as a value, in an address, or anywhere else.

    Works on bytes, as decoding and encoding again would cost more than all the rest of accepting an event. That is
    exact: inside a string of JSON the quotes around `client_secret` would be escaped and so not match the first
    pattern, and what the others remove cannot contain a quote or a backslash.
    """
    if b"secret" not in body:
        return body
    body = _KEY.sub(rb"\1null", body)
    # The name alone is still there.
    if b"client_secret=" in body or b"client_secret%3" in body or b"client_secret\\u003" in body:
        body = _QUERY.sub(rb"\1", body)
    if b"_secret_" in body:
        body = _TOKEN.sub(b"[removed]", body)
    return body


def _parse(body: bytes) -> _Event:
    try:
        return _decoder.decode(body)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        # msgspec refuses lone surrogates (`\ud800`), which JSON's grammar allows. Stripe vouched for this body, so
        # such an event must not be turned away for ever: it is read by the forgiving parser.
        return msgspec.convert(json.loads(body, parse_constant=_refuse), _Event)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _reference(value: Any) -> str | None:
    return _clean(value.get("id") if isinstance(value, dict) else value)


def _clean(value: Any) -> str | None:
    """A text that a column takes: PostgreSQL has no NUL, UTF-8 has no lone surrogate, an index has a longest entry."""
    if not isinstance(value, str) or not value:
        return None
    if value.isascii() and len(value) <= 255 and "\x00" not in value:
        return value
    return value.replace("\x00", "").encode("utf-8", "replace").decode()[:255] or None

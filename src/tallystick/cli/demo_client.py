"""How a demo speaks to Tallystick: through the typed client, with an eye on what truly goes over the wire."""

import json
import re
import time
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

import httpx

from tallystick.client import AuthenticatedClient
from tallystick.client.models import Problem
from tallystick.client.types import Response, Unset

__all__ = ["CALL_S", "Amiss", "Answer", "Json", "Operation", "Sent", "call", "client_of", "given", "start_of"]

Json: TypeAlias = dict[str, Any]
Value = TypeVar("Value")
Operation: TypeAlias = Awaitable[Response[Value | Problem]]
"""What the client makes of an operation, not yet sent."""

CALL_S = 45.0
"""Longer than the API itself waits for Stripe."""
_CONNECT_S = 5.0
_SECRET = re.compile(r"(_secret_\w{4})\w+")


class Amiss(Exception):
    """Something is not as it should be; says what was expected and what was found, but never a whole secret."""

    def __init__(self, message: str) -> None:
        super().__init__(_SECRET.sub(r"\1…", message))


@dataclass(frozen=True, slots=True)
class Sent:
    """A request as it leaves. `query` are its parameters as `name=value`."""

    method: str
    path: str
    query: tuple[str, ...]
    key: str | None
    body: Json


Leaving: TypeAlias = Callable[[Sent], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Answer(Generic[Value]):
    """An answer as it came, and what the client made of it; `asked` is the request's method and target."""

    asked: str
    status: int
    content: bytes
    parsed: Value | Problem
    ms: float

    @property
    def body(self) -> Json:
        """The fields as they came."""
        return dict(json.loads(self.content))

    @property
    def value(self) -> Value:
        """What was asked for. Raises Amiss where it is a problem."""
        if isinstance(self.parsed, Problem):
            raise Amiss(f"The answer should not be a problem, but it is {self.parsed.code}: {self.parsed.detail}")
        return self.parsed

    @property
    def problem(self) -> Problem:
        """What the API said against it. Raises Amiss where it did not."""
        if not isinstance(self.parsed, Problem):
            raise Amiss(f"The answer should be a problem, but it is {self.status}: {start_of(self.content)}")
        return self.parsed


@dataclass(slots=True)
class _Wire:
    """What is seen of one operation while it lasts."""

    leaving: Leaving | None
    asked: str = ""
    left_at: float = 0.0
    ms: float = 0.0
    content: bytes = b""


_WIRE: ContextVar[_Wire] = ContextVar("wire")


def client_of(api_url: str, token: str) -> AuthenticatedClient:
    """A client that shows `call` what goes over the wire."""
    return AuthenticatedClient(
        base_url=api_url,
        token=token,
        timeout=httpx.Timeout(CALL_S, connect=_CONNECT_S),
        # A proxy of the environment's knows nothing of what runs on this machine.
        httpx_args={"event_hooks": {"request": [_leaves], "response": [_arrives]}, "trust_env": False},
    )


async def call(operation: Operation[Value], leaving: Leaving | None = None) -> Answer[Value]:
    """Send an operation of a client of ours; `leaving` is shown the request, which waits for it.

    Raises Amiss where no answer comes, or one that the OpenAPI document does not tell of.
    """
    wire = _Wire(leaving)
    token = _WIRE.set(wire)
    try:
        response = await operation
    except httpx.TimeoutException as error:
        raise Amiss(f"{_place(error.request)} gave no answer to {wire.asked} within {CALL_S:.0f} s") from None
    except httpx.TransportError as error:
        raise Amiss(f"{_place(error.request)} does not answer: {str(error) or type(error).__name__}") from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        if not wire.content:
            raise
        start = start_of(wire.content)
        raise Amiss(f"The answer to {wire.asked} is not what the document says ({error!r}): {start}") from error
    finally:
        _WIRE.reset(token)
    if response.parsed is None:
        status, start = int(response.status_code), start_of(response.content)
        raise Amiss(f"The document tells of no answer {status} to {wire.asked}: {start}")
    return Answer(wire.asked, int(response.status_code), response.content, response.parsed, wire.ms)


def given(value: Value | Unset | None, name: str) -> Value:
    """A field of an answer that may be null or absent, and here is not. Raises Amiss."""
    if value is None or isinstance(value, Unset):
        raise Amiss(f"The answer should have {name}, but it has none.")
    return value


def start_of(content: bytes) -> str:
    """The start of an answer, for a complaint."""
    return " ".join(content[:300].decode(errors="replace").split())


async def _leaves(request: httpx.Request) -> None:
    wire = _WIRE.get()
    wire.asked = f"{request.method} {request.url.raw_path.decode()}"
    if wire.leaving is not None:
        query = tuple(f"{name}={value}" for name, value in request.url.params.multi_items())
        body = json.loads(request.content) if request.content else {}
        key = request.headers.get("Idempotency-Key")
        await wire.leaving(Sent(request.method, request.url.path, query, key, body))
    wire.left_at = time.monotonic()


async def _arrives(response: httpx.Response) -> None:
    wire = _WIRE.get()
    wire.content = await response.aread()
    wire.ms = (time.monotonic() - wire.left_at) * 1000


def _place(request: httpx.Request) -> str:
    return f"{request.url.scheme}://{request.url.netloc.decode()}"

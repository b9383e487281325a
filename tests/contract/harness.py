"""A running sandbox, a webhook receiver, and clients, each over a real socket."""

import asyncio
import json
import socket
import threading
import time
import urllib.request
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import stripe
import uvicorn

from tallystick.sandbox.server import make_server
from tallystick.sandbox.settings import SandboxConfig
from tallystick.sandbox.versions import NEWEST, OLDEST

Json: TypeAlias = dict[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]

Sdk: TypeAlias = Any
"""A `stripe.StripeClient`: its typed parameters would need a cast at every call of a parametrised test."""

VERSIONS = (OLDEST, NEWEST)
KEY = "sk_test_contract"
NO_REDIRECTS: Json = {"enabled": True, "allow_redirects": "never"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def serving(server: uvicorn.Server) -> Iterator[None]:
    """Run a server in a thread of its own for as long as the block lasts."""
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    end = time.monotonic() + 10
    while not server.started and thread.is_alive() and time.monotonic() < end:
        time.sleep(0.005)
    assert server.started
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(10)


@dataclass
class Reply:
    """An answer over plain HTTP."""

    status: int
    headers: dict[str, str]
    body: Any


@dataclass
class Box:
    """A sandbox that is running at `url`."""

    url: str
    port: int

    def client(self, version: str | None = None, key: str = KEY) -> Sdk:
        """The official SDK, without its own retries."""
        return stripe.StripeClient(
            key,
            base_addresses={"api": self.url},
            stripe_version=version,
            max_network_retries=0,
        )

    def request(
        self,
        method: str,
        path: str,
        body: bytes | str | None = None,
        headers: dict[str, str] | None = None,
        *,
        timeout: float = 20,
    ) -> Reply:
        """One request; `/v1` ones bear the secret key unless `headers` say otherwise."""
        data = body.encode() if isinstance(body, str) else body
        given = {"Authorization": f"Bearer {KEY}"} if path.startswith("/v1/") else {}
        given |= headers or {}
        request = urllib.request.Request(self.url + path, data, given, method=method)  # noqa: S310
        opener = urllib.request.build_opener(_Plain())
        with opener.open(request, timeout=timeout) as answer:
            text = answer.read()
            kind = answer.headers.get("content-type", "")
            parsed = json.loads(text) if text and "json" in kind else text
            return Reply(answer.status, {k.lower(): v for k, v in answer.headers.items()}, parsed)

    def post(self, path: str, form: str = "", **headers: str) -> Reply:
        """POST of a form to the API."""
        return self.request("POST", path, form, {k.replace("_", "-"): v for k, v in headers.items()})

    def control(self, method: str, path: str, body: Any = None) -> Any:
        """A control call that must succeed."""
        data = json.dumps(body).encode() if body is not None else b""
        reply = self.request(method, f"/_sandbox{path}", data)
        assert reply.status < 300, reply.body
        return reply.body

    def quiet(self) -> None:
        """Wait until all webhooks are delivered and everything imminent has happened."""
        self.control("POST", "/quiet?timeout_s=15")

    def advance(self, by: int | str) -> Json:
        """Move business time."""
        result: Json = self.control("POST", "/clock/advance", {"by": by})
        return result

    def fault(self, **rule: Any) -> None:
        """Put a fault in force."""
        self.control("POST", "/faults", rule)

    def authenticate(self, intent_id: str, outcome: str) -> Json:
        """Act as the customer before the 3D Secure challenge."""
        reply = self.request(
            "POST", f"/_sandbox/authenticate/{intent_id}/{outcome}", b"", {"Accept": "application/json"}
        )
        assert reply.status == 200, reply.body
        body: Json = reply.body
        return body

    def event_types(self, **filters: Any) -> list[str]:
        """The types of all events, oldest first."""
        events = self.client().v1.events.list({"limit": 100, **filters})
        return [event.type for event in reversed(events.data)]


class _Plain(urllib.request.HTTPErrorProcessor):
    """Answers are answers, whatever their status."""

    def http_response(self, request: Any, response: Any) -> Any:
        return response

    https_response = http_response


@contextmanager
def running_box(database: str = ":memory:", *, api_version: str = OLDEST, record: Path | None = None) -> Iterator[Box]:
    """A sandbox in a thread."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    config = SandboxConfig(database=database, api_version=api_version, public_url=url, record=record)
    with serving(make_server(config, host="127.0.0.1", port=port)):
        yield Box(url, port)


@dataclass
class Delivery:
    """A webhook as it arrived."""

    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def event(self) -> Json:
        event: Json = json.loads(self.body)
        return event


@dataclass
class Receiver:
    """A webhook endpoint. `answers` are the next statuses; then 200. `delay_s` before each answer."""

    url: str = ""
    got: list[Delivery] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    delay_s: float = 0.0
    peak: int = 0
    _open: int = 0

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        self._open += 1
        self.peak = max(self.peak, self._open)
        headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
        self.got.append(Delivery(headers, body, time.time()))
        status = self.answers.pop(0) if self.answers else 200
        arrived = time.monotonic()
        # Looked at again and again: a test that is over lets go of what still waits.
        while (left := arrived + self.delay_s - time.monotonic()) > 0:
            await asyncio.sleep(min(left, 0.05))
        self._open -= 1
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    def types(self) -> list[str]:
        """The types of what arrived, in order of arrival."""
        return [item.event["type"] for item in self.got]

    def of_type(self, kind: str) -> list[Delivery]:
        return [item for item in self.got if item.event["type"] == kind]


@dataclass
class ReceiverHub:
    """Many receivers at one port, each at a path of its own; deliveries to forgotten ones are refused."""

    base: str
    receivers: dict[str, Receiver] = field(default_factory=dict)

    def add(self, path: str) -> Receiver:
        """A new receiver at this path."""
        self.receivers[path] = Receiver(self.base + path)
        return self.receivers[path]

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        receiver = self.receivers.get(scope["path"])
        if receiver is not None:
            await receiver(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 410, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})


@contextmanager
def running_hub(port: int | None = None) -> Iterator[ReceiverHub]:
    """Receivers in a thread."""
    port = port or free_port()
    hub = ReceiverHub(f"http://127.0.0.1:{port}")
    config = uvicorn.Config(
        hub, host="127.0.0.1", port=port, log_level="error", lifespan="off", access_log=False, ws="none"
    )
    with serving(uvicorn.Server(config)):
        yield hub


@contextmanager
def running_receiver(port: int | None = None) -> Iterator[Receiver]:
    """A single receiver, at `/hook`."""
    with running_hub(port) as hub:
        yield hub.add("/hook")


def refusal(error: stripe.StripeError) -> Json:
    """The `error` object of an answer that the SDK raised."""
    body: Any = error.json_body
    found: Json = body["error"]
    return found


def error_of(reply: Reply, status: int) -> Json:
    """The `error` object of a plain answer, which must have this status."""
    assert reply.status == status, reply.body
    error: Json = reply.body["error"]
    return error

"""A collector of OpenTelemetry's traces, over real HTTP; and the whole program's settings for a process of its own."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from pydantic import SecretStr

from tallystick.platform.settings import Settings

__all__ = ["Collector", "Told", "collecting", "environment_of"]


@dataclass(frozen=True)
class Told:
    """A span as it came over the wire; ids as hexadecimal digits, `links` as (trace, span)."""

    name: str
    trace: str
    span: str
    parent: str
    process: str
    attributes: dict[str, Any]
    links: list[tuple[str, str]]
    failed: bool


@dataclass
class Collector:
    """What was sent to `url`, as spans and as bytes. While `hangs` is clear, whoever sends waits for an answer."""

    url: str
    spans: list[Told] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    answers: threading.Event = field(default_factory=threading.Event)
    asked: threading.Event = field(default_factory=threading.Event)

    def take(self, body: bytes) -> None:
        self.raw.append(body)
        for of in ExportTraceServiceRequest.FromString(body).resource_spans:
            process = _values(of.resource.attributes)["tallystick.process"]
            for scope in of.scope_spans:
                self.spans += [_told(span, str(process)) for span in scope.spans]

    def named(self, name: str) -> list[Told]:
        """The spans of a name, in the order in which they came."""
        return [span for span in self.spans if span.name == name]


def _values(attributes: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}


def _told(span: Any, process: str) -> Told:
    return Told(
        name=span.name,
        trace=span.trace_id.hex(),
        span=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        process=process,
        attributes=_values(span.attributes),
        links=[(link.trace_id.hex(), link.span_id.hex()) for link in span.links],
        failed=span.status.code == 2,
    )


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector that answers."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            collector.asked.set()
            collector.answers.wait(60)
            collector.take(body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing on the screen."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    collector = Collector(f"http://127.0.0.1:{server.server_port}")
    collector.answers.set()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield collector
    finally:
        collector.answers.set()
        server.shutdown()
        server.server_close()


def environment_of(settings: Settings, **changes: str) -> dict[str, str]:
    """The environment that gives a process these settings."""
    found = {name.upper(): _text(value) for name, value in settings if name in settings.model_fields_set}
    return {name: value for name, value in found.items() if value is not None} | changes


def _text(value: Any) -> str | None:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, list):
        return ",".join(_text(each) or "" for each in value)
    return None if value is None or isinstance(value, dict) else str(value)

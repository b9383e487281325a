"""The only importer of OpenTelemetry: spans made, and sent by a thread of their own out of a bounded queue."""

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from typing import Self

import structlog
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    get_current_span,
    set_span_in_context,
    use_span,
)
from opentelemetry.trace import Span as OtelSpan

from tallystick.core.ids import new_id
from tallystick.platform.settings import Settings
from tallystick.platform.tracing import Kind, Span, Value

__all__ = ["Engine"]

log = structlog.get_logger()

_KINDS = {kind.name.lower(): kind for kind in SpanKind}
_FLUSH_S = 2.0
_ATTRIBUTES_MAX = 200


class Engine:
    """Spans of this process, for one exporter. What it cannot send in time it drops; it never waits for anybody."""

    def __init__(self, exporter: SpanExporter, process: str) -> None:
        # It would write a line for every span that is dropped, and others with the collector's address.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        given = Resource.create()
        ours = {
            "service.namespace": "tallystick",
            "service.version": version("tallystick"),
            "service.instance.id": str(new_id()),
            "tallystick.process": process,
        }
        if str(given.attributes["service.name"]).startswith("unknown_service"):
            ours["service.name"] = f"tallystick-{process}"
        resource = given.merge(Resource(ours))
        limits = SpanLimits(max_span_attribute_length=_ATTRIBUTES_MAX)
        self._provider = TracerProvider(resource=resource, span_limits=limits, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(_Noting(exporter)))
        self._tracer = self._provider.get_tracer("tallystick", version("tallystick"))

    @classmethod
    def exporting(cls, settings: Settings, process: str) -> Self:
        """Over OTLP/HTTP, to where the settings say; the library reads its other variables (OTEL_…) itself."""
        return cls(OTLPSpanExporter(endpoint=settings.traces_endpoint), process)

    @contextmanager
    def span(
        self,
        name: str,
        kind: Kind,
        attributes: Mapping[str, Value] | None,
        *,
        parent: bytes | None,
        links: Sequence[bytes],
        alone: bool,
    ) -> Iterator[Span]:
        """See `tracing.span`."""
        begun = self.begin(name, kind, attributes, parent=parent, links=links, alone=alone)
        # The library's own handling of errors would keep their words.
        with use_span(begun.span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
            try:
                yield begun
            except Exception as error:
                begun.failed(type(error).__name__)
                raise

    def begin(
        self,
        name: str,
        kind: Kind,
        attributes: Mapping[str, Value] | None,
        *,
        parent: bytes | None,
        links: Sequence[bytes],
        alone: bool,
    ) -> "_Recorded":
        """See `tracing.begin`."""
        context: Context | None = None
        if parent is not None:
            context = set_span_in_context(NonRecordingSpan(_unpacked(parent)), Context())
        elif alone:
            context = Context()
        pointed = [Link(_unpacked(link)) for link in links]
        return _Recorded(self._tracer.start_span(name, context, _KINDS[kind], attributes, pointed))

    def here(self) -> bytes | None:
        """The mark of the current span."""
        return _packed(get_current_span().get_span_context())

    def note(self, name: str, value: Value) -> None:
        """An attribute of the current span."""
        get_current_span().set_attribute(name, value)

    def flush(self) -> None:
        """Send what is left. The library may wait longer for a collector that is away; nobody waits for it."""
        sending = threading.Thread(target=self._provider.force_flush, daemon=True)
        sending.start()
        sending.join(_FLUSH_S)


class _Recorded:
    """A span of ours."""

    def __init__(self, span: OtelSpan) -> None:
        self.span = span

    def set(self, name: str, value: Value) -> None:
        self.span.set_attribute(name, value)

    def rename(self, name: str) -> None:
        self.span.update_name(name)

    def end(self) -> None:
        self.span.end()

    def failed(self, reason: str) -> None:
        self.span.set_attribute("error.type", reason)
        self.span.set_status(Status(StatusCode.ERROR))

    @property
    def mark(self) -> bytes | None:
        return _packed(self.span.get_span_context())


class _Noting(SpanExporter):
    """Says once that spans cannot be sent, and once that they can again."""

    def __init__(self, inner: SpanExporter) -> None:
        self._inner = inner
        self._away = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._inner.export(spans)
        away = result is not SpanExportResult.SUCCESS
        if away and not self._away:
            log.warning("tracing.not_sent", spans=len(spans), hint="the collector is away, or refuses them")
        elif self._away and not away:
            log.info("tracing.sent_again")
        self._away = away
        return result

    def shutdown(self) -> None:
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._inner.force_flush(timeout_millis)


def _packed(context: SpanContext) -> bytes | None:
    if not context.is_valid or not context.trace_flags.sampled:
        return None
    return context.trace_id.to_bytes(16, "big") + context.span_id.to_bytes(8, "big") + b"\x01"


def _unpacked(mark: bytes) -> SpanContext:
    trace_id, span_id = int.from_bytes(mark[:16], "big"), int.from_bytes(mark[16:24], "big")
    return SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(mark[24] & 1))

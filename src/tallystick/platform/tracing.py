"""Traces by OpenTelemetry, where its extra is installed and an endpoint is set. Elsewhere `span` costs one comparison.

What survives a process is stored: a row that something else follows from (an attempt, a mail, a fact, a piece of work)
keeps `here()` in its column `trace`, 25 bytes, NULL where nothing is traced. Whoever does the work goes on from there.

No span holds an address, a name, a path with ids, a query string, a body, a key or the text of an error: attributes are
words of this program, our ids and Stripe's, and numbers.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Protocol, Self, TypeAlias

import structlog

if TYPE_CHECKING:
    from tallystick.platform.settings import Settings
    from tallystick.platform.tracing_otel import Engine

__all__ = [
    "Kind",
    "Span",
    "Value",
    "begin",
    "caused_by",
    "configure_tracing",
    "flush_traces",
    "here",
    "mark_of",
    "note",
    "span",
    "trace_ids",
    "traceparent",
    "tracing",
    "use_engine",
]

log = structlog.get_logger()

Value: TypeAlias = str | int | bool
Kind: TypeAlias = Literal["internal", "server", "client", "producer", "consumer"]

_TRACEPARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-|\Z)")


class Span(Protocol):
    """What is under way. All of this does nothing where nothing is traced."""

    def set(self, name: str, value: Value) -> None:
        """Note an attribute."""

    def rename(self, name: str) -> None:
        """Call it by what it turned out to be."""

    def failed(self, reason: str) -> None:
        """Mark it as failed, for a reason of few possible words: a class, a status, an outcome."""

    def end(self) -> None:
        """It is over; only for a span that was begun by `begin`."""

    @property
    def mark(self) -> bytes | None:
        """What a row keeps of it; None where it is not recorded."""


class _Nothing:
    """A span where nothing is traced: one object for all of them."""

    mark: bytes | None = None

    def set(self, name: str, value: Value) -> None: ...

    def rename(self, name: str) -> None: ...

    def failed(self, reason: str) -> None: ...

    def end(self) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


_NOTHING = _Nothing()
_engine: "Engine | None" = None
_causes: ContextVar[Mapping[str, bytes]] = ContextVar("causes", default={})  # noqa: B039  # never written to


def configure_tracing(settings: "Settings", process: str) -> None:
    """Trace this process if OTEL_EXPORTER_OTLP_ENDPOINT (or …_TRACES_ENDPOINT) says where to; once a process."""
    if _engine is not None or settings.traces_endpoint is None:
        return
    try:
        from tallystick.platform.tracing_otel import Engine
    except ImportError:
        log.warning("tracing.not_installed", hint="pip install 'tallystick[tracing]', or unset OTEL_EXPORTER_OTLP_…")
        return
    use_engine(Engine.exporting(settings, process))


def use_engine(engine: "Engine | None") -> "Engine | None":
    """Trace with this one from now on (None: not at all); what was used before."""
    global _engine
    before, _engine = _engine, engine
    return before


def flush_traces() -> None:
    """Send what is not sent yet, within a second or two: the process ends."""
    if _engine is not None:
        _engine.flush()


def tracing() -> bool:
    """Whether anything is traced."""
    return _engine is not None


def span(
    name: str,
    kind: Kind = "internal",
    attributes: Mapping[str, Value] | None = None,
    *,
    parent: bytes | None = None,
    links: Sequence[bytes | None] = (),
    alone: bool = False,
) -> AbstractContextManager[Span]:
    """A span around a block, which marks it as failed by what it raises (its class, never its words).

    It is part of what surrounds it; of what another process did, whose mark (of a row, or a caller's header) is
    `parent`; or, `alone`, the beginning of a trace of its own that points to what `links` mark.
    """
    if _engine is None:
        return _NOTHING
    return _engine.span(name, kind, attributes, parent=parent, links=[link for link in links if link], alone=alone)


def here(event_id: str | None = None) -> bytes | None:
    """The mark of what is under way, for a row that something will follow from.

    Events are applied many at once: what follows from one of them names it (Stripe's id).
    """
    if _engine is None:
        return None
    causes = _causes.get()
    if event_id is not None and event_id in causes:
        return causes[event_id]
    return next(iter(causes.values())) if len(causes) == 1 else _engine.here()


def begin(
    name: str, kind: Kind, attributes: Mapping[str, Value], *, parent: bytes | None, links: Sequence[bytes | None] = ()
) -> Span:
    """A span beside others that are under way: part of `parent`, else alone. One that is not ended never was."""
    if _engine is None:
        return _NOTHING
    return _engine.begin(name, kind, attributes, parent=parent, links=[link for link in links if link], alone=True)


def note(name: str, value: Value) -> None:
    """Note an attribute of what is under way, far from where it began."""
    if _engine is not None:
        _engine.note(name, value)


@contextmanager
def caused_by(marks: Mapping[str, bytes]) -> Iterator[None]:
    """In this block events are applied, whose marks these are by Stripe's ids."""
    token = _causes.set(marks)
    try:
        yield
    finally:
        _causes.reset(token)


def mark_of(header: bytes) -> bytes | None:
    """The mark that a caller's `traceparent` (W3C Trace Context) is; None for one that is malformed."""
    found = _TRACEPARENT.match(header)
    if found is None or not int(found[1], 16) or not int(found[2], 16):
        return None
    return bytes.fromhex((found[1] + found[2] + found[3]).decode())


def traceparent(mark: bytes | None) -> str | None:
    """The W3C header that tells another program of a mark."""
    return None if mark is None else f"00-{mark[:16].hex()}-{mark[16:24].hex()}-{mark[24:].hex()}"


def trace_ids() -> Mapping[str, str]:
    """`trace_id` and `span_id` for a line of the log; nothing where nothing is traced."""
    mark = here()
    return {} if mark is None else {"trace_id": mark[:16].hex(), "span_id": mark[16:24].hex()}

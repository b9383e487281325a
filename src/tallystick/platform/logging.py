"""Structured logs: one line an event, with the request's id, and never a secret or an e-mail address."""

import logging
import re
import sys
import threading
import traceback
from collections.abc import Iterable, Mapping, MutableMapping
from types import TracebackType
from typing import Any

import msgspec
import structlog

from tallystick.platform.tracing import trace_ids, tracing

__all__ = ["configure_logging", "hide", "scrub"]

_SECRETS = re.compile(
    r"(sk|rk|pk)_(test|live)_[A-Za-z0-9]+|whsec_[A-Za-z0-9+/=_-]+|[a-z]+_[A-Za-z0-9]+_secret_[A-Za-z0-9]+"
    r"|eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"
    r"|[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}|\b(?:\d[ -]?){12,18}\d\b"
)
# Every secret has one of these in it. Most lines have none, and looking for all of them is what a line costs.
_SUSPECT = re.compile(r"[_@]|eyJ|\d(?:[ -]?\d){12}")


# Whatever is shorter may be a word that a log needs.
_SECRET_LEAST = 12
_PLAIN = (bool, int, float, type(None))
_named: set[str] = set()
_hidden: list[re.Pattern[str]] = []


def hide(secrets: Iterable[str]) -> None:
    """Have `scrub` take these out as they are, whatever they look like; a process calls it with what it was given."""
    fresh = {secret for secret in secrets if len(secret) >= _SECRET_LEAST} - _named
    if fresh:
        _named.update(fresh)
        _hidden[:] = [re.compile("|".join(re.escape(secret) for secret in sorted(_named, key=len, reverse=True)))]


def scrub(text: str) -> str:
    """`text` without keys, client secrets, tokens, passwords, e-mail addresses, card numbers, and what `hide` named."""
    for pattern in _hidden:
        text = pattern.sub("[removed]", text)
    return _SECRETS.sub("[removed]", text) if _SUSPECT.search(text) else text


class _Scrubbed(logging.Formatter):
    """What libraries log, and what nobody caught."""

    def format(self, record: logging.LogRecord) -> str:
        return scrub(super().format(record))


def _scrub_event(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = scrub(value)
        elif not isinstance(value, _PLAIN):
            event[name] = _scrubbed(value)
    return event


def _scrubbed(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _scrubbed(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_scrubbed(inner) for inner in value]
    return value if isinstance(value, _PLAIN) else scrub(value if isinstance(value, str) else str(value))


def _add_trace(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if tracing():
        event.update(trace_ids())
    return event


def _as_json(event: Any, **_: Any) -> str:
    return msgspec.json.encode(event, enc_hook=repr).decode()


def _tell_crash(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    """What nobody caught, as the interpreter would print it, but for secrets."""
    sys.stderr.write(scrub("".join(traceback.format_exception(kind, error, trace))))


def configure_logging(level: str, log_format: str, process: str) -> None:
    """Set up structlog and the standard library's loggers for this process."""
    console = log_format == "console"
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.format_exc_info,
            _scrub_event,
            structlog.processors.add_log_level,
            _add_trace,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.dev.ConsoleRenderer(colors=False) if console else structlog.processors.JSONRenderer(_as_json),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
    )
    structlog.contextvars.bind_contextvars(process=process)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Scrubbed("%(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    # Whoever has hooks of their own keeps them.
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = _tell_crash
    if threading.excepthook is threading.__excepthook__:
        threading.excepthook = lambda crash: _tell_crash(crash.exc_type, crash.exc_value, crash.exc_traceback)

"""An object as text that can be read: indented, its ids leading to what they name, and no secret in it."""

import re
from collections.abc import Callable, Iterator, Set
from typing import Any

from markupsafe import Markup, escape

from tallystick.sandbox.pages.dashboard_words import moment
from tallystick.sandbox.shapes import encode

__all__ = ["ids_in", "pretty", "without_secrets"]

_LEFT_OUT = frozenset({"client_secret", "secret"})
_SECRET = re.compile(r"(_secret_)[A-Za-z0-9]+")
_ID = re.compile(r"[a-z]{2,12}(_[a-z]+)*_[A-Za-z0-9]{8,64}\Z")
_URL = re.compile(r"https?://[^\s<>\"]+\Z")
_MOMENT = re.compile(
    r"(created|updated|start|end|date|anchor|expires|available_on|.*_(at|on|start|end|by|date|anchor))\Z"
)
_MOMENTS = range(1_000_000_000, 10_000_000_000)


def without_secrets(value: Any) -> Any:
    """`value` without its client secrets and signing secrets, wherever they stand."""
    if isinstance(value, dict):
        return {key: without_secrets(item) for key, item in value.items() if key not in _LEFT_OUT}
    if isinstance(value, list):
        return [without_secrets(item) for item in value]
    return _SECRET.sub(r"\1…", value) if isinstance(value, str) else value


def ids_in(value: Any) -> Iterator[str]:
    """All strings in `value` that look like an object's id."""
    if isinstance(value, dict):
        for item in value.values():
            yield from ids_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from ids_in(item)
    elif isinstance(value, str) and _ID.match(value):
        yield value


def pretty(value: Any, known: Set[str], path_of: Callable[[str], str]) -> Markup:
    """`value` as indented JSON; ids that are `known` lead to `path_of(id)`, and times are told in words beside it."""
    return Markup("\n").join(_lines(None, value, "", "", known, path_of))


def _lines(
    key: str | None, value: Any, indent: str, comma: str, known: Set[str], path_of: Callable[[str], str]
) -> Iterator[Markup]:
    name = Markup("<b>{}</b>: ").format(encode(key).decode()) if key is not None else Markup("")
    opening, closing = ("{", "}") if isinstance(value, dict) else ("[", "]")
    if not isinstance(value, dict | list) or not value:
        yield escape(indent) + name + _scalar(key, value, known, path_of) + comma + _in_words(key, value)
        return
    yield escape(indent) + name + opening
    pairs = list(value.items()) if isinstance(value, dict) else [(None, item) for item in value]
    for place, (inner, item) in enumerate(pairs, start=1):
        yield from _lines(inner, item, f"{indent}  ", "," if place < len(pairs) else "", known, path_of)
    yield escape(indent) + closing + comma


def _scalar(key: str | None, value: Any, known: Set[str], path_of: Callable[[str], str]) -> Markup:
    text = escape(encode(value).decode())
    if isinstance(value, str) and key != "id" and value in known:
        return Markup('<a href="{}">{}</a>').format(path_of(value), text)
    if isinstance(value, str) and _URL.match(value) and "_secret_" not in value:
        return Markup('<a href="{}" rel="noreferrer">{}</a>').format(value, text)
    return text


def _in_words(key: str | None, value: Any) -> Markup:
    if isinstance(value, int) and not isinstance(value, bool) and value in _MOMENTS and _MOMENT.match(key or ""):
        return Markup(" <i>{}</i>").format(moment(value))
    return Markup("")

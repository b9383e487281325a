"""Request parameters: form decoding (`a[b][0]=c`) and typed validation with Stripe's refusals.

A field's check takes the raw value (text, hash or array) and its spelled path, and returns the typed value.
A cleared value (an empty string where the parameter may be unset) becomes None.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

from tallystick.core.currencies import CURRENCIES
from tallystick.sandbox.errors import invalid, missing_param, unknown_param
from tallystick.sandbox.shapes import Json

__all__ = [
    "LIST_FIELDS",
    "Check",
    "Fields",
    "anything",
    "array_of",
    "boolean",
    "created_range",
    "currency",
    "decode_form",
    "email",
    "enum",
    "hash_of",
    "integer",
    "metadata",
    "string",
    "unsettable",
    "validate",
]

Check: TypeAlias = Callable[[Any, str], Any]
Fields: TypeAlias = Mapping[str, Check]

_PARTS = re.compile(r"\[([^\[\]]*)\]")
_INTEGER = re.compile(r"-?\d+\Z")


def decode_form(data: bytes | str) -> Json:
    """A query string or form body as nested hashes and arrays; leaves are text."""
    text = data.decode("utf-8", "replace") if isinstance(data, bytes) else data
    result: Json = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        head, bracket, _ = name.partition("[")
        if not bracket:
            result[name] = value
            continue
        node = result
        keys = [head, *_PARTS.findall(name)]
        for key in keys[:-1]:
            child = node.setdefault(key or str(len(node)), {})
            if not isinstance(child, dict):
                raise invalid(f"Invalid object: {name}", param=head)
            node = child
        node[keys[-1] or str(len(node))] = value
    return {key: _arrays(value) for key, value in result.items()}


def _arrays(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    items = {key: _arrays(item) for key, item in value.items()}
    if items and all(key.isdigit() for key in items):
        return [items[key] for key in sorted(items, key=int)]
    return items


def validate(raw: Json, fields: Fields, *, required: Iterable[str] = (), prefix: str = "") -> Json:
    """The typed parameters; raises parameter_unknown, parameter_missing, or what a check refuses with."""
    typed: Json = {}
    for name, value in raw.items():
        path = f"{prefix}[{name}]" if prefix else name
        check = fields.get(name)
        if check is None:
            raise unknown_param(path)
        typed[name] = check(value, path)
    for name in required:
        if typed.get(name) is None:
            raise missing_param(f"{prefix}[{name}]" if prefix else name)
    return typed


def _text(value: Any, path: str) -> str:
    if not isinstance(value, str):
        raise invalid(f"Invalid string: {value}", param=path)
    return value


def _not_empty(value: Any, path: str) -> str:
    text = _text(value, path)
    if text == "":
        raise invalid(
            f"You passed an empty string for '{path}'. We assume empty values are an attempt to unset a "
            f"parameter; however '{path}' cannot be unset. You should remove '{path}' from your request or "
            "supply a non-empty value.",
            code="parameter_invalid_empty",
            param=path,
        )
    return text


def string(max_length: int = 5000) -> Check:
    """Text that may not be empty."""

    def check(value: Any, path: str) -> str:
        text = _not_empty(value, path)
        if len(text) > max_length:
            raise invalid(
                f"Invalid string: {text[:10]}...{text[-4:]}; must be at most {max_length} characters", param=path
            )
        return text

    return check


def integer(minimum: int | None = None) -> Check:
    """An integer; below `minimum` is refused as `parameter_invalid_integer`."""

    def check(value: Any, path: str) -> int:
        text = _not_empty(value, path)
        if not _INTEGER.match(text):
            raise invalid(f"Invalid integer: {text}", code="parameter_invalid_integer", param=path)
        number = int(text)
        if minimum is not None and number < minimum:
            raise invalid(
                f"This value must be greater than or equal to {minimum}.",
                code="parameter_invalid_integer",
                param=path,
            )
        return number

    return check


def boolean(value: Any, path: str) -> bool:
    """`true` or `false`."""
    text = _not_empty(value, path)
    if text not in ("true", "false"):
        raise invalid(f"Invalid boolean: {text}", param=path)
    return text == "true"


def enum(*values: str) -> Check:
    """One of `values`."""

    def check(value: Any, path: str) -> str:
        text = _not_empty(value, path)
        if text not in values:
            listed = ", ".join(values[:-1]) + f", or {values[-1]}" if len(values) > 1 else values[0]
            raise invalid(f"Invalid {path}: must be one of {listed}", param=path)
        return text

    return check


def currency(value: Any, path: str) -> str:
    """A currency Stripe takes, in lower case."""
    code = _not_empty(value, path).lower()
    if code not in CURRENCIES:
        known = ", ".join(["usd", *sorted(CURRENCIES.keys() - {"usd"})])
        raise invalid(f"Invalid currency: {code}. Stripe currently supports these currencies: {known}", param=path)
    return code


def email(value: Any, path: str) -> str:
    """An e-mail address of up to 512 characters."""
    text = _not_empty(value, path)
    local, at, domain = text.rpartition("@")
    if not (local and at and domain) or " " in text or len(text) > 512:
        raise invalid(f"Invalid email address: {text}", code="email_invalid", param=path)
    return text


def unsettable(check: Check) -> Check:
    """`check`, or None for an empty string."""
    return lambda value, path: None if value == "" else check(value, path)


def hash_of(fields: Fields, *, required: Iterable[str] = ()) -> Check:
    """A hash with these fields."""

    def check(value: Any, path: str) -> Json:
        if not isinstance(value, dict):
            raise invalid("Invalid object", param=path)
        return validate(value, fields, required=required, prefix=path)

    return check


def array_of(check: Check) -> Check:
    """An array whose items pass `check`; an empty string is the empty array."""

    def check_all(value: Any, path: str) -> list[Any]:
        if value == "":
            return []
        if not isinstance(value, list):
            raise invalid("Invalid array", param=path)
        return [check(item, f"{path}[{index}]") for index, item in enumerate(value)]

    return check_all


def anything(value: Any, path: str) -> Any:
    """Taken as it is: a parameter that Stripe knows and the sandbox does not act on."""
    return value


def metadata(value: Any, path: str) -> Json:
    """Up to 50 keys; the result maps a key to its text, or to None where it is to be unset.

    `metadata=''` unsets all keys, which the result spells `{"": None}`.
    """
    if value == "":
        return {"": None}
    if isinstance(value, list):
        value = {str(index): item for index, item in enumerate(value)}
    if not isinstance(value, dict):
        raise invalid("Invalid object", param=path)
    if len(value) > 50:
        raise invalid("You may only specify up to 50 metadata keys.", param=path)
    result: Json = {}
    for key, item in value.items():
        text = _text(item, f"{path}[{key}]")
        if len(key) > 40:
            raise invalid(f"Metadata keys must be at most 40 characters. Key '{key}' has {len(key)}.", param=path)
        if len(text) > 500:
            raise invalid(
                f"Metadata values can have up to 500 characters, but you passed in a value that is {len(text)} "
                f"characters. Invalid value: {text[:10]}...",
                param=f"{path}[{key}]",
            )
        result[key] = text or None
    return result


def created_range(value: Any, path: str) -> dict[str, int]:
    """`created=123` or `created[gte]=…`: bounds by operator, `eq` for the plain form."""
    number = integer()
    if isinstance(value, str):
        return {"eq": number(value, path)}
    fields = dict.fromkeys(("gt", "gte", "lt", "lte"), number)
    bounds: dict[str, int] = hash_of(fields)(value, path)
    return bounds


LIST_FIELDS: Fields = {
    "created": created_range,
    "ending_before": string(),
    "expand": array_of(string()),
    "limit": integer(),
    "starting_after": string(),
}
"""What every list takes."""

"""JSON as Stripe prints it: key order, lists, and the codec everything here shares."""

from typing import Any, TypeAlias

import msgspec

__all__ = ["Json", "canonical", "clone", "decode", "encode", "list_object"]

Json: TypeAlias = dict[str, Any]

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder()


def encode(value: Any) -> bytes:
    """Compact JSON."""
    return _encoder.encode(value)


def decode(data: bytes | str) -> Any:
    """Parsed JSON."""
    return _decoder.decode(data)


def clone(value: Json) -> Json:
    """A copy that shares nothing with `value`."""
    copy: Json = _decoder.decode(_encoder.encode(value))
    return copy


def canonical(value: Any) -> Any:
    """`value` with Stripe's key order at every level: `id`, `object`, then the alphabet."""
    if isinstance(value, dict):
        ordered: Json = {}
        if "id" in value:
            ordered["id"] = value["id"]
        if "object" in value:
            # In an event's `data`, `object` is the snapshot itself.
            ordered["object"] = canonical(value["object"])
        for key in sorted(value):
            if key not in ordered:
                item = value[key]
                ordered[key] = canonical(item) if isinstance(item, dict | list) else item
        return ordered
    if isinstance(value, list):
        return [canonical(item) if isinstance(item, dict | list) else item for item in value]
    return value


def list_object(
    url: str,
    data: list[Json],
    *,
    has_more: bool = False,
    count: int | None = None,
    total_count: int | None = None,
) -> Json:
    """A Stripe list; a few print a `count`, embedded ones a `total_count`."""
    listed: Json = {"object": "list"}
    if count is not None:
        listed["count"] = count
    listed |= {"data": data, "has_more": has_more}
    if total_count is not None:
        listed["total_count"] = total_count
    return {**listed, "url": url}

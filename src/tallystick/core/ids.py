"""Identifiers: ours are UUIDs that sort by creation, Stripe's are opaque strings with a prefix."""

import os
import re
import time
import uuid
from datetime import datetime
from zlib import crc32

__all__ = ["first_id", "is_stripe_id", "lane_of", "new_id", "parse_uuid"]

# Wall time in nanoseconds; a simulation lives by another one.
_wall_ns = time.time_ns
_STRIPE_ID = re.compile(r"[a-z]+(?:_[A-Za-z0-9]+)+\Z")


def new_id() -> uuid.UUID:
    """A UUID of version 7 (RFC 9562), so that indexes grow at one end.

    After the milliseconds come twelve bits of the rest of the time (section 6.2, method 3), then randomness.
    """
    milliseconds, rest = divmod(_wall_ns(), 1_000_000)
    time_of = milliseconds << 80 | 0x7 << 76 | (rest << 12) // 1_000_000 << 64
    return uuid.UUID(int=time_of | 0x2 << 62 | int.from_bytes(os.urandom(8)) >> 2)


def first_id(moment: datetime) -> uuid.UUID:
    """The smallest id that can be made at this moment: ours begin with their time."""
    return uuid.UUID(int=int(moment.timestamp() * 1000) << 80)


def parse_uuid(text: str) -> uuid.UUID | None:
    """The UUID that `text` spells in its canonical 36 characters, else None."""
    if len(text) != 36:
        return None
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def is_stripe_id(text: str, prefix: str) -> bool:
    """Whether `text` can be a Stripe id of this kind, e.g. `pi_`; Stripe ids have up to 255 characters."""
    return text.startswith(prefix) and len(text) <= 255 and _STRIPE_ID.match(text) is not None


def lane_of(key: str, lanes: int) -> int:
    """The lane (0 … lanes-1) that keeps everything about `key` in order; the same on every machine."""
    return crc32(key.encode()) % lanes

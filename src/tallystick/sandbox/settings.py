"""What can be set: the process's configuration, and the account's settings that change while it runs."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec

from tallystick.sandbox.versions import OLDEST

__all__ = ["SandboxConfig", "Settings"]


@dataclass(frozen=True, slots=True)
class SandboxConfig:
    """How a sandbox is started.

    `database` is a file or `:memory:`. `api_version` is the account's default where the store has none yet.
    `public_url` is where browsers reach the sandbox, for links made outside a request. `record` appends
    every distinct answer and event to a file. `open_control` lets other machines use `/_sandbox/*`. `clock_file`
    tells the application's processes on this machine how far business time is ahead (their CLOCK_FILE).
    `wall` is wall time, where it is not the machine's.
    """

    database: str = ":memory:"
    api_version: str = OLDEST
    public_url: str = "http://127.0.0.1:12111"
    record: Path | None = None
    open_control: bool = False
    clock_file: Path | None = None
    wall: Callable[[], datetime] | None = None


class Settings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The account's settings, at `/_sandbox/settings`; spans in seconds.

    Business time rules them all but `search_lag_s` and `webhook_timeout_s`, which are wall time.
    """

    api_version: str
    country: str = "US"
    default_currency: str = "usd"
    email: str = "sandbox@example.com"
    payment_method_types: list[str] = msgspec.field(default_factory=lambda: ["card", "link"])
    first_retry_s: float = 2.0
    webhook_timeout_s: float = 10.0
    webhook_in_flight: int = 16
    search_lag_s: float = 2.0
    async_capture_s: float = 1.0
    """Until the balance transaction of an `automatic_async` capture arrives."""
    delayed_settlement_s: float = 5.0
    """Until a bank debit succeeds or fails; the `Delayed` test accounts take three minutes."""
    refund_settle_s: float = 2.0
    dispute_delay_s: float = 1.0
    dispute_decision_s: float = 3.0
    draft_s: int = 3600
    """How long the invoice of a renewal stays a draft."""
    retry_days: list[int] = msgspec.field(default_factory=lambda: [3, 5, 7])
    """A failed renewal is tried again so many days after each failure."""
    after_last_retry: Literal["cancel", "unpaid", "past_due"] = "cancel"
    upcoming_days: int = 7
    """So long before a renewal comes `invoice.upcoming`; 0 turns it off."""

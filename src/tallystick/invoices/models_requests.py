"""What callers ask for, after the edge has checked its form."""

from msgspec import Struct

__all__ = ["InvoicesRequest"]


class InvoicesRequest(Struct, frozen=True):
    """A page of invoices. Ids and cursors are ours or Stripe's, `user` is the host application's id of one."""

    limit: int
    starting_after: str | None = None
    ending_before: str | None = None
    status: str | None = None
    subscription: str | None = None
    user: str | None = None

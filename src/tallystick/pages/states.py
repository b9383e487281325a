"""What a session's status is: by how far its payment is, and by its time."""

from datetime import datetime

from tallystick.pages.models import CheckoutSession, Progress, Status

__all__ = ["status_of"]


def status_of(session: CheckoutSession, progress: Progress, now: datetime) -> Status:
    """The session's status at business time `now`. `complete` is for ever; money that has moved beats the clock."""
    if session.status == "complete" or progress.state == "done":
        return "complete"
    if progress.state == "processing":
        return "processing"
    # The payment of a session whose time is over is canceled by us: that is not what the customer is to be told.
    if session.status == "expired" or now >= session.expires_at:
        return "expired"
    return "canceled" if progress.state == "canceled" else "open"

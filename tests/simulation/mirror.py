"""Is the mirror Stripe? The comparers of `tallystick simulate`, and the outbox."""

from system import System
from tallystick.simulation.mirror import Lists, Row, Rows, assert_same, everything, mirror_rows, stripe_rows

__all__ = ["Lists", "Row", "Rows", "assert_same", "everything", "mails", "mirror_rows", "stripe_rows"]


async def mails(system: System) -> dict[str, tuple[str, str]]:
    """What is in the outbox: template and recipient by business key."""
    rows = await system.fetch("SELECT business_key, template, recipient FROM mails")
    return {row["business_key"]: (row["template"], row["recipient"]) for row in rows}

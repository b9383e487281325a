"""SQL of setup intents."""

from tallystick.customers.models import SetupRow
from tallystick.platform.database import Connection
from tallystick.platform.mirror_table import MirrorTable

__all__ = ["SETUPS", "find_setup"]

SETUPS = MirrorTable("setup_intents", SetupRow, "stripe_setup_intent_id")


async def find_setup(connection: Connection, customer_id: str, key: str, value: str) -> SetupRow | None:
    """The newest setup intent of a customer (Stripe's id) whose metadata has this."""
    row = await connection.fetchrow(
        f"{SETUPS.select} WHERE stripe_customer_id = $1 AND metadata ->> $2 = $3 ORDER BY created_at DESC LIMIT 1",
        customer_id,
        key,
        value,
    )
    return SETUPS.read(row) if row else None

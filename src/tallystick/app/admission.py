"""Whether the settings fit the database, asked before anything is served."""

from tallystick.app.parts import database_of
from tallystick.core.clock import clock_of
from tallystick.installation.service import InstallationService
from tallystick.platform.settings import Settings
from tallystick.stripe_gateway.service import StripeService

__all__ = ["admit"]


async def admit(settings: Settings) -> None:
    """Go on where this database belongs to the account of the key, or where nobody can be asked within a few seconds.

    Raises WrongInstallation.
    """
    database = database_of(settings, "start")
    stripe = StripeService(settings)
    await database.open()
    try:
        await InstallationService(database, clock_of(settings.clock_file), settings, stripe).admit()
    finally:
        await stripe.close()
        await database.close()

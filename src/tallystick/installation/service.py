"""`InstallationService`: whose database this is, and from when on anybody is told of anything."""

import asyncio
from datetime import datetime

import asyncpg
import structlog

from tallystick.core.clock import Clock
from tallystick.installation.errors import WrongInstallation
from tallystick.installation.models import Installation
from tallystick.installation.repository import InstallationRepository
from tallystick.platform.database import WEATHER, Database, Transaction
from tallystick.platform.settings import Settings
from tallystick.stripe_gateway.errors import GatewayError, GatewayRejected
from tallystick.stripe_gateway.service import StripeService

__all__ = ["InstallationService"]

log = structlog.get_logger()

_FORBIDDEN = 403
_ADMIT_S = 5.0
_MODES = {True: "live", False: "test"}


class InstallationService:
    """The row of `installation`: made at the first start of whatever starts first, and held against the settings."""

    def __init__(self, database: Database, clock: Clock, settings: Settings, stripe: StripeService) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._stripe = stripe
        self._repository = InstallationRepository()
        self._mark: datetime | None = None
        self._verified: Installation | None = None

    async def mark(self, tx: Transaction) -> datetime:
        """From when on (business time, whole seconds) anybody is told of what happens; it never changes.

        Read in the caller's transaction, the first time.
        """
        if self._mark is not None:
            return self._mark
        found = await self._repository.find(tx)
        if found is None:
            # Not kept: the caller may not commit it.
            return (await self._make(tx)).mark
        self._mark = found.mark
        return found.mark

    async def current(self) -> Installation:
        """This installation, made now if this is its first start.

        Raises WrongInstallation where INSTALLATION_ID or the key's mode is another one. Asks the database only.
        """
        installation = await self._ensure()
        wanted, mode = self._settings.installation_id, self._settings.live
        if installation.installation_id != wanted:
            raise WrongInstallation(
                f"INSTALLATION_ID is {wanted!r}, but this database belongs to the installation "
                f"{installation.installation_id!r}. Set INSTALLATION_ID={installation.installation_id}, "
                "or use another DATABASE_URL."
            )
        if installation.livemode != mode:
            raise WrongInstallation(
                f"STRIPE_SECRET_KEY is a {_MODES[mode]} key, but this database holds "
                f"{_MODES[installation.livemode]} data. Use a {_MODES[installation.livemode]} key, "
                "or another DATABASE_URL for this one."
            )
        return installation

    async def verify(self) -> Installation:
        """This installation, its Stripe account compared with the key's; asks Stripe once in a process.

        Raises WrongInstallation where it is another's, and the errors of the gateway where Stripe cannot be asked. A
        restricted key that may not read the account passes unseen.
        """
        if self._verified is not None:
            return self._verified
        await self.current()
        try:
            account_id = (await self._stripe.retrieve_account()).value
        except GatewayRejected as error:
            if error.status != _FORBIDDEN:
                raise
            log.warning("installation.account_unread", hint="let the restricted key read the account")
        else:
            await self._claim(account_id)
        self._verified = await self.current()
        return self._verified

    async def admit(self) -> None:
        """`verify` at a start, which depends on neither Stripe nor the database being there within a few seconds.

        Raises WrongInstallation, and asyncpg's InvalidAuthorizationSpecificationError where the database refuses its
        role or password: a setting is wrong then, whatever it is later.
        """
        try:
            async with asyncio.timeout(_ADMIT_S):
                await self.verify()
        except asyncpg.InvalidAuthorizationSpecificationError:
            raise
        except (GatewayError, asyncpg.UndefinedTableError, *WEATHER) as error:
            log.warning("installation.unverified", error=type(error).__name__)

    async def begin(self) -> None:
        """Set the mark, if this is the first start and the database is there. Raises WrongInstallation."""
        try:
            await self.current()
        except (asyncpg.UndefinedTableError, *WEATHER) as error:
            log.warning("installation.unread", error=type(error).__name__)

    async def _claim(self, account_id: str) -> None:
        async with self._database.transaction() as tx:
            owner = await self._repository.claim_account(tx, account_id)
        if owner != account_id:
            raise WrongInstallation(
                f"STRIPE_SECRET_KEY is of the Stripe account {account_id}, but this database belongs to {owner}. "
                f"Use a key of {owner}, or another DATABASE_URL for {account_id}."
            )

    async def _ensure(self) -> Installation:
        async with self._database.transaction() as tx:
            return await self._repository.find(tx) or await self._make(tx)

    async def _make(self, tx: Transaction) -> Installation:
        mark = self._clock.now().replace(microsecond=0)
        return await self._repository.ensure(
            tx, self._settings.installation_id, mark, self._clock.wall(), livemode=self._settings.live
        )

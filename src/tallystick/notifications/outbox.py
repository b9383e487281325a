"""`OutboxService`: what an operator sees of the mails, and sending dead ones again."""

from uuid import UUID

from tallystick.core.pages import LIMIT_DEFAULT, LIMIT_MAX, Page
from tallystick.notifications.addresses import InvalidAddress, parse_recipient
from tallystick.notifications.errors import MailNotDead, MailNotFound, RecipientInvalid
from tallystick.notifications.models import MailState, StoredMail
from tallystick.notifications.outbox_repository import OutboxRepository
from tallystick.platform.database import Connection, Database

__all__ = ["OutboxService"]


class OutboxService:
    """Mails by our id or their business key."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._repository = OutboxRepository()

    async def list(
        self,
        *,
        state: MailState | None = None,
        template: str | None = None,
        limit: int = LIMIT_DEFAULT,
        starting_after: str | None = None,
    ) -> Page[StoredMail]:
        """Mails, the last queued first; `starting_after` is the last one seen."""
        limit = max(1, min(limit, LIMIT_MAX))
        async with self._database.connection() as connection:
            before = (await self._found(connection, starting_after)).id if starting_after is not None else None
            rows = await self._repository.page(
                connection, state=state, template=template, before=before, limit=limit + 1
            )
        return Page(rows[:limit], has_more=len(rows) > limit)

    async def get(self, mail_id: str) -> StoredMail:
        """One mail; raises MailNotFound."""
        async with self._database.connection() as connection:
            return await self._found(connection, mail_id)

    async def resend(self, mail_id: str, recipient: str | None = None) -> StoredMail:
        """Queue a dead mail again, with all its tries, under its Message-ID; to `recipient` if one is given.

        Raises:
            MailNotFound: there is no such mail.
            MailNotDead: it was not given up.
            RecipientInvalid: the address, as given or as stored, is not one.
        """
        async with self._database.transaction() as tx:
            mail = await self._found(tx, mail_id, lock=True)
            if mail.state != MailState.DEAD:
                raise MailNotDead(f"The mail is {mail.state}; only dead mails are sent again.")
            try:
                address = parse_recipient(recipient or mail.recipient).addr_spec
            except InvalidAddress as error:
                raise RecipientInvalid(f"{recipient or mail.recipient}: {error}", field="to") from None
            await self._repository.requeue(tx, mail.id, address)
            return await self._found(tx, str(mail.id))

    async def _found(self, connection: Connection, mail_id: str, *, lock: bool = False) -> StoredMail:
        try:
            key: UUID | str = UUID(mail_id)
        except ValueError:
            key = mail_id
        mail = await self._repository.find(connection, key, lock=lock)
        if mail is None:
            raise MailNotFound
        return mail

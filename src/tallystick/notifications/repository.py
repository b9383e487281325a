"""The outbox: rows of the table `mails`."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from tallystick.notifications.models import MailState, NewMail
from tallystick.platform.database import Transaction
from tallystick.platform.work import MAIL_CHANNEL

__all__ = ["MAIL_CHANNEL", "MailRepository"]


class MailRepository:
    """SQL on `mails`, in the transaction that it is given."""

    async def insert(self, tx: Transaction, mails: Sequence[NewMail], now: datetime) -> None:
        """Store mails whose business key is new, and wake the senders at commit if one of them is to be sent.

        In the order of their keys: two transactions that insert the same keys the other way round would deadlock.
        """
        rows = sorted(mails, key=lambda mail: mail.request.business_key)
        await tx.fetch(
            f"""
            WITH added AS (
                INSERT INTO mails (id, business_key, template, recipient, locale, context, user_id, state, due_at,
                                   message_id, last_error, trace, finished_at)
                SELECT id, business_key, template, recipient, locale, context, user_id, state, due_at,
                       message_id, last_error, trace, CASE WHEN state = 'queued' THEN NULL ELSE $12::timestamptz END
                FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::jsonb[], $7::uuid[],
                            $8::text[], $9::timestamptz[], $10::text[], $11::text[], $13::bytea[])
                     AS new (id, business_key, template, recipient, locale, context, user_id, state, due_at,
                             message_id, last_error, trace)
                ON CONFLICT (business_key) DO NOTHING
                RETURNING state, due_at
            )
            SELECT pg_notify('{MAIL_CHANNEL}', '')
            WHERE EXISTS (SELECT 1 FROM added WHERE state = 'queued' AND due_at <= $12)
            """,
            [mail.id for mail in rows],
            [mail.request.business_key for mail in rows],
            [mail.request.template for mail in rows],
            [mail.recipient for mail in rows],
            [mail.locale for mail in rows],
            [dict(mail.context) for mail in rows],
            [mail.request.user_id for mail in rows],
            [mail.state.value for mail in rows],
            [mail.request.due_at for mail in rows],
            [mail.message_id for mail in rows],
            [mail.problem for mail in rows],
            now,
            [mail.trace for mail in rows],
        )

    async def finish(
        self,
        tx: Transaction,
        mail_id: UUID,
        state: MailState,
        now: datetime,
        *,
        subject: str | None = None,
        error: str | None = None,
        attempts: int = 0,
    ) -> bool:
        """Close a mail that is still open; `attempts` are added. False when it was closed already."""
        closed = await tx.fetchval(
            """
            UPDATE mails
            SET state = $2, finished_at = $3, leased_until = NULL, subject = coalesce($4, subject),
                last_error = coalesce($5, last_error), attempts = attempts + $6
            WHERE id = $1 AND state = 'queued' RETURNING id
            """,
            mail_id,
            state.value,
            now,
            subject,
            error,
            attempts,
        )
        return closed is not None

"""SQL of erasures. It reads whatever table a person is in, and writes there only to take out who it is about."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from tallystick.core.ids import new_id
from tallystick.platform.database import Connection, Transaction
from tallystick.privacy.models import Erasure, Person, Standing
from tallystick.privacy.places import Place
from tallystick.privacy.redaction import Redaction, known_values, mask, redact, told_values
from tallystick.privacy.theirs import THEIRS

__all__ = ["ErasureRepository"]

_COLUMNS = ", ".join(Erasure.__struct_fields__)
_PERSON = "id, external_id, email, name, locale, stripe_customer_id, created_at, erased_at"
_LIVE = "('incomplete', 'trialing', 'active', 'past_due', 'unpaid', 'paused')"
_UNPAID = "('requires_payment_method', 'requires_confirmation', 'requires_action')"

# An intent that pays an invoice is Stripe's: it ends with its invoice, and is refused to whoever would cancel it.
_STANDING = f"""
    SELECT ARRAY(SELECT id FROM subscriptions WHERE user_id = $1 AND status IN {_LIVE} ORDER BY id),
        ARRAY(SELECT id FROM payments WHERE user_id = $1 AND claimed AND stripe_status IN {_UNPAID} ORDER BY id),
        ARRAY(SELECT id FROM payments WHERE user_id = $1 AND stripe_status IN ('processing', 'requires_capture')
              ORDER BY id),
        ARRAY(SELECT d.id FROM disputes d JOIN payments p ON p.id = d.payment_id
              WHERE p.user_id = $1 AND d.status LIKE ANY ('{{%needs_response,%under_review}}') ORDER BY d.id),
        ARRAY(SELECT id FROM attempts WHERE user_id = $1 AND state IN ('requested', 'unknown') ORDER BY id)
"""
_CAPTURE = f"""
    INSERT INTO erased_objects (stripe_id, erasure_id)
    SELECT stripe_id, $2 FROM ({THEIRS}) theirs WHERE stripe_id IS NOT NULL
    ON CONFLICT DO NOTHING
"""
_KNOWN = """
    SELECT email FROM customers WHERE user_id = $1 UNION SELECT name FROM customers WHERE user_id = $1
    UNION SELECT phone FROM customers WHERE user_id = $1
    UNION SELECT address ->> 'line1' FROM customers WHERE user_id = $1
    UNION SELECT address ->> 'line2' FROM customers WHERE user_id = $1
    UNION SELECT recipient FROM mails WHERE user_id = $1
"""
# What customers were called before, as their events told.
_TOLD_BEFORE = """
    SELECT payload::text FROM webhook_events WHERE payload IS NOT NULL AND object_key IN (
        SELECT stripe_id FROM erased_objects WHERE erasure_id = $1 AND stripe_id LIKE 'cus\\_%'
    ) ORDER BY seq DESC LIMIT 200
"""
_KEPT = """
    SELECT (SELECT count(*) FROM payments WHERE user_id = $1) AS payments,
        (SELECT count(*) FROM refunds r JOIN payments p ON p.id = r.payment_id WHERE p.user_id = $1) AS refunds,
        (SELECT count(*) FROM invoices WHERE user_id = $1) AS invoices,
        (SELECT count(*) FROM subscriptions WHERE user_id = $1) AS subscriptions,
        (SELECT nullif(count(*), 0) FROM erased_objects WHERE erasure_id = $2::uuid) AS stripe_ids
"""
_LANES = "SELECT FROM webhook_lanes ORDER BY lane FOR UPDATE"


class ErasureRepository:
    """Reads persons; reads and writes `erasures` and `erased_objects`; redacts rows of other areas' tables."""

    # Whom

    async def person(self, connection: Connection, user: str | UUID) -> Person | None:
        """A user by the host application's id, or by ours."""
        column = "id" if isinstance(user, UUID) else "external_id"
        row = await connection.fetchrow(f"SELECT {_PERSON} FROM users WHERE {column} = $1", user)
        return Person(*row) if row else None

    async def lock_person(self, tx: Transaction, user_id: UUID) -> Person:
        row = await tx.fetchrow(f"SELECT {_PERSON} FROM users WHERE id = $1 FOR UPDATE", user_id)
        assert row is not None, "users are never deleted"
        return Person(*row)

    async def person_of(self, connection: Connection, stripe_customer_id: str) -> UUID | None:
        """Whose customer this is or was."""
        found: UUID | None = await connection.fetchval(
            """
            SELECT coalesce((SELECT id FROM users WHERE stripe_customer_id = $1),
                            (SELECT user_id FROM customers WHERE stripe_customer_id = $1))
            """,
            stripe_customer_id,
        )
        return found

    async def standing(self, connection: Connection, user_id: UUID) -> Standing:
        row = await connection.fetchrow(_STANDING, user_id)
        assert row is not None
        return Standing(*(list(ids) for ids in row))

    async def customers(self, connection: Connection, user_id: UUID) -> list[str]:
        """Stripe's ids of the customers that are not deleted."""
        rows = await connection.fetch(
            """
            SELECT stripe_customer_id FROM customers WHERE user_id = $1 AND NOT deleted
            UNION SELECT u.stripe_customer_id FROM users u WHERE u.id = $1 AND u.stripe_customer_id IS NOT NULL
                AND NOT EXISTS (SELECT FROM customers c WHERE c.stripe_customer_id = u.stripe_customer_id)
            ORDER BY 1
            """,
            user_id,
        )
        return [row[0] for row in rows]

    # Erasures

    async def of_user(self, connection: Connection, user_id: UUID) -> Erasure | None:
        row = await connection.fetchrow(f"SELECT {_COLUMNS} FROM erasures WHERE user_id = $1", user_id)
        return Erasure(*row) if row else None

    async def lock(self, tx: Transaction, erasure_id: UUID) -> Erasure:
        row = await tx.fetchrow(f"SELECT {_COLUMNS} FROM erasures WHERE id = $1 FOR UPDATE", erasure_id)
        assert row is not None, "erasures are never deleted"
        return Erasure(*row)

    async def begin(
        self, tx: Transaction, person: Person, by: str, *, cancel: bool, pseudonym: str, wall: datetime
    ) -> Erasure:
        """Note the erasure and whatever is the person's, and give the person a pseudonym."""
        erasure_id = new_id()
        await tx.execute(
            """
            INSERT INTO erasures (id, user_id, requested_by, cancel_subscriptions, step, known, created_at, updated_at)
            VALUES ($1, $2, $3, $4, 'stripe', '{}', $5, $5)
            """,
            erasure_id,
            person.id,
            by,
            cancel,
            wall,
        )
        await tx.execute(_CAPTURE, person.id, erasure_id)
        said = [person.email, person.name]
        said += [row[0] for row in await tx.fetch(_KNOWN, person.id)]
        for row in await tx.fetch(_TOLD_BEFORE, erasure_id):
            said += told_values(json.loads(row[0]))
        values = known_values(said)
        known = {
            "external_id": person.external_id,
            "values": list(values),
            "mentions": [json.dumps(text, ensure_ascii=False)[1:-1] for text in values]
            + [json.dumps(person.external_id, ensure_ascii=False)],
        }
        await tx.execute("UPDATE erasures SET known = $2 WHERE id = $1", erasure_id, known)
        await tx.execute(
            """
            UPDATE users SET external_id = $2, email = NULL, name = NULL, locale = NULL, erased_at = $3, updated_at = $3
            WHERE id = $1
            """,
            person.id,
            pseudonym,
            wall,
        )
        return await self.lock(tx, erasure_id)

    async def advance(
        self,
        tx: Transaction,
        erasure: Erasure,
        *,
        step: str,
        place: str | None = None,
        cursor: str | None = None,
        removed: Mapping[str, int] | None = None,
        wall: datetime,
    ) -> None:
        """Note how far it has come, and what more was removed."""
        counts = dict(erasure.removed)
        for name, rows in (removed or {}).items():
            counts[name] = counts.get(name, 0) + rows
        await tx.execute(
            """
            UPDATE erasures SET step = $2, place = $3, cursor = $4, removed = $5, updated_at = $6 WHERE id = $1
            """,
            erasure.id,
            step,
            place,
            cursor,
            {name: rows for name, rows in counts.items() if rows},
            wall,
        )

    async def finish(self, tx: Transaction, erasure: Erasure, wall: datetime) -> None:
        """It is done: what was known is forgotten, and what is kept is counted."""
        await tx.execute(
            """
            UPDATE erasures SET state = 'done', step = 'done', place = NULL, cursor = NULL, known = '{}', kept = $2,
                updated_at = $3, finished_at = $3
            WHERE id = $1
            """,
            erasure.id,
            await self.kept(tx, erasure.user_id, erasure.id),
            wall,
        )

    async def kept(self, connection: Connection, user_id: UUID, erasure_id: UUID | None) -> dict[str, int]:
        """How much of a person is kept."""
        row = await connection.fetchrow(_KEPT, user_id, erasure_id)
        assert row is not None
        return {name: count for name, count in row.items() if count is not None}

    async def wait_for_events(self, tx: Transaction) -> None:
        """Wait until every batch of events is over that began before; nothing is applied meanwhile."""
        await tx.execute(_LANES)

    # Places

    async def redact_rows(
        self, tx: Transaction, place: Place, erasure: Erasure, who: Redaction, *, after: str | None, limit: int
    ) -> tuple[int, str | None]:
        """The next rows of a place: how many, and the last one's key (None: that was all)."""
        keys = ", ".join(f"t.{name}" for name in place.key)
        begun = after.split() if after else []
        marks = ", ".join(f"${number}::text::{kind}" for number, kind in enumerate(place.key.values(), 3))
        beyond = f"({keys}) > ({marks})" if begun else "true"
        rows = await tx.fetch(
            f"SELECT {_selected(place)} FROM {place.table} t WHERE {beyond} AND ({place.rows}) "
            f"AND $1::uuid IS NOT NULL AND $2::uuid IS NOT NULL ORDER BY {keys} LIMIT {limit:d} FOR NO KEY UPDATE",
            erasure.user_id,
            erasure.id,
            *begun,
        )
        await self._rewrite(tx, place, rows, who)
        return len(rows), " ".join(str(rows[-1][name]) for name in place.key) if len(rows) == limit else None

    async def delete_rows(self, tx: Transaction, place: Place, erasure: Erasure, limit: int) -> int:
        status = await tx.execute(
            f"""
            DELETE FROM {place.table} WHERE ctid = ANY (ARRAY(
                SELECT t.ctid FROM {place.table} t
                WHERE ({place.rows}) AND $1::uuid IS NOT NULL AND $2::uuid IS NOT NULL LIMIT {limit:d}
            ))
            """,
            erasure.user_id,
            erasure.id,
        )
        return int(status.removeprefix("DELETE "))

    async def redact_object(self, tx: Transaction, place: Place, stripe_id: str, who: Redaction) -> None:
        """The one row of an object of Stripe's."""
        rows = await tx.fetch(f"SELECT {_selected(place)} FROM {place.table} t WHERE t.{place.by} = $1", stripe_id)
        await self._rewrite(tx, place, rows, who)

    async def _rewrite(self, tx: Transaction, place: Place, rows: Sequence[Any], who: Redaction) -> None:
        clean = mask if place.mentions else redact
        columns = [*place.json, *place.texts]
        where = " AND ".join(f"{name} = ${number}" for number, name in enumerate(place.key, 1))
        changes = [f"{name} = ${number}" for number, name in enumerate(columns, len(place.key) + 1)]
        changes += [f"{name} = {value}" for name, value in place.sets.items()]
        values = [
            [
                *(row[name] for name in place.key),
                *(clean({name: row[name]}, who)[name] for name in place.json),
                *(who.text(row[name]) if row[name] is not None else None for name in place.texts),
            ]
            for row in rows
        ]
        if values:
            await tx.executemany(f"UPDATE {place.table} SET {', '.join(changes)} WHERE {where}", values)

    async def rename_in_audit(self, tx: Transaction, external_id: str, pseudonym: str) -> int:
        """Give the person's acts the pseudonym; what was done, and when, stands."""
        await tx.execute("SET LOCAL tallystick.audit = 'erase'")
        status = await tx.execute(
            """
            UPDATE audit_log SET actor = split_part(actor, ':', 1) || ':' || $2, address = NULL, details = '{}'
            WHERE actor IN ('user:' || $1, 'admin:' || $1, 'support:' || $1, 'service:' || $1)
            """,
            external_id,
            pseudonym,
        )
        await tx.execute(
            "UPDATE erasures SET requested_by = 'admin:' || $2 WHERE requested_by = 'admin:' || $1",
            external_id,
            pseudonym,
        )
        return int(status.removeprefix("UPDATE "))


def _selected(place: Place) -> str:
    return ", ".join(f"t.{name}" for name in (*place.key, *place.json, *place.texts))

"""SQL of the figures as they are kept: by day, and what they are made of."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime

from tallystick.metrics.models import DayFigure, Kind, Movement, Trial
from tallystick.platform.database import Connection, Transaction

__all__ = ["MetricsRepository"]

_KINDS = {kind.value: kind for kind in Kind}


class MetricsRepository:
    """Reads and writes `metrics_days`, `mrr_movements`, `trials` and `exchange_rates`."""

    # What is stale

    async def try_turn(self, tx: Transaction) -> bool:
        """Whether the caller is the one who works figures out, until `tx` ends."""
        return bool(await tx.fetchval("SELECT pg_try_advisory_xact_lock(hashtext('metrics'))"))

    async def take_stale(self, tx: Transaction, limit: int) -> tuple[int, set[str], set[datetime]]:
        """Forget up to `limit` marks: how many, the customers whose stories changed, and the hours whose money did."""
        rows = await tx.fetch(
            """
            WITH taken AS (
                DELETE FROM metrics_stale WHERE seq IN (SELECT seq FROM metrics_stale ORDER BY seq LIMIT $1)
                RETURNING subscription_id, stripe_customer_id, at
            )
            SELECT t.at, coalesce(t.stripe_customer_id, s.stripe_customer_id) AS customer, count(*) AS marks
            FROM taken t LEFT JOIN subscriptions s ON s.id = t.subscription_id GROUP BY 1, 2
            """,
            limit,
        )
        customers = {row["customer"] for row in rows if row["customer"] is not None}
        return sum(row["marks"] for row in rows), customers, {row["at"] for row in rows if row["at"] is not None}

    async def stale(self, connection: Connection) -> int:
        """How many marks there are, at most 10,000."""
        return int(await connection.fetchval("SELECT count(*) FROM (SELECT 1 FROM metrics_stale LIMIT 10000) AS m"))

    # Customers

    async def customer(self, tx: Transaction, customer_id: str) -> tuple[list[Movement], list[Trial]]:
        """What is kept of a customer."""
        movements = await tx.fetch(
            "SELECT at, currency, kind, amount FROM mrr_movements WHERE stripe_customer_id = $1", customer_id
        )
        trials = await tx.fetch(
            "SELECT subscription_id, started_at, ended_at, converted FROM trials WHERE stripe_customer_id = $1",
            customer_id,
        )
        return (
            [Movement(row["at"], row["currency"], Kind(row["kind"]), row["amount"]) for row in movements],
            [Trial(*row) for row in trials],
        )

    async def replace_customer(
        self, tx: Transaction, customer_id: str, movements: Sequence[Movement], trials: Sequence[Trial]
    ) -> None:
        """Keep this of a customer, and nothing else."""
        await tx.execute("DELETE FROM mrr_movements WHERE stripe_customer_id = $1", customer_id)
        await tx.execute("DELETE FROM trials WHERE stripe_customer_id = $1", customer_id)
        await tx.executemany(
            "INSERT INTO mrr_movements (stripe_customer_id, at, currency, kind, amount) VALUES ($1, $2, $3, $4, $5)",
            [(customer_id, one.at, one.currency, one.kind, one.amount) for one in movements],
        )
        await tx.executemany(
            """
            INSERT INTO trials (subscription_id, stripe_customer_id, started_at, ended_at, converted)
            VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (subscription_id) DO UPDATE SET
                stripe_customer_id = excluded.stripe_customer_id, started_at = excluded.started_at,
                ended_at = excluded.ended_at, converted = excluded.converted
            """,
            [(one.subscription_id, customer_id, one.started_at, one.ended_at, one.converted) for one in trials],
        )

    # Days

    async def add(self, tx: Transaction, figures: Sequence[DayFigure]) -> None:
        """Add to what the days show (negative amounts and counts take away)."""
        await tx.executemany(
            """
            INSERT INTO metrics_days AS d (day, kind, currency, amount, count) VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (day, kind, currency) DO UPDATE SET
                amount = d.amount + excluded.amount, count = d.count + excluded.count
            """,
            [(one.day, one.kind, one.currency, one.amount, one.count) for one in figures],
        )

    async def replace_day(
        self, tx: Transaction, day: date, kinds: Sequence[Kind], figures: Sequence[DayFigure]
    ) -> None:
        """Have a day show these figures of these kinds, and no others."""
        await tx.execute("DELETE FROM metrics_days WHERE day = $1 AND kind = ANY($2)", day, [*kinds])
        await self.add(tx, figures)

    async def days(
        self, connection: Connection, kinds: Sequence[Kind], start: date | None, end: date
    ) -> Sequence[DayFigure]:
        """The figures of the days from `start` (None: the first) to `end`, both with them, in their order."""
        rows = await connection.fetch(
            """
            SELECT day, currency, kind, amount, count FROM metrics_days
            WHERE kind = ANY($1) AND day BETWEEN coalesce($3, '-infinity'::date) AND $2 AND (amount <> 0 OR count <> 0)
            ORDER BY day
            """,
            [*kinds],
            end,
            start,
        )
        return [DayFigure(day, currency, _KINDS[kind], amount, count) for day, currency, kind, amount, count in rows]

    async def sums(
        self, connection: Connection, kinds: Sequence[Kind], before: date
    ) -> Mapping[tuple[str, Kind], tuple[int, int]]:
        """The sums of amounts and counts of all days before that one, by currency and kind."""
        rows = await connection.fetch(
            """
            SELECT currency, kind, sum(amount)::bigint AS amount, sum(count)::bigint AS count FROM metrics_days
            WHERE kind = ANY($1) AND day < $2 GROUP BY currency, kind
            """,
            [*kinds],
            before,
        )
        return {(row["currency"], Kind(row["kind"])): (row["amount"], row["count"]) for row in rows}

    # Declines

    async def replace_declines(self, tx: Transaction, day: date, declines: Mapping[tuple[str, str], int]) -> None:
        """Have a day show these declines, by code and currency, and no others."""
        await tx.execute("DELETE FROM metrics_declines WHERE day = $1", day)
        await tx.executemany(
            "INSERT INTO metrics_declines (day, code, currency, count) VALUES ($1, $2, $3, $4)",
            [(day, code, currency, count) for (code, currency), count in sorted(declines.items())],
        )

    async def declines(self, connection: Connection) -> Mapping[tuple[str, str], int]:
        """The declines of all days, by code and currency."""
        rows = await connection.fetch(
            "SELECT code, currency, sum(count)::bigint AS count FROM metrics_declines GROUP BY code, currency"
        )
        return {(row["code"], row["currency"]): row["count"] for row in rows}

    # Exchange rates

    async def save_rates(self, tx: Transaction, day: date, base: str, rates: Mapping[str, str]) -> None:
        """Keep the rates of a day; those that are there are replaced."""
        await tx.executemany(
            """
            INSERT INTO exchange_rates (day, currency, base, rate) VALUES ($1, $2, $3, $4::text::numeric)
            ON CONFLICT (base, currency, day) DO UPDATE SET rate = excluded.rate
            """,
            [(day, currency, base, rate) for currency, rate in sorted(rates.items())],
        )

    async def rates(
        self, connection: Connection, base: str, start: date, end: date
    ) -> Mapping[str, list[tuple[date, str]]]:
        """By currency the rates from the last one before `start` until `end`, in the order of their days."""
        rows = await connection.fetch(
            """
            SELECT currency, day, rate::text FROM exchange_rates r
            WHERE base = $1 AND day <= $3 AND day >= coalesce(
                (SELECT max(b.day) FROM exchange_rates b WHERE b.base = $1 AND b.currency = r.currency AND b.day <= $2),
                $2)
            ORDER BY currency, day
            """,
            base,
            start,
            end,
        )
        found: dict[str, list[tuple[date, str]]] = {}
        for row in rows:
            found.setdefault(row["currency"], []).append((row["day"], row["rate"]))
        return found

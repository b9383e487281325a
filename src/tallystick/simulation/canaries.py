"""Bugs that are planted to see whether a simulation finds them: at least one for each invariant, and for each check of
the simulator's own.

A bug is other code in the place of the program's, or SQL that makes the database do what such code would do.
"""

import importlib
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from typing import Any

import asyncpg
from msgspec.structs import replace

from tallystick.core.ids import new_id
from tallystick.notifications.outbound_sender import Outcome, WebhookSender
from tallystick.simulation.patching import patched

__all__ = ["CANARIES", "Bug"]


@dataclass(frozen=True)
class Bug:
    """A bug, the check that must find it, and the seed and steps of a story in which it does."""

    name: str
    found_by: str
    patches: Mapping[str, Any] = field(default_factory=dict)
    sql: str = ""
    seed: int = 1
    steps: int = 60

    def code(self) -> AbstractContextManager[None]:
        """The program with the bug in it."""
        return patched(self.patches)

    async def spoil(self, database_url: str) -> None:
        """The database with the bug in it."""
        if not self.sql:
            return
        connection = await asyncpg.connect(database_url)
        try:
            await connection.execute(self.sql)
        finally:
            await connection.close()


def _trigger(table: str, change: str, *, on: str = "INSERT OR UPDATE", when: str = "true") -> str:
    """Have rows changed on their way into a table."""
    return f"""
        CREATE FUNCTION planted() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN IF {when} THEN {change}; END IF; RETURN NEW; END $$;
        CREATE TRIGGER planted BEFORE {on} ON {table} FOR EACH ROW EXECUTE FUNCTION planted();
    """


async def _nothing(*_: Any, **__: Any) -> None:
    """What is done by code that has forgotten to do it."""


async def _nobody(*_: Any, **__: Any) -> list[Any]:
    return []


async def _none(*_: Any, **__: Any) -> int:
    return 0


def _as_it_is(payload: bytes) -> bytes:
    return payload


async def _refund_twice(stripe: Any, path: str, params: Mapping[str, Any], key: str, read: Any) -> Any:
    first = await stripe.call("post", path, {**params, "idempotency_key": key}, read)
    if path == "/v1/refunds":
        with suppress(Exception):
            await stripe.call("post", path, {**params, "idempotency_key": f"{key}-again"}, read)
    return first


def _no_history(*_: Any, **__: Any) -> None:
    return None


class _Careless:
    """A transaction that leaves the clause out by which a fact is told once."""

    def __init__(self, tx: Any) -> None:
        self._tx = tx

    async def fetch(self, sql: str, *values: Any) -> Any:
        return await self._tx.fetch(sql.replace("ON CONFLICT (business_key) DO NOTHING", ""), *values)


_MAILS = "tallystick.notifications.repository"
_insert = importlib.import_module(_MAILS).MailRepository.insert


async def _insert_again(repository: Any, tx: Any, *rest: Any) -> None:
    await _insert(repository, _Careless(tx), *rest)


_SENDER = "tallystick.notifications.outbound_sender:WebhookSender.send"
_send = WebhookSender.send


async def _say_sent(*_: Any) -> Outcome:
    return Outcome(None, 200)


async def _send_as_new(sender: WebhookSender, delivery: Any, at: Any) -> Outcome:
    return await _send(sender, replace(delivery, fact_id=new_id()), at)


_OUTBOUND = "tallystick.notifications.outbound_repository"
_oldest = importlib.import_module(_OUTBOUND)._LEASE_DUE  # noqa: SLF001  # what stands there otherwise
_newest = _oldest.replace("ORDER BY e.seq LIMIT 1", "ORDER BY e.seq DESC LIMIT 1")


CANARIES: tuple[Bug, ...] = (
    Bug(
        "the payload is dropped before it is applied",
        "events_keep_their_payload",
        sql=_trigger("webhook_events", "NEW.payload := NULL", on="INSERT", when="NEW.event_type = 'charge.succeeded'"),
    ),
    Bug(
        "an applied event does not say when",
        "events_bear_their_marks",
        sql=_trigger("webhook_events", "NEW.processed_at := NULL", when="NEW.event_type = 'charge.succeeded'"),
    ),
    Bug(
        "an event waits for an object that nothing holds up",
        "waiting_events_wait_for_something",
        sql=_trigger(
            "webhook_events", "NEW.not_before := 'infinity'", on="INSERT", when="NEW.event_type = 'charge.succeeded'"
        ),
    ),
    Bug(
        "charges are stored under another id",
        "applied_events_left_their_row",
        sql=_trigger("charges", "NEW.stripe_charge_id := NEW.stripe_charge_id || 'x'", on="INSERT"),
    ),
    Bug(
        "a payment that has succeeded goes back",
        "final_states_stay",
        sql=_trigger(
            "payments",
            "NEW.stripe_status := 'processing'; NEW.status := 'processing'",
            when="NEW.stripe_status = 'succeeded' AND NEW.currency = 'jpy'",
        ),
    ),
    Bug(
        "operations that exclude each other are stored at once",
        "one_open_operation",
        sql="""
            DROP INDEX attempts_one_open_operation;
            CREATE FUNCTION planted() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF NEW.stripe_idempotency_key NOT LIKE 'planted%' THEN
                    INSERT INTO attempts SELECT (jsonb_populate_record(NEW, jsonb_build_object('id', gen_random_uuid(),
                        'stripe_idempotency_key', 'planted' || n || NEW.id, 'idempotency_key_id', NULL,
                        'lock_key', 'one', 'state', 'unknown'))).* FROM generate_series(1, 2) AS n;
                END IF;
                RETURN NEW;
            END $$;
            CREATE TRIGGER planted AFTER INSERT ON attempts FOR EACH ROW EXECUTE FUNCTION planted();
        """,
    ),
    Bug(
        "the answer is not stored under its key",
        "ended_attempts_are_answered",
        {"tallystick.platform.idempotency:complete": _nothing},
    ),
    Bug(
        "a key stands for two writes",
        "one_attempt_per_key",
        sql=_trigger(
            "attempts",
            "NEW.idempotency_key_id := coalesce((SELECT idempotency_key_id FROM attempts WHERE kind = NEW.kind AND "
            "idempotency_key_id IS NOT NULL ORDER BY id LIMIT 1), NEW.idempotency_key_id)",
            on="INSERT",
        ),
    ),
    Bug(
        "charges go to the wrong payment",
        "one_charge_per_payment",
        sql=_trigger("charges", "NEW.payment_id := (SELECT id FROM payments ORDER BY id LIMIT 1)", on="INSERT"),
    ),
    Bug(
        "a second customer is made for a user",
        "one_customer_per_user",
        sql=_trigger(
            "customers", "NEW.user_id := coalesce((SELECT user_id FROM customers ORDER BY id LIMIT 1), NEW.user_id)"
        ),
    ),
    Bug(
        "nobody looks whether a subscription is live already",
        "one_live_subscription_per_user",
        {"tallystick.subscriptions.repository:SubscriptionRepository.open_of": _nobody},
        seed=3,
        steps=150,
    ),
    Bug(
        "a mail is queued again with each event",
        "each_fact_is_told_once",
        {f"{_MAILS}:MailRepository.insert": _insert_again},
        "ALTER TABLE mails DROP CONSTRAINT mails_business_key_key",
    ),
    Bug(
        "more is captured than was authorised",
        "captured_within_amount",
        sql=_trigger("payments", "NEW.amount_received := NEW.amount + 1", when="NEW.stripe_status = 'succeeded'"),
    ),
    Bug(
        "refunds are counted in another unit",
        "refunds_within_captured",
        sql=_trigger("refunds", "NEW.amount := NEW.amount * 100", on="INSERT"),
    ),
    Bug(
        "what events tell of subscriptions is not written down",
        "history_leads_to_the_subscription",
        {"tallystick.subscriptions.service_history:Chronicle.note": _no_history},
    ),
    Bug(
        "an event that fails is given up",
        "no_event_is_left",
        sql="ALTER TABLE disputes ADD CONSTRAINT planted CHECK (false) NOT VALID",
    ),
    Bug(
        "what is in doubt stays so",
        "nothing_is_unsure",
        sql=_trigger("payments", "NEW.unsure := true", when="NEW.currency = 'jpy'"),
    ),
    Bug(
        "secrets stay in what is stored",
        "no_secret_is_stored",
        {"tallystick.webhooks.envelope:without_secrets": _as_it_is},
    ),
    Bug(
        "refunds are sent twice under two keys",
        "the book",
        {"tallystick.stripe_gateway.service:StripeService.write": _refund_twice},
    ),
    Bug(
        "mails are marked as sent and handed to nobody",
        "the book",
        {"tallystick.platform.mail:SmtpTransport.send": _nothing},
    ),
    Bug(
        "events are acknowledged and not stored",
        "acknowledged events",
        {
            "tallystick.webhooks.group_commit:GroupCommitter.submit": _nothing,
            "tallystick.catch_up.service:EventCatchUp._store": _none,
        },
    ),
    Bug("webhooks are marked as delivered and not sent", "what the host heard", {_SENDER: _say_sent}),
    Bug("a fact is sent under a fresh id each time", "what the host heard", {_SENDER: _send_as_new}),
    Bug(
        "of the facts of one object the newest is sent first",
        "what the host heard",
        {f"{_OUTBOUND}:_LEASE_DUE": _newest},
    ),
    Bug(
        "a card that was detached stays the customer's",
        "the mirror is Stripe",
        sql=_trigger(
            "payment_methods",
            "NEW.stripe_customer_id := OLD.stripe_customer_id",
            on="UPDATE",
            when="NEW.stripe_customer_id IS NULL",
        ),
        steps=150,
    ),
    Bug(
        "the default card of customers is not written down",
        "the mirror is Stripe",
        sql=_trigger("customers", "NEW.default_payment_method := NULL"),
        seed=8,
    ),
    Bug("the description of payments is lost", "the mirror is Stripe",
        sql=_trigger("payments", "NEW.capture_method := 'nonsense'")),
)  # fmt: skip

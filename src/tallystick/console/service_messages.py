"""`MessageReader`: what came and what is sent, each with all that belongs on its page: events, mails, webhooks."""

from tallystick.console.models import Act, Detail, Table, Visitor
from tallystick.console.repository_objects import ObjectRepository
from tallystick.core.errors import NotFound
from tallystick.core.ids import parse_uuid
from tallystick.notifications.outbound_endpoints import EndpointService
from tallystick.notifications.outbox import OutboxService
from tallystick.platform.database import Database
from tallystick.webhooks.service import StripeWebhookService

__all__ = ["MessageReader"]

_LATEST = 10


class MessageReader:
    """Reads the inbox, the outbox and outbound webhooks. Raises NotFound."""

    def __init__(
        self, database: Database, webhooks: StripeWebhookService, outbox: OutboxService, endpoints: EndpointService
    ) -> None:
        self._database = database
        self._webhooks = webhooks
        self._outbox = outbox
        self._endpoints = endpoints
        self._repository = ObjectRepository()

    async def event(self, who: Visitor, event_id: str) -> Detail:
        """An event of the inbox with its payload."""
        found = await self._webhooks.get(event_id)
        summary = found.summary
        acts: list[Act] = []
        if who.admin and found.payload is not None:
            acts.append(Act("replay", "Replay", "It is applied again; what it did already stays as it is."))
        if who.admin and summary.state in ("pending", "dead", "parked"):
            acts.append(
                Act("discard", "Discard", "It is never applied; its object goes on without it, read anew from Stripe.",
                    [("reason", "Why", "text", "")], bad=True)
            )  # fmt: skip
        return Detail(
            name="event",
            title=summary.type,
            state=summary.state,
            back="events",
            said=summary.error_message,
            facts=[
                ("Event", summary.stripe_event_id), ("Object", summary.object_id),
                ("In order with", summary.object_key), ("Came by", summary.source),
                ("Retries", summary.retry_count), ("API version", found.api_version),
                ("Made at Stripe", summary.created), ("Received", summary.received_at),
                ("Applied", summary.processed_at),
                ("Tried next", summary.not_before), ("Request's key", found.request_idempotency_key),
            ],
            acts=acts,
            raw=found.payload,
        )  # fmt: skip

    async def mail(self, who: Visitor, mail_id: str) -> Detail:
        """A mail of the outbox."""
        mail = await self._outbox.get(mail_id)
        acts = []
        if who.admin and mail.state == "dead":
            acts.append(Act("resend", "Send again", "It is sent again, with all its tries, under the same Message-ID.",
                            [("to", "To", "text", mail.recipient)]))  # fmt: skip
        return Detail(
            name="mail",
            title=mail.subject or mail.template,
            state=mail.state,
            back="mails",
            said=mail.last_error,
            facts=[
                ("Mail", mail.template), ("To", mail.recipient), ("Language", mail.locale), ("Key", mail.business_key),
                ("Tries", mail.attempts), ("Due", mail.due_at), ("Tried next", mail.not_before),
                ("Queued", mail.created_at), ("Over", mail.finished_at), ("Message-ID", mail.message_id),
            ],
            acts=acts,
            raw=mail.context,
        )  # fmt: skip

    async def delivery(self, who: Visitor, delivery_id: str) -> Detail:
        """An outbound webhook's delivery."""
        key = parse_uuid(delivery_id)
        async with self._database.connection() as connection:
            row = await self._repository.delivery(connection, key) if key else None
        if row is None:
            raise NotFound("There is no such delivery.")
        acts = []
        if who.admin and row["endpoint_id"] is not None:
            acts.append(Act("replay", "Deliver again", "The receiver gets it once more, under the same webhook id."))
        return Detail(
            name="delivery",
            title=row["type"],
            state=row["state"],
            back="deliveries",
            said=row["last_error"],
            facts=[
                ("To", row["url"] or row["receiver"]), ("Object", row["object_key"]), ("Attempts", row["attempts"]),
                ("Answered", row["response_status"]), ("Their answer", row["response_body"]),
                ("Happened", row["occurred_at"]), ("Queued", row["created_at"]), ("Over", row["finished_at"]),
            ],
            acts=acts,
            raw=row["data"],
        )  # fmt: skip

    async def endpoint(self, who: Visitor, endpoint_id: str) -> Detail:
        """An endpoint that hears of facts, and what it was sent last."""
        row = await self._endpoints.get(endpoint_id)
        found = await self._endpoints.deliveries(
            endpoint_id, limit=_LATEST, state=None, starting_after=None, ending_before=None
        )
        off = not row.enabled and row.disabled_reason != "manual"
        acts = [
            Act("test", "Send a test event", "It gets an event of the type test, signed as all are."),
            Act("disable", "Disable", "Nothing is sent to it; what it would get waits until it is enabled."),
        ] if row.enabled else [
            Act("enable", "Enable", "What waited for it is delivered, in order. What was given up stays so.")
        ]  # fmt: skip
        return Detail(
            name="endpoint",
            title=row.url,
            state="switched_off" if off else "failing" if row.enabled and row.failing_since else
            "enabled" if row.enabled else "disabled",
            back="endpoints",
            said="It was switched off, as it failed for long. Mend it, send it a test, and enable it." if off else None,
            facts=[
                ("Facts", ", ".join(row.events)), ("Description", row.description),
                ("Switched off", row.disabled_reason), ("Failing since", row.failing_since),
                ("Old secret until", row.previous_secret_until), ("Created", row.created_at),
                ("Our id", str(row.id)),
            ],
            tables=[
                Table(
                    "Last deliveries",
                    ("Fact", "State", "Answered", "Error", "When"),
                    [((one.type, f"/console/deliveries/{one.id}"), one.state, one.response_status, one.last_error,
                      one.created_at) for one in found.data],
                    "Nothing was sent to it yet.",
                )
            ],
            acts=acts if who.admin else (),
        )  # fmt: skip

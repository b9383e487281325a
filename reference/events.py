"""docs/reference/events.md: which of Stripe's events are handled, and which facts are told to the application."""

from reference.document import parts
from reference.markdown import cell, code, page, table

__all__ = ["events_page"]

_MORE = {
    "payment_intent.succeeded": "mail `payment_confirmation`; fact `payment.succeeded`",
    "payment_intent.payment_failed": "mail `payment_failed`; fact `payment.failed`",
    "payment_intent.canceled": "fact `payment.canceled`",
    "payment_intent.requires_action": "fact `payment.requires_action`",
    "charge.refunded": "mail `refund`; fact `payment.refunded`",
    "charge.dispute.created": "alert to staff; fact `dispute.created`",
    "charge.dispute.closed": "fact `dispute.closed`",
    "customer.subscription.created": "history; mail `subscription_welcome`; fact `subscription.created`; access",
    "customer.subscription.updated": "history; what changed decides on mails, facts and access",
    "customer.subscription.deleted": "history; mail `subscription_canceled`; fact `subscription.canceled`; access",
    "customer.subscription.trial_will_end": "mail `trial_ending`; fact `subscription.trial_ending`",
    "customer.subscription.paused": "history; mail `subscription_paused`; fact `subscription.paused`",
    "customer.subscription.resumed": "history; mail `subscription_resumed`; fact `subscription.resumed`",
    "invoice.payment_succeeded": "mail `invoice_receipt`; fact `invoice.paid`; dunning ends",
    "invoice.paid": "mail `invoice_receipt`; fact `invoice.paid`; dunning ends",
    "invoice.payment_failed": "mail `invoice_payment_failed`; fact `invoice.payment_failed`; dunning begins",
    "invoice.payment_action_required": "mail `invoice_action_required`; fact `invoice.action_required`",
    "invoice.upcoming": "fact `invoice.upcoming`",
}
"""What an event does beside writing its object's row; each once, however many events tell the same."""


def events_page() -> str:
    """The page. Raises KeyError where `_MORE` has a type that nobody handles."""
    registry = parts().registry
    types = registry.event_types()
    if unknown := set(_MORE) - set(types):
        raise KeyError(f"nobody handles {sorted(unknown)}")
    rows = []
    for name in types:
        handler = registry.find(name)
        assert handler is not None
        area = handler.translate.__module__.split(".")[1]
        rows.append((code(name), area, _MORE.get(name, "")))
    facts = [(code(fact.name), cell(fact.description)) for fact in parts().outbound.types.listed()]
    return page(
        "Events",
        "## Stripe's events that are handled",
        f"The endpoint at Stripe is made for exactly these {len(types)} (`tallystick webhooks install`). Any other "
        "event that comes is stored and marked `unhandled`. Each writes the row of its object in the area that is "
        "named; a mail or a fact that two events tell is told once.",
        table(("event", "area", "also"), rows),
        "## Facts told to your application",
        "To webhook endpoints and to hooks, as [outbound webhooks](../outbound-webhooks.md) says. "
        "`GET /api/webhook-endpoints/event-types` shows an example of each.",
        table(("fact", "when"), facts),
    )

"""What can go wrong with an event, on its way in and on its way out."""

from tallystick.core.errors import Conflict, DomainError, NotFound

__all__ = [
    "BodyTooLarge",
    "BodyTooSlow",
    "EndpointNotReady",
    "EventNotFound",
    "EventStateConflict",
    "InboxUnavailable",
    "MethodNotAllowed",
    "NotAnEvent",
    "ParentMissing",
    "SignatureRejected",
]


class ParentMissing(Exception):
    """A recorder's word for "the row that this one hangs on is not here yet"; `parent_id` is Stripe's id of it.

    It is nobody's fault: the event waits, and after a minute the parent is fetched.
    """

    def __init__(self, parent_id: str) -> None:
        super().__init__(f"{parent_id} is not here yet")
        self.parent_id = parent_id


class SignatureRejected(DomainError):
    code, status = "SIGNATURE_INVALID", 400
    title = "The signature does not prove that this comes from Stripe"
    action = "Check that STRIPE_WEBHOOK_SECRET is this endpoint's secret, and that the host's clock is right."


class NotAnEvent(DomainError):
    code, status = "BODY_NOT_JSON", 400
    title = "The body is not a Stripe event in JSON"
    action = "Send a Stripe event object, encoded in UTF-8."


class BodyTooLarge(DomainError):
    code, status = "BODY_TOO_LARGE", 413
    title = "The body is larger than this endpoint takes"
    action = "Raise WEBHOOK_BODY_MAX_BYTES if Stripe really sends events of this size."


class BodyTooSlow(DomainError):
    code, status = "BODY_TIMEOUT", 408
    title = "The body did not arrive in time"
    action = "Send the request again."


class MethodNotAllowed(DomainError):
    code, status = "METHOD_NOT_ALLOWED", 405
    title = "This address takes POST only"
    action = "Send Stripe's webhooks here by POST."


class InboxUnavailable(DomainError):
    code, status = "INBOX_UNAVAILABLE", 503
    title = "The event could not be stored at the moment"
    action = "Send the same event again later; Stripe does so by itself."


class EventNotFound(NotFound):
    title = "There is no such event"
    action = "Check the id: ours (a UUID) or Stripe's (evt_…)."


class EventStateConflict(Conflict):
    title = "The event's state does not allow that"
    action = "Look at the event's state first."


class EndpointNotReady(Conflict):
    title = "The webhook endpoint at Stripe cannot be changed so"
    action = "Look at what there is with `tallystick webhooks list`."

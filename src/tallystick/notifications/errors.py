"""What can go wrong with webhook endpoints."""

from tallystick.core.errors import Conflict, DomainError, InvalidRequest

__all__ = ["EndpointDisabled", "EventTypeUnknown", "TooManyEndpoints", "UrlRefused"]


class UrlRefused(InvalidRequest):
    code = "WEBHOOK_URL_REFUSED"
    title = "Webhooks are not sent to this address"
    action = "Give an https:// address of a public host."


class EventTypeUnknown(InvalidRequest):
    code = "EVENT_TYPE_UNKNOWN"
    title = "There is no such type of event"
    action = "GET /api/webhook-endpoints/event-types lists them; ['*'] is all of them."


class TooManyEndpoints(DomainError):
    code, status = "TOO_MANY_WEBHOOK_ENDPOINTS", 409
    title = "There are too many webhook endpoints"
    action = "Delete one that is not used any more."


class EndpointDisabled(Conflict):
    code = "WEBHOOK_ENDPOINT_DISABLED"
    title = "The webhook endpoint is switched off"
    action = "Switch it on with PUT {'enabled': true} first."

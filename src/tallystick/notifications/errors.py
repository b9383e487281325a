"""What can go wrong with webhook endpoints, and with sending mails again."""

from tallystick.core.errors import Conflict, DomainError, InvalidRequest, NotFound

__all__ = [
    "EndpointDisabled",
    "EventTypeUnknown",
    "MailNotDead",
    "MailNotFound",
    "RecipientInvalid",
    "TooManyEndpoints",
    "UrlRefused",
]


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


class MailNotFound(NotFound):
    title = "There is no such mail."
    action = "`tallystick mails list` shows them."


class MailNotDead(Conflict):
    code = "MAIL_NOT_DEAD"
    title = "The mail was not given up"
    action = "A mail that is queued is sent by itself; look at it with `tallystick mails show`."


class RecipientInvalid(InvalidRequest):
    code = "RECIPIENT_INVALID"
    title = "This is not an e-mail address"
    action = "Give the address with --to."

"""Errors that are answers: a stable code, what it means for the customer, and what to do next.

A service raises them; the HTTP layer writes them as RFC 9457 problem documents. Anything that is not a
`DomainError` is a bug or the weather, and tells the caller nothing but a request id.
"""

from typing import Any, ClassVar

__all__ = [
    "Conflict",
    "DomainError",
    "Forbidden",
    "GatewayConfigError",
    "InvalidRequest",
    "NotFound",
    "Unauthorized",
    "Unavailable",
    "problem",
]


class DomainError(Exception):
    """The root of all expected errors.

    `code` never changes once published. `detail` may be shown to the customer. `action` is what to do next.
    `field` names the input at fault. `extra` joins the problem document as it is.
    """

    code: str = "ERROR"
    status: ClassVar[int] = 400
    title: ClassVar[str] = "The request could not be carried out"
    action: ClassVar[str] = "Correct the request and send it again."

    def __init__(
        self,
        detail: str | None = None,
        *,
        field: str | None = None,
        action: str | None = None,
        retry_after_s: int | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.field = field
        self.suggested_action = action or self.action
        self.retry_after_s = retry_after_s
        self.extra = extra


class InvalidRequest(DomainError):
    code, status = "INVALID_REQUEST", 422
    title = "The request is not valid"


class Unauthorized(DomainError):
    code, status = "UNAUTHORIZED", 401
    title = "A valid access token is needed"
    action = "Send a valid token in the header `Authorization: Bearer …`."


class Forbidden(DomainError):
    code, status = "FORBIDDEN", 403
    title = "This token's role does not allow that"
    action = "Use a token with the role that the operation asks for."


class NotFound(DomainError):
    code, status = "NOT_FOUND", 404
    title = "There is no such object"
    action = "Check the id."


class Conflict(DomainError):
    code, status = "CONFLICT", 409
    title = "The object's state does not allow that"
    action = "Fetch the object and look at its state."


class Unavailable(DomainError):
    code, status = "SERVICE_UNAVAILABLE", 503
    title = "The service is not available at the moment"
    action = "Send the same request again a little later, with the same Idempotency-Key."


class GatewayConfigError(DomainError):
    code, status = "CONFIGURATION_ERROR", 502
    title = "Payments are not set up correctly"
    action = "Tell the operator; nothing was charged."


def problem(error: DomainError, request_id: str | None = None) -> dict[str, Any]:
    """The problem document of an error."""
    document: dict[str, Any] = {
        "type": f"urn:tallystick:error:{error.code}",
        "title": error.title,
        "status": error.status,
        "code": error.code,
        "detail": error.detail,
        "suggested_action": error.suggested_action,
    }
    if error.field:
        document["field"] = error.field
    if request_id:
        document["request_id"] = request_id
    return {**document, **error.extra}

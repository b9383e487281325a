"""Stripe's error envelope: which status, type, code and param a refusal carries.

Messages and codes are those the real API was recorded with where a recording exists.
"""

from tallystick.sandbox.shapes import Json

__all__ = ["ApiError", "card_error", "invalid", "missing_param", "no_such", "unexpected_state", "unknown_param"]

_LABELS = {"balance_transaction": "balance transaction", "radar.early_fraud_warning": "early_fraud_warning"}


class ApiError(Exception):
    """An answer other than 200.

    `details` join the error object as they are. `executed` says that the operation began: its changes are
    kept and the answer is saved under the idempotency key, as for a declined card.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        error_type: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        executed: bool = False,
        headers: tuple[tuple[str, str], ...] = (),
        log_url: bool = True,
        details: Json | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.error_type = error_type
        self.message = message
        self.code = code
        self.param = param
        self.executed = executed
        self.headers = headers
        self.log_url = log_url
        self.details = details or {}

    def body(self, request_id: str) -> Json:
        """`{"error": {…}}` with only the keys that apply; `doc_url` goes with `code`."""
        error: Json = {"message": self.message, "type": self.error_type, **self.details}
        if self.code is not None:
            error["code"] = self.code
            error["doc_url"] = doc_url(self.code)
        if self.param is not None:
            error["param"] = self.param
        if self.log_url:
            error["request_log_url"] = f"https://dashboard.stripe.com/test/workbench/logs?object={request_id}"
        return {"error": dict(sorted(error.items()))}


def doc_url(code: str) -> str:
    """Where Stripe documents an error code."""
    return "https://stripe.com/docs/error-codes/" + code.replace("_", "-")


def invalid(message: str, *, code: str | None = None, param: str | None = None) -> ApiError:
    """400: a parameter or its value is wrong; nothing was executed."""
    return ApiError(400, message, code=code, param=param)


def missing_param(name: str) -> ApiError:
    """400 `parameter_missing`."""
    return invalid(f"Missing required param: {name}.", code="parameter_missing", param=name)


def unknown_param(name: str) -> ApiError:
    """400 `parameter_unknown`; a nested name is spelled as sent, `invoice_settings[nope]`."""
    return invalid(f"Received unknown parameter: {name}", code="parameter_unknown", param=name)


def no_such(kind: str, object_id: str, *, param: str, status: int = 404) -> ApiError:
    """`resource_missing`: 404 when the path misses, 400 when a parameter does."""
    label = _LABELS.get(kind, kind)
    return ApiError(status, f"No such {label}: '{object_id}'", code="resource_missing", param=param)


def unexpected_state(message: str, intent: Json, *, param: str | None = None) -> ApiError:
    """400 about an intent's state; the whole intent is in the error."""
    kind: str = intent["object"]
    return ApiError(400, message, code=f"{kind}_unexpected_state", param=param, executed=True, details={kind: intent})


def card_error(message: str, *, code: str, param: str | None = None, details: Json | None = None) -> ApiError:
    """402: the parameters were fine, the card was not; kept and saved."""
    return ApiError(402, message, error_type="card_error", code=code, param=param, executed=True, details=details)

"""What can go wrong on the billing pages, beyond what the areas below refuse."""

from typing import Any

from tallystick.core.errors import Conflict, DomainError, Forbidden

__all__ = ["CardInUse", "FormStale", "Refused", "status_of"]


class FormStale(Forbidden):
    code = "FORM_STALE"
    title = "This form is not of the session that is signed in here"
    action = "Open the page again and send the form from there."


class CardInUse(Conflict):
    code = "CARD_IN_USE"
    title = "This card pays for a running subscription"
    action = "Make another card the default first."


class Refused(DomainError):
    """What an attempt ended in; `code` is that of its problem document, `body` the document."""

    def __init__(self, body: dict[str, Any]) -> None:
        super().__init__(str(body.get("detail", "")))
        self.code = str(body.get("code", "ERROR"))
        self.body = body


def status_of(error: DomainError) -> int:
    """The status of a page that tells this error."""
    return int(error.body.get("status", error.status)) if isinstance(error, Refused) else error.status

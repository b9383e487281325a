"""What can be wrong with a question for a timeline."""

from tallystick.core.errors import InvalidRequest, NotFound

__all__ = ["BadCursor", "NothingKnown"]


class NothingKnown(NotFound):
    title = "Nothing is known of this"
    action = "Name a user as user:<your id>, or an object by our id or Stripe's."


class BadCursor(InvalidRequest):
    title = "This is no place in a timeline"
    action = "Send `next` of the page before, as it was."

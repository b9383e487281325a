"""Why a write cannot begin, or what became of one that nobody can find."""

from tallystick.core.errors import Conflict

__all__ = ["AttemptAbandoned", "IdempotencyKeyExpired", "OperationInProgress"]


class OperationInProgress(Conflict):
    code = "OPERATION_IN_PROGRESS"
    title = "Another change of this object is under way"
    action = "Wait for it to end, then look at the object."


class AttemptAbandoned(Conflict):
    code = "ATTEMPT_ABANDONED"
    title = "Nobody could say whether this request reached Stripe, and it was not found there"
    action = "Nothing was done by it as far as Stripe shows; start again with a new Idempotency-Key."


class IdempotencyKeyExpired(Conflict):
    """Stripe would take a second sending for the first one, and nobody knows any more what that was answered.

    It bears the id of what the first one made or changed, where that is known: `payment_id`, `refund_id`, …
    """

    code = "IDEMPOTENCY_KEY_EXPIRED"
    title = "This request was made before, and its answer is not kept any more"
    action = "Look at the object to see what became of it; use a new Idempotency-Key for a new request."

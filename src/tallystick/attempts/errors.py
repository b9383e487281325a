"""Why a write cannot begin, or what became of one that nobody can find."""

from tallystick.core.errors import Conflict

__all__ = ["AttemptAbandoned", "OperationInProgress"]


class OperationInProgress(Conflict):
    code = "OPERATION_IN_PROGRESS"
    title = "Another change of this object is under way"
    action = "Wait for it to end, then look at the object."


class AttemptAbandoned(Conflict):
    code = "ATTEMPT_ABANDONED"
    title = "Nobody could say whether this request reached Stripe, and it was not found there"
    action = "Nothing was done by it as far as Stripe shows; start again with a new Idempotency-Key."

"""What stands in the way of an erasure."""

from tallystick.core.errors import Conflict, NotFound

__all__ = ["ErasureRefused", "UserNotFound"]


class UserNotFound(NotFound):
    code = "USER_NOT_FOUND"
    title = "There is no such user"
    action = "Name your own id of the user, or ours (a UUID)."


class ErasureRefused(Conflict):
    code = "ERASURE_REFUSED"
    title = "Something of this user is not over yet"

"""What an installation is."""

from dataclasses import dataclass
from datetime import datetime

__all__ = ["Installation"]


@dataclass(frozen=True, slots=True)
class Installation:
    """Whose database this is.

    `mark` is business time in whole seconds: of events created before it, and of what an import brings, nobody is told.
    `stripe_account_id` is None until a key was used that may read the account.
    """

    installation_id: str
    stripe_account_id: str | None
    livemode: bool
    mark: datetime
    created_at: datetime

"""An import, its ranges, and what it tells of itself."""

from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct

__all__ = ["Counts", "Import", "ImportOptions", "KindSummary", "Matched", "Range", "Refusal", "Summary", "Unmatched"]


class ImportOptions(Struct, frozen=True):
    """What an import was asked for. `map` is not kept: it is read again at every start."""

    test_clocks: bool = False
    match_emails: bool = True
    without: list[str] = []


class Import(Struct, frozen=True):
    """A row of `imports`."""

    id: UUID
    state: str
    until: datetime
    options: ImportOptions
    owner: str | None
    lease_until: datetime | None
    took_ms: int
    started_at: datetime


class Counts(Struct, frozen=True):
    """How many objects were `listed`, and what they were to the mirror.

    `changed` ones differ from their rows and are fetched; `left_out` are of a sort that the mirror does not hold.
    """

    listed: int = 0
    added: int = 0
    same: int = 0
    changed: int = 0
    left_out: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*(getattr(self, name) + getattr(other, name) for name in self.__struct_fields__))


class Range(Struct, frozen=True):
    """A row of `import_ranges`: the objects created in [`created_from`, `created_until`), in Unix seconds."""

    id: UUID
    object: str
    scope: str | None
    created_from: int | None
    created_until: int | None
    expected: int
    cursor: str | None = None
    cursor_created: int | None = None
    done: bool = False
    counts: Counts = Counts()

    @property
    def narrowed(self) -> dict[str, Any]:
        """The parameters that the scope adds to those of the list."""
        name, _, value = (self.scope or "").partition("=")
        return {name: value} if name else {}


class Refusal(Struct, frozen=True):
    """A row of `import_refusals`."""

    object: str
    object_id: str
    reason: str


class Matched(Struct, frozen=True):
    """How many customers found their user: by the map that was given, and by e-mail."""

    by_map: int = 0
    by_email: int = 0


class Unmatched(Struct, frozen=True):
    """A customer without a user of ours, and why."""

    customer_id: str
    email: str | None
    reason: str


class KindSummary(Struct, frozen=True):
    """What an import did about one kind; `without_user` are the rows of the mirror that belong to nobody we know."""

    object: str
    counts: Counts
    expected: int
    refused: int
    without_user: int | None


class Summary(Struct, frozen=True):
    """The whole of an import, or only of its matching (`import_id` None).

    `unmatched` counts the customers without a user by reason.
    """

    import_id: str | None
    state: str
    took_s: float
    kinds: list[KindSummary]
    matched: Matched
    unmatched: dict[str, int]
    refusals: list[Refusal]

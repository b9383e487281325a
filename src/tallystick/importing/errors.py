"""What stops an import."""

__all__ = ["ImportRefused", "ImportTaken"]


class ImportRefused(Exception):
    """An import may not begin; says why, and what to do."""


class ImportTaken(Exception):
    """Another process has gone on with this import: the lease was over before it was prolonged."""

    def __str__(self) -> str:
        return "Another process has taken up this import; this one stops."

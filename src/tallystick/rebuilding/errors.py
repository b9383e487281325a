"""What stops a rebuild before it begins."""

__all__ = ["SchemaRefused"]


class SchemaRefused(Exception):
    """A rebuild may not write into this schema; says why."""

"""Run a block of SQL statements inside the current migration."""

from typing import Any

__all__ = ["LOCK_TIMEOUT", "run"]

LOCK_TIMEOUT = "SET LOCAL lock_timeout = '500ms';"
"""A lock not had within half a second fails the try, rather than block traffic behind it; there are more tries."""


def run(sql: str) -> None:
    """All statements of `sql`, in one round trip."""
    from alembic import op

    connection: Any = op.get_bind().connection.dbapi_connection
    connection.run_async(lambda raw: raw.execute(LOCK_TIMEOUT + sql))

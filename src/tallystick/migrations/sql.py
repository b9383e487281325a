"""Run a block of SQL statements inside the current migration."""

from typing import Any

from alembic import op

__all__ = ["run"]


def run(sql: str) -> None:
    """All statements of `sql`, in one round trip; a lock not had within 4 s fails it, rather than block traffic."""
    connection: Any = op.get_bind().connection.dbapi_connection
    connection.run_async(lambda raw: raw.execute(f"SET LOCAL lock_timeout = '4s';{sql}"))

"""The part of the settings that says where PostgreSQL is, and what stands between."""

from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr

__all__ = ["DatabaseSettings", "database_problems"]

_CACHED = 100


class DatabaseSettings(BaseModel):
    """PostgreSQL, a pooler before it, and a replica of it."""

    model_config = ConfigDict(frozen=True)

    database_url: SecretStr
    database_schema: str = Field(default="public", pattern=r"^[a-z_][a-z0-9_]{0,62}$")
    database_pool_size: int = Field(default=16, ge=8, le=200)
    database_pooling: Literal["none", "transaction"] = Field(
        default="none", description="how the pooler (PgBouncer) at DATABASE_URL gives out connections"
    )
    database_direct_url: SecretStr | None = Field(default=None, description="past the pooler")
    database_statement_cache: int | None = Field(
        default=None, ge=0, le=10_000, description="prepared statements a connection; 0 where the pooler knows of none"
    )
    read_database_url: SecretStr | None = Field(default=None, description="a replica, for lists and figures")

    @property
    def direct_url(self) -> str:
        """The address of PostgreSQL itself, for what needs a connection of its own."""
        return (self.database_direct_url or self.database_url).get_secret_value()

    @property
    def statement_cache(self) -> int:
        """How many prepared statements a connection keeps; none behind a pooler, unless it is known to follow them."""
        if self.database_statement_cache is not None:
            return self.database_statement_cache
        return _CACHED if self.database_pooling == "none" else 0


def database_problems(settings: DatabaseSettings) -> list[str]:
    """What of these settings cannot be used together."""
    problems = []
    for name in ("database_url", "database_direct_url", "read_database_url"):
        url = getattr(settings, name)
        if url is not None and urlsplit(url.get_secret_value()).scheme not in ("postgresql", "postgres"):
            problems.append(f"{name.upper()}: should be postgresql://user:password@host:port/database")
    if settings.database_pooling != "none" and settings.database_direct_url is None:
        problems.append("DATABASE_DIRECT_URL: is needed beside DATABASE_POOLING, for what a pooler cannot do (LISTEN)")
    return problems

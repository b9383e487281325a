"""A fresh database for each story, copied from one that was migrated once."""

import uuid
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from tallystick.platform.migrate import migrate

__all__ = ["Databases"]


class Databases:
    """Databases beside the one at `url`, whose user may create them. Those of dead simulations are left to whoever
    runs the server: they are called `tallystick_sim_…`."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._template = f"tallystick_sim_{uuid.uuid4().hex[:12]}"

    async def open(self) -> None:
        """Make the template."""
        await self._admin(f'CREATE DATABASE "{self._template}"')
        await migrate(self._named(self._template), "public")

    async def make(self) -> str:
        """The address of an empty database at the newest schema."""
        name = f"tallystick_sim_{uuid.uuid4().hex[:12]}"
        await self._admin(f'CREATE DATABASE "{name}" TEMPLATE "{self._template}"')
        return self._named(name)

    async def drop(self, url: str) -> None:
        """Remove a database, whoever uses it."""
        await self._admin(f'DROP DATABASE IF EXISTS "{urlsplit(url).path[1:]}" WITH (FORCE)')

    async def close(self) -> None:
        """Remove the template."""
        await self.drop(self._named(self._template))

    def _named(self, name: str) -> str:
        return urlunsplit(urlsplit(self._url)._replace(path=f"/{name}"))

    async def _admin(self, statement: str) -> None:
        connection = await asyncpg.connect(self._url, timeout=30)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

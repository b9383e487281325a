"""The doctor's look at PostgreSQL."""

from collections.abc import Sequence

from tallystick.core.clock import Clock
from tallystick.doctor.models import Check, Finding, fail, ok, warn
from tallystick.doctor.repository import DoctorRepository, Server
from tallystick.platform.database import Database, is_weather
from tallystick.platform.migrate import SchemaState, head_revision, schema_state
from tallystick.platform.settings import Settings

__all__ = ["DATABASE", "SCHEMA", "DatabaseChecks"]

DATABASE, SCHEMA = "database.reachable", "database.schema"
_GROUP = "Database"
_VERSION_LEAST = 150_000
_SKEW_WARN_S, _SKEW_FAIL_S = 2.0, 30.0
_BEHIND_WARN_S = 60.0
# One process for the API, one worker.
_PROCESSES = 2


class DatabaseChecks:
    """Reachable, new enough, at our schema, with room, durable, and of our time."""

    def __init__(self, database: Database, clock: Clock, settings: Settings) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._repository = DoctorRepository()

    def checks(self) -> Sequence[Check]:
        return (
            Check(_GROUP, DATABASE, "Server", self._reachable),
            Check(_GROUP, SCHEMA, "Schema", self._schema, (DATABASE,)),
            Check(_GROUP, "database.connections", "Connections", self._connections, (DATABASE,)),
            Check(_GROUP, "database.durability", "Durability", self._durability, (DATABASE,)),
            Check(_GROUP, "database.clock", "Clock", self._skew, (DATABASE,)),
            *(
                (Check(_GROUP, "database.replica", "Replica", self._replica),)
                if self._settings.read_database_url
                else ()
            ),
        )

    async def _replica(self) -> Finding:
        url = self._settings.read_database_url
        assert url is not None
        database = Database(
            url.get_secret_value(), schema=self._settings.database_schema, size=1, name="tallystick doctor"
        )
        await database.open()
        try:
            async with database.connection() as connection:
                behind_s = await self._repository.behind_s(connection)
        except Exception as error:
            if not is_weather(error) and not type(error).__module__.startswith("asyncpg"):
                raise
            return warn(
                f"cannot be reached ({type(error).__name__}): lists and figures are read from the server",
                "Check READ_DATABASE_URL and that the replica runs.",
            )
        finally:
            await database.close()
        if behind_s is None:
            return warn("is no replica: it takes writes of its own", "Name a standby in READ_DATABASE_URL.")
        if behind_s > _BEHIND_WARN_S:
            return warn(f"{behind_s:.0f} seconds behind", "Look at its log, its disk and pg_stat_replication.")
        return ok("streams, and is not behind")

    async def _server(self) -> Server:
        async with self._database.connection() as connection:
            return await self._repository.server(connection)

    async def _reachable(self) -> Finding:
        try:
            server = await self._server()
        except Exception as error:
            if not is_weather(error) and not type(error).__module__.startswith("asyncpg"):
                raise
            # The message may quote the address, and with it the password.
            return fail(f"cannot be reached ({type(error).__name__})", "Check DATABASE_URL and that the server runs.")
        version = f"PostgreSQL {server.version // 10_000}.{server.version % 10_000}"
        if server.version < _VERSION_LEAST:
            return fail(f"{version} is too old", "Upgrade to PostgreSQL 15 or newer.")
        return ok(version)

    async def _schema(self) -> Finding:
        async with self._database.connection() as connection:
            found = await self._repository.revision(connection)
            state = await schema_state(connection, self._settings.database_schema)
            unfilled = await self._repository.unfilled(connection) if state is SchemaState.CURRENT else []
        head = head_revision()
        if unfilled:
            return warn(
                f"at {head}, the newest; not all rows are filled in: {', '.join(unfilled)}",
                "Run `tallystick migrate`, unless it is under way: it goes on where it was.",
            )
        if state is SchemaState.CURRENT:
            return ok(f"at {head}, the newest")
        if state is SchemaState.AHEAD:
            return warn(
                f"at {found}, ahead of this program's {head}, which it serves", "End the roll-out of the newer version."
            )
        if state is SchemaState.BEYOND:
            return fail(
                f"at {found}, newer than this program's {head}", "Install the version that made it, everywhere."
            )
        return fail(f"at {found or 'nothing'}, this program needs {head}", "Run `tallystick migrate`.")

    async def _connections(self) -> Finding:
        server = await self._server()
        wanted = self._settings.database_pool_size * _PROCESSES
        free = server.connections_most - server.connections
        text = f"{server.connections} of {server.connections_most} in use"
        if free < _PROCESSES:
            return fail(f"{text}: none is left", "Raise max_connections, or lower DATABASE_POOL_SIZE everywhere.")
        if wanted > server.connections_most or free * 5 < server.connections_most:
            return warn(
                f"{text}; an API and a worker may take {wanted}",
                "Raise max_connections, or lower DATABASE_POOL_SIZE (a process takes at most that many).",
            )
        return ok(f"{text}; an API and a worker take at most {wanted}")

    async def _durability(self) -> Finding:
        server = await self._server()
        off = [name for name in ("fsync", "full_page_writes") if not getattr(server, name)]
        off += ["synchronous_commit"] if server.synchronous_commit == "off" else []
        if not off:
            return ok("what is committed survives a crash")
        verdict = fail if self._settings.environment == "production" else warn
        return verdict(
            f"{', '.join(off)} off: a crash of the server loses events that Stripe was told we have",
            f"Switch on {' and '.join(off)} in postgresql.conf.",
        )

    async def _skew(self) -> Finding:
        before = self._clock.wall()
        server = await self._server()
        middle = before + (self._clock.wall() - before) / 2
        skew_s = abs((server.clock - middle).total_seconds())
        if skew_s < _SKEW_WARN_S:
            return ok("the same time here and there")
        verdict = fail if skew_s >= _SKEW_FAIL_S else warn
        return verdict(
            f"{skew_s:.0f} seconds between this machine and the database",
            "Run a time service (NTP) on both: leases and due work go by it.",
        )

"""PostgreSQL: one pool, explicit transactions, and a guard against calling out while one is open."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from contextvars import ContextVar
from typing import Any, TypeAlias, TypeVar

import asyncpg
import msgspec
import structlog
from asyncpg.pool import PoolConnectionProxy

from tallystick.core.points import reach
from tallystick.platform.listening import Listener
from tallystick.platform.telemetry import note_database_error

__all__ = [
    "UNSTORABLE",
    "WEATHER",
    "Connection",
    "Database",
    "Record",
    "SearchPathWrong",
    "Transaction",
    "assert_no_transaction",
    "await_makers",
    "is_weather",
]

Record: TypeAlias = asyncpg.Record
Connection: TypeAlias = "PoolConnectionProxy[asyncpg.Record]"
# The same object; the name in a signature says that the caller owns the transaction and will commit it.
Transaction: TypeAlias = "PoolConnectionProxy[asyncpg.Record]"

Result = TypeVar("Result")

UNSTORABLE = (asyncpg.CharacterNotInRepertoireError, asyncpg.UntranslatableCharacterError)
"""What PostgreSQL says to a text with a character that it does not know (NUL): whoever sent it is at fault."""
WEATHER = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    # What asyncpg says when the line breaks at the wrong moment: "cannot switch to state …".
    asyncpg.InternalClientError,
    # Shut down, crashed, starting, dropped, canceled; out of connections, memory or disk; deadlocks.
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,
    asyncpg.LockNotAvailableError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    # A server that has become a standby, and a database that is being restored.
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.InvalidCatalogNameError,
    # A role that may not log in for now: its password is being changed.
    asyncpg.InvalidAuthorizationSpecificationError,
    # A migration has changed a table under a prepared statement; the next try prepares it anew.
    asyncpg.InvalidCachedStatementError,
    OSError,
    TimeoutError,
)
"""What PostgreSQL or the way to it does to us now and then: try again later, it is nobody's fault."""


def is_weather(error: BaseException) -> bool:
    """Whether an error is the weather. (asyncpg calls a parameter of the wrong type an InterfaceError: a bug.)"""
    return isinstance(error, WEATHER) and not isinstance(error, ValueError)


log = structlog.get_logger()

_REPLICA_WAIT_S = 3
_REPLICA_AWAY_S = 10
_CONTENTION = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)
_ACQUIRE_S = 10.0
_COMMAND_S = 30.0
_RELEASE_S = 2.0
_open_transactions: ContextVar[int] = ContextVar("open_transactions", default=0)


def assert_no_transaction() -> None:
    """Called by everything that goes over the network: a transaction held meanwhile would hold its locks."""
    if _open_transactions.get():
        raise AssertionError("a network call inside a database transaction")


def _note(error: BaseException) -> None:
    """Count what PostgreSQL, or the way to it, breaks off; a time-out of the caller's own is none of it."""
    if is_weather(error) and not isinstance(error, TimeoutError):
        passes = isinstance(error, (*_CONTENTION, asyncpg.LockNotAvailableError))
        note_database_error("contention" if passes else "lost")


class SearchPathWrong(Exception):
    """A pooler gives out connections to another schema than the settings name: it does not take the search path."""


async def _prepare(connection: Any) -> None:
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        encoder=lambda value: b"\x01" + msgspec.json.encode(value),
        decoder=lambda data: msgspec.json.decode(data[1:]),
        format="binary",
    )


async def _keep(_: Any) -> None:
    """A connection goes back as it is: nothing of ours outlives a transaction but LISTEN, which is undone in its place.

    What is open asyncpg rolls back in any case; its own reset would cost a round trip each time.
    """


class _Borrowed:
    """A connection of the pool for as long as a block lasts. Reads are short: generators around one would show."""

    __slots__ = ("_connection", "_pool")

    def __init__(self, pool: "asyncpg.Pool[Record]") -> None:
        self._pool = pool

    async def __aenter__(self) -> Connection:
        try:
            self._connection = await self._pool.acquire(timeout=_ACQUIRE_S)
        except WEATHER as error:
            _note(error)
            raise
        return self._connection

    async def __aexit__(self, _: object, error: BaseException | None, __: object) -> None:
        if error is not None:
            _note(error)
        try:
            await self._pool.release(self._connection, timeout=_RELEASE_S)
        except TimeoutError:
            # That a command was broken off is not even confirmed: the line swallows what is sent. The others lead over
            # it, too; each would cost somebody a time-out of its own.
            await self._pool.expire_connections()


class Database:
    """A pool of connections whose `search_path` is our schema.

    Where a pooler stands between (`direct_url` is the way past it), a connection may be another one after each
    transaction: nothing is set on it, prepared statements are kept only if `statement_cache` says so, and notifications
    are heard past it.
    """

    def __init__(
        self,
        url: str,
        *,
        schema: str = "public",
        size: int = 16,
        name: str = "tallystick",
        direct_url: str | None = None,
        statement_cache: int = 100,
        replica: "Database | None" = None,
    ) -> None:
        self.schema = schema
        self._url = url
        self._size = size
        self._name = name
        self._direct_url = direct_url
        self._statement_cache = statement_cache
        self._replica = replica
        self._replica_away_until = 0.0
        self._opened: asyncpg.Pool[Record] | None = None
        self._listener: Listener | None = None

    @classmethod
    async def connect(cls, url: str, *, schema: str = "public", size: int = 16, name: str = "tallystick") -> "Database":
        """A database that is open, with no pooler between."""
        database = cls(url, schema=schema, size=size, name=name)
        await database.open()
        return database

    async def open(self) -> None:
        """Make the pool, in the loop that will use it. Connections come when needed: the server may be away now."""
        self._opened = await asyncpg.create_pool(
            self._url,
            min_size=0,
            max_size=self._size,
            command_timeout=_COMMAND_S,
            timeout=10,
            max_inactive_connection_lifetime=300,
            statement_cache_size=self._statement_cache,
            init=_prepare if self._direct_url is None else self._prepare_pooled,
            reset=_keep,
            server_settings=self._server_settings,
        )
        self._listener = Listener(self._listening)
        if self._replica is not None:
            await self._replica.open()

    @property
    def _server_settings(self) -> dict[str, str]:
        followed = {"application_name": self._name, "timezone": "UTC"}
        if self._direct_url is not None:
            # Poolers follow these two, and turn away who asks for others: those are set for the role (docs/scale.md).
            return followed
        return followed | {
            "search_path": self.schema,
            "idle_in_transaction_session_timeout": "60s",
            "jit": "off",
        }

    async def _prepare_pooled(self, connection: Any) -> None:
        async with connection.transaction():
            await _prepare(connection)
            found = await connection.fetchval("SELECT current_schema()")
        if found != self.schema:
            raise SearchPathWrong(
                f"DATABASE_SCHEMA is {self.schema}, but the pooler's connections see {found}; "
                f"say: ALTER ROLE … SET search_path = {self.schema}"
            )

    @asynccontextmanager
    async def _listening(self) -> AsyncIterator[Any]:
        """A connection for notifications: of the pool, or past the pooler."""
        if self._direct_url is None:
            async with self._pool.acquire(timeout=10) as pooled:
                yield pooled
            return
        settings = {"application_name": f"{self._name} listening"}
        connection = await asyncpg.connect(self._direct_url, timeout=10, server_settings=settings)
        try:
            yield connection
        finally:
            await connection.close(timeout=2)

    async def listen(self, channel: str, wake: Callable[[], None], stop: asyncio.Event) -> None:
        """Call `wake` on every NOTIFY of `channel` until `stop`; a lost connection is opened again.

        A notification is a hint only: whoever listens polls as well. One connection serves all channels.
        """
        if self._listener is None:
            raise RuntimeError("the database was not opened")
        await self._listener.hear(channel, wake, stop)

    @property
    def _pool(self) -> "asyncpg.Pool[Record]":
        if self._opened is None:
            raise RuntimeError("the database was not opened")
        return self._opened

    async def close(self) -> None:
        if self._replica is not None:
            await self._replica.close()
        try:
            await asyncio.wait_for(self._pool.close(), 5)
        except TimeoutError:
            self._pool.terminate()

    def terminate(self) -> None:
        """Drop every connection at once, as a process does that dies."""
        if self._opened is not None:
            self._opened.terminate()

    def connection(self) -> AbstractAsyncContextManager[Connection]:
        """A connection for reads, each statement on its own."""
        return _Borrowed(self._pool)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """A transaction: commits at the end of the block, rolls back when it raises."""
        async with _Borrowed(self._pool) as connection:
            token = _open_transactions.set(_open_transactions.get() + 1)
            try:
                async with connection.transaction():
                    try:
                        yield connection
                    except TimeoutError:
                        await self._doubt(connection)
                        raise
                    await reach("commit.before")
                await reach("commit.after")
            finally:
                _open_transactions.reset(token)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Connection]:
        """A connection for lists and figures, which may be a little behind: of the replica, where there is one.

        While that is away, it is the server's own.
        """
        async with AsyncExitStack() as stack:
            connection: Connection | None = None
            if self._replica is not None and time.monotonic() >= self._replica_away_until:
                try:
                    async with asyncio.timeout(_REPLICA_WAIT_S):
                        connection = await stack.enter_async_context(self._replica.connection())
                except WEATHER as error:
                    self._replica_away_until = time.monotonic() + _REPLICA_AWAY_S
                    log.warning("replica.away", error=type(error).__name__)
            if connection is None:
                connection = await stack.enter_async_context(self.connection())
            yield connection

    async def _doubt(self, connection: Connection) -> None:
        """After a time-out: end a connection that does not answer (rolling back would wait for it), and all others."""
        try:
            async with asyncio.timeout(_RELEASE_S):
                await connection.execute("SELECT 1")
        except TimeoutError:
            connection.terminate()
            await self._pool.expire_connections()
        except asyncpg.PostgresError:
            # That the transaction has failed is an answer, too.
            return

    async def run(self, work: Callable[[Transaction], Awaitable[Result]]) -> Result:
        """`work` in a transaction, done again (at most three times) when PostgreSQL chose it as a deadlock's victim."""
        for last in (False, False, True):
            try:
                async with self.transaction() as tx:
                    return await work(tx)
            except _CONTENTION:
                if last:
                    raise
        raise AssertionError("unreachable")

    async def ping(self) -> None:
        """Raise unless the server answers within two seconds."""
        async with asyncio.timeout(2), self.connection() as connection:
            await connection.fetchval("SELECT 1")


async def await_makers(tx: Transaction, names: Iterable[str]) -> bool:
    """Wait until nobody else makes the rows of these names (Stripe's ids), and hold others off until `tx` ends.

    Rows that are not there yet cannot be locked: whoever makes one goes alone. True: there were names, look again.
    """
    wanted = list(set(names))
    if wanted:
        # In an order that all share, and in one round trip: a subquery that is sorted is read as it is sorted.
        await tx.execute(
            """
            SELECT pg_advisory_xact_lock(place) FROM (
                SELECT DISTINCT hashtextextended(name, 0) AS place FROM unnest($1::text[]) AS name
                ORDER BY place OFFSET 0
            ) AS places
            """,
            wanted,
        )
    return bool(wanted)

"""PostgreSQL: one pool, explicit transactions, and a guard against calling out while one is open."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import Any, TypeAlias, TypeVar

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy

from tallystick.platform.telemetry import note_database_error

__all__ = [
    "WEATHER",
    "Connection",
    "Database",
    "Record",
    "Transaction",
    "assert_no_transaction",
    "await_makers",
    "is_weather",
    "listen",
]

Record: TypeAlias = asyncpg.Record
Connection: TypeAlias = "PoolConnectionProxy[asyncpg.Record]"
# The same object; the name in a signature says that the caller owns the transaction and will commit it.
Transaction: TypeAlias = "PoolConnectionProxy[asyncpg.Record]"

Result = TypeVar("Result")

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
    OSError,
    TimeoutError,
)
"""What PostgreSQL or the way to it does to us now and then: try again later, it is nobody's fault."""


def is_weather(error: BaseException) -> bool:
    """Whether an error is the weather. (asyncpg calls a parameter of the wrong type an InterfaceError: a bug.)"""
    return isinstance(error, WEATHER) and not isinstance(error, ValueError)


_CONTENTION = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)
_open_transactions: ContextVar[int] = ContextVar("open_transactions", default=0)


def assert_no_transaction() -> None:
    """Called by everything that goes over the network: a transaction held meanwhile would hold its locks."""
    if _open_transactions.get():
        raise AssertionError("a network call inside a database transaction")


@contextmanager
def _noting() -> Iterator[None]:
    """Count what PostgreSQL, or the way to it, breaks off; a time-out of the caller's own is none of it."""
    try:
        yield
    except WEATHER as error:
        if is_weather(error) and not isinstance(error, TimeoutError):
            passes = isinstance(error, (*_CONTENTION, asyncpg.LockNotAvailableError))
            note_database_error("contention" if passes else "lost")
        raise


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


class Database:
    """A pool of connections whose `search_path` is our schema."""

    def __init__(self, url: str, *, schema: str = "public", size: int = 16, name: str = "tallystick") -> None:
        self.schema = schema
        self._url = url
        self._size = size
        self._name = name
        self._opened: asyncpg.Pool[Record] | None = None

    @classmethod
    async def connect(cls, url: str, *, schema: str = "public", size: int = 16, name: str = "tallystick") -> "Database":
        """A database that is open."""
        database = cls(url, schema=schema, size=size, name=name)
        await database.open()
        return database

    async def open(self) -> None:
        """Make the pool, in the loop that will use it. Connections come when needed: the server may be away now."""
        self._opened = await asyncpg.create_pool(
            self._url,
            min_size=0,
            max_size=self._size,
            command_timeout=30,
            timeout=10,
            max_inactive_connection_lifetime=300,
            init=_prepare,
            reset=_keep,
            server_settings={
                "search_path": self.schema,
                "application_name": self._name,
                "timezone": "UTC",
                "idle_in_transaction_session_timeout": "60s",
                "jit": "off",
            },
        )

    @property
    def _pool(self) -> "asyncpg.Pool[Record]":
        if self._opened is None:
            raise RuntimeError("the database was not opened")
        return self._opened

    async def close(self) -> None:
        try:
            await asyncio.wait_for(self._pool.close(), 5)
        except TimeoutError:
            self._pool.terminate()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection for reads, each statement on its own."""
        with _noting():
            async with self._pool.acquire(timeout=10) as connection:
                yield connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """A transaction: commits at the end of the block, rolls back when it raises."""
        with _noting():
            async with self._pool.acquire(timeout=10) as connection:
                token = _open_transactions.set(_open_transactions.get() + 1)
                try:
                    async with connection.transaction():
                        yield connection
                finally:
                    _open_transactions.reset(token)

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


async def listen(database: Database, channel: str, wake: Callable[[], None], stop: asyncio.Event) -> None:
    """Call `wake` on every NOTIFY of `channel` until `stop`; a lost connection is opened again.

    A notification is a hint only: whoever listens polls as well.
    """

    def notified(*_: object) -> None:
        wake()

    while not stop.is_set():
        try:
            async with database.connection() as connection:
                gone = asyncio.Event()
                connection.add_termination_listener(lambda _, gone=gone: gone.set())
                await connection.add_listener(channel, notified)
                wake()
                waits = {asyncio.ensure_future(stop.wait()), asyncio.ensure_future(gone.wait())}
                try:
                    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for task in waits:
                        task.cancel()
                    if not connection.is_closed():
                        await connection.remove_listener(channel, notified)
        except WEATHER:
            await asyncio.sleep(0.5)

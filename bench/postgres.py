"""The PostgreSQL under test, as it is shipped, and pgbench against it."""

import asyncio
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["FLOOR_CLIENTS", "Postgres", "postgres"]

FLOOR_CLIENTS = 32
_DURABLE = ("fsync", "synchronous_commit", "full_page_writes")


class Postgres:
    """A server of its own in `folder`."""

    def __init__(self, folder: Path, **settings: str) -> None:
        """`settings` are set beside those with which it is shipped; none of them may make it less durable."""
        from tallystick.platform.embedded_postgres import EmbeddedPostgres
        from tallystick.platform.postgres_binaries import Account, find_binaries

        self.server = EmbeddedPostgres(folder)
        self.url = self.server.ensure()
        for name, value in settings.items():
            self.sql(f"ALTER SYSTEM SET {name} = '{value}'", "SELECT 1")
        if settings:
            self.server.stop()
            self.server = EmbeddedPostgres(folder)
            self.url = self.server.ensure()
        self.version = str(self.sql("SHOW server_version"))
        if off := [name for name in _DURABLE if self.sql(f"SHOW {name}") != "on"]:
            raise SystemExit(f"this PostgreSQL is not durable: {', '.join(off)}")
        near = find_binaries(Account.choose(folder, folder / "data"), None).folder / "pgbench"
        self.pgbench = str(near) if near.exists() else shutil.which("pgbench")

    def migrate(self) -> None:
        """Make our tables."""
        from tallystick.platform.migrate import migrate

        asyncio.run(migrate(self.url, "public"))

    def sql(self, *statements: str) -> Any:
        """Run statements; the first value of the last one."""
        import asyncpg

        async def run() -> Any:
            connection = await asyncpg.connect(self.url, server_settings={"jit": "off"})
            try:
                for statement in statements[:-1]:
                    await connection.execute(statement, timeout=3600)
                return await connection.fetchval(statements[-1], timeout=3600)
            finally:
                await connection.close()

        return asyncio.run(run())

    def floor(self, script: str, *, seconds: float, clients: int = FLOOR_CLIENTS) -> float | None:
        """Transactions a second of a pgbench script, or None without pgbench."""
        if self.pgbench is None:
            return None
        with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
            file.write(script)
            file.flush()
            command = [self.pgbench, "-n", "-M", "prepared", "-f", file.name, "-c", str(clients), "-j", "1"]
            command += ["-T", str(max(1, round(seconds))), self.url]
            said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        found = re.search(r"tps = ([\d.]+)", said)
        return float(found[1]) if found else None

    def cpu_s(self) -> float:
        """What all of the server's processes have used of a CPU so far, in seconds, those that ended too."""
        pid = self.server.pid()
        return _family_cpu_s(pid) if pid else 0.0


def _family_cpu_s(pid: int) -> float:
    """Of a process, its living children, and those that ended."""
    tick, total = os.sysconf("SC_CLK_TCK"), 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except OSError:
            continue
        fields = text.rpartition(")")[2].split()
        own = int(text.split(maxsplit=1)[0]) == pid
        if own or int(fields[1]) == pid:
            total += int(fields[11]) + int(fields[12])
        if own:
            total += int(fields[13]) + int(fields[14])
    return total / tick


@contextmanager
def postgres(**settings: str) -> Iterator[Postgres]:
    """A server in a folder that is removed at the end, with our tables."""
    with tempfile.TemporaryDirectory(prefix="tallystick-bench-") as name:
        server = Postgres(Path(name) / "pg", **settings)
        try:
            server.migrate()
            yield server
        finally:
            server.server.stop()

"""A real PgBouncer in transaction mode before a PostgreSQL."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

import asyncpg
import pytest

from system import free_port

__all__ = ["follows_statements", "pgbouncer_before"]


def _program() -> str:
    beside = Path(sys.executable).parent / "pgbouncer"
    found = os.environ.get("PGBOUNCER") or (str(beside) if beside.exists() else shutil.which("pgbouncer"))
    if found is None:
        pytest.skip("there is no PgBouncer: on Debian scripts/bootstrap.sh fetches one, elsewhere install it")
    return found


def follows_statements() -> bool:
    """Whether it is a PgBouncer (1.21 or later) that knows of prepared statements."""
    said = subprocess.run([_program(), "--version"], capture_output=True, text=True, check=False).stdout
    found = re.match(r"PgBouncer (\d+)\.(\d+)", said)
    return found is not None and (int(found[1]), int(found[2])) >= (1, 21)


@asynccontextmanager
async def pgbouncer_before(url: str, *, connections: int = 4) -> AsyncIterator[str]:
    """The address of a PgBouncer that shares few connections to the database at `url` among all."""
    program, port, parts = _program(), free_port(), urlsplit(url)
    with tempfile.TemporaryDirectory(prefix="tallystick-pgbouncer-") as folder:
        # It does not run as root; whoever it runs as has to read this.
        Path(folder).chmod(0o755)
        password = f" password={unquote(parts.password)}" if parts.password else ""
        configuration = Path(folder) / "pgbouncer.ini"
        configuration.write_text(
            f"""
            [databases]
            * = host={parts.hostname} port={parts.port} user={parts.username}{password}
            [pgbouncer]
            listen_addr = 127.0.0.1
            listen_port = {port}
            unix_socket_dir =
            auth_type = any
            pool_mode = transaction
            default_pool_size = {connections}
            max_client_conn = 500
            {"max_prepared_statements = 100" if follows_statements() else ""}
            """
        )
        as_whom = ["-u", "nobody"] if os.geteuid() == 0 else []
        process = await asyncio.create_subprocess_exec(
            program, *as_whom, "-q", str(configuration), stderr=asyncio.subprocess.DEVNULL
        )
        pooled = f"postgresql://{parts.username}:unused@127.0.0.1:{port}{parts.path}"
        try:
            for _ in range(1000):
                try:
                    await (await asyncpg.connect(pooled, statement_cache_size=0)).close()
                    break
                except (OSError, asyncpg.PostgresError):
                    assert process.returncode is None, "PgBouncer ended"
                    await asyncio.sleep(0.05)
            yield pooled
        finally:
            process.terminate()
            await process.wait()

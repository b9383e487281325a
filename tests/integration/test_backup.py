"""`tallystick backup` and `restore`: yesterday's database in an empty server, and everything is right again."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from pydantic import SecretStr

from reconciling import ASKED_BY, reconciling_parts
from simulation.mirror import assert_same, mirror_rows, stripe_rows
from simulation.writes import hurry
from subscribers import make_price
from subscribing import subscribed
from system import LONG, Answer, MakeDatabase, System, running_system, unique
from tallystick.platform import backup
from tallystick.platform.backup import BackupError, back_up, manifest_of, read_manifest, restore, verify
from tallystick.platform.embedded_postgres import EmbeddedPostgres
from tallystick.platform.migrate import head_revision, migrate
from tallystick.platform.postgres_binaries import Account, find_binaries


async def empty_database(near: str) -> str:
    """A database with nothing in it, beside another."""
    base = near.rpartition("/")[0]
    name = unique("empty").replace("-", "_")
    connection = await asyncpg.connect(f"{base}/postgres")
    try:
        await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
    finally:
        await connection.close()
    return f"{base}/{name}"


def call(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DATABASE_", "TALLYSTICK_DATA"))}
    return subprocess.run(
        [sys.executable, "-m", "tallystick.cli.main", *arguments],
        env=kept | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@asynccontextmanager
async def on_another_database(system: System, url: str) -> AsyncIterator[System]:
    """The same installation at the same address, before the same Stripe, on a database that was restored."""
    await system.stop_workers()
    await system.stop_api()
    pool = await asyncpg.create_pool(url, min_size=0, max_size=4)
    settings = system.settings.model_copy(update={"database_url": SecretStr(url)})
    moved = replace(system, settings=settings, database_url=url, pool=pool, _stops=[], _api=None)
    await moved.start_api()
    moved.start_worker()
    try:
        yield moved
    finally:
        await moved.stop_workers()
        await moved.stop_api()
        await asyncio.wait_for(pool.close(), 10)


async def repeated(system: System, user: str, key: str) -> Answer:
    """A request's answer once it is final; what was under way when the backup was made is settled as after a crash."""
    ends = time.monotonic() + 60
    while (answer := await system.pay(user=user, key=key)).status != 201:
        assert answer.status in (202, 409), answer
        assert time.monotonic() < ends, answer
        await hurry(system)
        await asyncio.sleep(0.1)
    return answer


@pytest.fixture
def other_server(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    """A server with nothing in it."""
    server = EmbeddedPostgres(tmp_path / "other", durable=False)
    yield server
    server.stop()


@pytest.mark.skipif(not LONG, reason="a whole day, and a full reconcile; TALLYSTICK_LONG=1 runs it")
async def test_a_backup_of_yesterday_in_an_empty_server_ends_equal(
    make_database: MakeDatabase, tmp_path: Path, other_server: EmbeddedPostgres
) -> None:
    async with running_system(await make_database(), EVENT_CATCH_UP_S="2", RECONCILE_EVERY_S="0") as system:
        _, price = await make_price(system)
        await subscribed(system, "sue", price)
        before = await system.pay(user="ann", key="before-the-backup")
        # Under traffic: what is on its way at that moment is in it or is found at Stripe.
        traffic = [asyncio.create_task(system.pay(user=f"user{number}", key=f"during-{number}")) for number in range(6)]
        made = await asyncio.to_thread(
            call, "backup", str(tmp_path / "b.dump"), "--json", DATABASE_URL=system.database_url
        )
        assert made.returncode == 0, made.stderr
        assert json.loads(made.stdout)["revision"] == head_revision()
        during = [await each for each in traffic]
        after = await system.pay(user="bob", key="after-the-backup")
        refunded = await system.call(
            "POST", f"/api/payments/payment-intent/{before.body['id']}/refund", {"amount": 400}, key="refund-after"
        )
        await system.quiet()
        url = other_server.ensure()
        restored = await asyncio.to_thread(call, "restore", str(tmp_path / "b.dump"), DATABASE_URL=url)
        assert restored.returncode == 0, restored.stderr
        assert "tallystick reconcile --full" in restored.stdout
        async with on_another_database(system, url) as again:
            for key, user, first in (("before-the-backup", "ann", before), ("after-the-backup", "bob", after)):
                repeat = await again.pay(user=user, key=key)
                assert (repeat.status, repeat.body["stripe_payment_intent_id"]) == (
                    201,
                    first.body["stripe_payment_intent_id"],
                )
            for number, first in enumerate(during):
                repeat = await repeated(again, f"user{number}", f"during-{number}")
                assert repeat.body["stripe_payment_intent_id"] == first.body["stripe_payment_intent_id"]
            path = f"/api/payments/payment-intent/{before.body['id']}/refund"
            assert (await again.call("POST", path, {"amount": 400}, key="refund-after")).status == refunded.status
            await again.quiet()
            async with reconciling_parts(again) as parts:
                # Beyond the head start that webhooks have before the list of events is read.
                await again.advance("10m")
                await parts.reconciling.catch_up.catch_up()
                await again.quiet(60)
                await parts.reconciling.reconciler.reconcile("full", by=ASKED_BY)
                await again.quiet(60)
                equal = await parts.reconciling.reconciler.reconcile("full", by=ASKED_BY, dry_run=True)
            assert [(one.stripe_id, one.causes, one.state) for one in equal.found] == []
            assert (equal.finished, equal.differences) == (True, 0)
            assert equal.objects > 10
            truth = await stripe_rows(again.stripe, again.settings.installation_id)
            assert_same(await mirror_rows(url), truth)
            # One charge for each of the eight payments and the subscription's first invoice, and one refund.
            charges = (await again.stripe("/v1/charges?limit=100"))["data"]
            assert len(charges) == 9
            assert sum(charge["amount_refunded"] for charge in charges) == 400


@pytest.fixture
async def backed_up(make_database: MakeDatabase, tmp_path: Path) -> tuple[str, Path]:
    """A database and a backup of it."""
    url = await make_database()
    await back_up(url, "public", tmp_path / "b.dump")
    return url, tmp_path / "b.dump"


async def test_what_a_backup_is(backed_up: tuple[str, Path]) -> None:
    url, file = backed_up
    manifest = verify(file)
    assert manifest.revision == head_revision()
    assert manifest.bytes == file.stat().st_size
    assert manifest.rows["payments"] == 0
    for path in (file, manifest_of(file)):
        assert path.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in file.parent.iterdir()) == ["b.dump", "b.dump.json"]
    with pytest.raises(BackupError, match="is there already"):
        await back_up(url, "public", file)
    with pytest.raises(BackupError, match="holds no Tallystick"):
        await back_up(url, "elsewhere", file.with_name("other.dump"))


async def test_a_limit_on_idle_transactions_does_not_end_the_snapshot(
    make_database: MakeDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = await make_database()
    connection = await asyncpg.connect(url)
    await connection.execute(
        f"ALTER DATABASE {url.rpartition('/')[2]} SET idle_in_transaction_session_timeout = '300ms'"
    )
    await connection.close()
    dump = backup._dump

    async def slow(*arguments: Any) -> tuple[int, str]:
        await asyncio.sleep(0.6)
        return await dump(*arguments)

    monkeypatch.setattr(backup, "_dump", slow)
    await back_up(url, "public", tmp_path / "b.dump")
    assert verify(tmp_path / "b.dump").revision == head_revision()


async def test_a_schema_of_ones_own(make_database: MakeDatabase, tmp_path: Path) -> None:
    source = await empty_database(await make_database())
    for command in (["migrate"], ["backup", str(tmp_path / "b.dump")]):
        done = await asyncio.to_thread(call, *command, DATABASE_URL=source, DATABASE_SCHEMA="pay")
        assert done.returncode == 0, done.stderr
    target = await empty_database(source)
    assert (await restore(target, tmp_path / "b.dump")).schema == "pay"
    connection = await asyncpg.connect(target)
    try:
        assert await connection.fetchval('SELECT version_num FROM "pay".alembic_version') == head_revision()
        assert await connection.fetchval("SELECT to_regclass('public.payments')") is None
    finally:
        await connection.close()


async def test_nothing_is_restored_over_anything(backed_up: tuple[str, Path]) -> None:
    url, file = backed_up
    with pytest.raises(BackupError, match=r"is not empty \(.+\)\. Nothing was changed"):
        await restore(url, file)


async def test_a_file_that_is_not_what_its_manifest_says_is_refused(backed_up: tuple[str, Path]) -> None:
    url, file = backed_up
    target = await empty_database(url)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(BackupError, match="damaged"):
        await restore(target, file)
    assert call("restore", str(file), "--check").returncode == 1
    manifest_of(file).unlink()
    with pytest.raises(BackupError, match="is missing"):
        await restore(target, file)


async def test_a_backup_of_a_newer_version_is_refused(backed_up: tuple[str, Path]) -> None:
    url, file = backed_up
    found = json.loads(manifest_of(file).read_text())
    manifest_of(file).write_text(json.dumps(found | {"revision": "9000", "tallystick": "9.0.0"}))
    with pytest.raises(BackupError, match=r"is of Tallystick 9\.0\.0"):
        await restore(await empty_database(url), file)
    manifest_of(file).write_text(json.dumps(found | {"server_version": 990000}))
    with pytest.raises(BackupError, match="Restore into that version"):
        await restore(await empty_database(url), file)


PG_DUMP = """#!/bin/sh
case "$1" in
--version) echo "pg_dump (PostgreSQL) {version}"; exit 0 ;;
esac
printf 'half of it'
echo "called with $*" >&2
exit 3
"""


@pytest.mark.parametrize(
    ("version", "told"), [("99.1", "pg_dump failed: called with"), ("12.1", "Install that version's client programs")]
)
async def test_what_fails_leaves_no_file_and_tells_no_password(
    make_database: MakeDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, told: str
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "pg_dump").write_text(PG_DUMP.format(version=version))
    (programs / "pg_dump").chmod(0o755)
    monkeypatch.setenv("TALLYSTICK_PG_BIN", str(programs))
    url = await make_database()
    with pytest.raises(BackupError, match=told) as failed:
        await back_up(url, "public", tmp_path / "b.dump")
    password = url.partition("//")[2].partition("@")[0].partition(":")[2]
    assert password
    assert password not in str(failed.value)
    assert [path.name for path in tmp_path.iterdir()] == ["bin"]


async def test_a_database_that_is_not_there_is_told_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match=r"cannot be reached \(.+\)") as failed:
        await back_up("postgresql://me:hunter2@127.0.0.1:1/none", "public", tmp_path / "b.dump")
    assert "hunter2" not in str(failed.value)
    with pytest.raises(BackupError, match="is missing"):
        read_manifest(tmp_path / "b.dump")


def run_program(name: str, server: EmbeddedPostgres, url: str, *arguments: str) -> None:
    """One of PostgreSQL's own programs, on a server of ours."""
    programs = find_binaries(Account.choose(server.root, server.root / "data")).folder
    password = (server.root / "password").read_text().strip()
    done = subprocess.run(
        [str(programs / name), f"--dbname={url}", *arguments],
        env={**os.environ, "PGPASSWORD": password},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def set_up(server: EmbeddedPostgres, *lines: str) -> None:
    with (server.root / "data" / "postgresql.conf").open("a") as configuration:
        configuration.write("\n" + "\n".join(lines) + "\n")


def give_to_its_user(path: Path, like: Path) -> None:
    owner = like.stat()
    for each in (path, *path.rglob("*")):
        os.chown(each, owner.st_uid, owner.st_gid)


@asynccontextmanager
async def archiving_server(folder: Path, archive: Path) -> AsyncIterator[tuple[EmbeddedPostgres, str]]:
    """A server that keeps its log, as docs/backup.md says."""
    server = EmbeddedPostgres(folder)
    server.ensure()
    server.stop()
    archive.mkdir()
    give_to_its_user(archive, server.root / "data")
    command = f"test ! -f {archive}/%f && cp %p {archive}/%f.part && mv {archive}/%f.part {archive}/%f"
    set_up(server, "wal_level = replica", "max_wal_senders = 4", "archive_mode = on", f"archive_command = '{command}'")
    try:
        yield server, server.ensure()
    finally:
        server.stop()


@pytest.mark.skipif(not LONG, reason="two servers and their log; TALLYSTICK_LONG=1 runs it")
@pytest.mark.skipif(os.geteuid() == 0 and not Path("/proc/self/fd").exists(), reason="root, and no way to its folder")
async def test_any_moment_comes_back_from_a_base_and_the_log() -> None:
    # Not pytest's folder: the server's user has to reach it.
    with tempfile.TemporaryDirectory(prefix="tallystick-pitr-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        async with archiving_server(folder / "a", folder / "archive") as (first, url):
            await migrate(url, "public")
            async with running_system(url, EVENT_CATCH_UP_S="2", RECONCILE_EVERY_S="0") as system:
                paid = [await system.pay(user="ann", key="one"), await system.pay(user="ann", key="two")]
                await system.quiet()
                (folder / "b").mkdir()
                await asyncio.to_thread(
                    run_program, "pg_basebackup", first, url, f"--pgdata={folder}/b/data", "--checkpoint=fast"
                )
                paid.append(await system.pay(user="ann", key="three"))
                await system.quiet()
                moment = await system.value("SELECT clock_timestamp()")
                paid.append(await system.pay(user="ann", key="four"))
                await system.quiet()
                last = await system.value("SELECT pg_walfile_name(pg_switch_wal())")
                for _ in range(600):
                    if (folder / "archive" / last).exists():
                        break
                    await asyncio.sleep(0.1)
                second = EmbeddedPostgres(folder / "b")
                shutil.copy(folder / "a" / "password", folder / "b" / "password")
                set_up(
                    second,
                    "archive_mode = off",
                    f"restore_command = 'cp {folder}/archive/%f %p'",
                    f"recovery_target_time = '{moment.isoformat()}'",
                    "recovery_target_action = 'promote'",
                )
                (folder / "b" / "data" / "recovery.signal").touch()
                give_to_its_user(folder / "b", folder / "a" / "data")
                there = await asyncio.to_thread(second.ensure)
                try:
                    async with on_another_database(system, there) as again:
                        assert await again.value("SELECT count(*) FROM payments") == 3
                        for key, answer in zip(("one", "two", "three", "four"), paid, strict=True):
                            repeat = await repeated(again, "ann", key)
                            known = answer.body["stripe_payment_intent_id"]
                            assert repeat.body["stripe_payment_intent_id"] == known
                        async with reconciling_parts(again) as parts:
                            await again.advance("10m")
                            await parts.reconciling.catch_up.catch_up()
                            await again.quiet(60)
                            await parts.reconciling.reconciler.reconcile("full", by=ASKED_BY)
                            await again.quiet(60)
                        truth = await stripe_rows(again.stripe, again.settings.installation_id)
                        assert_same(await mirror_rows(there), truth)
                        assert len((await again.stripe("/v1/charges?limit=100"))["data"]) == 4
                finally:
                    second.stop()

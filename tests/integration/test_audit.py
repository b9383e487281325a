"""Who did what is written down before the answer leaves: staff's changes, what they were refused, and commands."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from system import System, token_for, unique
from tallystick.app import retentions
from tallystick.audit.models import NewEntry
from tallystick.audit.service import AuditService, audited
from tallystick.core.clock import SystemClock
from tallystick.core.errors import Conflict
from tallystick.platform.database import Database
from tallystick.platform.pruning import Pruner

ADMIN, SUPPORT, SERVICE = ("admin",), ("support",), ("service",)


async def entries(system: System, **wanted: str) -> list[dict[str, Any]]:
    query = "&".join(f"{name}={value}" for name, value in wanted.items())
    answer = await system.call("GET", f"/api/audit?{query}", user="auditor", roles=ADMIN)
    assert answer.status == 200, answer.body
    return list(answer.body["data"])


async def test_staff_are_written_down_and_users_are_not(system: System) -> None:
    ann, grace, host, sam = unique("ann"), unique("grace"), unique("host"), unique("sam")
    paid = (await system.pay(user=ann)).body
    base = f"/api/payments/payment-intent/{paid['id']}"

    refunded = await system.call(
        "POST", f"{base}/refund", {"amount": 50}, user=grace, roles=ADMIN, headers={"X-Request-Id": "from-the-desk"}
    )
    assert refunded.status == 200, refunded.body
    (entry,) = await entries(system, actor=f"admin:{grace}")
    assert (entry["action"], entry["object_kind"], entry["object_id"]) == (
        "refund_payment_intent", "payment", paid["id"],
    )  # fmt: skip
    assert (entry["outcome"], entry["status"], entry["request_id"]) == ("done", 200, "from-the-desk")
    assert entry["details"] == {
        "amount": 50, "currency": "usd", "status": "succeeded", "made": refunded.body["id"]
    }  # fmt: skip
    assert (entry["address"], entry["roles"]) == ("127.0.0.1", ["admin"])
    assert entry["happened_at"] <= datetime.now(UTC).isoformat()
    assert "business_at" in entry

    for_ann = {"Tallystick-User": ann}
    made = await system.call(
        "POST",
        "/api/payments/payment-intent",
        {"amount": 700, "currency": "usd"},
        user=host,
        roles=SERVICE,
        headers=for_ann,
    )
    assert made.status == 201, made.body
    (entry,) = await entries(system, actor=f"service:{host}")
    assert (entry["object_kind"], entry["object_id"]) == ("payment", made.body["id"])
    assert entry["user_id"] == str(await system.value("SELECT id FROM users WHERE external_id = $1", ann))

    assert (await system.call("POST", f"{base}/refund", {}, user=sam, roles=SUPPORT)).status == 403
    (entry,) = await entries(system, actor=f"support:{sam}")
    assert (entry["outcome"], entry["status"], entry["error_code"]) == ("refused", 403, "FORBIDDEN")

    # What a user does is told by attempts and keys; so is what staff only read.
    assert (await system.call("GET", base, user=sam, roles=SUPPORT)).status == 200
    assert len(await entries(system, actor=f"support:{sam}")) == 1
    everyone = [row["actor"] for row in await system.fetch("SELECT actor FROM audit_log")]
    assert not [actor for actor in everyone if ann in actor]


@pytest.mark.parametrize(
    ("method", "path", "roles", "status", "code"),
    [
        ("GET", "/api/payments/payment-intent/pi_of_nobody", ADMIN, 404, "PAYMENT_NOT_FOUND"),
        ("GET", "/api/audit", SUPPORT, 403, "FORBIDDEN"),
        ("POST", "/api/webhook-endpoints", SUPPORT, 403, "FORBIDDEN"),
        ("POST", "/api/payments/payment-intent", ADMIN, 422, "AMOUNT_ERROR"),
        ("POST", "/api/payments/payment-intent", SERVICE, 422, "INVALID_REQUEST"),
        ("DELETE", "/api/nothing/here", ADMIN, 404, None),
    ],
)
async def test_what_staff_were_refused(
    system: System, method: str, path: str, roles: tuple[str, ...], status: int, code: str | None
) -> None:
    who = unique("staff")
    answer = await system.call(method, path, {} if method == "POST" else None, user=who, roles=roles)
    assert answer.status == status, answer.body
    found = await entries(system, actor=f"{roles[0]}:{who}")
    if path == "/api/nothing/here":
        assert found == [], "where there is no route, nobody asked who it is"
        return
    assert [(entry["outcome"], entry["status"], entry["error_code"]) for entry in found] == [
        ("refused", status, answer.code)
    ]
    assert code in (None, answer.code) or answer.code.endswith("NOT_FOUND")


async def test_a_token_that_has_expired_tells_who_it_was_and_a_forged_one_nobody(system: System) -> None:
    who = unique("grace")
    late = token_for(who, roles=ADMIN, exp=datetime.now(UTC) - timedelta(hours=1))
    answer = await system.call("GET", "/api/payments/history", token=late)
    assert (answer.status, answer.code) == (401, "UNAUTHORIZED")
    (entry,) = await entries(system, actor=f"admin:{who}")
    assert (entry["action"], entry["status"]) == ("payment_history", 401)
    forged = late.rpartition(".")[0] + ".AAAA"
    assert (await system.call("GET", "/api/payments/history", token=forged)).status == 401
    assert len(await entries(system, actor=f"admin:{who}")) == 1


async def test_pages_and_filters(system: System) -> None:
    who, other = unique("grace"), unique("mary")
    for user in (who, who, other, who):
        await system.call("POST", "/api/webhook-endpoints", {}, user=user, roles=ADMIN)
    everything = await entries(system, actor=f"admin:{who}")
    assert len(everything) == 3
    first = await system.call("GET", f"/api/audit?actor=admin:{who}&limit=2", user="auditor", roles=ADMIN)
    assert (first.body["has_more"], [row["id"] for row in first.body["data"]]) == (
        True, [row["id"] for row in everything[:2]],
    )  # fmt: skip
    last = first.body["data"][-1]["id"]
    rest = await system.call(
        "GET", f"/api/audit?actor=admin:{who}&limit=2&starting_after={last}", user="auditor", roles=ADMIN
    )
    assert (rest.body["has_more"], rest.body["data"]) == (False, everything[2:])
    middle = everything[1]["happened_at"].replace("+00:00", "Z")
    assert len(await entries(system, actor=f"admin:{who}", since=middle)) == 2
    assert len(await entries(system, actor=f"admin:{who}", until=middle)) == 1
    assert len(await entries(system, action="create_webhook_endpoint", actor=f"admin:{other}")) == 1
    assert await entries(system, actor=f"admin:{who}", object="nothing") == []
    for query in ("starting_after=nonsense", "since=yesterday", "limit=101"):
        answer = await system.call("GET", f"/api/audit?{query}", user="auditor", roles=ADMIN)
        assert (answer.status, answer.code) == (422, "INVALID_REQUEST"), query


async def test_the_log_only_grows(system: System) -> None:
    await system.call("POST", "/api/webhook-endpoints", {}, user="grace", roles=ADMIN)
    for statement in (
        "DELETE FROM audit_log",
        "UPDATE audit_log SET actor = 'nobody'",
        "TRUNCATE audit_log",
        "SET LOCAL tallystick.audit = 'prune'; UPDATE audit_log SET actor = 'nobody'",
        "SET LOCAL tallystick.audit = 'erase'; DELETE FROM audit_log",
        "SET LOCAL tallystick.audit = 'erase'; UPDATE audit_log SET outcome = 'failed', actor = 'nobody'",
        "SET LOCAL tallystick.audit = 'prune'; TRUNCATE audit_log",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="only grows"):
            async with system.pool.acquire() as connection, connection.transaction():
                await connection.execute(statement)
    assert await system.value("SELECT count(*) FROM audit_log WHERE actor = 'nobody'") == 0


class Later(SystemClock):
    """Both clocks so many days ahead."""

    def wall(self) -> datetime:
        return super().wall() + timedelta(days=20)


async def test_it_is_forgotten_after_its_time(system: System) -> None:
    await system.call("POST", "/api/webhook-endpoints", {}, user="grace", roles=ADMIN)
    before = await system.value("SELECT count(*) FROM audit_log")
    database = await Database.connect(system.database_url)
    try:
        for days, left in ((21, before), (19, 0)):
            kept = retentions(system.settings.model_copy(update={"keep_audit_days": days}))
            await Pruner(database, Later(), [r for r in kept if r.name == "audit log"]).sweep()
            assert await system.value("SELECT count(*) FROM audit_log") == left
    finally:
        await database.close()
    assert before > 0


async def test_commands(system: System) -> None:
    database = await Database.connect(system.database_url)
    try:
        async with audited(database, "mails.resend", kind="mail", object_id="m1", to="ann@example.com", tries=2):
            pass
        with pytest.raises(Conflict):
            async with audited(database, "events.discard", kind="event", object_id="evt_1"):
                raise Conflict
        with pytest.raises(KeyboardInterrupt):
            async with audited(database, "import"):
                raise KeyboardInterrupt
    finally:
        await database.close()
    done, refused, failed = reversed((await entries(system))[:3])
    assert done["actor"].startswith("cli:")
    assert (done["action"], done["object_id"], done["details"]) == (
        "mails.resend", "m1", {"to": "[removed]", "tries": 2},
    )  # fmt: skip
    assert (refused["outcome"], refused["error_code"]) == ("refused", "CONFLICT")
    assert (failed["outcome"], failed["error_code"]) == ("failed", "KeyboardInterrupt")


async def test_what_cannot_be_written_is_in_the_log_and_the_answer_goes_out(
    system: System, capsys: pytest.CaptureFixture[str]
) -> None:
    database = await Database.connect(system.database_url)
    try:
        await AuditService(database, SystemClock()).record(
            NewEntry(actor="admin:grace", action="x", outcome="done", details={"much": "x" * 5000})
        )
    finally:
        await database.close()
    assert await system.value("SELECT count(*) FROM audit_log WHERE action = 'x'") == 0


async def test_every_changing_route_has_a_name_of_its_own(system: System) -> None:
    paths = (await system.call("GET", "/api/openapi.json")).body["paths"]
    names = [
        operation["summary"]
        for path, operations in paths.items()
        for method, operation in operations.items()
        if method in ("post", "put", "delete") and path.startswith("/api/")
    ]
    assert len(names) > 20
    assert len(names) == len(set(names))


async def test_twenty_at_once_are_twenty_entries(system: System) -> None:
    host = unique("host")
    calls = [
        system.call(
            "POST",
            "/api/payments/payment-intent",
            {"amount": 500 + number, "currency": "usd"},
            user=host,
            roles=SERVICE,
            headers={"Tallystick-User": f"{host}-{number}"},
        )
        for number in range(20)
    ]
    answers = await asyncio.gather(*calls)
    assert {answer.status for answer in answers} == {201}
    found = await entries(system, actor=f"service:{host}", limit="100")
    assert {entry["object_id"] for entry in found} == {answer.body["id"] for answer in answers}

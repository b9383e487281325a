"""The list before and after a deployment: what the doctor knows already, and a backup, migrations, a test payment."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import aiohttp
import jwt

from tallystick.core.clock import Clock
from tallystick.core.ids import new_id
from tallystick.doctor.models import Check, Finding, fail, ok, skip, warn
from tallystick.doctor.repository import DoctorRepository
from tallystick.doctor.service_database import DATABASE, SCHEMA
from tallystick.doctor.service_queues import age
from tallystick.platform.backup import BackupError, verify
from tallystick.platform.database import Database
from tallystick.platform.migrate import SchemaState, head_revision, schema_state
from tallystick.platform.settings import Settings

__all__ = ["AFTER", "BEFORE", "DeployChecks", "Stage"]

Stage = Literal["before", "after"]

BEFORE = (
    "settings.usable",
    "settings.together",
    "settings.addresses",
    "settings.door",
    "stripe.key",
    "stripe.permissions",
    "stripe.account",
    DATABASE,
    "database.connections",
    "database.durability",
)
"""What of the doctor's checks is looked at before a deployment."""
AFTER = (
    *BEFORE,
    SCHEMA,
    "api.reachable",
    "worker.running",
    "webhooks.endpoint",
    "webhooks.secret",
    "webhooks.events",
    "queue.events",
    "queue.work",
    "queue.mails",
    "queue.deliveries",
    "attempts.open",
    "mail.server",
)
"""And after it."""

_BEFORE, _AFTER = "Before the deployment", "After the deployment"
_TIMEOUT_S = 10.0
_SUBJECT = "tallystick-deploy-check"
_CARD = "pm_card_visa"


class DeployChecks:
    """The checks that only a deployment needs. `backup` is the file that was made for it, None where there is none."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        settings: Settings,
        *,
        backup: Path | None,
        backup_age: timedelta,
        payment_wait_s: float = 60,
    ) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._backup_file = backup
        self._backup_age = backup_age
        self._payment_wait_s = payment_wait_s
        self._repository = DoctorRepository()

    def checks(self, stage: Stage) -> Sequence[Check]:
        """The checks of one side."""
        if stage == "before":
            return (
                Check(_BEFORE, "deploy.backup", "Backup", self._backup, (DATABASE,)),
                Check(_BEFORE, "deploy.migrations", "Migrations", self._migrations, (DATABASE,)),
            )
        return (
            Check(_AFTER, "deploy.metrics", "Metrics", self._metrics),
            Check(_AFTER, "deploy.alerts", "Alerts", self._alerts),
            Check(_AFTER, "deploy.payment", "Test payment", self._payment, (SCHEMA,), self._payment_wait_s + 30),
        )

    async def _backup(self) -> Finding:
        todo = "Make one: `tallystick backup FILE`, then name it with --backup FILE."
        if self._backup_file is None:
            return fail("none was named", f"{todo} Where your provider makes them, say --no-backup, and look there.")
        try:
            manifest = await asyncio.to_thread(verify, self._backup_file)
        except BackupError as error:
            return fail(str(error), todo)
        async with self._database.connection() as connection:
            revision = await self._repository.revision(connection)
        if (manifest.schema, manifest.revision) != (self._settings.database_schema, revision):
            return fail(
                f"{self._backup_file} is of the schema {manifest.schema} at {manifest.revision}, the database is "
                f"{self._settings.database_schema} at {revision}",
                todo,
            )
        old = self._clock.wall() - manifest.time
        text = f"{self._backup_file} is whole, {age(old)} old"
        return ok(text) if old <= self._backup_age else fail(text, todo)

    async def _migrations(self) -> Finding:
        schema, head = self._settings.database_schema, head_revision()
        async with self._database.connection() as connection:
            state = await schema_state(connection, schema)
            found = await self._repository.revision(connection) if state is not SchemaState.MISSING else None
        if state is SchemaState.BEYOND:
            return fail(f"the schema is at {found} and does not serve this program ({head})", "Install a newer one.")
        if state.serves:
            return ok(f"none is to be applied; the schema is at {found}")
        return ok(f"from {found or 'nothing'} to {head}, by `tallystick migrate`, before the new version is started")

    async def _metrics(self) -> Finding:
        token = self._settings.metrics_token
        headers = {"Authorization": f"Bearer {token.get_secret_value()}"} if token else {}
        return await self._with_api("/metrics", self._judge_metrics, headers)

    async def _judge_metrics(self, status: int, text: str) -> Finding:
        if status != 200:
            return fail(f"/metrics answers {status}", "Prometheus sends METRICS_TOKEN; see docs/monitoring.md.")
        count = sum(1 for line in text.splitlines() if line.startswith("tallystick_"))
        if not count:
            return fail("/metrics shows nothing of ours", "See what answers at PUBLIC_URL.")
        return ok(f"{count} series")

    async def _alerts(self) -> Finding:
        settings = self._settings
        if not settings.alerts_built_in:
            return ok("left to Prometheus; `tallystick alerts rules` prints the rules")
        if settings.admin_email is None and not settings.alert_urls:
            return warn("they are evaluated, and nobody is told", "Set ADMIN_EMAIL or ALERT_URLS.")
        return ok("built in")

    async def _payment(self) -> Finding:
        if self._settings.live:
            return skip("the key is live: pay with a real card, and refund it")
        if self._settings.jwt_secret is None:
            return skip("JWT_JWKS_URL: no token can be made here; pay in test mode by your application")
        if self._settings.public_url is None:
            return skip("PUBLIC_URL is not set")
        currency = self._settings.default_currency
        amount, _ = self._settings.amount_limits(currency)
        body = {"amount": amount, "currency": currency, "payment_method": _CARD, "confirm": True}
        return await self._with_api("/api/payments/payment-intent", self._judge_payment, self._headers(), body)

    async def _judge_payment(self, status: int, text: str) -> Finding:
        made = _object(text)
        if (status, made.get("status")) != (201, "succeeded"):
            return fail(
                f"it ended with {status} {made.get('code') or made.get('status')}", "See the API's log for its reason."
            )
        intent = str(made["stripe_payment_intent_id"])
        ends = time.monotonic() + self._payment_wait_s
        while True:
            async with self._database.connection() as connection:
                told = await self._repository.events_of(connection, intent)
            if told:
                break
            if time.monotonic() > ends:
                return fail(
                    f"{intent} succeeded, and none of its events was applied within {self._payment_wait_s:.0f} seconds",
                    "See webhooks.endpoint and worker.running.",
                )
            await asyncio.sleep(0.25)
        how = "by webhook" if "webhook" in told else "from Stripe's list of events, not by webhook"
        refund = await self._refund(str(made["id"]))
        text = f"{intent} succeeded, its event came {how}, {refund}"
        polling = self._settings.stripe_event_polling
        return ok(text) if "webhook" in told or polling else warn(text, "See webhooks.endpoint: nothing arrives there.")

    async def _refund(self, payment_id: str) -> str:
        async def judge(status: int, text: str) -> Finding:
            return ok("refunded") if status in (200, 201) else warn(f"not refunded ({status})", "")

        path = f"/api/payments/payment-intent/{payment_id}/refund"
        return (await self._with_api(path, judge, self._headers(), {})).found

    async def _with_api(
        self,
        path: str,
        judge: Callable[[int, str], Awaitable[Finding]],
        headers: Mapping[str, str],
        body: Mapping[str, Any] | None = None,
    ) -> Finding:
        if self._settings.public_url is None:
            return skip("PUBLIC_URL is not set")
        url = f"{self._settings.public_url.rstrip('/')}{path}"
        timeout = aiohttp.ClientTimeout(total=self._settings.stripe_timeout_s + _TIMEOUT_S)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, headers=headers) as http,
                http.request("GET" if body is None else "POST", url, json=body) as answer,
            ):
                status, text = answer.status, await answer.text()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return fail(f"{url} does not answer ({type(error).__name__})", "See api.reachable.")
        return await judge(status, text)

    def _headers(self) -> Mapping[str, str]:
        settings = self._settings
        assert settings.jwt_secret is not None
        now = int(self._clock.wall().timestamp())
        claims = {
            "iss": settings.jwt_issuer,
            "aud": settings.jwt_audience,
            "sub": _SUBJECT,
            "iat": now,
            "exp": now + 300,
        }
        token = jwt.encode(claims, settings.jwt_secret.get_secret_value(), "HS256")
        return {"Authorization": f"Bearer {token}", "Idempotency-Key": str(new_id())}


def _object(text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}

"""The doctor's look at Stripe: the key, what it may read, the account, the clock, and the webhook endpoint."""

from collections.abc import Sequence
from datetime import timedelta

from tallystick.catch_up.repository import CursorRepository
from tallystick.core.clock import Clock, to_unix
from tallystick.doctor.models import Check, Finding, fail, ok, skip, warn
from tallystick.doctor.service_database import SCHEMA
from tallystick.doctor.service_queues import since
from tallystick.installation.repository import InstallationRepository
from tallystick.platform.database import Database
from tallystick.platform.settings import Settings
from tallystick.stripe_gateway.dialect import can_read
from tallystick.stripe_gateway.errors import GatewayError, GatewayRejected
from tallystick.stripe_gateway.service import StripeService
from tallystick.webhooks.service_endpoints import InstalledEndpoints, KnownEndpoint

__all__ = ["StripeChecks"]

_GROUP, _WEBHOOKS = "Stripe", "Webhooks"
_KEY = "stripe.key"
_READ = (
    "charges", "coupons", "customers", "disputes", "events", "invoices", "payment_intents", "prices", "products",
    "promotion_codes", "refunds", "setup_intents", "subscription_schedules", "subscriptions", "webhook_endpoints",
)  # fmt: skip
_SKEW_WARN_S, _SKEW_FAIL_S = 5.0, 60.0
_FRESH, _LOOKED_BACK = timedelta(minutes=5), timedelta(days=1)
_NAMED = 5


class StripeChecks:
    """What only Stripe can tell. Nothing is written there."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        settings: Settings,
        stripe: StripeService,
        endpoints: InstalledEndpoints,
    ) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._stripe = stripe
        self._endpoints = endpoints

    def checks(self) -> Sequence[Check]:
        return (
            Check(_GROUP, _KEY, "Key", self._key),
            Check(_GROUP, "stripe.permissions", "Permissions", self._permissions, (_KEY,)),
            Check(_GROUP, "stripe.account", "Account", self._account, (_KEY, SCHEMA)),
            Check(_GROUP, "stripe.clock", "Clock", self._skew, (_KEY,)),
            Check(_WEBHOOKS, "webhooks.endpoint", "Endpoint", self._endpoint, (_KEY, SCHEMA)),
            Check(_WEBHOOKS, "webhooks.secret", "Secret", self._secret, (SCHEMA,)),
            Check(_WEBHOOKS, "webhooks.events", "Events", self._events, (_KEY, SCHEMA)),
        )

    # The key

    async def _key(self) -> Finding:
        key = self._settings.stripe_secret_key.get_secret_value()
        kind = (
            f"a {'restricted' if key.startswith('rk_') else 'secret'} {'live' if self._settings.live else 'test'} key"
        )
        try:
            await self._stripe.retrieve_account()
        except GatewayRejected as error:
            if error.status == 401:
                return fail("Stripe does not know this key", "Set STRIPE_SECRET_KEY to a key that is not revoked.")
            # A restricted key that may do other things.
            return ok(f"{kind}, which Stripe knows")
        except GatewayError as error:
            return fail(
                f"Stripe cannot be reached: {error}",
                "Check the way out to api.stripe.com, STRIPE_API_BASE, and https://status.stripe.com.",
            )
        return ok(f"{kind}, which Stripe knows")

    async def _permissions(self) -> Finding:
        refused = [name for name in (*_READ, "account") if not await self._may_read(name)]
        if refused:
            return fail(
                f"the key may not read {', '.join(refused)}",
                "Give the restricted key these rights in the Stripe dashboard (Developers, API keys), or use another. "
                "Rights to write cannot be seen without writing.",
            )
        return ok(f"may read all {len(_READ) + 1} kinds of objects that are needed")

    async def _may_read(self, name: str) -> bool:
        try:
            if name == "account":
                await self._stripe.retrieve_account()
            else:
                await self._stripe.list_page(f"/v1/{name}", {"limit": 1}, lambda raw: raw["id"])
        except GatewayRejected as error:
            if error.status in (401, 403):
                return False
            raise
        return True

    async def _account(self) -> Finding:
        async with self._database.transaction() as tx:
            stored = await InstallationRepository().find(tx)
        if stored is None:
            return warn("this database has never been started with", "Start `tallystick serve` or `tallystick worker`.")
        settings = self._settings
        if stored.installation_id != settings.installation_id:
            return fail(
                f"this database is of the installation {stored.installation_id}, INSTALLATION_ID says "
                f"{settings.installation_id}",
                f"Set INSTALLATION_ID={stored.installation_id}, or use another DATABASE_URL.",
            )
        if stored.livemode != settings.live:
            mode = "live" if stored.livemode else "test"
            return fail(f"this database holds {mode} data, the key is of the other mode", f"Use a {mode} key.")
        try:
            account = (await self._stripe.retrieve_account()).value
        except GatewayRejected as error:
            if error.status != 403:
                raise
            return warn("the key may not tell its account", "Let it read the account, so that a wrong key is noticed.")
        if stored.stripe_account_id not in (None, account):
            return fail(
                f"the key is of {account}, this database of {stored.stripe_account_id}",
                f"Use a key of {stored.stripe_account_id}, or another DATABASE_URL for {account}.",
            )
        return ok(f"{account}, as this database has it")

    async def _skew(self) -> Finding:
        # The sandbox answers with the time that it has been moved to. What is read bears the time of the asking.
        ours = self._clock.now() if self._settings.sandboxed else self._clock.wall()
        answer = await self._stripe.list_page("/v1/events", {"limit": 1}, lambda raw: raw["id"])
        if answer.at is None:
            return skip("Stripe's answer bears no time")
        skew_s = abs((ours - answer.at).total_seconds())
        if skew_s < _SKEW_WARN_S:
            return ok("the same time here and at Stripe")
        verdict = fail if skew_s >= _SKEW_FAIL_S else warn
        return verdict(
            f"{skew_s:.0f} seconds between this machine and Stripe",
            "Run a time service (NTP) here: webhooks are refused once the clocks are five minutes apart.",
        )

    # Webhooks

    async def _endpoint(self) -> Finding:
        settings = self._settings
        if settings.public_url is None:
            return skip("PUBLIC_URL is not set; events are read from Stripe's list")
        there = await self._endpoints.find_all()
        at_url = [known for known in there if known.endpoint.url == self._endpoints.url]
        if not at_url:
            if settings.stripe_event_polling:
                return ok("none; events are read from Stripe's list (STRIPE_EVENT_POLLING)")
            where = "".join(f"; {known.endpoint.id} sends to {known.endpoint.url}" for known in there)
            return fail(
                f"Stripe sends nothing to {self._endpoints.url}{where}",
                "Run `tallystick webhooks install`, or set PUBLIC_URL to where the endpoint sends.",
            )
        enabled = [known for known in at_url if known.endpoint.enabled]
        if not enabled:
            return fail(
                f"{at_url[0].endpoint.id} is disabled: Stripe sends nothing",
                "Run `tallystick webhooks install`: it switches the endpoint on. Stripe switches one off after days of "
                "failures: see the API's log for what they were.",
            )
        return self._judge(enabled)

    def _judge(self, enabled: Sequence[KnownEndpoint]) -> Finding:
        first = enabled[0].endpoint
        unreadable = [known.endpoint for known in enabled if not can_read(known.endpoint.api_version or "2023-10-16")]
        if unreadable:
            return fail(
                f"{unreadable[0].id} sends events of the version {unreadable[0].api_version}, which cannot be read",
                f"Run `tallystick webhooks switch-version {self._settings.stripe_api_version}`.",
            )
        for known in enabled:
            missing = self._missing(known)
            if missing:
                more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
                return fail(
                    f"{known.endpoint.id} does not send {', '.join(missing[:_NAMED])}{more}",
                    "Run `tallystick webhooks install`: it sets the events right.",
                )
        if any(known.replaces for known in enabled):
            return warn("two endpoints: a change is under way", "End it: `tallystick webhooks rotate --finish`.")
        if len(enabled) > 1:
            ids = ", ".join(known.endpoint.id for known in enabled)
            return warn(f"{ids} send the same events twice", "Delete the ones that are not needed in the dashboard.")
        if first.api_version is None and not self._settings.sandboxed:
            return warn(
                f"{first.id} follows the account's default version",
                "Make one with its own: `tallystick webhooks install "
                "--replace`; what the account is upgraded to is then no surprise.",
            )
        version = first.api_version or f"{self._settings.stripe_api_version} (the account's default)"
        wanted = self._endpoints.events(first.api_version)
        return ok(f"{first.id}, enabled, version {version}, all {len(wanted)} events")

    def _missing(self, known: KnownEndpoint) -> list[str]:
        sent = set(known.endpoint.events)
        if "*" in sent:
            return []
        return [name for name in self._endpoints.events(known.endpoint.api_version) if name not in sent]

    async def _secret(self) -> Finding:
        if not self._settings.stripe_webhook_secret:
            return skip("STRIPE_WEBHOOK_SECRET is not set; events are read from Stripe's list")
        seen = await self._endpoints.last_verified()
        if not seen:
            return warn(
                "no event has ever been verified by STRIPE_WEBHOOK_SECRET",
                "Let something happen at Stripe. If nothing arrives, the secret is another endpoint's, or the API "
                "was not started with it: its log then says webhook.rejected.",
            )
        unused = len(self._settings.stripe_webhook_secret) - len(seen)
        text = f"last verified an event {since(seen[0].verified_at, self._clock.wall())}"
        if unused:
            return warn(f"{text}; {unused} of the secrets never did", "Take out of it what is not in use any more.")
        return ok(text)

    async def _events(self) -> Finding:
        """Whether the latest events that Stripe lists are here, whichever way they came."""
        async with self._database.transaction() as tx:
            installation = await InstallationRepository().find(tx)
        now = self._clock.now()
        start = max(now - _LOOKED_BACK, installation.mark) if installation else now - _LOOKED_BACK
        listed = await self._stripe.list_events(created_from=to_unix(start), created_until=to_unix(now - _FRESH))
        handled = set(self._endpoints.events(None))
        wanted = [event for event in listed.value if event.raw["type"] in handled]
        async with self._database.connection() as connection:
            known = await CursorRepository().known(connection, [event.id for event in wanted])
        missing = [event for event in wanted if event.id not in known]
        if missing:
            return fail(
                f"{len(missing)} of the last {len(wanted)} events are not here, the newest {missing[0].id} "
                f"({missing[0].raw['type']}, {since(missing[0].created, now)})",
                "See the endpoint above. The worker catches up from Stripe's list by itself, if it runs and "
                "EVENT_CATCH_UP_S is not 0.",
            )
        return ok(f"the last {len(wanted)} are here" if wanted else "none of the last day is older than five minutes")

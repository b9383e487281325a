"""The doctor's look at the settings: what is allowed each by itself, and dangerous or useless together."""

from collections.abc import Sequence
from urllib.parse import urlsplit

import aiohttp

from tallystick.doctor.models import Check, Finding, fail, ok, skip, warn
from tallystick.platform.mail import MailDelayed, SmtpTransport
from tallystick.platform.settings import Settings
from tallystick.stripe_gateway.dialect import NEWEST_READ, OLDEST_READ, can_read

__all__ = ["SettingsChecks"]

_GROUP = "Settings"
_SECRET_LEAST_CHARS = 24
_API_TIMEOUT_S = 5.0
# All of 10.0.0.0/8 may be one's own; nothing wider is.
_WIDEST_IPV4, _WIDEST_IPV6 = 8, 32


class SettingsChecks:
    """Settings, and what they name: the API at PUBLIC_URL, and the mail server."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def checks(self) -> Sequence[Check]:
        return (
            Check(_GROUP, "settings.usable", "Usable", self._usable),
            Check(_GROUP, "settings.together", "Together", self._together),
            Check(_GROUP, "settings.addresses", "Addresses", self._addresses),
            Check(_GROUP, "settings.door", "Door", self._door),
            Check(_GROUP, "api.reachable", "API", self._api),
            Check(_GROUP, "mail.server", "Mail server", self._mail_server),
        )

    async def _usable(self) -> Finding:
        version = self._settings.stripe_api_version
        if not can_read(version):
            return fail(
                f"STRIPE_API_VERSION={version} cannot be read",
                f"Set it to a version from {OLDEST_READ} to {NEWEST_READ}.",
            )
        mode = "live" if self._settings.live else "test"
        where = "the sandbox" if self._settings.sandboxed else "Stripe"
        return ok(f"{self._settings.environment}, {mode} mode at {where}, API version {version}")

    async def _together(self) -> Finding:
        problems = [text for is_so, text in self._dangers() if is_so]
        if problems:
            return warn("; ".join(problems), "Set them, or leave it so if it is meant.")
        return ok("nothing dangerous among them")

    def _dangers(self) -> Sequence[tuple[bool, str]]:
        settings = self._settings
        production = settings.environment == "production"
        secrets = [secret.get_secret_value() for secret in settings.stripe_webhook_secret]
        return (
            (production and not settings.live and not settings.sandboxed, "a test key in production"),
            (production and settings.sandboxed, "STRIPE_API_BASE is not Stripe's, in production"),
            (production and settings.smtp_url is None, "SMTP_URL is not set: mails are queued and wait"),
            (settings.admin_email is None, "ADMIN_EMAIL is not set: nobody is told of alerts"),
            (not settings.stripe_publishable_key, "STRIPE_PUBLISHABLE_KEY is not set: hosted pages take no cards"),
            (production and settings.stripe_event_polling, "STRIPE_EVENT_POLLING is meant for laptops"),
            (production and bool(settings.outbound_allow_private), "OUTBOUND_ALLOW_PRIVATE opens the inner network"),
            (production and settings.mail_from.endswith("@localhost>"), "MAIL_FROM is at localhost"),
            (len(secrets) > 2, f"STRIPE_WEBHOOK_SECRET holds {len(secrets)} secrets: old ones still open the inbox"),
            (
                production and any(len(secret) < _SECRET_LEAST_CHARS for secret in secrets),
                "STRIPE_WEBHOOK_SECRET is too short to be Stripe's",
            ),
            (
                production and not settings.sealing_keys,
                "SEALING_KEYS is not set: what signs outbound webhooks is stored as it is",
            ),
            (settings.catch_up_every_s == 0, "EVENT_CATCH_UP_S=0: what webhooks miss stays missing"),
        )

    async def _door(self) -> Finding:
        settings = self._settings
        problems = [text for is_so, text in self._gaps() if is_so]
        if problems:
            return warn("; ".join(problems), "docs/security.md says what each of these settings does.")
        scheme = "HTTPS only" if settings.secure else "plain HTTP too"
        limits = "rate limits are on" if all(quota for quota, _ in settings.rate_limits.values()) else "limits are off"
        return ok(f"{scheme}, {len(settings.trusted_proxies)} trusted networks, {limits}")

    def _gaps(self) -> Sequence[tuple[bool, str]]:
        settings = self._settings
        production = settings.environment == "production"
        wide = [
            str(network)
            for network in settings.trusted_proxies
            if network.prefixlen < (_WIDEST_IPV4 if network.version == 4 else _WIDEST_IPV6)
        ]
        off = [f"RATE_LIMIT_{name.upper()}" for name, (quota, _) in settings.rate_limits.items() if not quota]
        plain = [origin for origin in settings.cors_origins if not origin.startswith("https://")]
        return (
            (production and not settings.secure, "production takes plain HTTP (HTTPS_ONLY, PUBLIC_URL)"),
            (settings.secure and not settings.trusted_proxies, "TRUSTED_PROXIES is empty: no request counts as HTTPS"),
            (bool(wide), f"TRUSTED_PROXIES holds {', '.join(wide)}: whoever is there can claim any address"),
            (settings.secure and not settings.hsts_max_age_s, "HSTS_MAX_AGE_S=0: browsers are not told to use HTTPS"),
            (production and bool(off), f"{', '.join(off)}=0: no limit"),
            (
                bool(settings.cors_origins) and not settings.buyers_hold_tokens,
                "CORS_ORIGINS lets pages send the tokens of users, and USER_TOKENS=server trusts these with refunds",
            ),
            (production and bool(plain), f"CORS_ORIGINS holds {', '.join(plain)}, which anybody on the way can change"),
        )

    async def _addresses(self) -> Finding:
        settings = self._settings
        named = {
            "PUBLIC_URL": settings.public_url,
            "PAYMENT_RETURN_URL": settings.payment_return_url,
            "BILLING_LOGIN_URL": settings.billing_login_url,
            "TERMS_URL": settings.terms_url,
            "PRIVACY_URL": settings.privacy_url,
        }
        if settings.public_url is None:
            return warn("PUBLIC_URL is not set", "Set it: Stripe's events, hosted pages and links in mails need it.")
        wrong = [
            name
            for name, url in named.items()
            if url and (urlsplit(url).hostname is None or (settings.live and not url.startswith("https://")))
        ]
        if wrong:
            return warn(
                f"{', '.join(wrong)}: not an https:// address", "Set the whole address, with https:// in front."
            )
        others = [name for name, url in named.items() if url and name != "PUBLIC_URL"]
        return ok(", ".join([settings.public_url, *others]))

    async def _api(self) -> Finding:
        url = self._settings.public_url
        if url is None:
            return skip("PUBLIC_URL is not set")
        try:
            timeout = aiohttp.ClientTimeout(total=_API_TIMEOUT_S)
            async with aiohttp.ClientSession(timeout=timeout) as http, http.get(f"{url.rstrip('/')}/readyz") as answer:
                status, body = answer.status, (await answer.text())[:200]
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            return warn(
                f"{url} does not answer from here ({type(error).__name__})",
                "Start it with `tallystick serve`; if it runs, check DNS, the proxy and the certificate.",
            )
        if status != 200:
            return fail(f"{url}/readyz answers {status}: {body}", "See the API's log, and the checks below.")
        return ok(f"ready at {url}")

    async def _mail_server(self) -> Finding:
        if self._settings.smtp_url is None:
            return skip("SMTP_URL is not set")
        transport = SmtpTransport(self._settings.smtp_url.get_secret_value())
        try:
            await transport.probe()
        except MailDelayed as error:
            return fail(str(error), "Check SMTP_URL and that the mail server runs. Mails wait and are not lost.")
        return ok("takes our connection")

"""Every setting, read once from the environment, checked as a whole, and handed down frozen.

A setting `X` may also be given as a file: `X_FILE=/run/secrets/x` (for container secrets).
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, model_validator

from tallystick.core.currencies import CURRENCIES
from tallystick.platform.logging import hide
from tallystick.platform.settings_database import DatabaseSettings, database_problems
from tallystick.platform.settings_door import CommaList, DoorSettings, Origins, split

__all__ = ["STRIPE_API_BASE", "Settings", "SettingsError", "load_settings"]

STRIPE_API_BASE = "https://api.stripe.com"
_SEALING_KEY_LEAST = 32


class SettingsError(Exception):
    """The environment cannot be used; the message names every variable at fault and what it should be."""


def _split_or_none(value: object) -> object:
    return [] if value == "none" else split(value)


CauseList = Annotated[list[Literal["missed_event", "ours", "dashboard", "foreign"]], BeforeValidator(_split_or_none)]
DayList = Annotated[list[Annotated[int, Field(ge=1, le=60)]], BeforeValidator(split)]
SecretList = Annotated[list[SecretStr], BeforeValidator(split)]


class Settings(DoorSettings, DatabaseSettings):
    """The settings of one installation. Amounts are minor units of their currency."""

    installation_id: str = Field(default="default", pattern=r"^[A-Za-z0-9_-]{1,40}$")

    # Stripe
    stripe_publishable_key: str = ""
    stripe_secret_key: SecretStr
    stripe_webhook_secret: SecretList
    stripe_api_version: str = Field(default="2023-10-16", pattern=r"^\d{4}-\d{2}-\d{2}(\.[a-z_]+)?$")
    stripe_api_base: str = STRIPE_API_BASE
    stripe_event_polling: bool = False
    event_catch_up_s: float | None = Field(default=None, ge=0, le=86_400, description="0: never")
    stripe_timeout_s: float = Field(default=20.0, gt=0, le=80)
    stripe_rate_limit: int | None = Field(default=None, ge=1, le=10_000, description="calls a second")
    stripe_background_rate: int = Field(default=10, ge=1, le=1000, description="of them, most in the background")
    reconcile_every_s: float = Field(default=300, ge=0, le=86_400, description="0: never")
    reconcile_full_hour: int = Field(default=3, ge=-1, le=23, description="of the day in UTC; -1: never")
    reconcile_repair: CauseList = Field(default=["missed_event", "ours", "dashboard", "foreign"])
    clock_file: Path | None = Field(default=None, description="how far the sandbox has moved business time ahead")

    # Payments
    default_currency: str = "usd"
    max_payment_amount: int = Field(default=100_000, ge=1)
    min_payment_amount: int = Field(default=50, ge=1)
    auto_capture_payments: bool = True
    abandoned_payment_days: int = Field(default=7, ge=1, le=365)
    payment_return_url: str | None = None

    # Subscriptions
    default_trial_days: int = Field(default=14, ge=0, le=730)
    trial_end_without_card: Literal["cancel", "pause", "create_invoice"] = "cancel"
    allow_multiple_subscriptions: bool = False
    proration_behavior: Literal["create_prorations", "always_invoice", "none"] = "create_prorations"
    grace_period_days: int = Field(default=3, ge=0, le=90)
    max_retry_attempts: int = Field(default=3, ge=0, le=20)
    paused_subscriptions_keep_access: bool = False
    dunning_mode: Literal["stripe", "local"] = "stripe"
    dunning_retry_days: DayList = Field(default=[3, 5, 7], min_length=1, max_length=20)
    dunning_end: Literal["cancel", "leave"] = "cancel"

    # Webhooks
    webhook_max_retries: int = Field(default=3, ge=0, le=50)
    webhook_retry_delay: int = Field(default=1000, ge=1, le=86_400_000, description="milliseconds")
    webhook_tolerance_s: int = Field(default=300, ge=1, le=3600)

    # Outbound webhooks
    outbound_allow_private: bool | None = None

    sealing_keys: SecretList = Field(default=[], description="stored secrets are sealed by the first, opened by any")

    # Access
    jwt_secret: SecretStr | None = None
    jwt_jwks_url: str | None = None
    jwt_issuer: str = "tallystick"
    jwt_audience: str = "tallystick"
    jwt_roles_claim: str = "roles"

    # Mail
    smtp_url: SecretStr | None = None
    mail_from: str = "Payments <payments@localhost>"
    admin_email: str | None = None
    mail_locale: Literal["en", "de", "ja"] = "en"
    mails_disabled: CommaList = Field(default=[])
    mail_templates_dir: Path | None = None

    # Hosted pages
    brand_name: str | None = Field(default=None, min_length=1, max_length=80)
    brand_color: str | None = Field(default=None, pattern=r"^#[0-9A-Fa-f]{6}$")
    brand_logo_url: str | None = Field(default=None, pattern=r"^https://[^\s;,'\"]+$")
    brand_logo_path: Path | None = None
    terms_url: str | None = Field(default=None, pattern=r"^https?://[^\s]+$")
    privacy_url: str | None = Field(default=None, pattern=r"^https?://[^\s]+$")
    checkout_return_urls: Origins = Field(default=[])
    billing_login_url: str | None = Field(default=None, pattern=r"^https?://[^\s]+$")
    stripe_js_url: str | None = Field(default=None, pattern=r"^https://[a-z0-9.-]+\.stripe\.com/[^\s;,'\"]*$")

    # What is kept
    keep_idempotency_keys_days: int = Field(default=30, ge=1, le=3650)
    keep_done_work_days: int = Field(default=7, ge=1, le=3650)
    keep_deliveries_days: int = Field(default=30, ge=1, le=3650)
    keep_audit_days: int = Field(default=3650, ge=1, le=36500)
    # Stripe sends an event again for three days, and tells of the events of the last thirty.
    keep_payloads_days: int = Field(default=30, ge=7, le=3650)
    keep_archive_months: int = Field(default=0, ge=0, le=1200, description="0: for ever")

    # Figures
    metrics_time_zone: str = Field(default="UTC", description="whose days are reported")
    metrics_currency: str | None = Field(default=None, description="what all is converted to (DEFAULT_CURRENCY)")
    metrics_discounts: Literal["forever", "all", "none"] = "forever"

    metrics_port: int = Field(default=0, ge=0, le=65535, description="where a worker serves /metrics; 0: nowhere")
    metrics_host: str = Field(default="127.0.0.1", description="the address of METRICS_PORT")
    alerts_built_in: bool = Field(default=True, description="off where Prometheus evaluates the alerts")
    metrics_token: SecretStr | None = Field(default=None, description="what Prometheus sends to read /metrics")
    alert_urls: SecretList = Field(default=[], description="channels beside mail, as apprise writes them (slack://…)")

    # Logs
    stop_grace_s: float = Field(default=25, ge=1, le=600, description="what is in hand at SIGTERM gets to finish")
    stop_delay_s: float = Field(default=0, ge=0, le=120, description="how long it is served on, unready, before that")
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] = "json"

    # Traces: OpenTelemetry's own variables, of which it reads the others itself
    otel_exporter_otlp_endpoint: str | None = Field(default=None, pattern=r"^https?://[^\s]+$")
    otel_exporter_otlp_traces_endpoint: str | None = Field(default=None, pattern=r"^https?://[^\s]+$")
    otel_traces_exporter: Literal["otlp", "none"] = "otlp"
    otel_sdk_disabled: bool = False

    payment_amount_limits: dict[str, tuple[int | None, int | None]] = Field(default_factory=dict, exclude=True)

    @property
    def live(self) -> bool:
        """Whether the secret key moves real money."""
        return self.stripe_secret_key.get_secret_value().startswith(("sk_live_", "rk_live_"))

    @property
    def sandboxed(self) -> bool:
        """Whether "Stripe" is something else than Stripe."""
        return self.stripe_api_base != STRIPE_API_BASE

    @property
    def calls_a_second(self) -> int:
        """How many calls a second all processes together make: as set, else four fifths of what Stripe takes."""
        if self.stripe_rate_limit is not None:
            return self.stripe_rate_limit
        if self.sandboxed:
            return 1000
        return 80 if self.live else 20

    @property
    def catch_up_every_s(self) -> float:
        """How often the list of events is read, in seconds; 0: never."""
        if self.event_catch_up_s is not None:
            return self.event_catch_up_s
        return 2.0 if self.stripe_event_polling else 60.0

    @property
    def stripe_js(self) -> str:
        """Where the browser loads Stripe.js from."""
        if self.stripe_js_url:
            return self.stripe_js_url
        return f"{self.stripe_api_base.rstrip('/')}/v3/" if self.sandboxed else "https://js.stripe.com/v3/"

    @property
    def billing_url(self) -> str | None:
        """The billing pages as mails name them; None where whoever is not signed in could not be sent on."""
        if self.public_url is None or self.billing_login_url is None:
            return None
        return f"{self.public_url.rstrip('/')}/billing"

    @property
    def retry_schedule(self) -> list[int]:
        """After how many days each failed renewal is tried again, counted from the failure before."""
        days = self.dunning_retry_days
        return (days + days[-1:] * self.max_retry_attempts)[: self.max_retry_attempts]

    @property
    def private_webhooks_allowed(self) -> bool:
        """Whether outbound webhooks may go to private addresses: as set, else only where nothing is in production."""
        if self.outbound_allow_private is None:
            return self.environment != "production"
        return self.outbound_allow_private

    @property
    def traces_endpoint(self) -> str | None:
        """Where spans are sent; None where nothing is traced."""
        if self.otel_sdk_disabled or self.otel_traces_exporter == "none":
            return None
        if self.otel_exporter_otlp_traces_endpoint or self.otel_exporter_otlp_endpoint is None:
            return self.otel_exporter_otlp_traces_endpoint
        return f"{self.otel_exporter_otlp_endpoint.rstrip('/')}/v1/traces"

    def amount_limits(self, currency: str) -> tuple[int, int]:
        """Smallest and largest payment in minor units of `currency`.

        `MIN_PAYMENT_AMOUNT_JPY` and `MAX_PAYMENT_AMOUNT_JPY` set a currency's own, else the general
        figures hold.
        """
        low, high = self.payment_amount_limits.get(currency, (None, None))
        return low or self.min_payment_amount, high or self.max_payment_amount

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        problems = [*_key_problems(self), *_access_problems(self), *_live_problems(self), *_clock_problems(self)]
        if self.brand_logo_path is not None and not self.brand_logo_path.is_file():
            problems.append("BRAND_LOGO_PATH: there is no such file")
        try:
            ZoneInfo(self.metrics_time_zone)
        except (ZoneInfoNotFoundError, ValueError):
            problems.append("METRICS_TIME_ZONE: is no time zone (an IANA name, e.g. Europe/Berlin)")
        if self.metrics_currency is not None and self.metrics_currency not in CURRENCIES:
            problems.append("METRICS_CURRENCY: not a currency that Stripe takes (lower-case ISO code, e.g. usd)")
        if self.default_currency not in CURRENCIES:
            problems.append("DEFAULT_CURRENCY: not a currency that Stripe takes (lower-case ISO code, e.g. usd)")
        if self.min_payment_amount > self.max_payment_amount:
            problems.append("MIN_PAYMENT_AMOUNT: is larger than MAX_PAYMENT_AMOUNT")
        problems += database_problems(self)
        if problems:
            raise ValueError("\n".join(problems))
        return self


def _key_problems(settings: Settings) -> list[str]:
    problems = []
    secret, publishable = settings.stripe_secret_key.get_secret_value(), settings.stripe_publishable_key
    if not secret.startswith(("sk_test_", "sk_live_", "rk_test_", "rk_live_")):
        problems.append("STRIPE_SECRET_KEY: should begin with sk_test_, sk_live_, rk_test_ or rk_live_")
    if publishable and not publishable.startswith(("pk_test_", "pk_live_")):
        problems.append("STRIPE_PUBLISHABLE_KEY: should begin with pk_test_ or pk_live_")
    elif publishable and publishable.startswith("pk_live_") != settings.live:
        problems.append("STRIPE_PUBLISHABLE_KEY: is of another mode (test, live) than STRIPE_SECRET_KEY")
    if not settings.stripe_webhook_secret and not settings.stripe_event_polling:
        problems.append("STRIPE_WEBHOOK_SECRET: is empty; without it no webhook can be trusted")
    if any(not secret.get_secret_value().startswith("whsec_") for secret in settings.stripe_webhook_secret):
        problems.append("STRIPE_WEBHOOK_SECRET: each secret should begin with whsec_ (several: comma-separated)")
    return problems


def _access_problems(settings: Settings) -> list[str]:
    if settings.jwt_secret is None and settings.jwt_jwks_url is None:
        return ["JWT_SECRET or JWT_JWKS_URL: one of them is needed to check access tokens"]
    if settings.jwt_secret is not None and len(settings.jwt_secret.get_secret_value().encode()) < 32:
        return ["JWT_SECRET: should have at least 32 bytes (RFC 7518, 3.2)"]
    if any(len(key.get_secret_value()) < _SEALING_KEY_LEAST for key in settings.sealing_keys):
        return [f"SEALING_KEYS: each should have at least {_SEALING_KEY_LEAST} characters (`openssl rand -base64 32`)"]
    return []


def _live_problems(settings: Settings) -> list[str]:
    if not settings.live:
        return []
    problems = []
    if settings.sandboxed:
        problems.append("STRIPE_SECRET_KEY: a live key never talks to the sandbox (STRIPE_API_BASE is set)")
    if settings.environment != "production":
        problems.append(f"STRIPE_SECRET_KEY: a live key is refused where ENVIRONMENT={settings.environment}")
    if not (settings.public_url or "").startswith("https://"):
        problems.append("PUBLIC_URL: should be the https:// address of this service when the key is live")
    return problems


def _clock_problems(settings: Settings) -> list[str]:
    if settings.clock_file is None:
        return []
    problems = []
    if settings.live or not settings.sandboxed:
        problems.append("CLOCK_FILE: time is moved only with the sandbox; leave it empty where Stripe is the real one")
    if settings.environment == "production":
        problems.append("CLOCK_FILE: time is never moved in production; set ENVIRONMENT=development, or leave it empty")
    return problems


def _currency_limits(
    environment: Mapping[str, str],
) -> tuple[dict[str, tuple[int | None, int | None]], list[str]]:
    limits: dict[str, tuple[int | None, int | None]] = {}
    problems = []
    for name, value in environment.items():
        which, _, code = name.upper().partition("_PAYMENT_AMOUNT_")
        if which not in ("MIN", "MAX") or not code:
            continue
        currency = code.lower()
        if currency not in CURRENCIES:
            problems.append(f"{name}: {code} is not a currency that Stripe takes")
        elif not value.isdecimal() or int(value) < 1:
            problems.append(f"{name}: should be a whole number of minor units, 1 or more")
        else:
            low, high = limits.get(currency, (None, None))
            limits[currency] = (int(value), high) if which == "MIN" else (low, int(value))
    return limits, problems


def _with_files(environment: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    values, problems = dict(environment), []
    for name, path in environment.items():
        if name.endswith("_FILE") and name[:-5].lower() in Settings.model_fields:
            try:
                values[name[:-5]] = Path(path).read_text(encoding="utf-8").strip()
            except OSError as error:
                problems.append(f"{name}: cannot be read ({error.strerror})")
    return values, problems


def load_settings(environment: Mapping[str, str]) -> Settings:
    """The settings that `environment` gives.

    Raises:
        SettingsError: with one line for every variable at fault; no value is repeated, as it may be a secret.

    From then on no log shows what is secret among them.
    """
    values, problems = _with_files(environment)
    limits, more = _currency_limits(values)
    problems += more
    known = {name.lower(): value for name, value in values.items() if name.lower() in Settings.model_fields}
    known = {name: value for name, value in known.items() if value != "" or name == "stripe_publishable_key"}
    try:
        settings = Settings.model_validate({**known, "payment_amount_limits": limits})
    except ValidationError as error:
        problems += [line for found in error.errors() for line in _lines(found)]
    if problems:
        raise SettingsError("The settings cannot be used:\n" + "\n".join(f"  {line}" for line in problems))
    hide(_secrets_of(settings))
    return settings


def _secrets_of(settings: Settings) -> Iterator[str]:
    """What must never be shown: every secret, and each part of one that is an address."""
    for name in Settings.model_fields:
        value = getattr(settings, name)
        for secret in value if isinstance(value, list) else [value]:
            if isinstance(secret, SecretStr):
                text = secret.get_secret_value()
                yield text
                if "://" in text:
                    yield from _secret_parts(text, anywhere=name == "alert_urls")


def _secret_parts(address: str, *, anywhere: bool) -> Iterator[str]:
    """The password; of a channel, which may have its token anywhere, whatever is no host."""
    parts = re.split(r"[/:@?&=]+", address) if anywhere else []
    with suppress(ValueError):
        parts.append(urlsplit(address).password or "")
    for part in parts:
        if not (anywhere and "." in part):
            yield part
            yield unquote(part)


def _lines(found: Any) -> list[str]:
    message = str(found["msg"]).removeprefix("Value error, ")
    if not found["loc"]:
        return message.splitlines()
    if found["type"] == "missing":
        message = "is not set"
    return [f"{str(found['loc'][0]).upper()}: {message[0].lower()}{message[1:]}"]

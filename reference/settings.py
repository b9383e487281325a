"""docs/reference/settings.md: every setting, with its default and its bounds, as `platform/settings.py` has them."""

import ast
import inspect
import re
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from reference.markdown import cell, code, page, table
from tallystick.platform.settings import Settings

__all__ = ["TOLD", "settings_page"]

TOLD = {
    "environment": "`development` and `test` allow what production must not: no TLS, a moved clock, private addresses",
    "public_url": "where customers and Stripe reach this service; needed by the hosted pages and with a live key",
    "installation_id": "part of every idempotency key at Stripe; never change it",
    "trusted_proxies": "addresses and networks whose word is taken for a caller's address, or `none`",
    "proxy_headers": "which headers they use",
    "allowed_hosts": "names that requests may bear in `Host`, beside PUBLIC_URL's and this machine's own",
    "https_only": "turn plain HTTP away; else only in production with an `https://` PUBLIC_URL",
    "hsts_max_age_s": "for how long browsers are to use HTTPS only, in seconds; 0: the header is not sent",
    "cors_origins": "origins whose pages may call the API from a browser",
    "request_body_timeout_s": "how long a body may take to come, in seconds",
    "rate_limit_reads": "requests/seconds that a caller may read, e.g. `600/60`; 0: no limit",
    "rate_limit_writes": "the same for what changes something",
    "rate_limit_money": "the same for what moves money",
    "rate_limit_service": "the same for tokens with the role `service`",
    "rate_limit_address": "the same for one address, whatever it sends",
    "rate_limit_public": "the same for what needs no token",
    "rate_limit_pages": "the same for the hosted pages",
    "rate_limit_console": "the same for the console",
    "rate_limit_login": "the same for signing in to the console",
    "rate_limit_bad_tokens": "the same for requests with a token that is not valid",
    "rate_limit_exempt": "addresses and networks that are not counted, or `none`",
    "database_url": "`postgresql://user:password@host:port/database`, PostgreSQL 15 or later",
    "database_schema": "the schema that holds all tables",
    "database_pool_size": "connections of each process",
    "stripe_publishable_key": "`pk_test_…` or `pk_live_…`, for the hosted pages",
    "stripe_secret_key": "`sk_…` or a restricted `rk_…`; `test` or `live` decides whether money moves",
    "stripe_webhook_secret": "`whsec_…` of the endpoint; two, separated by a comma, while it is rolled",
    "stripe_api_version": "the version in which calls are made",
    "stripe_api_base": "where Stripe is; the sandbox's address offline",
    "stripe_event_polling": "fetch events instead of waiting for webhooks, where none can come",
    "event_catch_up_s": "how often Stripe's list of events is read, in seconds; 60, or 2 with polling; 0: never",
    "stripe_timeout_s": "how long a call to Stripe may take, in seconds",
    "stripe_rate_limit": "calls a second of all processes together; else 80 with a live key, 20 with a test key",
    "stripe_background_rate": "of them, how many at most in the background",
    "reconcile_every_s": "how often what has changed is compared with Stripe, in seconds; 0: never",
    "reconcile_full_hour": "the hour (UTC) at which all is compared; -1: never",
    "reconcile_repair": "which causes of differences are repaired, or `none`",
    "clock_file": "how far the sandbox has moved business time ahead; `dev` sets it",
    "default_currency": "of payments that name none",
    "max_payment_amount": "in minor units; `MAX_PAYMENT_AMOUNT_JPY` sets a currency's own",
    "min_payment_amount": "in minor units; `MIN_PAYMENT_AMOUNT_JPY` sets a currency's own",
    "auto_capture_payments": "capture at once unless a payment says otherwise",
    "abandoned_payment_days": "after how many days a payment that nobody paid is canceled",
    "payment_return_url": "where customers come back to after 3D Secure, if a payment names no address",
    "default_trial_days": "of subscriptions that name no trial",
    "trial_end_without_card": "what becomes of a trial that ends without a payment method",
    "allow_multiple_subscriptions": "let a user have several live ones",
    "proration_behavior": "what becomes of the rest of a period when a plan changes",
    "grace_period_days": "how long access lasts after a renewal failed",
    "max_retry_attempts": "how often an unpaid renewal is tried again",
    "paused_subscriptions_keep_access": "whether who pauses may go on using it",
    "dunning_mode": "who tries unpaid renewals again",
    "dunning_retry_days": "days from each failure to the next try",
    "dunning_end": "what happens after the last try",
    "webhook_max_retries": "tries of an event whose handler fails, before it is a dead letter",
    "webhook_retry_delay": "before the first of them, in milliseconds; doubles each time",
    "webhook_tolerance_s": "how old a signature may be, in seconds",
    "outbound_allow_private": "let outbound webhooks go to private addresses; else only outside of production",
    "jwt_secret": "what access tokens are signed with (HS256), 32 bytes or more",
    "jwt_jwks_url": "where the keys of access tokens are, instead of a secret",
    "jwt_issuer": "what `iss` of a token must be",
    "jwt_audience": "what `aud` of a token must be",
    "jwt_roles_claim": "the claim that holds the roles",
    "smtp_url": "`smtp://user:password@host:587`; without one mails are queued and wait",
    "mail_from": "`Name <address>`; mails are signed with the name",
    "admin_email": "who is told when something needs a person",
    "mail_locale": "the language for customers whose own is not known",
    "mails_disabled": "mails that are never sent, by name",
    "mail_templates_dir": "a folder of your own templates and texts",
    "brand_name": "your name on the hosted pages",
    "brand_color": "`#rrggbb`, of their buttons",
    "brand_logo_url": "a logo on another server, by https",
    "brand_logo_path": "a logo in a file",
    "terms_url": "a link at the foot of the pages",
    "privacy_url": "a link at the foot of the pages",
    "checkout_return_urls": "origins to which the checkout page may send customers back",
    "billing_login_url": "where whoever opens the billing pages without a session is sent to",
    "stripe_js_url": "another address of Stripe.js; needed only to pin a version",
    "keep_idempotency_keys_days": "answers under an `Idempotency-Key`",
    "keep_done_work_days": "done background work",
    "keep_deliveries_days": "outbound deliveries that ended",
    "keep_audit_days": "the audit log",
    "keep_payloads_days": "payloads of events in the inbox; then they move to the archive",
    "keep_archive_months": "months of the archive; 0: for ever",
    "metrics_time_zone": "whose days the money figures are of: an IANA name",
    "metrics_currency": "what all is converted to; else DEFAULT_CURRENCY",
    "metrics_discounts": "which discounts lower recurring revenue",
    "metrics_port": "where a worker serves `/metrics`; 0: nowhere",
    "metrics_host": "the address of METRICS_PORT",
    "alerts_built_in": "evaluate the alerts here; `false` where Prometheus does",
    "metrics_token": "what Prometheus sends as a bearer token; without one `/metrics` is closed in production",
    "alert_urls": "channels beside mail, as apprise writes them (`slack://…`)",
    "request_body_max_bytes": "the largest body the API takes",
    "webhook_body_max_bytes": "the largest event the inbox takes",
    "log_level": "what is logged",
    "log_format": "`json` for machines, `console` for people",
    "otel_exporter_otlp_endpoint": "where spans go (OTLP over HTTP); without one nothing is traced",
    "otel_exporter_otlp_traces_endpoint": "the same, the whole address for spans alone",
    "otel_traces_exporter": "`none` switches traces off",
    "otel_sdk_disabled": "switches OpenTelemetry off",
}
"""What each setting is, where its field has no description of its own."""

_HIDDEN = ("payment_amount_limits",)
_SECTION = re.compile(r"    # (?P<title>[A-Z][^.]*?)(?::.*)?$")


def settings_page() -> str:
    """The page."""
    return page(
        "Settings",
        "Every process reads its settings once, at the start, from the environment. Each `X` may also come from a file "
        "that `X_FILE` names, as secrets of containers do. What is missing or wrong is said at once, all of it, and no "
        "value is repeated. Switches take `true` and `false`; lists are separated by commas.",
        *(_section(title, names) for title, names in sections().items()),
    )


def sections() -> dict[str, list[str]]:
    """The names of the settings under the headings that the source gives them."""
    found: dict[str, list[str]] = {}
    heading = "Where this installation is, and whom it lets in"
    for kind in reversed(Settings.__mro__):
        if issubclass(kind, BaseModel) and kind is not BaseModel:
            for title, name in _declared(kind, heading):
                found.setdefault(title, []).append(name)
    return found


def _declared(kind: type[BaseModel], heading: str) -> Iterator[tuple[str, str]]:
    lines = inspect.getsourcelines(kind)[0]
    starts = {node.lineno: node.target.id for node in _fields(lines)}
    for number, line in enumerate(lines, 1):
        if (match := _SECTION.match(line)) and not lines[number - 2].strip():
            heading = match["title"]
        elif number in starts and starts[number] not in _HIDDEN:
            yield heading, starts[number]


def _fields(lines: list[str]) -> Iterator[Any]:
    body = next(node for node in ast.parse("".join(lines)).body if isinstance(node, ast.ClassDef)).body
    return (node for node in body if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name))


def _section(title: str, names: list[str]) -> str:
    rows = [_row(name, Settings.model_fields[name]) for name in names]
    return f"## {title}\n\n" + table(("setting", "default", "what"), rows)


def _row(name: str, field: FieldInfo) -> tuple[str, str, str]:
    told = TOLD.get(name) or field.description
    if not told:
        raise KeyError(f"{name.upper()} has no description: give its Field one, or TOLD")
    allowed = _allowed(field)
    return code(name.upper()), _default(field), cell(f"{told}{f' ({allowed})' if allowed else ''}").replace("&lt;", "<")


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "**needed**" if field.is_required() else ""
    value = field.default
    if value is None or value in ("", []):
        return ""
    if isinstance(value, bool):
        return code(str(value).lower())
    return code(",".join(str(part) for part in value) if isinstance(value, list) else value)


def _allowed(field: FieldInfo) -> str:
    choices = _choices(field.annotation)
    if choices and isinstance(choices[0], str):
        return ", ".join(f"`{choice}`" for choice in choices)
    low = next((item.ge for item in field.metadata if hasattr(item, "ge")), None)
    high = next((item.le for item in field.metadata if hasattr(item, "le")), None)
    if low is not None and high is not None:
        return f"{low:,} to {high:,}"
    return f"at least {low:,}" if low is not None else ""


def _choices(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) is Literal else ()

"""What every answer says to browsers about itself: one table, by kind of address. A page's own header goes first."""

from collections.abc import Sequence

__all__ = ["API", "ASSETS", "PAGES", "RawHeaders", "dressed", "hsts"]

RawHeaders = Sequence[tuple[bytes, bytes]]

_ALL = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "x-frame-options": "DENY",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-permitted-cross-domain-policies": "none",
}


def _raw(**changes: str) -> RawHeaders:
    headers = _ALL | {name.replace("_", "-"): value for name, value in changes.items()}
    return tuple((name.encode(), value.encode()) for name, value in headers.items())


API = _raw()
PAGES = _raw(
    referrer_policy="same-origin",
    # A bank's window, opened by Stripe's form, tells its opener how it went.
    cross_origin_opener_policy="same-origin-allow-popups",
)
# Mails show the brand's logo.
ASSETS = _raw(cross_origin_resource_policy="cross-origin")


def hsts(max_age_s: int) -> RawHeaders:
    """That browsers are to come by HTTPS only from now on."""
    return ((b"strict-transport-security", b"max-age=%d" % max_age_s),) if max_age_s else ()


def dressed(given: RawHeaders, table: RawHeaders) -> list[tuple[bytes, bytes]]:
    """`given`, and what of `table` it does not name."""
    names = {name for name, _ in given}
    return [*given, *(header for header in table if header[0] not in names)]

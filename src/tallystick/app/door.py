"""Which address is of which kind: by what it is counted, and what its answers say to browsers."""

from tallystick.metrics.exposition import METRICS_PATH
from tallystick.platform.door import Place
from tallystick.platform.security_headers import API, ASSETS, PAGES
from tallystick.settling.controller import SETTLE_PATH
from tallystick.ui.kit import ASSETS_PATH
from tallystick.webhooks.service_endpoints import ENDPOINT_PATH

__all__ = ["place_of"]

_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_MONEY = ("/api/payments", "/api/subscriptions", "/api/invoices")

_READ = Place(API, "public", "reads", cors=True)
_WRITE = Place(API, "public", "writes", cors=True)
_MOVE_MONEY = Place(API, "public", "money", cors=True)
_PAGE = Place(PAGES, "pages", page=True)
_LINK = Place(PAGES, "pages", page=True, guessable=True)
_CONSOLE = Place(PAGES, "console", page=True)
_LOGIN = Place(PAGES, "login", page=True)
_ASSET = Place(ASSETS)
_ELSEWHERE = Place(API, "public")
# Stripe's events are never turned away for being many: what bounds them is the inbox's queue, whose 503 Stripe repeats.
# The sandbox asks hundreds of times a second while it moves time.
_EXACT = {
    ENDPOINT_PATH: Place(API, inner=True),
    SETTLE_PATH: Place(API, inner=True),
    METRICS_PATH: Place(API, "public", inner=True),
    "/healthz": Place(API, inner=True),
    "/readyz": Place(API, "public", inner=True),
}
_PREFIXES = (
    ("/pay/", _LINK),
    ("/billing/open/", _LINK),
    ("/billing", _PAGE),
    ("/payments/return", _PAGE),
    ("/console", _CONSOLE),
    (f"{ASSETS_PATH}/", _ASSET),
    ("/brand/", _ASSET),
)


def place_of(method: str, path: str) -> Place:
    """What the door has to know of this address; nothing needs to be there."""
    if path.startswith("/api/"):
        if path == ENDPOINT_PATH:
            return _EXACT[path]
        if method in _READING:
            return _READ
        return _MOVE_MONEY if path.startswith(_MONEY) else _WRITE
    if path in _EXACT:
        return _EXACT[path]
    if path == "/console/login" and method not in _READING:
        return _LOGIN
    return next((place for prefix, place in _PREFIXES if path.startswith(prefix)), _ELSEWHERE)

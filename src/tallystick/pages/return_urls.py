"""Where a page may send its customer back to."""

from urllib.parse import urlsplit

from tallystick.core.checks import check_text
from tallystick.pages.errors import ReturnUrlRefused
from tallystick.platform.settings import Settings

__all__ = ["check_return_url"]


def check_return_url(settings: Settings, field: str, url: str | None) -> None:
    """Raise `ReturnUrlRefused` unless the origin is one of CHECKOUT_RETURN_URLS, or local outside production."""
    if url is None:
        return
    check_text(field, url)
    try:
        parts = urlsplit(url)
        origin, host = f"{parts.scheme}://{parts.netloc}".lower(), parts.hostname
    except ValueError:
        origin, host = "", None
    # A user name would let an address look like another; the allow-list has none.
    local = settings.environment != "production" and host in ("localhost", "127.0.0.1", "::1")
    if origin not in settings.checkout_return_urls and not (local and "@" not in origin):
        raise ReturnUrlRefused(f"The origin of {field} is not among those allowed.", field=field)

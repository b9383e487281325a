"""How pages look to a customer: language, brand, security headers, and failures in words."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from starlette.responses import HTMLResponse, Response

from tallystick.core.declines import decline_of
from tallystick.notifications.addresses import Sender
from tallystick.notifications.formats import Formats
from tallystick.notifications.locales import Catalogue
from tallystick.platform.settings import Settings
from tallystick.ui.colour import brand_stylesheet
from tallystick.ui.kit import page_environment, security_headers

__all__ = ["Brand", "PageRenderer", "brand_of"]

_HERE = Path(__file__).parent
_LOGO_TYPES = {
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
}
# What the customer may be told of a card more exactly than "check its details".
_EXACT = {
    "expired_card": "EXPIRED",
    "expired_payment_method": "EXPIRED",
    "incorrect_cvc": "CVC",
    "invalid_cvc": "CVC",
    "incorrect_number": "NUMBER",
    "invalid_number": "NUMBER",
    "invalid_expiry_month": "EXPIRY",
    "invalid_expiry_year": "EXPIRY",
}
_STRIPE_FRAMES = (
    "https://js.stripe.com https://*.js.stripe.com https://hooks.stripe.com https://link.com https://*.link.com"
)


@dataclass(frozen=True, slots=True)
class Brand:
    """Whose pages these are. `logo` and `stylesheet` are what `logo_url` and `stylesheet_url` serve, where we do."""

    name: str
    logo_url: str | None
    stylesheet_url: str | None
    terms_url: str | None
    privacy_url: str | None
    logo: tuple[bytes, str] | None
    stylesheet: str | None


def brand_of(settings: Settings) -> Brand:
    """The brand as the settings have it; raises OSError when the logo's file cannot be read."""
    logo, logo_url = None, settings.brand_logo_url
    if path := settings.brand_logo_path:
        logo = (path.read_bytes(), _LOGO_TYPES.get(path.suffix.lower(), "image/png"))
        logo_url = f"/brand/logo?v={hashlib.sha256(logo[0]).hexdigest()[:12]}"
    stylesheet = brand_stylesheet(settings.brand_color) if settings.brand_color else None
    return Brand(
        name=settings.brand_name or Sender.parse(settings.mail_from, settings.public_url).name,
        logo_url=logo_url,
        stylesheet_url=f"/brand/brand.css?v={(settings.brand_color or '')[1:]}" if stylesheet else None,
        terms_url=settings.terms_url,
        privacy_url=settings.privacy_url,
        logo=logo,
        stylesheet=stylesheet,
    )


class PageRenderer:
    """Draws the pages of this installation."""

    def __init__(self, settings: Settings, brand: Brand) -> None:
        self._settings = settings
        self._brand = brand
        self._default = settings.mail_locale
        self._texts = Catalogue(texts=_HERE / "texts")
        self._mail_texts = Catalogue()
        self._templates = page_environment(_HERE / "templates")
        images = f"'self' data: {_origin(brand.logo_url)}".strip()
        self._headers = security_headers(img_src=images, script_src="'self'", connect_src="'self'")
        stripe = _origin(settings.stripe_js)
        # The API that Stripe.js talks to is its own origin in the sandbox, and Stripe's everywhere else.
        api = stripe if settings.sandboxed else "https://api.stripe.com"
        self._stripe_headers = security_headers(
            script_src=f"'self' {stripe}" + ("" if settings.sandboxed else " https://*.js.stripe.com"),
            connect_src=f"'self' {api}",
            frame_src=stripe if settings.sandboxed else _STRIPE_FRAMES,
            img_src=f"{images} https://*.stripe.com",
        )

    def locale(self, wanted: str | None, accept_language: str) -> str:
        """The locale of a page: what is wanted, else the first language of the browser that we have."""
        for candidate in (wanted, *_languages(accept_language)):
            if candidate and (found := self._texts.resolve(candidate, "")):
                return found
        return self._default

    def page(
        self, template: str, section: str, locale: str, *, status: int = 200, stripe: bool = False, **values: object
    ) -> Response:
        """A page in the words of `section`; with `stripe`, one that may load Stripe.js and its frames."""
        html = self._templates.get_template(template).render(
            t=self.words(section, locale),
            locale=locale,
            brand=self._brand,
            live=self._settings.live,
            formats=Formats(locale),
            **values,
        )
        return HTMLResponse(html, status, headers=self._stripe_headers if stripe else self._headers)

    def words(self, section: str, locale: str) -> Callable[..., str]:
        """`t` of one page."""
        return self._texts.translator(locale, section, name=self._brand.name)

    def per(self, locale: str) -> Callable[..., str]:
        """Writes a recurring price: `per("month", 3, "$30.00")` is "$30.00 every 3 months"."""
        t = self._mail_texts.translator(locale, "common")

        def write(interval: str, count: int, amount: str) -> str:
            return t(f"per.{interval}{'s' if count > 1 else ''}", amount=amount, count=count)

        return write

    def failure(self, stripe_code: str | None, decline_code: str | None, locale: str) -> dict[str, str]:
        """What a failed try is called, and what to do now."""
        code = decline_of(stripe_code, decline_code).code
        if code == "INVALID_CARD":
            code = _EXACT.get(decline_code or "") or _EXACT.get(stripe_code or "") or code
        return self.refusal(code, locale) or self.refusal("OTHER", locale) or {}

    def refusal(self, code: str, locale: str) -> dict[str, str] | None:
        """What a refused payment of this code (of `core/declines.py`) is called, and what to do now."""
        ours = self._texts.translator(locale, f"problem.{code}", name=self._brand.name)
        if self.has(f"problem.{code}.reason", locale):
            return {"reason": ours("reason"), "action": ours("action")}
        if not self._mail_texts.has(locale, f"payment_failed.action.{code}"):
            return None
        mails = self._mail_texts.translator(locale, "payment_failed", sender=self._brand.name)
        return {"reason": mails(f"reason.{code}"), "action": mails(f"action.{code}")}

    def has(self, key: str, locale: str) -> bool:
        """Whether there is a text of this key."""
        return self._texts.has(locale, key)


def _origin(url: str | None) -> str:
    parts = urlsplit(url or "")
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""


def _languages(accept_language: str) -> list[str]:
    """The languages of an `Accept-Language` header, the most wanted first; what cannot be read is left out."""
    weighed = []
    for part in accept_language[:500].split(","):
        tag, _, quality = part.partition(";")
        try:
            weight = float(quality.strip().removeprefix("q=") or 1)
        except ValueError:
            continue
        weighed.append((-weight, tag.strip()))
    return [tag for weight, tag in sorted(weighed, key=lambda found: found[0]) if weight < 0]

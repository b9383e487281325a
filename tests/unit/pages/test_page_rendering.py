"""Pages in words and looks: every language says the same things, and every failure has its words."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.core import declines
from tallystick.pages import rendering
from tallystick.pages.rendering import PageRenderer, brand_of
from tallystick.platform.settings import Settings, SettingsError, load_settings

TEXTS = Path(rendering.__file__).parent / "texts"
ENVIRONMENT = {
    "DATABASE_URL": "postgresql://localhost/x",
    "STRIPE_SECRET_KEY": "sk_test_1",
    "STRIPE_WEBHOOK_SECRET": "whsec_1",
    "JWT_SECRET": "x" * 32,
    "MAIL_FROM": "Acme <billing@acme.test>",
}


def settings(**changes: str) -> Settings:
    return load_settings({**ENVIRONMENT, **changes})


def renderer(**changes: str) -> PageRenderer:
    made = settings(**changes)
    return PageRenderer(made, brand_of(made))


def flat(node: dict[str, object], prefix: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in node.items():
        if isinstance(value, dict):
            found |= flat(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = str(value)
    return found


@pytest.mark.parametrize("language", ["de", "ja"])
def test_every_language_says_the_same_with_the_same_values(language: str) -> None:
    english = flat(json.loads((TEXTS / "en.json").read_text(encoding="utf-8")))
    other = flat(json.loads((TEXTS / f"{language}.json").read_text(encoding="utf-8")))
    assert other.keys() == english.keys()
    for key, text in english.items():
        assert sorted(re.findall(r"\{\w+\}", other[key])) == sorted(re.findall(r"\{\w+\}", text)), key


@pytest.mark.parametrize("language", ["en", "de", "ja"])
def test_every_failure_has_its_words(language: str) -> None:
    pages = renderer()
    for code in [*declines._DECLINES, "unheard_of"]:
        words = pages.failure(code, None, language)
        assert words["reason"]
        assert words["action"]
        assert "{" not in words["reason"] + words["action"]
    assert pages.failure("incorrect_cvc", None, language) != pages.failure("expired_card", None, language)


def test_the_language_is_the_one_that_is_wanted_most() -> None:
    pages = renderer(MAIL_LOCALE="ja")
    assert pages.locale("de-AT", "en") == "de-AT"
    assert pages.locale("xx", "fr;q=1, en;q=0.2, de;q=0.7") == "de"
    assert pages.locale(None, "de;q=0, fr") == "ja"


@given(st.text(max_size=200))
def test_no_header_of_a_browser_breaks_a_page(header: str) -> None:
    assert PAGES.locale(header, header)


PAGES = renderer()


def test_the_real_stripe_gets_its_own_policy() -> None:
    page = renderer().page("message.html", "missing", "en", advice=True, stripe=True)
    policy = page.headers["content-security-policy"]
    assert "script-src 'self' https://js.stripe.com https://*.js.stripe.com;" in policy
    assert "connect-src 'self' https://api.stripe.com;" in policy
    assert "https://hooks.stripe.com" in policy
    newest = settings(STRIPE_JS_URL="https://js.stripe.com/endive/stripe.js")
    assert newest.stripe_js == "https://js.stripe.com/endive/stripe.js"
    assert settings(STRIPE_API_BASE="http://127.0.0.1:12111/").stripe_js == "http://127.0.0.1:12111/v3/"


def test_a_brand_has_its_name_colour_and_logo(tmp_path: Path) -> None:
    logo = tmp_path / "logo.svg"
    logo.write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    brand = brand_of(settings(BRAND_NAME="Tea & Co", BRAND_COLOR="#FF8800", BRAND_LOGO_PATH=str(logo)))
    assert brand.logo == (logo.read_bytes(), "image/svg+xml")
    assert brand.stylesheet_url == "/brand/brand.css?v=FF8800"
    made = settings(BRAND_NAME="Tea & Co", BRAND_COLOR="#FF8800", BRAND_LOGO_URL="https://cdn.example/logo.png")
    page = PageRenderer(made, brand_of(made)).page("message.html", "missing", "en", advice=True)
    html = bytes(page.body).decode()
    assert "Tea &amp; Co" in html
    assert '<img src="https://cdn.example/logo.png"' in html
    assert "img-src 'self' data: https://cdn.example;" in page.headers["content-security-policy"]
    assert brand_of(settings()).name == "Acme"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BRAND_COLOR", "red"),
        ("BRAND_LOGO_URL", "https://a.example/x; script-src *"),
        ("BRAND_LOGO_PATH", "/nowhere/logo.png"),
        ("CHECKOUT_RETURN_URLS", "https://shop.example/path"),
        ("CHECKOUT_RETURN_URLS", "https://a@shop.example"),
        ("STRIPE_JS_URL", "https://evil.example/stripe.js"),
    ],
)
def test_settings_that_cannot_be_used_are_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        settings(**{name: value})


def test_origins_are_compared_as_browsers_do() -> None:
    made = settings(CHECKOUT_RETURN_URLS="https://Shop.Example.com/, http://localhost:3000")
    assert made.checkout_return_urls == ["https://shop.example.com", "http://localhost:3000"]

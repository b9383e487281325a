"""The page kit: what it renders, what it serves, and that its colours can be read."""

import re
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from urllib.parse import unquote

import pytest
from jinja2 import UndefinedError
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import Message

from tallystick.ui import kit

CSS = (Path(kit.__file__).parent / "assets" / "tallystick.css").read_text()


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


async def get(url: str, **headers: str) -> Answer:
    """One GET through the ASGI interface of an application that mounts the assets."""
    app = Starlette(routes=[Mount(kit.ASSETS_PATH, kit.assets_app())])
    path, _, query = url.partition("?")
    scope = {
        "type": "http",
        "method": "GET",
        "path": unquote(path),
        "query_string": query.encode(),
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
    }
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    given = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return Answer(sent[0]["status"], given, b"".join(m.get("body", b"") for m in sent[1:]))


def test_a_page_extends_the_base_and_is_escaped(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(
        '{% extends "base.html" %}{% block title %}{{ name }}{% endblock %}'
        "{% block main %}<p>{{ name }}</p>{% endblock %}"
    )
    html = kit.page_environment(tmp_path).get_template("page.html").render(name="<b>Jo & Co</b>")
    assert "<title>&lt;b&gt;Jo &amp; Co&lt;/b&gt;</title>" in html
    assert "<p>&lt;b&gt;" in html
    assert kit.asset_url("tallystick.css") in html
    assert "<script" not in html
    assert "style=" not in html


def test_a_missing_name_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        kit.page_environment().from_string("{{ nothing }}").render()


async def test_assets_are_kept_for_ever_under_their_hash_only() -> None:
    hashed = await get(kit.asset_url("tallystick.css"))
    assert hashed.status == 200
    assert hashed.headers["content-type"] == "text/css; charset=utf-8"
    assert "immutable" in hashed.headers["cache-control"]
    plain = await get("/assets/tallystick.css")
    assert plain.headers["cache-control"] == "no-cache"
    again = await get("/assets/tallystick.css", if_none_match=plain.headers["etag"])
    assert again.status == 304
    assert not again.body


@pytest.mark.parametrize("name", ["nothing.css", "..%2Fkit.py", "kit.py", "%00"])
async def test_only_assets_are_served(name: str) -> None:
    assert (await get(f"/assets/{name}")).status == 404


def test_the_policy_allows_no_script_and_can_be_widened_by_name() -> None:
    policy = kit.SECURITY_HEADERS["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "unsafe" not in policy
    wider = kit.security_headers(form_action="'self' https://shop.example", frame_ancestors="'self'")
    assert "form-action 'self' https://shop.example" in wider["content-security-policy"]
    assert wider["x-frame-options"] == "SAMEORIGIN"
    assert kit.SECURITY_HEADERS["x-frame-options"] == "DENY"


def colours(block: str) -> dict[str, str]:
    return dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", block))


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


PAIRS = [
    *product(("text", "muted", "accent", "accent-strong", "bad"), ("ground", "surface", "sunken")),
    *((kind, f"{kind}-ground") for kind in ("good", "warn", "bad", "info")),
    ("on-accent", "accent"),
    ("on-accent", "accent-strong"),
    ("on-bad", "bad"),
    ("on-bad", "bad-strong"),
]


@pytest.mark.parametrize(("text", "ground"), PAIRS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_the_contrast_of_wcag_aa(scheme: str, text: str, ground: str) -> None:
    light, dark = CSS.split("@media (prefers-color-scheme: dark)", 1)
    palette = colours(light if scheme == "light" else dark)
    assert contrast(palette[text], palette[ground]) >= 4.5


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_borders_of_inputs_can_be_seen(scheme: str) -> None:
    light, dark = CSS.split("@media (prefers-color-scheme: dark)", 1)
    palette = colours(light if scheme == "light" else dark)
    assert contrast(palette["line-strong"], palette["surface"]) >= 3

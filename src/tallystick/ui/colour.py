"""A brand's colour as the page kit uses it: the shade nearest to it that everybody can read, in light and in dark."""

import re
from functools import cache
from pathlib import Path

__all__ = ["brand_stylesheet", "contrast", "palette"]

_STYLESHEET = Path(__file__).parent / "assets" / "tallystick.css"
_COLOUR = re.compile(r"--([a-z-]+): (#[0-9a-f]{6});")
_READABLE = 4.5
_STEPS = 50


@cache
def palette(scheme: str) -> dict[str, str]:
    """The stylesheet's colours by name in the scheme `light` or `dark`."""
    light, dark = _STYLESHEET.read_text(encoding="utf-8").split("@media (prefers-color-scheme: dark)", 1)
    return dict(_COLOUR.findall(light if scheme == "light" else dark))


def contrast(one: str, other: str) -> float:
    """The contrast of two colours (`#rrggbb`), 1 to 21, as WCAG 2 defines it."""
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def brand_stylesheet(colour: str) -> str:
    """A stylesheet that puts a brand's colour in the place of the kit's accent."""
    return (
        f":root{{{_accents(colour, 'light')}}}@media(prefers-color-scheme:dark){{:root{{{_accents(colour, 'dark')}}}}}"
    )


def _accents(colour: str, scheme: str) -> str:
    names = palette(scheme)
    towards = "#000000" if scheme == "light" else "#ffffff"
    accent = _readable(colour.lower(), towards, [names[name] for name in ("ground", "surface", "sunken")])
    strong = _mixed(accent, towards, 0.2)
    on_accent = "#ffffff" if scheme == "light" else "#000000"
    return f"--accent:{accent};--accent-strong:{strong};--on-accent:{on_accent}"


def _readable(colour: str, towards: str, grounds: list[str]) -> str:
    """The first shade on the way to black or white that can be read on all of `grounds`."""
    for step in range(_STEPS + 1):
        shade = _mixed(colour, towards, step / _STEPS)
        if all(contrast(shade, ground) >= _READABLE for ground in grounds):
            return shade
    raise AssertionError("black and white can be read on every ground of the kit")


def _mixed(colour: str, other: str, share: float) -> str:
    pairs = zip(_channels(colour), _channels(other), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def _channels(colour: str) -> list[int]:
    return [int(colour[place : place + 2], 16) for place in (1, 3, 5)]


def _luminance(colour: str) -> float:
    parts = [channel / 255 for channel in _channels(colour)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue

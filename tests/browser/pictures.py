"""Where pictures for docs/images go, in which looks they are taken, and how they are kept small."""

import io
import os
from pathlib import Path

from PIL import Image
from playwright.async_api import Page

__all__ = ["FEW", "FOLDER", "LOOKS", "quantise", "shoot"]

FOLDER = Path(os.environ.get("TALLYSTICK_SCREENSHOTS", "docs/images"))
LOOKS = [("desktop", False), ("desktop", True), ("phone", False), ("phone", True)]
"""Size and whether it is dark."""
FEW = [LOOKS[0], LOOKS[3]]
_COLOURS = 96


async def shoot(page: Page, name: str, size: str, *, dark: bool, full_page: bool = True) -> None:
    """Keep a picture of the page as it stands, as `<name>-<size>-<light or dark>.png`."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    image = await page.screenshot(full_page=full_page, animations="disabled", caret="hide")
    (FOLDER / f"{name}-{size}-{'dark' if dark else 'light'}.png").write_bytes(quantise(image))


def quantise(image: bytes) -> bytes:
    """A PNG in few colours, chosen so that the rare ones (a badge, an icon) keep theirs: a fourth of its size."""
    few = Image.open(io.BytesIO(image)).convert("RGB")
    few = few.quantize(_COLOURS, Image.Quantize.MAXCOVERAGE, kmeans=3, dither=Image.Dither.NONE)
    out = io.BytesIO()
    few.save(out, "PNG", optimize=True)
    return out.getvalue()

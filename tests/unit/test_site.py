"""The site of the documentation: it builds without a warning, no link is dead, and it loads nothing from elsewhere."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from system import LONG

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"

_LOADS = {
    "img": "src", "script": "src", "iframe": "src", "source": "src", "embed": "src", "link": "href", "object": "data",
}  # fmt: skip
"""What a browser fetches by itself."""


def build(builder: str, folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-b", builder, "-W", "--keep-going", "-n", "-q", DOCS, folder],
        capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not done.stderr


def test_every_link_leads_somewhere_and_every_page_is_in_the_navigation(tmp_path: Path) -> None:
    # Sphinx warns of both, of headings that links name, and of images that are not there.
    build("dummy", tmp_path / "out")


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.ids |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if tag in _LOADS and values.get("rel") not in ("search", "next", "prev", "index", "canonical"):
            self.loaded.append(values.get(_LOADS[tag], ""))


@pytest.mark.timeout(700)
@pytest.mark.skipif(not LONG, reason="a long run builds the site whole; the default one checks its links")
def test_the_site_is_whole_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    site = tmp_path / "site"
    build("html", site)
    pages = {path.relative_to(site).as_posix(): _read(path) for path in site.rglob("*.html")}
    assert len(pages) > 60
    for name, page in pages.items():
        for loaded in page.loaded:
            assert not urlsplit(loaded).scheme or loaded.startswith("data:"), f"{name} loads {loaded}"
            assert not urlsplit(loaded).netloc, f"{name} loads {loaded}"
        for link in page.links:
            _check(name, link, pages, site)
    for style in site.rglob("*.css"):
        remote = re.findall(r"(?:url\(|@import\s+)['\"]?(?:https?:)?//[^)'\"\s]+", style.read_text(encoding="utf-8"))
        assert not remote, f"{style.name}: {remote}"


def _read(path: Path) -> _Page:
    page = _Page()
    page.feed(path.read_text(encoding="utf-8"))
    return page


def _check(name: str, link: str, pages: dict[str, _Page], site: Path) -> None:
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return
    target = (site / name).parent / unquote(parts.path) if parts.path else site / name
    assert target.exists(), f"{name}: {link}"
    found = pages.get(target.resolve().relative_to(site.resolve()).as_posix())
    if parts.fragment and found is not None:
        assert unquote(parts.fragment) in found.ids, f"{name}: {link}"


def test_the_navigation_has_every_page() -> None:
    # Said plainly, as whoever adds a page has to know where it is missing.
    listed = (DOCS / "index.md").read_text(encoding="utf-8")
    missing = [
        path.stem for path in sorted(DOCS.glob("*.md")) if not re.search(rf"^{path.stem}$", listed, re.MULTILINE)
    ]
    assert [name for name in missing if name != "index"] == [], "add them to one of the lists of docs/index.md"

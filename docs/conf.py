"""How the pages become a site: `make docs`. It loads nothing from elsewhere, and nothing is fetched to build it."""

from importlib.metadata import version as version_of

from pygments.lexers.special import TextLexer  # type: ignore[import-untyped]  # it has no types
from sphinx.application import Sphinx

project = "Tallystick"
release = version = version_of("tallystick")
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
root_doc = "index"
nitpicky = True

# Headings are linked to as GitHub names them, so that links hold in both places.
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]
# Samples leave out what does not matter by `…`, which is no JSON.
suppress_warnings = ["misc.highlighting_failure"]

html_theme = "furo"
html_title = "Tallystick"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_extra_path = ["openapi.json"]
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
html_theme_options = {"navigation_with_keys": False}
pygments_style = "friendly"
pygments_dark_style = "monokai"


def setup(app: Sphinx) -> None:
    """What commands show is text."""
    app.add_lexer("output", TextLexer)

"""From a template's name, a locale and a context to the mail that a person reads.

An operator's folder comes before ours, file by file: `<name>/body.html`, `base.html`, `mail.css`, `texts/de.json`.
Where there is a `<name>/body.de.html` it is used for German. Templates have `t(key, …)`, `has(key)`,
`money(amount, currency)`, `date(at)`, `moment(at)`, `card(brand, last4)`, `sender`, `language`, and the context.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import css_inline
from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError, select_autoescape
from markupsafe import Markup, escape

from tallystick.notifications.addresses import printable
from tallystick.notifications.alerts import describe_alert
from tallystick.notifications.formats import Formats
from tallystick.notifications.locales import Catalogue, TextError
from tallystick.notifications.models import TEMPLATES, RenderedMail, UnknownTemplate
from tallystick.notifications.samples import SAMPLES

__all__ = ["RenderError", "Renderer"]

_TEMPLATES = Path(__file__).parent / "templates"
_LONGEST_VALUE = 500
# What a caller may leave out because it is often not known.
_OPTIONAL: dict[str, Any] = {"description": None, "card_brand": None, "card_last4": None, "error_code": None}
_COMMAND = re.compile(r"`([^`]+)`")


class RenderError(Exception):
    """A template or a text cannot be used with this context; the message says which and why."""


class Renderer:
    """Templates and texts, ours and the operator's; `sender` is the name that mails are signed with."""

    def __init__(self, sender: str, catalogue: Catalogue, override_dir: Path | None = None) -> None:
        self._catalogue = catalogue
        self._sender = sender
        self._environment = Environment(
            loader=FileSystemLoader([*([override_dir] if override_dir else []), _TEMPLATES]),
            autoescape=select_autoescape(["html"], default=False),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters["code"] = _with_code
        self._inliner = css_inline.CSSInliner(keep_at_rules=True, load_remote_stylesheets=False)

    def render(self, template: str, locale: str, context: Mapping[str, Any]) -> RenderedMail:
        """One mail.

        Raises:
            UnknownTemplate: there is no such mail.
            RenderError: the template, a text or the context is at fault.
        """
        if template not in TEMPLATES:
            raise UnknownTemplate(template)
        try:
            names = self._names(template, locale, context)
            return RenderedMail(
                subject=printable(self._part(template, "subject", "txt", locale, names), 200),
                text=_tidy(self._part(template, "body", "txt", locale, names)),
                html=self._inliner.inline(self._part(template, "body", "html", locale, names)),
                language=names["language"],
            )
        except (TemplateError, TextError, KeyError, ValueError, TypeError, css_inline.InlineError) as error:
            raise RenderError(f"{template} ({locale}): {type(error).__name__}: {error}") from error

    def problems(self) -> list[str]:
        """One line for each mail and language that cannot be rendered, tried on sample contexts."""
        found = []
        for template in sorted(TEMPLATES):
            for language in sorted(self._catalogue.languages):
                try:
                    self.render(template, language, SAMPLES[template])
                except RenderError as error:
                    found.append(str(error))
        return found

    def _names(self, template: str, locale: str, context: Mapping[str, Any]) -> dict[str, Any]:
        formats = Formats(locale)
        translate = self._catalogue.translator(locale, template, sender=self._sender)

        def has(key: str) -> bool:
            return self._catalogue.has(locale, f"{template}.{key}")

        names: dict[str, Any] = {
            **_OPTIONAL,
            **{name: _cleaned(value) for name, value in context.items()},
            "t": translate,
            "has": has,
            "money": formats.money,
            "date": formats.date,
            "moment": formats.moment,
            "card": formats.card,
            "sender": self._sender,
            "language": locale,
        }
        if template == "staff_alert":
            names["alert"] = describe_alert(context, translate, has, formats)
        return names

    def _part(self, template: str, part: str, kind: str, locale: str, names: Mapping[str, Any]) -> str:
        language = locale.partition("-")[0]
        candidates = [f"{template}/{part}{infix}.{kind}" for infix in (f".{locale}", f".{language}", "")]
        return self._environment.select_template(candidates).render(names)


def _cleaned(value: Any) -> Any:
    """Text from users on one line, so that it cannot pretend to be lines of ours."""
    return printable(value, _LONGEST_VALUE) if isinstance(value, str) else value


def _tidy(text: str) -> str:
    """At most one empty line in a row, none at the ends; the footer's `-- ` keeps its space."""
    lines = [line if line == "-- " else line.rstrip() for line in text.splitlines()]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"


def _with_code(text: str) -> Markup:
    """`text` escaped, with what stands between backticks as code."""
    return Markup(_COMMAND.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped in the same line

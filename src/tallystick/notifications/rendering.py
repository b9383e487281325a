"""From a template's name, a locale and a context to the mail that a person reads.

An operator's folder comes before ours, file by file: `<name>/body.html`, `base.html`, `mail.css`, `texts/de.json`.
Where there is a `<name>/body.de.html` it is used for German. Templates have `t(key, …)`, `has(key)`,
`money(amount, currency)`, `date(at)`, `moment(at)`, `period(start, end)`, `month(year, month)`, `card(brand, last4)`,
`sender`, `language`, and the context; those of subscriptions also `subscription` ("your subscription “Team”", or "your
invoice A1B2-0001" for an invoice of none), `plan_label` ("Team × 3") and `price_label` ("$10.00 per month"); the last
two are None where they are not known.
"""

import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import css_inline
from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError, select_autoescape
from markupsafe import Markup, escape

from tallystick.notifications.addresses import printable
from tallystick.notifications.alerts import describe_alert
from tallystick.notifications.formats import Formats
from tallystick.notifications.locales import Catalogue, TextError, Translate
from tallystick.notifications.models import TEMPLATES, RenderedMail, UnknownTemplate
from tallystick.notifications.samples import SAMPLES

__all__ = ["RenderError", "Renderer"]

_TEMPLATES = Path(__file__).parent / "templates"
_LONGEST_VALUE = 500
_LONGEST_LINK = 2000
# What a caller may leave out because it is often not known.
_OPTIONAL: dict[str, Any] = dict.fromkeys(
    (
        "description",
        "card_brand",
        "card_last4",
        "error_code",
        "plan_name",
        "quantity",
        "interval",
        "interval_count",
        "number",
        "manage_url",
        "pay_url",
        "invoice_url",
    )
)
_COMMAND = re.compile(r"`([^`]+)`")
_LINK = re.compile(r"https?://[\x21-\x7e]+\Z")
# They keep a name that is written from right to left from turning the words around it.
_ISOLATE, _ISOLATE_END = "\u2068", "\u2069"
_WITHOUT_ISOLATES = {ord(mark): None for mark in (_ISOLATE, _ISOLATE_END)}


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
                subject=printable(
                    self._part(template, "subject", "txt", locale, names).translate(_WITHOUT_ISOLATES), 200
                ),
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
            return any(self._catalogue.has(locale, f"{section}.{key}") for section in (template, "common"))

        known = {**_OPTIONAL, **{name: _cleaned(name, value) for name, value in context.items()}}
        names: dict[str, Any] = {
            **known,
            **_described(known, translate, formats),
            "t": translate,
            "has": has,
            "money": formats.money,
            "date": formats.date,
            "moment": formats.moment,
            "period": formats.period,
            "month": formats.month,
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


def _cleaned(name: str, value: Any) -> Any:
    """Text from users on one line, so that it cannot pretend to be lines of ours; links whole, or not at all."""
    if isinstance(value, Mapping):
        return {key: _cleaned(key, inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_cleaned(name, inner) for inner in value]
    if not isinstance(value, str):
        return value
    if name.endswith("_url"):
        return value if _LINK.match(value) and len(value) <= _LONGEST_LINK else None
    text = printable(value, _LONGEST_VALUE)
    turned = any(unicodedata.bidirectional(letter) in ("R", "AL", "AN") for letter in text)
    return f"{_ISOLATE}{text}{_ISOLATE_END}" if turned else text


def _described(context: Mapping[str, Any], translate: Translate, formats: Formats) -> dict[str, str | None]:
    """A subscription in words, from the fields of its plan; or the invoice, where it is of none."""
    plan, quantity, price = context["plan_name"], context["quantity"], None
    if context.get("amount") is not None and context.get("currency"):
        price = formats.money(context["amount"], context["currency"])
        if interval := context["interval"]:
            count = context["interval_count"] or 1
            price = translate(f"per.{interval}{'s' if count > 1 else ''}", amount=price, count=count)
    label = translate("plan_quantity", plan=plan, quantity=quantity) if plan and (quantity or 1) > 1 else plan
    cause, name = "subscription", plan
    if "invoice_id" in context and not context.get("subscription_id"):
        cause, name = "invoice", context["number"]
    return {
        "subscription": translate(f"{cause}.named", plan=name, number=name) if name else translate(f"{cause}.plain"),
        "plan_label": label,
        "price_label": price,
    }


def _tidy(text: str) -> str:
    """At most one empty line in a row, none at the ends; the footer's `-- ` keeps its space."""
    lines = [line if line == "-- " else line.rstrip() for line in text.splitlines()]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"


def _with_code(text: str) -> Markup:
    """`text` escaped, with what stands between backticks as code."""
    return Markup(_COMMAND.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped in the same line

"""In which language and by which habits a mail is written.

Texts are JSON, one file a language, in `texts/`. An operator's folder may hold a `texts/` of its own: what is
there replaces single texts of ours, and a file of another language adds it (what it leaves out is English).
"""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

__all__ = ["Catalogue", "TextError", "Translate"]

Translate = Callable[..., str]
"""`t("payment_failed.title", sender="…")`: the text of this key with its placeholders filled in."""

_TEXTS = Path(__file__).parent / "texts"
_FALLBACK = "en"
_TAG = re.compile(r"([A-Za-z]{2,3})(?:[-_]([A-Za-z]{4}))?(?:[-_]([A-Za-z]{2}|\d{3}))?(?:[-_.@].*)?\Z", re.DOTALL)
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


class TextError(Exception):
    """A text is missing or asks for a value that is not there; the message names it."""


class Catalogue:
    """All texts of all languages, of mails or of what else has a folder of texts.

    Raises TextError when an operator's file is not a JSON object of texts.
    """

    def __init__(self, override_dir: Path | None = None, *, texts: Path = _TEXTS) -> None:
        self._texts = {path.stem: _read(path) for path in sorted(texts.glob("*.json"))}
        fallback = self._texts[_FALLBACK]
        for path in sorted((override_dir / "texts").glob("*.json")) if override_dir else ():
            self._texts[path.stem] = {**fallback, **self._texts.get(path.stem, {}), **_read(path)}

    @property
    def languages(self) -> frozenset[str]:
        return frozenset(self._texts)

    def resolve(self, wanted: str | None, default: str) -> str:
        """The locale (`de`, `de-AT`) to write in: what is wanted if we have its language, else `default`.

        `wanted` comes from users and browsers and may be anything.
        """
        found = _TAG.match(wanted) if wanted and len(wanted) <= 100 else None
        if found is None:
            return default
        language, _, region = found.groups()
        if language.lower() not in self._texts:
            return default
        return f"{language.lower()}-{region.upper()}" if region else language.lower()

    def has(self, locale: str, key: str) -> bool:
        """Whether there is a text of this key."""
        return key in self._of(locale)

    def translator(self, locale: str, section: str, **always: str) -> Translate:
        """`t` for one mail: keys are looked up in `section`, then in `common`, then as they are.

        Values given are filled in as they are; escaping is the template's business.
        """
        texts = self._of(locale)

        def translate(key: str, **values: object) -> str:
            known = {**always, **values}
            full = next((name for name in (f"{section}.{key}", f"common.{key}", key) if name in texts), None)
            if full is None:
                raise TextError(f"there is no text {key!r} for {section!r} in {locale!r}")
            return _PLACEHOLDER.sub(lambda found: _filled(full, found[1], known), texts[full])

        return translate

    def _of(self, locale: str) -> Mapping[str, str]:
        return self._texts.get(locale.partition("-")[0], self._texts[_FALLBACK])


def _filled(key: str, name: str, values: Mapping[str, object]) -> str:
    if name not in values:
        raise TextError(f"the text {key!r} asks for {{{name}}}, which this mail does not have")
    return str(values[name])


def _read(path: Path) -> dict[str, str]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return dict(_flat(content, ""))
    except (ValueError, AttributeError) as error:
        raise TextError(f"texts/{path.name} cannot be read: {error}") from None


def _flat(node: Mapping[str, Any], prefix: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, value in node.items():
        found += [(prefix + name, value)] if isinstance(value, str) else _flat(value, f"{prefix}{name}.")
    return found

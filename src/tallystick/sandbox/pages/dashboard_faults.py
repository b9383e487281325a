"""The faults' page: what misbehaves on request, as sentences, and two forms that add to it."""

from dataclasses import dataclass
from typing import Any, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tallystick.sandbox.engine import Engine
from tallystick.sandbox.errors import ApiError
from tallystick.sandbox.faults import ApiFault, EventFault, Fault, WebhookFault
from tallystick.sandbox.pages import dashboard_words as words
from tallystick.sandbox.pages.dashboard_frame import HOME, DashboardFrame, form_of
from tallystick.sandbox.shapes import Json
from tallystick.sandbox.versions import NEWEST, OLDEST, check_version

__all__ = ["DashboardFaults"]

_METHODS = ("*", "GET", "POST", "DELETE")
_MOST_SECONDS = 3600.0
_MOST_TIMES = 1_000_000


@dataclass(frozen=True, slots=True)
class Preset:
    """One thing that can go wrong: how it is called, and the fields of its rule. `asks` is the number it needs."""

    name: str
    fields: dict[str, Any]
    asks: Literal["", "seconds", "copies", "version"] = ""


API = {
    "failed-after": Preset("500, although it was done", {"kind": "status", "status": 500, "when": "after"}),
    "failed": Preset("500, and nothing was done", {"kind": "status", "status": 500}),
    "limited": Preset("429, too many requests", {"kind": "status", "status": 429}),
    "cut-after": Preset("The line breaks, although it was done", {"kind": "cut", "when": "after"}),
    "cut": Preset("The line breaks, and nothing was done", {"kind": "cut"}),
    "hang-after": Preset("No answer ever, although it was done", {"kind": "hang", "when": "after"}),
    "hang": Preset("No answer ever, and nothing was done", {"kind": "hang"}),
    "slow": Preset("The answer comes late", {"kind": "slow"}, "seconds"),
    "garbage": Preset("The answer is no JSON", {"kind": "garbage"}),
}
WEBHOOKS = {
    "duplicate": Preset("Events come several times", {"kind": "duplicate"}, "copies"),
    "delay": Preset("Events come late", {"kind": "delay"}, "seconds"),
    "drop": Preset("Events never come", {"kind": "drop"}),
    "shuffle": Preset("Events come in random order", {"kind": "shuffle"}, "seconds"),
    "version": Preset("Events come in another API version", {"kind": "api_version"}, "version"),
    "unlisted": Preset("Events are missing from the list at first", {"kind": "late"}, "seconds"),
}
_START = {
    "target": "", "preset": "", "method": "*", "path": "/v1/*", "type": "*", "seconds": "5", "copies": "2",
    "version": NEWEST, "times": "1", "percent": "100",
}  # fmt: skip


class Mistake(ValueError):
    """A field that cannot be taken as it was filled in."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class DashboardFaults:
    """Lists, adds and lifts the rules of `Faults`."""

    def __init__(self, engine: Engine, frame: DashboardFrame) -> None:
        self._engine = engine
        self._frame = frame

    def routes(self) -> list[Route]:
        """Starlette routes, at the root."""
        guarded = self._frame.guarded
        return [
            Route(f"{HOME}/faults", guarded(self._show)),
            Route(f"{HOME}/faults", guarded(self._add), methods=["POST"]),
            Route(f"{HOME}/faults/remove", guarded(self._remove), methods=["POST"]),
        ]

    async def _show(self, request: Request) -> Response:
        return self._page(request, {})

    async def _add(self, request: Request) -> Response:
        form = await form_of(request)
        try:
            self._engine.faults.add(_rule(form))
        except Mistake as mistake:
            return self._page(request, form, mistake)
        return self._frame.lead("/faults", "added")

    async def _remove(self, request: Request) -> Response:
        rule_id = (await form_of(request)).get("id", "")
        self._engine.faults.remove(rule_id or None)
        return self._frame.lead("/faults", "removed" if rule_id else "all-removed")

    def _page(self, request: Request, form: Json, mistake: Mistake | None = None) -> Response:
        rules = [
            {"id": rule.id, "text": words.fault_in_words(rule), "how_often": _how_often(rule), "over": _is_over(rule)}
            for rule in self._engine.faults.all()
        ]
        return self._frame.page(
            request, "faults.html", status=400 if mistake else 200, rules=rules, given={**_START, **form}, start=_START,
            mistake=mistake, api=API, webhooks=WEBHOOKS, methods=_METHODS, versions=(OLDEST, NEWEST),
            types=sorted(self._engine.events.types()),
        )  # fmt: skip


def _is_over(rule: Fault) -> bool:
    return rule.times is not None and rule.hits >= rule.times


def _how_often(rule: Fault) -> str:
    chance = "" if rule.probability >= 1 else f", each with a chance of {rule.probability * 100:g}%"
    return (
        f"{rule.hits} times, until it is lifted" if rule.times is None else f"{rule.hits} of {rule.times} times"
    ) + chance


def _rule(form: Json) -> Fault:
    """The rule that a form describes. Raises Mistake."""
    target = form.get("target", "")
    presets = {"api": API, "webhook": WEBHOOKS}.get(target, {})
    preset = presets.get(form.get("preset", ""))
    if preset is None:
        raise Mistake("preset", "Choose what goes wrong.")
    fields: Json = {**preset.fields, "times": _times(form), "probability": _chance(form)}
    if preset.asks == "seconds":
        fields["window_s" if preset.fields["kind"] == "shuffle" else "delay_s"] = _seconds(form)
    elif preset.asks == "copies":
        fields["copies"] = _whole(form, "copies", 2, 100)
    elif preset.asks == "version":
        fields["api_version"] = _version(form)
    if preset.fields["kind"] == "late":
        # What is listed is no matter of luck: this fault holds for all that fit, until it is lifted.
        return EventFault(kind="late", type=form.get("type") or "*", delay_s=fields["delay_s"])
    if target == "webhook":
        return msgspec.convert({"target": target, "type": form.get("type") or "*", **fields}, WebhookFault)
    path, method = form.get("path") or "/v1/*", form.get("method") or "*"
    if not path.startswith("/v1/"):
        raise Mistake("path", "The path begins with /v1/, for example /v1/payment_intents*.")
    if method not in _METHODS:
        raise Mistake("method", f"The method is one of {', '.join(_METHODS)}.")
    return msgspec.convert({"target": target, "path": path, "method": method, **fields}, ApiFault)


def _times(form: Json) -> int | None:
    return _whole(form, "times", 1, _MOST_TIMES) if form.get("times") else None


def _chance(form: Json) -> float:
    return _whole(form, "percent", 1, 100) / 100


def _whole(form: Json, field: str, least: int, most: int) -> int:
    text = form.get(field, "")
    if not (text.isdecimal() and text.isascii() and len(text) < 10 and least <= int(text) <= most):
        raise Mistake(field, f"This is a whole number from {least} to {most}.")
    return int(text)


def _seconds(form: Json) -> float:
    try:
        seconds = float(form.get("seconds", ""))
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= _MOST_SECONDS:
        raise Mistake("seconds", f"This is a number of seconds, at most {_MOST_SECONDS:g}.")
    return seconds


def _version(form: Json) -> str:
    try:
        return check_version(form.get("version", ""))
    except ApiError as error:
        raise Mistake("version", error.message) from error

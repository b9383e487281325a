"""What the customer's pages share: one transaction for what a customer does, their answers, and links back."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from tallystick.sandbox.context import Context
from tallystick.sandbox.delivery import Deliverer
from tallystick.sandbox.engine import Engine
from tallystick.sandbox.errors import ApiError, card_error, invalid
from tallystick.sandbox.params import decode_form
from tallystick.sandbox.shapes import Json, canonical, clone, decode
from tallystick.sandbox.versions import check_version, render
from tallystick.ui.kit import page_environment, security_headers

__all__ = ["Stage", "card_of", "day", "in_words", "interval", "origin_of", "read", "see_other", "wants_json"]

_EXPIRY = re.compile(r"\s*(\d{1,2})\s*[/\- ]\s*(\d{2}|\d{4})\s*\Z")


class Stage:
    """Carries out what a customer does, and shows pages; one per sandbox."""

    def __init__(self, engine: Engine, deliverer: Deliverer) -> None:
        self.engine = engine
        self._deliverer = deliverer
        self._templates: Environment | None = None

    def act(self, request: Request, version_of: str, what: Callable[[Context], Any]) -> tuple[Any, ApiError | None]:
        """Run `what` in a transaction at the version that object `version_of` was made at.

        Answers its result and no error, or the refusal; a decline's changes are kept, as in the API.
        """
        result: Any = None
        failure: ApiError | None = None
        try:
            with self.engine.unit(base_url=f"{request.url.scheme}://{request.url.netloc}") as ctx:
                ctx.version = ctx.store.note(version_of, "version") or ctx.version
                try:
                    result = what(ctx)
                except ApiError as error:
                    if not error.executed:
                        raise
                    failure = error
        except ApiError as error:
            failure = error
        self._deliverer.add(self.engine.take_fresh())
        return result, failure

    def read(self, object_id: str) -> Json | None:
        """An object as it is now, free of any transaction."""
        with self.engine.unit() as ctx:
            found = ctx.store.get(object_id)
            return clone(found) if found is not None else None

    def html(self, template: str, **values: Any) -> str:
        """A template of this folder, filled in."""
        if self._templates is None:
            self._templates = page_environment(Path(__file__).parent / "templates")
        return self._templates.get_template(template).render(**values)

    def page(self, template: str, status: int, *allowed: str, **values: Any) -> Response:
        """A page; its forms may end at the origins of the URLs `allowed`."""
        html = self.html(template, **values)
        # Browsers check where a form's answer redirects to against the policy.
        origins = sorted({origin for url in allowed if (origin := origin_of(url))})
        return HTMLResponse(html, status, headers=security_headers(form_action=" ".join(["'self'", *origins])))

    def message(
        self, title: str, text: str, status: int, *, url: str = "", label: str = "", leave: bool = False
    ) -> Response:
        """A page that only says something, with a link; `leave` follows the link by itself."""
        return self.page("message.html", status, title=title, text=text, url=url, label=label, leave=leave)

    def json(self, request: Request, value: Json, **more: Any) -> Response:
        """An object as the API prints it at the version of the header, or at the account's."""
        version = check_version(request.headers.get("stripe-version") or self.engine.settings.api_version)
        with self.engine.unit() as ctx:
            shown = render(clone(value), version, ctx.store.last_form)
        return JSONResponse({**canonical(shown), **more})

    def refusal(self, request: Request, error: ApiError) -> Response:
        """An error as the API prints it."""
        version = check_version(request.headers.get("stripe-version") or self.engine.settings.api_version)
        with self.engine.unit() as ctx:
            body = render(error.body(self.engine.ids.short("req_")), version, ctx.store.last_form)
        return JSONResponse(canonical(body), status_code=error.status)


def wants_json(request: Request) -> bool:
    """Whether a program asks, not a browser."""
    kinds = request.headers.get("accept", ""), request.headers.get("content-type", "")
    return any("application/json" in kind for kind in kinds)


async def read(request: Request) -> Json:
    """The body, JSON or a form. Raises 400 for JSON that is no object."""
    body = await request.body()
    if "application/json" not in request.headers.get("content-type", ""):
        return decode_form(body)
    try:
        value = decode(body or b"{}")
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise invalid("Send a JSON object.")
    return value


def origin_of(url: str | None) -> str:
    """Scheme and host of a URL; empty for none."""
    parts = urlsplit(url or "")
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""


def see_other(url: str) -> Response:
    """The answer to a form that worked."""
    return RedirectResponse(url, status_code=303)


def card_of(form: Json) -> Json:
    """The card that a page's form describes. Raises 402 for a date that cannot be read."""
    match = _EXPIRY.match(form.get("expiry", ""))
    if match is None:
        raise card_error(
            "Please give the date your card expires as month and year, for example 12 / 34.",
            code="invalid_expiry_month", param="exp_month",
        )  # fmt: skip
    number, cvc = form.get("number", "").strip(), form.get("cvc", "").strip()
    return {"number": number, "exp_month": int(match[1]), "exp_year": int(match[2]), "cvc": cvc}


def day(moment: int) -> str:
    """`December 31, 2026`."""
    found = datetime.fromtimestamp(moment, UTC)
    return f"{found:%B} {found.day}, {found.year}"


def interval(recurring: Json | None) -> str:
    """`every month`, `every 2 weeks`; empty for what is bought once."""
    if not recurring:
        return ""
    count, unit = recurring["interval_count"], recurring["interval"]
    return f"every {unit}" if count == 1 else f"every {count} {unit}s"


def in_words(failure: ApiError) -> str:
    """An error as a customer reads it."""
    if failure.details.get("decline_code") == "live_mode_test_card":
        return "This card does not work here: please use one of Stripe's test cards."
    return failure.message

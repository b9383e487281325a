"""The billing pages in words: what a page looks up by a state, a reason or a code has its text in every language."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import pytest

from tallystick.pages import rendering
from tallystick.pages.billing.controller import REASONS
from tallystick.pages.billing.controller_forms import in_months
from tallystick.pages.billing.controller_plans import quantity_of
from tallystick.pages.billing.models import LinkState, Price
from tallystick.pages.billing.outcomes import OUTCOMES
from tallystick.platform.settings import Settings
from tallystick.subscriptions import errors

HERE = Path(rendering.__file__).parent
LANGUAGES = pytest.mark.parametrize("language", ["en", "de", "ja"])
SHOWN = {"active", "trialing", "past_due", "unpaid", "incomplete", "paused", "ending", "canceled"}


def texts(language: str) -> dict[str, str]:
    content = json.loads((HERE / "texts" / f"{language}.json").read_text(encoding="utf-8"))

    def flat(node: dict[str, object], prefix: str) -> dict[str, str]:
        found: dict[str, str] = {}
        for name, value in node.items():
            found |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: str(value)}
        return found

    return flat(content["billing"], "")


def sources() -> str:
    files = [*(HERE / "templates" / "billing").glob("*.html"), *(HERE / "billing").glob("*.py")]
    return "".join(path.read_text(encoding="utf-8") for path in files)


@LANGUAGES
def test_every_state_reason_and_outcome_has_its_words(language: str) -> None:
    known = texts(language)
    without_card = get_args(Settings.model_fields["trial_end_without_card"].annotation)
    assert set(re.findall(r'home\("(\w+)"\)', sources())) <= OUTCOMES.keys()
    wanted = {f"done.{name}" for name in OUTCOMES} | {f"state.{name}" for name in SHOWN}
    wanted |= {f"reason_to_leave.{name}" for name in REASONS}
    wanted |= {f"plan.trial_no_card.{name}" for name in without_card}
    wanted |= {f"outside.{why}.{part}" for why in ("none", *get_args(LinkState)) for part in ("title", "intro")}
    assert wanted <= known.keys()
    assert {name for name in known if name.startswith("done.")} == {name for name in wanted if name.startswith("done.")}


@LANGUAGES
def test_every_problem_is_one_that_there_is(language: str) -> None:
    """A code that is renamed would be told in the words for everything else."""
    codes = {kind.code for kind in vars(errors).values() if isinstance(kind, type) and hasattr(kind, "code")}
    elsewhere = {"OTHER", "SAME_PLAN", "PAYMENT_METHOD_NOT_USABLE", "CARD_IN_USE", "FORM_STALE", "INVOICE_NOT_PAYABLE"}
    told = {name.split(".")[1] for name in texts(language) if name.startswith("problem.")}
    assert told <= codes | elsewhere | {"OPERATION_IN_PROGRESS"}


@LANGUAGES
def test_no_text_is_left_over(language: str) -> None:
    source = sources()
    # These are looked up by a code or a state.
    built = ("problem.", "done.", "state.", "reason_to_leave.", "outside.", "plan.trial_no_card.", "invoice.", "stale.")
    left = {name for name in texts(language) if not name.startswith((*built, "stripe.")) and f'"{name}"' not in source}
    assert not left


@pytest.mark.parametrize(
    ("day", "months", "then"),
    [("2027-01-31", 1, "2027-02-28"), ("2028-01-31", 1, "2028-02-29"), ("2027-11-30", 3, "2028-02-29")],
)
def test_a_pause_of_months_ends_on_a_day_that_there_is(day: str, months: int, then: str) -> None:
    assert in_months(datetime.fromisoformat(day).replace(tzinfo=UTC), months).date().isoformat() == then


@pytest.mark.parametrize(
    ("text", "quantity"),
    [("3", 3), (" 3 ", 3), ("0", 1), ("9999999", 999_999), ("-1", None), ("x", None), ("٣", None), ("1" * 5000, None)],
)
def test_a_quantity_is_a_number_within_bounds(text: str, quantity: int | None) -> None:
    assert quantity_of({"quantity": text}) == quantity


@pytest.mark.parametrize(
    ("packs", "quantity", "cost"),
    [
        (None, 12, 12000),
        ({"divide_by": 5, "round": "up"}, 12, 3000),
        ({"divide_by": 5, "round": "down"}, 12, 2000),
        ({"divide_by": 5, "round": "up"}, 0, 0),
    ],
)
def test_what_so_many_cost(packs: dict[str, object] | None, quantity: int, cost: int) -> None:
    plan = Price("price_1", "prod_1", "Seats", 1000, "usd", "month", 1, metered=False, transform_quantity=packs)
    assert plan.of(quantity) == cost

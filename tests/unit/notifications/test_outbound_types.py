"""The types of facts: their examples look like what is sent, and the page for receivers lists them all."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tallystick.invoices.schemas import InvoiceView
from tallystick.notifications.outbound_models import FactType, FactTypes
from tallystick.payments.service_facts import FACT_TYPES
from tallystick.subscriptions.service_access_told import ACCESS_FACT_TYPES
from tallystick.subscriptions.service_facts import SUBSCRIPTION_FACT_TYPES
from tallystick.subscriptions.service_invoice_facts import INVOICE_FACT_TYPES

PAGE = (Path(__file__).parents[3] / "docs" / "outbound-webhooks.md").read_text(encoding="utf-8")


def test_the_page_lists_every_type_and_no_other() -> None:
    types = FactTypes()
    for of_area in (FACT_TYPES, INVOICE_FACT_TYPES, SUBSCRIPTION_FACT_TYPES, ACCESS_FACT_TYPES):
        types.register(of_area)
    listed = re.findall(r"^\| `([a-z_]+\.[a-z_]+)` \|", PAGE, flags=re.MULTILINE)
    assert sorted(listed) == [type_.name for type_ in types.listed()]


@pytest.mark.parametrize("type_", FACT_TYPES, ids=lambda type_: type_.name)
def test_an_example_is_of_its_type(type_: FactType) -> None:
    assert type_.description.endswith(".")
    assert {"user", "payment"} <= set(type_.example)
    created = datetime.fromisoformat(type_.example["payment"]["created_at"])
    assert created < datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize("type_", INVOICE_FACT_TYPES, ids=lambda type_: type_.name)
def test_an_example_of_an_invoice_is_one(type_: FactType) -> None:
    assert type_.description.endswith(".")
    assert {"user", "subscription_id"} < set(type_.example)
    if "invoice" in type_.example:
        InvoiceView.model_validate(type_.example["invoice"], extra="forbid")

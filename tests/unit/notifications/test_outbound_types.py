"""The types of facts: their examples look like what is sent, and the page for receivers lists them all."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tallystick.notifications.outbound_models import FactType, FactTypes
from tallystick.payments.service_facts import FACT_TYPES

PAGE = (Path(__file__).parents[3] / "docs" / "outbound-webhooks.md").read_text(encoding="utf-8")


def test_the_page_lists_every_type_and_no_other() -> None:
    types = FactTypes()
    types.register(FACT_TYPES)
    listed = re.findall(r"^\| `([a-z_]+\.[a-z_]+)` \|", PAGE, flags=re.MULTILINE)
    assert sorted(listed) == [type_.name for type_ in types.listed()]


@pytest.mark.parametrize("type_", FACT_TYPES, ids=lambda type_: type_.name)
def test_an_example_is_of_its_type(type_: FactType) -> None:
    assert type_.description.endswith(".")
    assert {"user", "payment"} <= set(type_.example)
    created = datetime.fromisoformat(type_.example["payment"]["created_at"])
    assert created < datetime(2026, 1, 31, 12, tzinfo=UTC)

"""The language of a user: from the claim `locale` of their token, or from the header of a server that acts for them."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from system import Answer, MakeDatabase, System, running_system, token_for

PAYMENT = {"amount": 1050, "currency": "eur", "payment_method": "pm_card_visa", "confirm": True}
SUBJECTS = {"en": "Payment received", "de": "Zahlung eingegangen", "ja": "お支払い"}


@pytest.fixture(scope="module")
async def system(make_database: MakeDatabase) -> AsyncIterator[System]:
    async with running_system(await make_database()) as running:
        yield running


async def pay(system: System, token: str, **headers: str) -> Answer:
    return await system.call("POST", "/api/payments/payment-intent", PAYMENT, token=token, headers=headers)


async def subject_of(system: System, user: str) -> str:
    await system.quiet()
    found = system.mails_to(user)
    assert len(found) == 1
    return found[0].subject


@pytest.mark.parametrize(("locale", "language"), [("de-AT", "de"), ("ja", "ja"), ("xx", "en"), (None, "en"), (7, "en")])
async def test_a_mail_is_in_the_language_that_the_token_names(system: System, locale: Any, language: str) -> None:
    user = f"speaker-{locale}"
    assert (await pay(system, token_for(user, email=f"{user}@example.com", locale=locale))).status == 201
    assert SUBJECTS[language] in await subject_of(system, user)


async def test_a_server_names_the_language_of_whom_it_acts_for(system: System) -> None:
    user, service = "speaker-served", token_for("shop", roles=("service",))
    headers = {"Tallystick-User": user, "Tallystick-User-Email": f"{user}@example.com"}
    assert (await pay(system, service, **headers, **{"Tallystick-User-Locale": "de"})).status == 201
    assert SUBJECTS["de"] in await subject_of(system, user)
    # Not named again, it stays; another one replaces it.
    await pay(system, service, **headers)
    assert await system.value("SELECT locale FROM users WHERE external_id = $1", user) == "de"
    await pay(system, service, **headers, **{"Tallystick-User-Locale": "ja"})
    assert await system.value("SELECT locale FROM users WHERE external_id = $1", user) == "ja"
    refused = await pay(system, service, **headers, **{"Tallystick-User-Locale": "no language"})
    assert (refused.status, refused.body["field"]) == (422, "tallystick-user-locale")

"""Checkout sessions by their routes: as the application makes them, and as a customer's browser uses them."""

from typing import Any

from multidict import CIMultiDictProxy

from system import System

__all__ = ["BASE", "BODY", "Customer", "make", "show", "subscribe"]

BASE = "/api/checkout-sessions"
BODY = {"amount": 1050, "currency": "usd", "description": "A year of tea"}


class Customer:
    """A customer's browser without its looks: the page's address, and what its script asks."""

    def __init__(self, system: System, url: str) -> None:
        self.system = system
        self.url = url

    async def page(self, query: str = "", **headers: str) -> tuple[int, str, "CIMultiDictProxy[str]"]:
        async with self.system.http.get(self.url + query, headers=headers, allow_redirects=False) as answer:
            return answer.status, await answer.text(), answer.headers

    async def start(self, query: str = "") -> tuple[int, Any]:
        async with self.system.http.post(f"{self.url}/start{query}") as answer:
            return answer.status, await answer.json(content_type=None)

    async def state(self, query: str = "") -> Any:
        async with self.system.http.get(f"{self.url}/state{query}") as answer:
            assert answer.status == 200
            return await answer.json()

    async def confirm(self, card: str = "pm_card_visa") -> str:
        """Press the button and confirm with Stripe; the intent's status, or the decline's code."""
        status, started = await self.start()
        assert status == 200, started
        return await self.confirm_with(started["client_secret"], card)

    async def confirm_with(self, secret: str, card: str = "pm_card_visa") -> str:
        intent = secret.partition("_secret_")[0]
        kind = "setup_intents" if intent.startswith("seti_") else "payment_intents"
        url = f"{self.system.sandbox_url}/v1/{kind}/{intent}/confirm"
        data = {"client_secret": secret, "payment_method": card, "return_url": self.url}
        async with self.system.http.post(url, data=data, headers={"Authorization": "Bearer pk_test_system"}) as answer:
            body = await answer.json()
            return str(body.get("status") or body["error"].get("decline_code") or body["error"]["code"])


async def make(system: System, *, user: str = "ann", **fields: Any) -> tuple[Any, Customer]:
    """A session, and its customer at the page."""
    answer = await system.call("POST", BASE, {**BODY, **fields}, user=user)
    assert answer.status == 201, answer.body
    return answer.body, Customer(system, answer.body["url"])


async def subscribe(system: System, user: str, price: str, **fields: Any) -> tuple[Any, Customer]:
    """A session of mode subscription, without a trial unless one is asked for."""
    body = {"mode": "subscription", "price": price, "trial_period_days": 0, **fields}
    answer = await system.call("POST", BASE, body, user=user)
    assert answer.status == 201, answer.body
    return answer.body, Customer(system, answer.body["url"])


async def show(system: System, session: Any, user: str = "ann") -> Any:
    return (await system.call("GET", f"{BASE}/{session['id']}", user=user)).body

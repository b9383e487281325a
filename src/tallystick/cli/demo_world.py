"""What a demo touches, all of it from outside: HTTP as applications and browsers use it, and SQL that only reads."""

import json
import os
import secrets
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tallystick.cli.demo_client import CALL_S, Amiss, Json, client_of, start_of
from tallystick.cli.errors import Problem
from tallystick.cli.files import read_json
from tallystick.cli.instance import Instance
from tallystick.cli.tokens import Role, make_token

if TYPE_CHECKING:
    import aiohttp
    import asyncpg

    from tallystick.client import AuthenticatedClient

__all__ = ["Amiss", "Json", "Reply", "World", "open_world"]

_SQL_S = 10.0


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of another's than Tallystick's. `request_id` is Stripe's where Stripe (or the sandbox) answered."""

    status: int
    content: bytes
    body: Any
    headers: Mapping[str, str]
    ms: float

    @property
    def request_id(self) -> str:
        return self.headers.get("Request-Id", "")


class World:
    """A running `dev`, and a customer of this run's own.

    `ann` speaks to Tallystick in the customer's name, `staff` in an administrator's.
    """

    def __init__(
        self, instance: Instance, http: "aiohttp.ClientSession", sql: "asyncpg.Connection[Any]", run: str
    ) -> None:
        self.instance = instance
        self.api_url = instance.api_url
        self.sandbox_url = str(instance.sandbox_url)
        self.mailbox_url = str(instance.mailbox_url)
        self.run = run
        self.email = f"ann-{run}@example.test"
        self.subject = f"demo-{run}"
        self.ann = self._client(self.email, self.subject, [])
        self.staff = self._client("staff@example.test", "demo-staff", ["admin"])
        self._http = http
        self._sql = sql

    def _client(self, email: str, subject: str, roles: list[Role]) -> "AuthenticatedClient":
        token = make_token(_jwt_secret(self.instance), email=email, roles=roles, subject=subject, days=1)
        return client_of(self.api_url, token)

    # Stripe

    async def browser(self, path: str, form: Mapping[str, str]) -> Reply:
        """What Stripe.js sends from the customer's browser: the publishable key, straight to Stripe."""
        key = self.instance.stripe_publishable_key
        return await self._call("POST", self.sandbox_url + path, data=form, headers={"Authorization": f"Bearer {key}"})

    async def send_card(self, number: str) -> Reply:
        """A card as the customer types it into Stripe's form; it is valid for years, whatever the date is."""
        year = (await self.now()).year + 5
        card = {"card[number]": number.replace(" ", ""), "card[exp_month]": "12", "card[exp_year]": str(year)}
        return await self.browser("/v1/payment_methods", {"type": "card", **card, "card[cvc]": "123"})

    async def visit(self, method: str, url: str, form: Mapping[str, str] | None = None) -> Reply:
        """A page, as the customer's browser loads it or sends its form; redirects are not followed."""
        return await self._call(method, url, data=form, allow_redirects=False)

    async def stripe(self, path: str, **query: str | list[str]) -> Json:
        """Read Stripe's own half with the secret key."""
        headers = {"Authorization": f"Bearer {self.instance.stripe_secret_key}"}
        reply = await self._call("GET", self.sandbox_url + path, params=query, headers=headers)
        if reply.status != 200 or not isinstance(reply.body, dict):
            raise Amiss(f"Stripe should answer GET {path}, but answers {reply.status}: {start_of(reply.content)}")
        return reply.body

    async def control(self, method: str, path: str, body: Any = None, *, timeout_s: float = CALL_S) -> Json:
        """A control of the sandbox, which the real Stripe does not have."""
        reply = await self._call(method, f"{self.sandbox_url}/_sandbox{path}", json=body, timeout_s=timeout_s)
        if reply.status >= 300 or not isinstance(reply.body, dict):
            raise Amiss(f"The sandbox refuses {method} {path}: {reply.status} {start_of(reply.content)}")
        return reply.body

    async def now(self) -> datetime:
        """Business time."""
        return datetime.fromtimestamp((await self.control("GET", "/clock"))["now"], UTC)

    async def requests(self) -> list[Json]:
        """What the sandbox was asked lately, oldest first."""
        found: list[Json] = (await self.control("GET", "/requests?limit=1000"))["data"]
        return found[::-1]

    @asynccontextmanager
    async def fault(self, **rule: Any) -> AsyncIterator[None]:
        """Make the sandbox misbehave for as long as the block lasts."""
        added = (await self.control("POST", "/faults", rule))["data"][0]["id"]
        try:
            yield
        finally:
            await self.control("DELETE", f"/faults/{added}")

    # What Tallystick wrote

    async def rows(self, query: str, *values: Any) -> list[Json]:
        """Rows of our half."""
        return [dict(row) for row in await self._sql.fetch(query, *values, timeout=_SQL_S)]

    async def row(self, query: str, *values: Any) -> Json | None:
        """The first row, if there is one."""
        found = await self.rows(query, *values)
        return found[0] if found else None

    async def mails(self) -> list[Json]:
        """The customer's mails in the mailbox, oldest first."""
        reply = await self._call("GET", f"{self.mailbox_url}/api/messages", params={"to": self.email, "limit": "500"})
        if reply.status != 200:
            raise Amiss(f"The mailbox should list its mails, but answers {reply.status}: {start_of(reply.content)}")
        found: list[Json] = reply.body["data"]
        return found[::-1]

    async def _call(self, method: str, url: str, *, timeout_s: float = CALL_S, **options: Any) -> Reply:
        import aiohttp

        began = time.monotonic()
        timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=5)
        try:
            async with self._http.request(method, url, timeout=timeout, **options) as response:
                content = await response.read()
                ms = (time.monotonic() - began) * 1000
                return Reply(response.status, content, _decoded(content), response.headers, ms)
        except TimeoutError:
            raise Amiss(f"{_place(url)} gave no answer to {method} within {timeout_s:.0f} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise Amiss(f"{_place(url)} does not answer: {str(error) or type(error).__name__}") from None


@asynccontextmanager
async def open_world(instance: Instance, run: str | None = None) -> AsyncIterator[World]:
    """Connect to everything that a demo needs, as the customer of this `run` (a new one, if it is None).

    Raises Problem where this `dev` does not have it.
    """
    if instance.sandbox_url is None:
        raise Problem(
            "This `tallystick dev` uses a real Stripe account; the demo plays with faults and test cards that only "
            "the offline sandbox has. Start a `dev` without STRIPE_SECRET_KEY and STRIPE_API_BASE."
        )
    if instance.mailbox_url is None:
        raise Problem(
            "This `tallystick dev` sends its mails to SMTP_URL, where the demo cannot see them. Start one without it."
        )
    import aiohttp
    import asyncpg

    schema = os.environ.get("DATABASE_SCHEMA") or "public"
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession())
        try:
            sql = await asyncpg.connect(
                instance.database_url,
                timeout=_SQL_S,
                server_settings={"search_path": schema, "default_transaction_read_only": "on"},
            )
        except (OSError, TimeoutError, asyncpg.PostgresError) as error:
            raise Problem(f"The database of this `tallystick dev` cannot be reached: {error}") from error
        stack.push_async_callback(sql.close, timeout=5)
        world = World(instance, http, sql, run or secrets.token_hex(3))
        for client in (world.ann, world.staff):
            await stack.enter_async_context(client)
        yield world


def _jwt_secret(instance: Instance) -> str:
    secret = read_json(instance.data_dir / "secrets.json").get("JWT_SECRET") or os.environ.get("JWT_SECRET")
    if not secret:
        raise Problem(f"There is no secret to sign a token with in {instance.data_dir / 'secrets.json'}.")
    return str(secret)


def _decoded(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return None


def _place(url: str) -> str:
    return "/".join(url.split("/", 3)[:3])

"""Two servers of one installation let through what the limit says, to each user and address, and no more."""

import asyncio
import contextlib
import os
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator

import aiohttp
import jwt
import pytest
import pytest_asyncio
from pydantic import SecretStr

from system import (
    LONG,
    WEBHOOK_SECRET,
    MakeDatabase,
    System,
    free_port,
    running_system,
    serving,
    token_for,
)
from tallystick.app import create_app

QUOTA = 100
# Hours long, so that nothing leaks out while a slow machine runs the test.
LIMITS = {
    "RATE_LIMIT_READS": f"{QUOTA}/3600",
    "RATE_LIMIT_WRITES": "8/3600",
    "RATE_LIMIT_MONEY": "5/3600",
    "RATE_LIMIT_SERVICE": "2000/3600",
    "RATE_LIMIT_ADDRESS": "5000/3600",
    "RATE_LIMIT_PUBLIC": "30/3600",
    "RATE_LIMIT_BAD_TOKENS": "10/3600",
}
READ = "/api/payments/history"


@pytest_asyncio.fixture(scope="module", name="system")
async def limited(make_database: MakeDatabase) -> AsyncIterator[System]:
    async with running_system(await make_database(), workers=0, **LIMITS) as running:
        yield running


@pytest_asyncio.fixture(scope="module", name="servers")
async def two_servers(system: System) -> AsyncIterator[tuple[str, str]]:
    """Their addresses; each has its own pool, and knows nothing of the other but by the database."""
    port = free_port()
    async with serving(create_app(system.settings), port):
        yield system.api_url, f"http://127.0.0.1:{port}"


async def status(system: System, url: str, address: str, token: str | None, method: str = "GET") -> int:
    """One request, as a proxy on this machine passes it on from `address`."""
    headers = {"X-Forwarded-For": address, **({"Authorization": f"Bearer {token}"} if token else {})}
    async with system.http.request(method, url, headers=headers) as answer:
        await answer.read()
        if answer.status == 429:
            assert int(answer.headers["Retry-After"]) >= 1
            assert answer.headers["RateLimit"].split(";")[1] == "r=0"
            body = await answer.json()
            assert (body["code"], answer.content_type) == ("RATE_LIMITED", "application/problem+json")
        return answer.status


async def test_a_user_gets_the_whole_limit_of_two_servers_and_no_more(system: System, servers: tuple[str, str]) -> None:
    token = token_for("ann", email="ann@example.com")

    async def ask(number: int) -> int:
        return await status(system, servers[number % 2] + READ, f"198.51.100.{number % 50}", token)

    answers: Counter[int] = Counter()
    for _ in range(4):
        answers += Counter(await asyncio.gather(*(ask(number) for number in range(60))))
    slack = 2 * (QUOTA // 50) + QUOTA // 50
    assert set(answers) == {200, 429}
    assert QUOTA <= answers[200] <= QUOTA + slack
    other = await status(system, servers[0] + READ, "198.51.100.1", token_for("bob", email="bob@example.com"))
    assert other == 200, "another user of the same address goes on"


async def test_what_moves_money_has_a_limit_of_its_own(system: System) -> None:
    answers = [(await system.pay(user="cleo")).status for _ in range(9)]
    passed = answers.count(201)
    assert 5 <= passed <= 6
    assert answers == [201] * passed + [429] * (9 - passed)
    assert (await system.call("GET", READ, user="cleo")).status == 200
    answer = await system.call("GET", READ, user="cleo")
    assert answer.headers["RateLimit-Policy"] == f'"reads";q={QUOTA};w=3600'
    assert answer.headers["RateLimit"].startswith(f'"reads";r={QUOTA - 2};t=')


async def test_a_service_is_not_counted_with_the_users_it_acts_for(system: System) -> None:
    for number in range(3 * QUOTA // 2):
        headers = {"Tallystick-User": f"user-{number % 3}"}
        answer = await system.call("GET", READ, user="shop", roles=("service",), headers=headers)
        assert answer.status == 200
    assert answer.headers["RateLimit-Policy"] == '"service";q=2000;w=3600'


async def test_who_brings_no_token_is_counted_by_address(system: System, servers: tuple[str, str]) -> None:
    async def ask(number: int, address: str = "203.0.113.50") -> int:
        return await status(system, servers[number % 2] + READ, address, None)

    answers = Counter(await asyncio.gather(*(ask(number) for number in range(80))))
    assert set(answers) == {401, 429}
    assert 30 <= answers[401] <= 33
    assert await ask(0, "203.0.113.51") == 401


async def test_who_tries_token_after_token_is_not_looked_at_any_more(system: System, servers: tuple[str, str]) -> None:
    url, address = servers[0] + READ, "203.0.113.60"
    right = token_for("dora", email="dora@example.com")
    assert await status(system, url, address, right) == 200
    forged = [jwt.encode({"sub": "root", "n": number}, "y" * 64) for number in range(14)]
    answers = [await status(system, url, address, token) for token in forged]
    assert answers[:10] == [401] * 10
    assert answers[-1] == 429
    assert await status(system, url, address, right) == 200, "who was right before is let in all the same"
    fresh = token_for("emil", email="emil@example.com")
    assert await status(system, url, address, fresh) == 429, "a guess is not told from a token that is right"
    assert await status(system, url, "203.0.113.61", fresh) == 200


async def test_tokens_that_only_ran_out_are_no_guesses(system: System, servers: tuple[str, str]) -> None:
    old = token_for("finn", exp=1_000_000_000)
    answers = {await status(system, servers[0] + READ, "203.0.113.70", old) for _ in range(15)}
    assert answers == {401}


async def test_the_log_of_who_did_what_tells_the_callers_address_and_not_the_proxys(system: System) -> None:
    headers = {"X-Forwarded-For": "6.6.6.6, 203.0.113.90"}
    answer = await system.call(
        "GET", "/api/payments/payment-intent/none", user="ida", roles=("support",), headers=headers
    )
    assert answer.status == 404
    assert await system.value("SELECT address FROM audit_log WHERE actor = 'support:ida'") == "203.0.113.90"


@pytest.mark.skipif(not LONG, reason="a long run: processes of their own")
async def test_processes_of_a_machine_keep_one_limit(system: System) -> None:
    port, each = free_port(), 3
    settings = {
        name.upper(): value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        for name in ("database_url", "stripe_secret_key", "stripe_publishable_key", "stripe_api_base", "jwt_secret")
        if (value := getattr(system.settings, name)) is not None
    }
    command = [sys.executable, "-m", "tallystick.cli.main", "serve", f"--port={port}", f"--workers={each}"]
    environment = {**os.environ, **settings, **LIMITS, "ENVIRONMENT": "test", "STRIPE_WEBHOOK_SECRET": WEBHOOK_SECRET}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"

    async def ask(user: str) -> int:
        # A connection of its own for each, so that all processes answer some.
        headers = {"Authorization": f"Bearer {token_for(user)}", "Connection": "close"}
        async with aiohttp.ClientSession() as http, http.get(url + READ, headers=headers) as answer:
            return answer.status

    try:
        async with asyncio.timeout(60):
            while True:
                with contextlib.suppress(aiohttp.ClientError):
                    async with system.http.get(f"{url}/healthz"):
                        break
                await asyncio.sleep(0.1)
        for user in ("gus", "hal"):
            answers: Counter[int] = Counter()
            for _ in range(6):
                answers += Counter(await asyncio.gather(*(ask(user) for _ in range(40))))
            assert set(answers) == {200, 429}
            assert QUOTA <= answers[200] <= QUOTA + each * (QUOTA // 50) + QUOTA // 50
    finally:
        process.terminate()
        process.wait(timeout=30)

"""Who may do what: tokens by shared secret and by JWKS, roles, and other people's objects."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from system import JWT_SECRET, System, free_port, serving, token_for, unique, until
from tallystick.app import create_app
from tallystick.core.errors import Unauthorized, Unavailable
from tallystick.platform import signing_keys
from tallystick.platform.auth import TokenVerifier
from tallystick.platform.settings import Settings, load_settings

BASE = "/api/payments/payment-intent"


async def status_with(system: System, authorization: str | None) -> int:
    headers = {} if authorization is None else {"Authorization": authorization}
    async with system.http.get(f"{system.api_url}/api/payments/history", headers=headers) as response:
        body = await response.json()
        if response.status == 401:
            assert body["code"] == "UNAUTHORIZED"
            assert response.headers["WWW-Authenticate"] == "Bearer"
        return response.status


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", "Basic abc", "Bearer nonsense", "Bearer a.b.c", "Bearer " + "x" * 9000],
)
async def test_without_a_token_nothing_is_answered(system: System, authorization: str | None) -> None:
    assert await status_with(system, authorization) == 401


async def test_a_token_that_is_not_ours_is_refused(system: System) -> None:
    past = datetime.now(UTC) - timedelta(minutes=5)
    claims = {"iss": "tallystick", "aud": "tallystick", "sub": "eve", "exp": datetime.now(UTC) + timedelta(hours=1)}
    bad = [
        token_for("eve", exp=past),
        token_for("eve", iss="somebody"),
        token_for("eve", aud="something"),
        token_for("eve", nbf=datetime.now(UTC) + timedelta(hours=1)),
        jwt.encode(claims, "another secret that is also long enough"),
        jwt.encode(claims, "", algorithm="none"),
        jwt.encode(claims, JWT_SECRET, algorithm="HS512"),
        jwt.encode({name: value for name, value in claims.items() if name != "exp"}, JWT_SECRET),
        jwt.encode({**claims, "sub": ""}, JWT_SECRET),
        jwt.encode({name: value for name, value in claims.items() if name != "sub"}, JWT_SECRET),
        token_for("eve")[:-3] + "abc",
    ]
    assert [await status_with(system, f"Bearer {token}") for token in bad] == [401] * len(bad)
    assert await system.value("SELECT count(*) FROM users WHERE external_id IN ('eve', '')") == 0


async def test_another_users_payment_does_not_exist(system: System) -> None:
    ann, bob = unique("ann"), unique("bob")
    paid = (await system.pay(user=ann)).body
    for payment_id in (paid["id"], paid["stripe_payment_intent_id"]):
        for verb in ("", "/confirm", "/capture", "/cancel", "/refund"):
            method = "POST" if verb else "GET"
            answer = await system.call(method, f"{BASE}/{payment_id}{verb}", user=bob)
            assert (answer.status, answer.code) == (404, "NOT_FOUND"), verb
    assert (await system.call("GET", "/api/payments/history", user=bob)).body["data"] == []
    cursor = await system.call("GET", f"/api/payments/history?starting_after={paid['id']}", user=bob)
    assert cursor.status == 422


async def test_our_own_id_of_a_user_as_a_subject_opens_nothing_of_theirs(system: System) -> None:
    ann = unique("ann")
    await system.pay(user=ann)
    await system.quiet()
    ours = str(await system.value("SELECT id FROM users WHERE external_id = $1", ann))
    assert (await system.call("GET", "/api/me/export", user=ours)).status == 404
    # Whoever is called so has what is their own.
    mine = await system.pay(user=ours)
    assert mine.status == 201, mine.body
    told = (await system.call("GET", "/api/me/export", user=ours)).body
    assert (told["user"]["external_id"], [payment["id"] for payment in told["payments"]]) == (ours, [mine.body["id"]])
    # Staff may name a user by it, where nobody is called so.
    bob = unique("bob")
    await system.pay(user=bob)
    theirs = await system.value("SELECT id FROM users WHERE external_id = $1", bob)
    staff = await system.call("GET", f"/api/users/{theirs}/export", user="grace", roles=("admin",))
    assert staff.body["user"]["external_id"] == bob


async def test_support_reads_everything_and_changes_nothing(system: System) -> None:
    ann, sue = unique("ann"), unique("sue")
    paid = (await system.pay(user=ann)).body
    assert (await system.get(paid["id"], user=sue, roles=("support",)))["id"] == paid["id"]
    everybody = await system.call("GET", "/api/payments/history", user=sue, roles=("support",))
    assert paid["id"] in [row["id"] for row in everybody.body["data"]]
    for path, body in ((f"{BASE}/{paid['id']}/refund", {}), (BASE, {"amount": 1000})):
        answer = await system.call("POST", path, body, user=sue, roles=("support",))
        assert (answer.status, answer.code) == (403, "FORBIDDEN")


async def test_an_administrator_acts_on_everybodys_payments(system: System) -> None:
    paid = (await system.pay(user=unique("ann"), amount=3000)).body
    refunded = await system.call(
        "POST", f"{BASE}/{paid['id']}/refund", {"amount": 1000}, user=unique("root"), roles=("admin",)
    )
    assert (refunded.status, refunded.body["amount"]) == (200, 1000)


async def test_a_service_acts_for_the_user_it_names_and_users_own_what_it_made(system: System) -> None:
    ann, bob = unique("ann"), unique("bob")
    acting = {"Tallystick-User": ann, "Tallystick-User-Email": f"{ann}@example.com"}
    body = {"amount": 1000, "payment_method": "pm_card_visa", "confirm": True}
    made = await system.call("POST", BASE, body, user="backend", roles=("service",), headers=acting)
    assert made.status == 201
    assert (await system.get(made.body["id"], user=ann))["status"] == "succeeded"
    other = {"Tallystick-User": bob}
    foreign = await system.call("GET", f"{BASE}/{made.body['id']}", user="backend", roles=("service",), headers=other)
    assert foreign.status == 404
    await system.quiet()
    assert len(system.mails_to(ann)) == 1
    nobody = await system.call("GET", "/api/payments/history", user="backend", roles=("service",))
    assert (nobody.status, nobody.body["field"]) == (422, "Tallystick-User")
    pretender = await system.call("GET", "/api/payments/history", user=bob, headers={"Tallystick-User": ann})
    assert (pretender.status, pretender.code) == (403, "FORBIDDEN")


async def test_a_new_address_in_the_token_is_where_the_next_mail_goes(system: System) -> None:
    user = unique("moves")
    await system.pay(user=user)
    await system.quiet()
    token = token_for(user, email=f"new-{user}@example.com")
    body = {"amount": 1000, "payment_method": "pm_card_visa", "confirm": True}
    assert (await system.call("POST", BASE, body, token=token)).status == 201
    await system.quiet()
    assert [len(system.mails_to(name)) for name in (user, f"new-{user}")] == [1, 1]


class Issuer:
    """A host application's key server."""

    def __init__(self) -> None:
        self.keys: dict[str, tuple[Any, str]] = {}
        self.fetches = 0
        self.away = False
        self.answering = asyncio.Event()
        self.answering.set()

    def add(self, kid: str, key: Any, algorithm: str) -> None:
        self.keys[kid] = (key, algorithm)

    async def jwks(self, _: Any) -> JSONResponse:
        self.fetches += 1
        await self.answering.wait()
        if self.away:
            return JSONResponse({}, 502)
        dump: dict[str, Any] = {"RS256": RSAAlgorithm, "ES256": ECAlgorithm, "EdDSA": OKPAlgorithm}
        keys = []
        for kid, (key, algorithm) in self.keys.items():
            public = json.loads(dump[algorithm].to_jwk(key.public_key()))
            keys.append({**public, "kid": kid, "alg": algorithm, "use": "sig"})
        return JSONResponse({"keys": keys})

    def token(self, kid: str, **claims: Any) -> str:
        key, algorithm = self.keys[kid]
        payload = {"iss": "tallystick", "aud": "tallystick", "sub": "ann", "roles": ["admin"]}
        exp = datetime.now(UTC) + timedelta(hours=1)
        return jwt.encode({**payload, "exp": exp, **claims}, key, algorithm=algorithm, headers={"kid": kid})


@asynccontextmanager
async def running_issuer() -> AsyncIterator[tuple[Issuer, Settings]]:
    issuer, port = Issuer(), free_port()
    async with serving(Starlette(routes=[Route("/jwks", issuer.jwks)]), port):
        yield (
            issuer,
            load_settings(
                {
                    "DATABASE_URL": "postgresql://nowhere",
                    "STRIPE_SECRET_KEY": "sk_test_x",
                    "STRIPE_WEBHOOK_SECRET": "whsec_x",
                    "JWT_JWKS_URL": f"http://127.0.0.1:{port}/jwks",
                }
            ),
        )


async def test_keys_of_three_kinds_are_fetched_once_and_rotation_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_issuer() as (issuer, settings):
        issuer.add("a", rsa.generate_private_key(65537, 2048), "RS256")
        issuer.add("b", ec.generate_private_key(ec.SECP256R1()), "ES256")
        issuer.add("c", ed25519.Ed25519PrivateKey.generate(), "EdDSA")
        verifier = TokenVerifier(settings)
        for kid in "abcabc":
            identity = await verifier.verify(f"Bearer {issuer.token(kid)}")
            assert (identity.subject, identity.roles) == ("ann", frozenset({"admin"}))
        assert issuer.fetches == 1
        issuer.add("d", ed25519.Ed25519PrivateKey.generate(), "EdDSA")
        monkeypatch.setattr(signing_keys, "_PAUSE_S", 0.0)
        assert (await verifier.verify(f"Bearer {issuer.token('d')}")).subject == "ann"
        assert issuer.fetches == 2


async def test_a_public_key_is_no_shared_secret_and_unknown_keys_do_not_flood_the_issuer() -> None:
    async with running_issuer() as (issuer, settings):
        issuer.add("a", rsa.generate_private_key(65537, 2048), "RS256")
        verifier = TokenVerifier(settings)
        await verifier.verify(f"Bearer {issuer.token('a')}")
        stranger = Issuer()
        stranger.add("x", rsa.generate_private_key(65537, 2048), "RS256")
        bad = [stranger.token("x")] * 5 + [token_for("eve")]
        for token in bad:
            with pytest.raises(Unauthorized):
                await verifier.verify(f"Bearer {token}")
        assert issuer.fetches <= 2


async def test_keys_that_were_fetched_are_kept_while_the_issuer_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_issuer() as (issuer, settings):
        issuer.add("a", ec.generate_private_key(ec.SECP256R1()), "ES256")
        verifier = TokenVerifier(settings)
        await verifier.verify(f"Bearer {issuer.token('a')}")
        issuer.away = True
        monkeypatch.setattr(signing_keys, "_FRESH_S", 0.0)
        monkeypatch.setattr(signing_keys, "_PAUSE_S", 0.0)
        for number in range(3):
            assert (
                await verifier.verify(f"Bearer {issuer.token('a', sub=f'user{number}')}")
            ).subject == f"user{number}"
        # A key that came since is not known, and may be right.
        issuer.add("b", ec.generate_private_key(ec.SECP256R1()), "ES256")
        with pytest.raises(Unavailable):
            await verifier.verify(f"Bearer {issuer.token('b')}")
        with monkeypatch.context() as later:
            later.setattr(signing_keys, "_KEPT_S", 0.0)
            with pytest.raises(Unavailable):
                await verifier.verify(f"Bearer {issuer.token('a', sub='late')}")
        issuer.away = False
        for kid in "ab":
            assert (await verifier.verify(f"Bearer {issuer.token(kid, sub=kid)}")).subject == kid


async def test_who_names_a_known_key_does_not_wait_for_an_issuer_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_issuer() as (issuer, settings):
        issuer.add("a", ec.generate_private_key(ec.SECP256R1()), "ES256")
        verifier = TokenVerifier(settings)
        await verifier.verify(f"Bearer {issuer.token('a')}")
        monkeypatch.setattr(signing_keys, "_FRESH_S", 0.0)
        monkeypatch.setattr(signing_keys, "_PAUSE_S", 0.0)
        issuer.answering.clear()
        asks = asyncio.create_task(verifier.verify(f"Bearer {issuer.token('a', sub='bob')}"))
        await until(lambda: issuer.fetches == 2, "the issuer is asked")
        assert (await verifier.verify(f"Bearer {issuer.token('a', sub='eve')}")).subject == "eve"
        assert not asks.done()
        issuer.answering.set()
        assert (await asks).subject == "bob"


async def test_an_issuer_that_is_away_is_asked_by_one_of_many_and_not_again_at_once() -> None:
    async with running_issuer() as (issuer, settings):
        issuer.add("a", ec.generate_private_key(ec.SECP256R1()), "ES256")
        issuer.away = True
        verifier = TokenVerifier(settings)
        for _ in range(2):
            tokens = [f"Bearer {issuer.token('a', sub=f'user{number}')}" for number in range(20)]
            found = await asyncio.gather(*(verifier.verify(token) for token in tokens), return_exceptions=True)
            assert {type(one) for one in found} == {Unavailable}
        assert issuer.fetches == 1


async def test_a_token_that_names_no_key_asks_nobody() -> None:
    async with running_issuer() as (issuer, settings):
        key = ec.generate_private_key(ec.SECP256R1())
        with pytest.raises(Unauthorized):
            await TokenVerifier(settings).verify(f"Bearer {jwt.encode({'sub': 'eve'}, key, 'ES256')}")
        assert issuer.fetches == 0


async def test_that_the_issuer_is_away_is_not_held_against_the_caller(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signing_keys, "_PAUSE_S", 0.0)
    async with running_issuer() as (issuer, told):
        issuer.add("a", ec.generate_private_key(ec.SECP256R1()), "ES256")
        changed = {"jwt_secret": None, "jwt_jwks_url": told.jwt_jwks_url, "rate_limit_bad_tokens": "2/3600"}
        settings = Settings.model_validate({**system.settings.model_dump(), **changed})
        port = free_port()

        async def asked(token: str) -> aiohttp.ClientResponse:
            headers = {"Authorization": f"Bearer {token}", "X-Forwarded-For": "198.51.100.77"}
            async with system.http.get(f"http://127.0.0.1:{port}/api/payments/history", headers=headers) as answer:
                await answer.read()
                return answer

        async with serving(create_app(settings, logs=False), port):
            issuer.away = True
            for number in range(5):
                answer = await asked(issuer.token("a", sub=f"user{number}"))
                assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
            issuer.away = False
            assert (await asked(issuer.token("a"))).status == 200
            stranger = Issuer()
            stranger.add("x", ec.generate_private_key(ec.SECP256R1()), "ES256")
            assert [(await asked(stranger.token("x"))).status for _ in range(3)] == [401, 401, 429]

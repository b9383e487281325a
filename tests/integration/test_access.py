"""Who may do what: tokens by shared secret and by JWKS, roles, and other people's objects."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from system import JWT_SECRET, System, free_port, serving, token_for, unique
from tallystick.core.errors import Unauthorized
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

    def add(self, kid: str, key: Any, algorithm: str) -> None:
        self.keys[kid] = (key, algorithm)

    async def jwks(self, _: Any) -> JSONResponse:
        self.fetches += 1
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


async def test_keys_of_three_kinds_are_fetched_once_and_rotation_is_seen() -> None:
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
        await asyncio.sleep(5.1)
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

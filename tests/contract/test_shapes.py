"""Every answer and event, of every flow and in both versions, held against Stripe's own schemas."""

import importlib.util
import json
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest
import stripe

from contract.billing_flows import drive_billing
from contract.flows import drive, drive_async
from contract.harness import VERSIONS, Box, Json, running_box, running_receiver
from tallystick.sandbox.versions import OLDEST

CHECKER = Path(__file__).resolve().parents[3] / "shared" / "stripe" / "check_shape.py"

# Printed by the real API (recorded) and absent from the SDKs' types that the schemas are made of.
RECORDED_EXTRAS = {
    "attributes",
    "balance_transaction",
    "destination",
    "dispute",
    "electronic_commerce_indicator",
    "network_transaction_id",
    "order",
    "plan",
    "quantity",
    "shared_payment_granted_token",
    "total_count",
}
# Opaque by contract, or missing only from the types of that time.
OTHER_EXTRAS = {"generated_from"}


@pytest.fixture(scope="module")
def checker() -> ModuleType:
    if not CHECKER.exists():
        pytest.skip("the shape checker and Stripe's schemas are not beside this checkout")
    spec = importlib.util.spec_from_file_location("check_shape", CHECKER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module", params=VERSIONS)
def recorded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[Json]]:
    """The version, and every distinct answer and event of all flows in it."""
    version: str = request.param
    path = tmp_path_factory.mktemp("record") / "answers.jsonl"
    with running_receiver() as receiver, running_box(api_version=version, record=path) as box:
        box.control("POST", "/settings", {"search_lag_s": 0})
        box.control("PUT", "/webhook_endpoints", {"url": receiver.url, "secret": "whsec_x"})
        drive(box, box.client(version), version)
        drive_billing(box, box.client(version), version)
        assert len(receiver.got) > 100
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert {line["api_version"] for line in lines} == {version}
    return version, [line["body"] for line in lines]


def problems(checker: ModuleType, version: str, documents: list[Json], *, strict: bool) -> Counter[str]:
    """Each kind of violation and how often, the first example beside it."""
    spec = checker.Spec(version, strict)
    found: Counter[str] = Counter()
    for document in documents:
        kind = document.get("type") if document.get("object") == "event" else document.get("object", "error")
        for path, problem in checker.check(spec, document):
            # Younger than the older schemas, which the real API sends all the same.
            if problem.startswith("no component for object='entitlements.") or "'product_feature'" in problem:
                continue
            if version == OLDEST and problem == "no component for object='invoice_payment'":
                # An account of the old version lists the event all the same where an endpoint of a new one wants it.
                continue
            if version == OLDEST and problem == "'id' is missing" and kind in ("invoice", "invoice.upcoming"):
                # Before basil the preview of an invoice had none; the derived types leave that out.
                continue
            if strict and (path.rsplit(".", 1)[-1] in RECORDED_EXTRAS | OTHER_EXTRAS or ".use_stripe_sdk." in path):
                continue
            found[f"{kind}: {path}: {problem}"] += 1
    return found


@pytest.mark.parametrize("strict", [False, True])
def test_all_shapes(checker: ModuleType, recorded: tuple[str, list[Json]], strict: bool) -> None:
    version, documents = recorded
    assert len(documents) > 200
    found = problems(checker, version, documents, strict=strict)
    assert not found, "\n".join(f"{count} x {problem}" for problem, count in found.most_common(60))


@pytest.mark.parametrize("recorded", VERSIONS, indirect=True)
def test_the_official_specs_of_near_versions(checker: ModuleType, recorded: tuple[str, list[Json]]) -> None:
    """Stripe's own OpenAPI files know integers and lengths; they are of a little before each version."""
    version, documents = recorded
    near = {"2023-10-16": "2023-08-16", "2026-10-28.endive": "2026-08-26.dahlia"}[version]
    if version == OLDEST:
        # Confirmation tokens came between the two.
        documents = [item for item in documents if item.get("object") != "confirmation_token"]
    found = problems(checker, near, documents, strict=False)
    assert not found, "\n".join(f"{count} x {problem}" for problem, count in found.most_common(60))


def test_every_kind_of_object_was_seen(recorded: tuple[str, list[Json]]) -> None:
    kinds = {document.get("object", "error") for _, documents in [recorded] for document in documents}
    assert kinds >= {
        "account", "balance", "billing_portal.configuration", "billing_portal.session", "charge", "checkout.session",
        "coupon", "customer", "customer_balance_transaction", "dispute", "error", "event", "invoice", "invoiceitem",
        "list", "payment_intent", "payment_method", "price", "product", "promotion_code", "radar.early_fraud_warning",
        "refund", "search_result", "setup_intent", "subscription", "subscription_item", "test_helpers.test_clock",
        "token", "webhook_endpoint",
    }  # fmt: skip


def test_no_float_and_no_empty_key(recorded: tuple[str, list[Json]]) -> None:
    def walk(value: object) -> None:
        assert not isinstance(value, float), value
        if isinstance(value, dict):
            # The one number that may have a fraction.
            value = [item for key, item in value.items() if key != "percent_off"]
        for item in value if isinstance(value, list) else ():
            walk(item)

    for document in recorded[1]:
        walk(document)


async def test_the_async_sdk(box: Box) -> None:
    client = stripe.AIOHTTPClient()
    try:
        await drive_async(stripe.StripeClient("sk_test_async", base_addresses={"api": box.url}, http_client=client))
    finally:
        await client.close_async()  # type: ignore[no-untyped-call]

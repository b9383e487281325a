"""What all endpoints share: headers, errors, lists, expanding."""

import time
from email.utils import parsedate_to_datetime

import pytest

from contract.harness import Box, Reply, Sdk, error_of

PAY = (
    "amount=1500&currency=usd&confirm=true&payment_method={}"
    "&automatic_payment_methods[enabled]=true&automatic_payment_methods[allow_redirects]=never"
)


@pytest.fixture(scope="module")
def emails(shared_box: Box) -> list[str]:
    """Ids of five customers of one e-mail, newest first."""
    form = "email=lists%40example.com"
    return [shared_box.post("/v1/customers", form).body["id"] for _ in range(5)][::-1]


class TestHeadersAndErrors:
    def test_headers(self, shared_box: Box) -> None:
        reply = shared_box.post("/v1/customers", "name=A", Idempotency_Key="headers-1")
        assert reply.headers["request-id"].startswith("req_")
        assert len(reply.headers["request-id"]) == 18
        assert reply.headers["idempotency-key"] == "headers-1"
        assert reply.headers["original-request"] == reply.headers["request-id"]

    def test_date_is_business_time(self, box: Box) -> None:
        box.advance("40d")
        reply = box.request("GET", "/v1/balance")
        moment = parsedate_to_datetime(reply.headers["date"]).timestamp()
        assert abs(moment - (time.time() + 40 * 86400)) < 5
        assert abs(box.post("/v1/customers", "").body["created"] - moment) <= 2

    def test_key_order(self, shared_box: Box) -> None:
        body = shared_box.post("/v1/payment_intents", PAY.format("pm_card_visa")).body
        assert list(body)[:2] == ["id", "object"]
        assert list(body)[2:] == sorted(list(body)[2:])
        charge = shared_box.request("GET", f"/v1/charges/{body['latest_charge']}").body
        card = charge["payment_method_details"]["card"]
        assert list(card) == sorted(card)

    @pytest.mark.parametrize(
        ("path", "param", "message"),
        [
            ("/v1/payment_intents/pi_nope", "intent", "No such payment_intent: 'pi_nope'"),
            ("/v1/charges/ch_nope", "id", "No such charge: 'ch_nope'"),
            ("/v1/customers/cus_nope", "id", "No such customer: 'cus_nope'"),
            ("/v1/balance_transactions/txn_nope", "id", "No such balance transaction: 'txn_nope'"),
            ("/v1/customers/cus_nope/payment_methods", "id", "No such customer: 'cus_nope'"),
        ],
    )
    def test_missing_objects(self, shared_box: Box, path: str, param: str, message: str) -> None:
        error = error_of(shared_box.request("GET", path), 404)
        assert (error["code"], error["param"], error["message"]) == ("resource_missing", param, message)
        assert error["doc_url"] == "https://stripe.com/docs/error-codes/resource-missing"
        assert "request_log_url" in error
        assert list(error) == sorted(error)

    def test_unknown_route(self, shared_box: Box) -> None:
        error = error_of(shared_box.request("GET", "/v1/nonsense"), 404)
        assert error["message"].startswith("Unrecognized request URL (GET: /v1/nonsense).")
        assert "code" not in error

    def test_nested_unknown_parameter(self, shared_box: Box) -> None:
        error = error_of(shared_box.post("/v1/customers", "invoice_settings[nope]=1"), 400)
        assert (error["code"], error["param"]) == ("parameter_unknown", "invoice_settings[nope]")
        assert error["message"] == "Received unknown parameter: invoice_settings[nope]"

    def test_metadata(self, shared_box: Box) -> None:
        made = shared_box.post("/v1/customers", "metadata[a]=1&metadata[b]=2").body
        path = f"/v1/customers/{made['id']}"
        assert shared_box.post(path, "metadata[a]=&metadata[c]=3").body["metadata"] == {"b": "2", "c": "3"}
        assert shared_box.post(path, "metadata=").body["metadata"] == {}
        assert shared_box.post(path, f"metadata[{'k' * 41}]=1").status == 400
        assert shared_box.post(path, f"metadata[k]={'v' * 501}").status == 400


class TestLists:
    def listed(self, box: Box, query: str) -> Reply:
        return box.request("GET", f"/v1/customers?email=lists%40example.com&{query}")

    def ids(self, reply: Reply) -> list[str]:
        return [item["id"] for item in reply.body["data"]]

    def test_pages(self, shared_box: Box, emails: list[str]) -> None:
        first = self.listed(shared_box, "limit=2")
        assert (self.ids(first), first.body["has_more"]) == (emails[:2], True)
        assert list(first.body) == ["object", "data", "has_more", "url"]
        assert first.body["url"] == "/v1/customers"
        second = self.listed(shared_box, f"limit=3&starting_after={emails[1]}")
        assert (self.ids(second), second.body["has_more"]) == (emails[2:], False)
        back = self.listed(shared_box, f"limit=2&ending_before={emails[3]}")
        assert (self.ids(back), back.body["has_more"]) == (emails[1:3], True)
        top = self.listed(shared_box, f"ending_before={emails[2]}")
        assert (self.ids(top), top.body["has_more"]) == (emails[:2], False)

    def test_clamping(self, shared_box: Box, emails: list[str]) -> None:
        one = self.listed(shared_box, "limit=0")
        assert (self.ids(one), one.body["has_more"]) == (emails[:1], True)
        assert len(self.ids(self.listed(shared_box, "limit=101"))) == 5

    @pytest.mark.parametrize(
        ("query", "code", "param", "message"),
        [
            ("limit=abc", "parameter_invalid_integer", "limit", "Invalid integer: abc"),
            ("wat=1", "parameter_unknown", "wat", "Received unknown parameter: wat"),
            ("starting_after=cus_aaa", "resource_missing", "starting_after", "No such customer: 'cus_aaa'"),
            (
                "starting_after=cus_a&ending_before=cus_b",
                None,
                None,
                "Received both starting_after and ending_before parameters. Please pass in only one.",
            ),
        ],
    )
    def test_refusals(self, shared_box: Box, query: str, code: str | None, param: str | None, message: str) -> None:
        error = error_of(self.listed(shared_box, query), 400)
        assert (error.get("code"), error.get("param"), error["message"]) == (code, param, message)

    def test_created(self, box: Box) -> None:
        ids = []
        for _ in range(3):
            ids.append(box.post("/v1/customers", "").body)
            box.advance(100)
        middle = ids[1]["created"]

        def found(query: str) -> list[str]:
            return self.ids(box.request("GET", f"/v1/customers?{query}"))

        assert found(f"created[gt]={middle}") == [ids[2]["id"]]
        assert found(f"created[gte]={middle}") == [ids[2]["id"], ids[1]["id"]]
        assert found(f"created[lt]={middle}") == [ids[0]["id"]]
        assert found(f"created={middle}") == [ids[1]["id"]]
        assert found(f"created[gt]={middle + 100_000}") == []

    def test_empty_lists_where_one_expects_errors(self, shared_box: Box) -> None:
        for path in ("/v1/payment_methods?limit=3", "/v1/balance_transactions?type=bogus_type"):
            reply = shared_box.request("GET", path)
            assert (reply.status, reply.body["data"]) == (200, [])

    def test_sdk_pages_through_all(self, api: Sdk, emails: list[str]) -> None:
        pages = api.v1.customers.list({"email": "lists@example.com", "limit": 2})
        assert [customer.id for customer in pages.auto_paging_iter()] == emails


class TestExpand:
    def test_depths(self, api: Sdk) -> None:
        customer = api.v1.customers.create({"payment_method": "pm_card_visa"})
        method = api.v1.customers.payment_methods.list(customer.id).data[0].id
        api.v1.customers.update(customer.id, {"invoice_settings": {"default_payment_method": method}})
        found = api.v1.customers.retrieve(
            customer.id, {"expand": ["invoice_settings.default_payment_method.customer", "subscriptions"]}
        )
        assert found.invoice_settings.default_payment_method.customer.id == customer.id
        assert list(found.subscriptions.data) == []
        intent = api.v1.payment_intents.create(
            {"amount": 800, "currency": "usd", "customer": customer.id, "payment_method": method, "confirm": True,
             "off_session": True, "expand": ["latest_charge.payment_intent.customer", "payment_method"]}
        )  # fmt: skip
        assert intent.latest_charge.payment_intent.customer.id == customer.id
        assert intent.payment_method.card.last4 == "4242"
        listed = api.v1.charges.list({"customer": customer.id, "expand": ["data.customer"]})
        assert listed.data[0].customer.id == customer.id

    @pytest.mark.parametrize(
        ("path", "message"),
        [
            ("nope", "This property cannot be expanded (nope)."),
            ("amount", "This property cannot be expanded (amount)."),
            ("a.b.c.d.e", "You cannot expand more than 4 levels of a property. Property: a.b.c.d.e"),
        ],
    )
    def test_refusals(self, shared_box: Box, api: Sdk, path: str, message: str) -> None:
        intent = api.v1.payment_intents.create({"amount": 800, "currency": "usd"})
        reply = shared_box.request("GET", f"/v1/payment_intents/{intent.id}?expand[]={path}")
        assert error_of(reply, 400)["message"] == message
        reply = shared_box.request("GET", "/v1/payment_intents?expand[]=customer")
        assert "'data.customer'" in error_of(reply, 400)["message"]

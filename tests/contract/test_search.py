"""Search finds, but late."""

import time

from contract.harness import Box
from tallystick.sandbox.versions import NEWEST


class TestSearch:
    def test_lag_then_found(self, box: Box) -> None:
        box.control("POST", "/settings", {"search_lag_s": 0.4})
        api = box.client(NEWEST)
        made = api.v1.customers.create({"email": "Find@example.com", "metadata": {"user": "u-1", "tier": "gold"}})
        api.v1.customers.create({"email": "other@example.com", "metadata": {"user": "u-2"}})

        def found(query: str) -> list[str]:
            return [item.id for item in api.v1.customers.search({"query": query}).data]

        assert found("metadata['user']:'u-1'") == []
        time.sleep(0.5)
        for query in (
            "metadata['user']:'u-1'",
            'metadata["user"]:"u-1"',
            "email:'find@example.com'",
            "metadata['user']:'u-1' AND metadata['tier']:'gold'",
            "metadata['user']:'u-1' AND created>1000",
            "-metadata['user']:'u-2'",
            "email~'find'",
            "metadata['tier']:'gold' OR name:'nobody'",
        ):
            assert found(query) == [made.id], query
        assert found("metadata['user']:'u-1' AND created>99999999999") == []
        api.v1.customers.update(made.id, {"metadata": {"user": "u-9"}})
        assert found("metadata['user']:'u-9'") == []
        time.sleep(0.5)
        assert found("metadata['user']:'u-9'") == [made.id]
        assert found("metadata['user']:'u-1'") == []
        api.v1.customers.delete(made.id)
        assert found("metadata['user']:'u-9'") == []

    def test_pages_and_payments(self, box: Box) -> None:
        box.control("POST", "/settings", {"search_lag_s": 0})
        api = box.client(NEWEST)
        ids = [
            api.v1.payment_intents.create({"amount": 800 + i, "currency": "usd", "metadata": {"order": "7"}}).id
            for i in range(3)
        ]
        first = api.v1.payment_intents.search({"query": "metadata['order']:'7'", "limit": 2})
        assert [item.id for item in first.data] == ids[::-1][:2]
        assert first.has_more
        second = api.v1.payment_intents.search({"query": "metadata['order']:'7'", "limit": 2, "page": first.next_page})
        assert [item.id for item in second.data] == ids[:1]
        exact = api.v1.payment_intents.search({"query": "metadata['order']:'7' AND amount:801"})
        assert [item.id for item in exact.data] == [ids[1]]

    def test_refusals(self, shared_box: Box) -> None:
        assert shared_box.request("GET", "/v1/customers/search").status == 400
        assert shared_box.request("GET", "/v1/customers/search?query=%27%27").status == 400

"""Payments that nobody finishes."""

from datetime import datetime, timedelta

from system import MakeDatabase, running_system

BASE = "/api/payments/payment-intent"


async def test_payments_that_nobody_finishes_are_canceled_after_some_days(make_database: MakeDatabase) -> None:
    async with running_system(await make_database(), ABANDONED_PAYMENT_DAYS="3") as system:
        open_one = (await system.call("POST", BASE, {"amount": 900})).body
        failed = (await system.pay("pm_card_visa_chargeDeclined")).body["payment"]
        done = (await system.pay()).body
        payments = [open_one, failed, done]
        await system.advance(timedelta(days=3).total_seconds() - 600)
        before = [(await system.get(payment["id"]))["status"] for payment in payments]
        assert before == ["requires_payment_method", "failed", "succeeded"]
        later = (await system.call("POST", BASE, {"amount": 900})).body
        await system.advance("10d")
        after = [await system.get(payment["id"]) for payment in (*payments, later)]
        assert [payment["status"] for payment in after] == ["canceled", "canceled", "succeeded", "canceled"]
        assert {payment["cancellation_reason"] for payment in after} == {None, "abandoned"}
        # Each on its own day, not when somebody happened to look.
        for payment in (after[0], after[1], after[3]):
            lived = datetime.fromisoformat(payment["canceled_at"]) - datetime.fromisoformat(payment["created_at"])
            assert abs(lived - timedelta(days=3)) < timedelta(minutes=1)

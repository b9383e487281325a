"""Payments that nobody finishes."""

from datetime import timedelta

from system import MakeDatabase, running_system
from tallystick.app import build_parts
from tallystick.core.clock import SystemClock

BASE = "/api/payments/payment-intent"


async def test_payments_that_nobody_finishes_are_canceled_after_some_days(make_database: MakeDatabase) -> None:
    async with running_system(await make_database(), ABANDONED_PAYMENT_DAYS="3") as system:
        open_one = (await system.call("POST", BASE, {"amount": 900})).body
        failed = (await system.pay("pm_card_visa_chargeDeclined")).body["payment"]
        done = (await system.pay()).body
        await system.quiet()
        ahead = build_parts(system.settings, SystemClock(offset=timedelta(days=3, minutes=1)), "test")
        await ahead.database.open()
        try:
            assert await ahead.abandoned.sweep() == 2
            assert await ahead.abandoned.sweep() == 0
        finally:
            await ahead.close()
        await system.quiet()
        states = [(await system.get(payment["id"]))["status"] for payment in (open_one, failed, done)]
        assert states == ["canceled", "canceled", "succeeded"]
        assert (await system.get(open_one["id"]))["cancellation_reason"] == "abandoned"

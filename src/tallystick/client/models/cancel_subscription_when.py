from typing import Literal

CancelSubscriptionWhen = Literal['now', 'period_end']

CANCEL_SUBSCRIPTION_WHEN_VALUES: set[CancelSubscriptionWhen] = { 'now', 'period_end',  }

def check_cancel_subscription_when(value: str) -> CancelSubscriptionWhen:
    if value in CANCEL_SUBSCRIPTION_WHEN_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {CANCEL_SUBSCRIPTION_WHEN_VALUES!r}")

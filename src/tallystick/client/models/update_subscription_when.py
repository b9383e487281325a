from typing import Literal

UpdateSubscriptionWhen = Literal['now', 'period_end']

UPDATE_SUBSCRIPTION_WHEN_VALUES: set[UpdateSubscriptionWhen] = { 'now', 'period_end',  }

def check_update_subscription_when(value: str) -> UpdateSubscriptionWhen:
    if value in UPDATE_SUBSCRIPTION_WHEN_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {UPDATE_SUBSCRIPTION_WHEN_VALUES!r}")

from typing import Literal

CancelSubscriptionReasonType0 = Literal['customer_service', 'low_quality', 'missing_features', 'other', 'switched_service', 'too_complex', 'too_expensive', 'unused']

CANCEL_SUBSCRIPTION_REASON_TYPE_0_VALUES: set[CancelSubscriptionReasonType0] = { 'customer_service', 'low_quality', 'missing_features', 'other', 'switched_service', 'too_complex', 'too_expensive', 'unused',  }

def check_cancel_subscription_reason_type_0(value: str) -> CancelSubscriptionReasonType0:
    if value in CANCEL_SUBSCRIPTION_REASON_TYPE_0_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {CANCEL_SUBSCRIPTION_REASON_TYPE_0_VALUES!r}")

from typing import Literal

CancelPaymentReasonType0 = Literal['abandoned', 'duplicate', 'fraudulent', 'requested_by_customer']

CANCEL_PAYMENT_REASON_TYPE_0_VALUES: set[CancelPaymentReasonType0] = { 'abandoned', 'duplicate', 'fraudulent', 'requested_by_customer',  }

def check_cancel_payment_reason_type_0(value: str) -> CancelPaymentReasonType0:
    if value in CANCEL_PAYMENT_REASON_TYPE_0_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {CANCEL_PAYMENT_REASON_TYPE_0_VALUES!r}")

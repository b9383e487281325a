from typing import Literal

CreateRefundReasonType0 = Literal['duplicate', 'fraudulent', 'requested_by_customer']

CREATE_REFUND_REASON_TYPE_0_VALUES: set[CreateRefundReasonType0] = { 'duplicate', 'fraudulent', 'requested_by_customer',  }

def check_create_refund_reason_type_0(value: str) -> CreateRefundReasonType0:
    if value in CREATE_REFUND_REASON_TYPE_0_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {CREATE_REFUND_REASON_TYPE_0_VALUES!r}")

from typing import Literal

CreatePaymentCaptureMethodType0 = Literal['automatic', 'manual']

CREATE_PAYMENT_CAPTURE_METHOD_TYPE_0_VALUES: set[CreatePaymentCaptureMethodType0] = { 'automatic', 'manual',  }

def check_create_payment_capture_method_type_0(value: str) -> CreatePaymentCaptureMethodType0:
    if value in CREATE_PAYMENT_CAPTURE_METHOD_TYPE_0_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {CREATE_PAYMENT_CAPTURE_METHOD_TYPE_0_VALUES!r}")

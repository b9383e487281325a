from typing import Literal

CreatePaymentSetupFutureUsageType0 = Literal['off_session', 'on_session']

CREATE_PAYMENT_SETUP_FUTURE_USAGE_TYPE_0_VALUES: set[CreatePaymentSetupFutureUsageType0] = { 'off_session', 'on_session',  }

def check_create_payment_setup_future_usage_type_0(value: str) -> CreatePaymentSetupFutureUsageType0:
    if value in CREATE_PAYMENT_SETUP_FUTURE_USAGE_TYPE_0_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {CREATE_PAYMENT_SETUP_FUTURE_USAGE_TYPE_0_VALUES!r}")

from typing import Literal

CreateCheckoutSessionMode = Literal['payment', 'subscription']

CREATE_CHECKOUT_SESSION_MODE_VALUES: set[CreateCheckoutSessionMode] = { 'payment', 'subscription',  }

def check_create_checkout_session_mode(value: str) -> CreateCheckoutSessionMode:
    if value in CREATE_CHECKOUT_SESSION_MODE_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {CREATE_CHECKOUT_SESSION_MODE_VALUES!r}")

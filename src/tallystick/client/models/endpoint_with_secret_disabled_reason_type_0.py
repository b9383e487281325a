from typing import Literal

EndpointWithSecretDisabledReasonType0 = Literal['failing', 'gone', 'manual']

ENDPOINT_WITH_SECRET_DISABLED_REASON_TYPE_0_VALUES: set[EndpointWithSecretDisabledReasonType0] = { 'failing', 'gone', 'manual',  }

def check_endpoint_with_secret_disabled_reason_type_0(value: str) -> EndpointWithSecretDisabledReasonType0:
    if value in ENDPOINT_WITH_SECRET_DISABLED_REASON_TYPE_0_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {ENDPOINT_WITH_SECRET_DISABLED_REASON_TYPE_0_VALUES!r}")

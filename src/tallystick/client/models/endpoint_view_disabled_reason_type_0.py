from typing import Literal

EndpointViewDisabledReasonType0 = Literal['failing', 'gone', 'manual']

ENDPOINT_VIEW_DISABLED_REASON_TYPE_0_VALUES: set[EndpointViewDisabledReasonType0] = { 'failing', 'gone', 'manual',  }

def check_endpoint_view_disabled_reason_type_0(value: str) -> EndpointViewDisabledReasonType0:
    if value in ENDPOINT_VIEW_DISABLED_REASON_TYPE_0_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {ENDPOINT_VIEW_DISABLED_REASON_TYPE_0_VALUES!r}")

from typing import Literal

CreatePortalSessionFlowType0 = Literal['cancel', 'change', 'pay', 'payment_method']

CREATE_PORTAL_SESSION_FLOW_TYPE_0_VALUES: set[CreatePortalSessionFlowType0] = { 'cancel', 'change', 'pay', 'payment_method',  }

def check_create_portal_session_flow_type_0(value: str) -> CreatePortalSessionFlowType0:
    if value in CREATE_PORTAL_SESSION_FLOW_TYPE_0_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {CREATE_PORTAL_SESSION_FLOW_TYPE_0_VALUES!r}")

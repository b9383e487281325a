from typing import Literal

EntitlementCheckStateType0 = Literal['active', 'grace', 'past_due', 'trialing']

ENTITLEMENT_CHECK_STATE_TYPE_0_VALUES: set[EntitlementCheckStateType0] = { 'active', 'grace', 'past_due', 'trialing',  }

def check_entitlement_check_state_type_0(value: str) -> EntitlementCheckStateType0:
    if value in ENTITLEMENT_CHECK_STATE_TYPE_0_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {ENTITLEMENT_CHECK_STATE_TYPE_0_VALUES!r}")

from typing import Literal

GrantedProductViewState = Literal['active', 'grace', 'past_due', 'trialing']

GRANTED_PRODUCT_VIEW_STATE_VALUES: set[GrantedProductViewState] = { 'active', 'grace', 'past_due', 'trialing',  }

def check_granted_product_view_state(value: str) -> GrantedProductViewState:
    if value in GRANTED_PRODUCT_VIEW_STATE_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {GRANTED_PRODUCT_VIEW_STATE_VALUES!r}")

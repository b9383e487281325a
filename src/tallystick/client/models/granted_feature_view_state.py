from typing import Literal

GrantedFeatureViewState = Literal['active', 'grace', 'past_due', 'trialing']

GRANTED_FEATURE_VIEW_STATE_VALUES: set[GrantedFeatureViewState] = { 'active', 'grace', 'past_due', 'trialing',  }

def check_granted_feature_view_state(value: str) -> GrantedFeatureViewState:
    if value in GRANTED_FEATURE_VIEW_STATE_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {GRANTED_FEATURE_VIEW_STATE_VALUES!r}")

from typing import Literal

ListDifferencesStateType0 = Literal['open', 'passed', 'repaired']

LIST_DIFFERENCES_STATE_TYPE_0_VALUES: set[ListDifferencesStateType0] = { 'open', 'passed', 'repaired',  }

def check_list_differences_state_type_0(value: str) -> ListDifferencesStateType0:
    if value in LIST_DIFFERENCES_STATE_TYPE_0_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {LIST_DIFFERENCES_STATE_TYPE_0_VALUES!r}")

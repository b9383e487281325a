from typing import Literal

DifferenceViewState = Literal['open', 'passed', 'repaired']

DIFFERENCE_VIEW_STATE_VALUES: set[DifferenceViewState] = { 'open', 'passed', 'repaired',  }

def check_difference_view_state(value: str) -> DifferenceViewState:
    if value in DIFFERENCE_VIEW_STATE_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {DIFFERENCE_VIEW_STATE_VALUES!r}")

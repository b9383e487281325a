from typing import Literal

DifferenceViewCause = Literal['dashboard', 'foreign', 'gone', 'in_flight', 'missed_event', 'ours']

DIFFERENCE_VIEW_CAUSE_VALUES: set[DifferenceViewCause] = { 'dashboard', 'foreign', 'gone', 'in_flight', 'missed_event', 'ours',  }

def check_difference_view_cause(value: str) -> DifferenceViewCause:
    if value in DIFFERENCE_VIEW_CAUSE_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {DIFFERENCE_VIEW_CAUSE_VALUES!r}")

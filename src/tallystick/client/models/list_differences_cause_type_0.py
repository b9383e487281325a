from typing import Literal

ListDifferencesCauseType0 = Literal['dashboard', 'foreign', 'gone', 'in_flight', 'missed_event', 'ours']

LIST_DIFFERENCES_CAUSE_TYPE_0_VALUES: set[ListDifferencesCauseType0] = { 'dashboard', 'foreign', 'gone', 'in_flight', 'missed_event', 'ours',  }

def check_list_differences_cause_type_0(value: str) -> ListDifferencesCauseType0:
    if value in LIST_DIFFERENCES_CAUSE_TYPE_0_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {LIST_DIFFERENCES_CAUSE_TYPE_0_VALUES!r}")

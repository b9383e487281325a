from typing import Literal

RecurringViewIntervalType0 = Literal['day', 'month', 'week', 'year']

RECURRING_VIEW_INTERVAL_TYPE_0_VALUES: set[RecurringViewIntervalType0] = { 'day', 'month', 'week', 'year',  }

def check_recurring_view_interval_type_0(value: str) -> RecurringViewIntervalType0:
    if value in RECURRING_VIEW_INTERVAL_TYPE_0_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {RECURRING_VIEW_INTERVAL_TYPE_0_VALUES!r}")

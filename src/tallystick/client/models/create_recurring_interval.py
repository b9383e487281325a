from typing import Literal

CreateRecurringInterval = Literal['day', 'month', 'week', 'year']

CREATE_RECURRING_INTERVAL_VALUES: set[CreateRecurringInterval] = { 'day', 'month', 'week', 'year',  }

def check_create_recurring_interval(value: str) -> CreateRecurringInterval:
    if value in CREATE_RECURRING_INTERVAL_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {CREATE_RECURRING_INTERVAL_VALUES!r}")

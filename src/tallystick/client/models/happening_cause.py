from typing import Literal

HappeningCause = Literal['dashboard', 'foreign', 'gone', 'in_flight', 'missed_event', 'ours']

HAPPENING_CAUSE_VALUES: set[HappeningCause] = { 'dashboard', 'foreign', 'gone', 'in_flight', 'missed_event', 'ours',  }

def check_happening_cause(value: str) -> HappeningCause:
    if value in HAPPENING_CAUSE_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {HAPPENING_CAUSE_VALUES!r}")

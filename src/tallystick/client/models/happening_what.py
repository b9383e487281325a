from typing import Literal

HappeningWhat = Literal['found', 'passed', 'repaired']

HAPPENING_WHAT_VALUES: set[HappeningWhat] = { 'found', 'passed', 'repaired',  }

def check_happening_what(value: str) -> HappeningWhat:
    if value in HAPPENING_WHAT_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {HAPPENING_WHAT_VALUES!r}")

from typing import Literal

RunViewMode = Literal['full', 'incremental']

RUN_VIEW_MODE_VALUES: set[RunViewMode] = { 'full', 'incremental',  }

def check_run_view_mode(value: str) -> RunViewMode:
    if value in RUN_VIEW_MODE_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {RUN_VIEW_MODE_VALUES!r}")

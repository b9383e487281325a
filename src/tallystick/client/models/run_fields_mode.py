from typing import Literal

RunFieldsMode = Literal['full', 'incremental']

RUN_FIELDS_MODE_VALUES: set[RunFieldsMode] = { 'full', 'incremental',  }

def check_run_fields_mode(value: str) -> RunFieldsMode:
    if value in RUN_FIELDS_MODE_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {RUN_FIELDS_MODE_VALUES!r}")

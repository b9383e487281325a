from typing import Literal

ErasureViewState = Literal['done', 'not_begun', 'open']

ERASURE_VIEW_STATE_VALUES: set[ErasureViewState] = { 'done', 'not_begun', 'open',  }

def check_erasure_view_state(value: str) -> ErasureViewState:
    if value in ERASURE_VIEW_STATE_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {ERASURE_VIEW_STATE_VALUES!r}")

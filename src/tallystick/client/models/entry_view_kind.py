from typing import Literal

EntryViewKind = Literal['access', 'call', 'change', 'difference', 'event', 'mail', 'staff', 'webhook']

ENTRY_VIEW_KIND_VALUES: set[EntryViewKind] = { 'access', 'call', 'change', 'difference', 'event', 'mail', 'staff', 'webhook',  }

def check_entry_view_kind(value: str) -> EntryViewKind:
    if value in ENTRY_VIEW_KIND_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {ENTRY_VIEW_KIND_VALUES!r}")

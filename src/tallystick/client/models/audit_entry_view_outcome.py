from typing import Literal

AuditEntryViewOutcome = Literal['done', 'failed', 'refused']

AUDIT_ENTRY_VIEW_OUTCOME_VALUES: set[AuditEntryViewOutcome] = { 'done', 'failed', 'refused',  }

def check_audit_entry_view_outcome(value: str) -> AuditEntryViewOutcome:
    if value in AUDIT_ENTRY_VIEW_OUTCOME_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {AUDIT_ENTRY_VIEW_OUTCOME_VALUES!r}")

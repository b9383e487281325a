from typing import Literal

ReportMrrBy = Literal['day', 'month', 'week']

REPORT_MRR_BY_VALUES: set[ReportMrrBy] = { 'day', 'month', 'week',  }

def check_report_mrr_by(value: str) -> ReportMrrBy:
    if value in REPORT_MRR_BY_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {REPORT_MRR_BY_VALUES!r}")

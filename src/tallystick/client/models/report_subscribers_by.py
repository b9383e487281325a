from typing import Literal

ReportSubscribersBy = Literal['day', 'month', 'week']

REPORT_SUBSCRIBERS_BY_VALUES: set[ReportSubscribersBy] = { 'day', 'month', 'week',  }

def check_report_subscribers_by(value: str) -> ReportSubscribersBy:
    if value in REPORT_SUBSCRIBERS_BY_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {REPORT_SUBSCRIBERS_BY_VALUES!r}")

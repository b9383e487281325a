from typing import Literal

ReportMoneyBy = Literal['day', 'month', 'week']

REPORT_MONEY_BY_VALUES: set[ReportMoneyBy] = { 'day', 'month', 'week',  }

def check_report_money_by(value: str) -> ReportMoneyBy:
    if value in REPORT_MONEY_BY_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {REPORT_MONEY_BY_VALUES!r}")

from typing import Literal

ReportTrialsBy = Literal['day', 'month', 'week']

REPORT_TRIALS_BY_VALUES: set[ReportTrialsBy] = { 'day', 'month', 'week',  }

def check_report_trials_by(value: str) -> ReportTrialsBy:
    if value in REPORT_TRIALS_BY_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {REPORT_TRIALS_BY_VALUES!r}")

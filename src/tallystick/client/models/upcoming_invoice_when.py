from typing import Literal

UpcomingInvoiceWhen = Literal['now', 'period_end']

UPCOMING_INVOICE_WHEN_VALUES: set[UpcomingInvoiceWhen] = { 'now', 'period_end',  }

def check_upcoming_invoice_when(value: str) -> UpcomingInvoiceWhen:
    if value in UPCOMING_INVOICE_WHEN_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {UPCOMING_INVOICE_WHEN_VALUES!r}")

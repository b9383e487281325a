from typing import Literal

UpcomingInvoiceProrationBehaviorType0 = Literal['always_invoice', 'create_prorations', 'none']

UPCOMING_INVOICE_PRORATION_BEHAVIOR_TYPE_0_VALUES: set[UpcomingInvoiceProrationBehaviorType0] = { 'always_invoice', 'create_prorations', 'none',  }

def check_upcoming_invoice_proration_behavior_type_0(value: str) -> UpcomingInvoiceProrationBehaviorType0:
    if value in UPCOMING_INVOICE_PRORATION_BEHAVIOR_TYPE_0_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {UPCOMING_INVOICE_PRORATION_BEHAVIOR_TYPE_0_VALUES!r}")

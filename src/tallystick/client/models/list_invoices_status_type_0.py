from typing import Literal

ListInvoicesStatusType0 = Literal['draft', 'open', 'paid', 'uncollectible', 'void']

LIST_INVOICES_STATUS_TYPE_0_VALUES: set[ListInvoicesStatusType0] = { 'draft', 'open', 'paid', 'uncollectible', 'void',  }

def check_list_invoices_status_type_0(value: str) -> ListInvoicesStatusType0:
    if value in LIST_INVOICES_STATUS_TYPE_0_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {LIST_INVOICES_STATUS_TYPE_0_VALUES!r}")

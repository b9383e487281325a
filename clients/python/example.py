"""A payment, the history page by page, and an error, with the client.

    pip install 'tallystick[client]'
    python clients/python/example.py

TALLYSTICK_URL is where the API is, TALLYSTICK_TOKEN an access token (`tallystick token`).
"""

import os
import sys
from collections.abc import Iterator

from tallystick.client import AuthenticatedClient
from tallystick.client.api.payments import create_payment_intent, get_payment_intent, payment_history
from tallystick.client.models import CreatePayment, PaymentDetails, PaymentPage, PaymentView, Problem
from tallystick.client.types import UNSET, Unset


def pay(client: AuthenticatedClient, amount: int, payment_method: str) -> PaymentView | Problem:
    """Charge a card; amounts are whole numbers of the currency's minor unit."""
    wanted = CreatePayment(amount=amount, currency="usd", payment_method=payment_method, confirm=True)
    answer = create_payment_intent.sync(client=client, body=wanted)
    if answer is None:
        raise ValueError("an answer that the document does not tell of")
    return answer


def payments(client: AuthenticatedClient, page_size: int) -> Iterator[PaymentView]:
    """All payments, newest first, one page at a time."""
    after: str | Unset = UNSET
    while True:
        page = payment_history.sync(client=client, limit=page_size, starting_after=after)
        if not isinstance(page, PaymentPage):
            raise TypeError(page)
        yield from page.data
        if not page.has_more:
            return
        after = str(page.data[-1].id)


def main() -> int:
    """Show what each call gives; 1 if one of them is not as it should be."""
    client = AuthenticatedClient(base_url=os.environ["TALLYSTICK_URL"], token=os.environ["TALLYSTICK_TOKEN"])
    with client:
        paid = pay(client, 1050, "pm_card_visa")
        if isinstance(paid, Problem):
            print(f"{paid.code}: {paid.detail}", file=sys.stderr)
            return 1
        print(f"paid      {paid.amount} {paid.currency}: {paid.status}")

        declined = pay(client, 2500, "pm_card_visa_chargeDeclinedInsufficientFunds")
        if not isinstance(declined, Problem):
            return 1
        print(f"declined  {declined.status} {declined.code}: {declined.suggested_action}")

        for payment in payments(client, page_size=1):
            print(f"history   {payment.amount} {payment.currency}: {payment.status}")

        details = get_payment_intent.sync(str(paid.id), client=client)
        if not isinstance(details, PaymentDetails):
            return 1
        print(f"details   {len(details.charges)} charge with a {details.charges[0].card_brand}")

        missing = get_payment_intent.sync("pi_no_such", client=client)
        if not isinstance(missing, Problem):
            return 1
        print(f"missing   {missing.status} {missing.code}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

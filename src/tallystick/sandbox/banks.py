"""Stripe's published test bank accounts: debits that are `processing` first and succeed or fail later."""

import hashlib
from dataclasses import dataclass

__all__ = ["BankAccount", "by_fingerprint", "by_iban", "by_number", "by_token", "numbers"]

US, SEPA = "us_bank_account", "sepa_debit"


@dataclass(frozen=True, slots=True)
class BankAccount:
    """`decline` names an entry of DECLINES; `slow` accounts settle after three minutes of business time."""

    type: str
    number: str
    token: str
    country: str = "US"
    decline: str | None = None
    slow: bool = False
    stays: bool = False
    """Never settles: for cancelling a payment that is processing."""
    effect: str | None = None

    @property
    def last4(self) -> str:
        return self.number[-4:]

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(b"tallystick test account " + self.number.encode()).hexdigest()[:16]


_ACCOUNTS = (
    BankAccount(US, "000123456789", "pm_usBankAccount_success"),
    BankAccount(US, "000111111113", "pm_usBankAccount_accountClosed", decline="account_closed"),
    BankAccount(US, "000111111116", "pm_usBankAccount_noAccount", decline="no_account"),
    BankAccount(US, "000222222227", "pm_usBankAccount_insufficientFunds", decline="bank_insufficient_funds"),
    BankAccount(US, "000333333335", "pm_usBankAccount_debitNotAuthorized", decline="debit_not_authorized"),
    BankAccount(US, "000444444440", "pm_usBankAccount_invalidCurrency", decline="bank_declined"),
    BankAccount(US, "000555555559", "pm_usBankAccount_dispute", effect="dispute_fraudulent"),
    BankAccount(US, "000000000009", "pm_usBankAccount_processing", stays=True),
    BankAccount(SEPA, "DE89370400440532013000", "pm_sepaDebit_success_de", "DE"),
    BankAccount(SEPA, "DE08370400440532013003", "pm_sepaDebit_successDelayed_de", "DE", slow=True),
    BankAccount(SEPA, "DE62370400440532013001", "pm_sepaDebit_failed_de", "DE", "bank_declined"),
    BankAccount(SEPA, "DE78370400440532013004", "pm_sepaDebit_failedDelayed_de", "DE", "bank_declined", True),
    BankAccount(SEPA, "DE35370400440532013002", "pm_sepaDebit_disputed_de", "DE", effect="dispute_fraudulent"),
    BankAccount(SEPA, "DE65370400440002222227", "pm_sepaDebit_insufficientFunds_de", "DE", "bank_insufficient_funds"),
    BankAccount(SEPA, "FR1420041010050500013M02606", "pm_sepaDebit_success_fr", "FR"),
    BankAccount(SEPA, "AT611904300234573201", "pm_sepaDebit_success_at", "AT"),
)

_BY_TOKEN = {account.token: account for account in _ACCOUNTS}
_BY_NUMBER = {account.number: account for account in _ACCOUNTS}
_BY_FINGERPRINT = {account.fingerprint: account for account in _ACCOUNTS}


def by_token(token: str) -> BankAccount | None:
    """The account of `pm_usBankAccount_…` or `pm_sepaDebit_…`."""
    return _BY_TOKEN.get(token)


def numbers() -> list[str]:
    """Every account number and IBAN that is a test account's."""
    return list(_BY_NUMBER)


def by_number(number: str) -> BankAccount | None:
    """The US test account with this number."""
    account = _BY_NUMBER.get(number)
    return account if account and account.type == US else None


def by_iban(iban: str) -> BankAccount | None:
    """The SEPA test account with this IBAN; blanks do not matter."""
    account = _BY_NUMBER.get(iban.replace(" ", ""))
    return account if account and account.type == SEPA else None


def by_fingerprint(fingerprint: str) -> BankAccount:
    """The account a stored payment method was made of."""
    return _BY_FINGERPRINT[fingerprint]

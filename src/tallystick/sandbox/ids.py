"""Identifiers in Stripe's forms.

`1` or `3`, five characters of time, ten fixed for the account, then randomness; customers and requests are
14 random characters. An intent, its charge, refunds and balance transactions share their first 17.
"""

import os
import string

from tallystick.sandbox.clock import SandboxClock

__all__ = ["IdMaker"]

_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_EPOCH = 1_000_000_000
_ROOT = 17


# A byte becomes a character by its value; ids are made by the thousand, so one call makes a whole one.
_CHARACTERS = bytes(ord(_ALPHABET[value % len(_ALPHABET)]) for value in range(256))
_DIGITS = bytes(ord(string.digits[value % 10]) for value in range(256))


def _random(length: int) -> str:
    return os.urandom(length).translate(_CHARACTERS).decode()


class IdMaker:
    """Makes ids for one account; `account` is its ten fixed characters."""

    def __init__(self, account: str, clock: SandboxClock) -> None:
        self._account = account
        self._clock = clock

    @staticmethod
    def new_account() -> str:
        """Ten characters for a new account."""
        return _random(10)

    @property
    def account_id(self) -> str:
        """The account's own id, `acct_1…`."""
        return f"acct_1{self._account}Sndbx"

    def short(self, prefix: str) -> str:
        """`cus_`, `req_`, `prod_`, `si_`: 14 characters."""
        return prefix + _random(14)

    def long(self, prefix: str) -> str:
        """Most objects: `1`, time, account, 8 random."""
        return f"{prefix}1{self._time()}{self._account}{_random(8)}"

    def payment(self) -> str:
        """A new PaymentIntent's id."""
        return f"pi_3{self._time()}{self._account}{os.urandom(1)[0] & 1}{_random(7)}"

    def sibling(self, prefix: str, of: str) -> str:
        """The id of a charge, refund or balance transaction that belongs to the payment of object `of`."""
        return prefix + of.rpartition("_")[2][:_ROOT] + _random(7)

    def secret(self, owner: str) -> str:
        """The client secret of an intent."""
        return f"{owner}_secret_{_random(25)}"

    def webhook_secret(self) -> str:
        """A signing secret, `whsec_…`."""
        return "whsec_" + _random(32)

    def characters(self, length: int) -> str:
        """Random letters and digits."""
        return _random(length)

    def digits(self, length: int) -> str:
        """Random digits, as in authorization codes."""
        return os.urandom(length).translate(_DIGITS).decode()

    def _time(self) -> str:
        value = self._clock.unix() - _EPOCH
        text = ""
        for _ in range(5):
            value, rest = divmod(value, 62)
            text = _ALPHABET[rest] + text
        return text

"""What a payment method prints of its card or bank account, and the checks of what was typed."""

from datetime import timedelta

from tallystick.sandbox import banks, cards
from tallystick.sandbox.context import Context
from tallystick.sandbox.errors import ApiError, invalid, no_such
from tallystick.sandbox.shapes import Json, decode

__all__ = ["card_details", "print_bank", "print_card", "sepa_details", "us_details"]

_BANK_NAME = "STRIPE TEST BANK"


def card_details(ctx: Context, given: Json) -> Json:
    """The `card` hash of a number or token. Raises 402 for wrong data and for what is no test card."""
    if "token" in given:
        return _tokenized(ctx, given["token"])
    if "number" not in given:
        raise invalid("Missing required param: card[number].", code="parameter_missing", param="card[number]")
    number = given["number"].replace(" ", "").replace("-", "")
    if not number.isdigit() or not cards.luhn_valid(number):
        raise _refuse_data("incorrect_number", "Your card number is incorrect.", "number")
    card = cards.by_number(number)
    if card is None:
        raise ApiError(
            402,
            "Your card was declined. Your request was in test mode, but used a non test card. For a list of "
            "valid test cards, visit: https://stripe.com/docs/testing.",
            error_type="card_error",
            code="card_declined",
            details={"decline_code": "live_mode_test_card"},
            param="",
        )
    month, year = _expiry(ctx, given)
    if "cvc" in given and not (given["cvc"].isdigit() and len(given["cvc"]) == card.cvc_length):
        raise _refuse_data("invalid_cvc", "Your card's security code is invalid.", "cvc")
    return print_card(ctx, card, cvc_given="cvc" in given, month=month, year=year)


def _tokenized(ctx: Context, token_id: str) -> Json:
    card = cards.by_token(token_id)
    if card is not None:
        return print_card(ctx, card, cvc_given=True)
    token = ctx.find("token", token_id)
    if token is None:
        raise no_such("token", token_id, param="card[token]", status=400)
    if token["used"]:
        raise invalid(f"You cannot use a Stripe token more than once: {token_id}.", code="token_already_used")
    token["used"] = True
    ctx.save(token)
    details: Json = decode(ctx.store.note(token_id, "card") or "{}")
    return details


def _expiry(ctx: Context, given: Json) -> tuple[int, int]:
    month, year = given.get("exp_month", 0), given.get("exp_year", 0)
    year += 2000 if 0 <= year < 100 else 0
    now = ctx.clock.now()
    if not 1 <= month <= 12 or (year == now.year and month < now.month):
        raise _refuse_data("invalid_expiry_month", "Your card's expiration month is invalid.", "exp_month")
    if not now.year <= year <= now.year + 50:
        raise _refuse_data("invalid_expiry_year", "Your card's expiration year is invalid.", "exp_year")
    return month, year


def _refuse_data(code: str, message: str, param: str) -> ApiError:
    return ApiError(402, message, error_type="card_error", code=code, param=param)


def print_card(
    ctx: Context, card: cards.Card, *, cvc_given: bool, month: int | None = None, year: int | None = None
) -> Json:
    """The `card` hash; a card without a date expires in a year."""
    today = ctx.clock.now()
    in_a_year = today + timedelta(days=365)
    network = card.brand if card.brand != "unknown" else "visa"
    return {
        "brand": card.brand,
        "checks": {
            "address_line1_check": None,
            "address_postal_code_check": None,
            "cvc_check": "unchecked" if cvc_given else None,
        },
        "country": card.country,
        "display_brand": card.brand if card.brand != "amex" else "american_express",
        "exp_month": month or today.month,
        "exp_year": year or in_a_year.year,
        "fingerprint": card.fingerprint,
        "funding": card.funding,
        "generated_from": None,
        "last4": card.last4,
        "networks": {"available": [network], "preferred": None},
        "regulated_status": "unregulated",
        "three_d_secure_usage": {"supported": card.three_ds is not cards.ThreeDs.UNSUPPORTED},
        "wallet": None,
    }


def us_details(_ctx: Context, given: Json) -> Json:
    """The `us_bank_account` hash. Raises 400 for what is no test account."""
    account = banks.by_number(given.get("account_number", ""))
    if account is None:
        raise invalid("You must use a test bank account number.", param="us_bank_account[account_number]")
    return print_bank(account) | {key: given[key] for key in ("account_holder_type", "account_type") if key in given}


def sepa_details(_ctx: Context, given: Json) -> Json:
    """The `sepa_debit` hash. Raises 400 for what is no test account."""
    account = banks.by_iban(given.get("iban", ""))
    if account is None:
        raise invalid("You must use a test IBAN.", param="sepa_debit[iban]")
    return print_bank(account)


def print_bank(account: banks.BankAccount) -> Json:
    """The hash of a test account."""
    if account.type == banks.SEPA:
        return {
            "bank_code": account.number[4:12],
            "branch_code": "",
            "country": account.country,
            "fingerprint": account.fingerprint,
            "generated_from": {"charge": None, "setup_attempt": None},
            "last4": account.last4,
        }
    return {
        "account_holder_type": "individual",
        "account_type": "checking",
        "bank_name": _BANK_NAME,
        "financial_connections_account": None,
        "fingerprint": account.fingerprint,
        "last4": account.last4,
        "networks": {"preferred": "ach", "supported": ["ach"]},
        "routing_number": "110000000",
        "status_details": {},
    }

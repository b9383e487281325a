"""Stripe's published test cards and what each does; no other number is ever accepted.

The tables are Stripe's testing page. A card is found again by its fingerprint, so no number is stored.
"""

import hashlib
from dataclasses import dataclass
from enum import Enum

__all__ = ["Card", "ThreeDs", "by_fingerprint", "by_number", "by_token", "luhn_valid", "numbers"]


class ThreeDs(Enum):
    """How the issuer treats 3D Secure."""

    NOT_ENROLLED = "not enrolled"
    UNSUPPORTED = "unsupported"
    OPTIONAL = "challenges only when asked for"
    OPTIONAL_ERROR = "fails when asked for"
    UNLESS_SET_UP = "challenges, off session only if it was not set up"
    ALWAYS = "challenges every transaction"
    ON_SESSION = "challenges on session; counts as set up"
    REQUIRED = "must authenticate; off session not possible unless set up"
    LOOKUP_ERROR = "the look-up fails"


@dataclass(frozen=True, slots=True)
class Card:
    """A test card. `token` is what follows `pm_card_` and `tok_`; `decline` names an entry of DECLINES.

    `attachable` is False where attaching to a customer is declined as a charge would be. `effect` is what
    happens after a successful charge (or to its refund). `cvc`, `line1`, `postal` are the results of checks.
    """

    number: str
    brand: str
    token: str | None = None
    country: str = "US"
    funding: str = "credit"
    decline: str | None = None
    attachable: bool = True
    three_ds: ThreeDs = ThreeDs.NOT_ENROLLED
    effect: str | None = None
    risk: str = "normal"
    cvc: str = "pass"
    line1: str = "pass"
    postal: str = "pass"

    @property
    def last4(self) -> str:
        return self.number[-4:]

    @property
    def fingerprint(self) -> str:
        """16 characters, the same for the same number."""
        return _fingerprint(self.number)

    @property
    def cvc_length(self) -> int:
        return 4 if self.brand == "amex" else 3


def _fingerprint(number: str) -> str:
    alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    value = int.from_bytes(hashlib.sha256(b"tallystick test card " + number.encode()).digest())
    text = ""
    for _ in range(16):
        value, rest = divmod(value, 62)
        text += alphabet[rest]
    return text


# number, brand, funding, country, token
_SUCCESS = """
4242424242424242 visa credit US visa
4000056655665556 visa debit US visa_debit
5555555555554444 mastercard credit US mastercard
2223003122003222 mastercard credit US -
5200828282828210 mastercard debit US mastercard_debit
5105105105105100 mastercard prepaid US mastercard_prepaid
378282246310005 amex credit US amex
371449635398431 amex credit US -
6011111111111117 discover credit US discover
6011000990139424 discover credit US -
6011981111111113 discover debit US -
3056930009020004 diners credit US diners
36227206271667 diners credit US -
6555900000604105 discover credit US -
3566002020360505 jcb credit JP jcb
6200000000000005 unionpay credit CN unionpay
6200000000000047 unionpay debit CN -
6205500000000000004 unionpay credit CN -
4000002500001001 visa credit FR visa_cartesBancaires
5555552500001001 mastercard credit FR mastercard_cartesBancaires
4000050360000001 visa debit AU visa_debit_eftposAuCoBranded
5555050360000080 mastercard debit AU mastercard_debit_eftposAuCoBranded
4000051230000072 visa debit US debit_visaFsaProductCode
5200828282828897 mastercard debit US mastercard_debit_mastercardFsaProductCode
4000058260000005 visa debit GB gb_debit
5555558265554449 mastercard credit GB gb_mastercard
4000007640000003 visa credit TH th_credit
4000057640000008 visa debit TH th_debit
5062210000000009 unknown credit MX -
3530111333300000 jcb credit JP -
4000006820000007 visa credit SA -
"""

# By country; the token is the country's code in lower case.
_COUNTRIES = """
AR 4000000320000021 BR 4000000760000002 CA 4000001240000000 CL 4000001520000001 CO 4000001700000003
CR 4000001880000005 EC 4000002180000000 MX 4000004840008001 PA 4000005910000000 PY 4000006000000066
PE 4000006040000068 UY 4000008580000003 AT 4000000400000008 BE 4000000560000004 BG 4000001000000000
BY 4000001120000005 CY 4000001960000008 CZ 4000002030000002 DK 4000002080000001 FI 4000002460000001
FR 4000002500000003 DE 4000002760000016 GR 4000003000000030 HU 4000003480000005 IE 4000003720000005
IT 4000003800000008 LV 4000004280000005 LT 4000004400000000 LU 4000004420000006 MT 4000004700000007
NL 4000005280000002 NO 4000005780000007 PL 4000006160000005 PT 4000006200000007 RO 4000006420000001
SI 4000007050000006 SK 4000007030000001 ES 4000007240000007 SE 4000007520000008 CH 4000007560000009
GB 4000008260000000 AU 4000000360000006 CN 4000001560000002 HK 4000003440000004 IN 4000003560000008
JP 4000003920000003 MY 4000004580000002 NZ 4000005540000008 SG 4000007020000003 TW 4000001580000008
"""

# number, decline, token; none of these can be attached to a customer
_DECLINING = """
4000000000000002 generic_decline visa_chargeDeclined
4000000000009995 insufficient_funds visa_chargeDeclinedInsufficientFunds
4000000000009987 lost_card visa_chargeDeclinedLostCard
4000000000009979 stolen_card visa_chargeDeclinedStolenCard
4000000000000069 expired_card chargeDeclinedExpiredCard
4000000000000127 incorrect_cvc chargeDeclinedIncorrectCvc
4000000000000119 processing_error chargeDeclinedProcessingError
4000000000006975 card_velocity_exceeded visa_chargeDeclinedVelocityLimitExceeded
"""

# number, effect, token
_EFFECTS = """
4000000000000259 dispute_fraudulent createDispute
4000000000002685 dispute_not_received createDisputeProductNotReceived
4000000000001976 dispute_inquiry createDisputeInquiry
4000000000005423 early_fraud_warning createIssuerFraudRecord
4000000404000079 dispute_fraudulent createMultipleDisputes
4000000404000038 dispute_fraudulent createCe3EligibleDispute
4000008400000779 dispute_compliance createComplianceDispute
4000000000007726 refund_pending pendingRefund
4000000000005126 refund_fails refundFail
4000000000000077 available_now bypassPending
4000003720000278 available_now bypassPendingInternational
"""

_3DS = (
    Card("4000002500003155", "visa", "authenticationRequiredOnSetup", "FR", three_ds=ThreeDs.UNLESS_SET_UP),
    Card("4000002760003184", "visa", "authenticationRequired", "DE", three_ds=ThreeDs.ALWAYS),
    Card(
        "4000003800000446", "visa", "authenticationRequiredSetupForOffSession", "IT",
        three_ds=ThreeDs.ON_SESSION,
    ),
    Card(
        "4000008260003178", "visa", "authenticationRequiredChargeDeclinedInsufficientFunds", "GB",
        decline="insufficient_funds", three_ds=ThreeDs.ALWAYS,
    ),
    Card("4000000000003220", "visa", "threeDSecure2Required", "IE", three_ds=ThreeDs.REQUIRED),
    Card(
        "4000008400001629", "visa", "threeDSecureRequiredChargeDeclined",
        decline="generic_decline", three_ds=ThreeDs.REQUIRED,
    ),
    Card(
        "4000008400001280", "visa", "threeDSecureRequiredProcessingError",
        decline="generic_decline", three_ds=ThreeDs.LOOKUP_ERROR,
    ),
    Card("4000000000003055", "visa", "threeDSecureOptional", three_ds=ThreeDs.OPTIONAL),
    Card(
        "4000000000003097", "visa", "threeDSecureOptionalProcessingError", three_ds=ThreeDs.OPTIONAL_ERROR
    ),
    Card("4000582600000094", "visa", None, "GB", "debit", three_ds=ThreeDs.REQUIRED),
    Card("4000582600000045", "visa", None, "GB", "debit", three_ds=ThreeDs.REQUIRED),
    Card("4000582600000102", "visa", None, "GB", "debit", three_ds=ThreeDs.REQUIRED),
    Card("4000582600000110", "visa", None, "GB", "debit", three_ds=ThreeDs.REQUIRED),
    Card("4000008405600003", "visa", "adaptive3dsChallenge", three_ds=ThreeDs.ALWAYS),
)  # fmt: skip

_RISK = (
    Card("4100000000000019", "visa", "radarBlock", decline="blocked", risk="highest"),
    Card("4000000000004954", "visa", "riskLevelHighest", decline="blocked", risk="highest"),
    Card("4000000000009235", "visa", "riskLevelElevated", risk="elevated"),
    Card("4000000000000101", "visa", "cvcCheckFail", cvc="fail"),
    Card("4000000000000036", "visa", "avsZipFail", postal="fail"),
    Card("4000058400307872", "visa", "cvcCheckFailElevatedRisk", cvc="fail", risk="elevated"),
    Card("4000058400306072", "visa", "avsZipFailElevatedRisk", postal="fail", risk="elevated"),
    Card("4000000000000028", "visa", "avsLine1Fail", line1="fail"),
    Card("4000000000000010", "visa", "avsFail", line1="fail", postal="fail"),
    Card("4000000000000044", "visa", "avsUnchecked", line1="unavailable", postal="unavailable"),
    Card("4000008400000407", "visa", "highFraudDisputeScore"),
    Card("4000008400000159", "visa", "highEfwScore"),
    Card("4000008400001017", "visa", "radarDynamicRiskThreshold"),
)

_OTHER = (Card("4000000000000341", "visa", "chargeCustomerFail", decline="generic_decline"),)

_ALIASES = {
    "us": "visa",
    "amex_threeDSecureNotSupported": "amex",
    "debit_visaHsaProductCode": "debit_visaFsaProductCode",
    "visa_chargeCustomerFail": "chargeCustomerFail",
}


def _table() -> list[Card]:
    cards = [*_3DS, *_RISK, *_OTHER]
    for line in _SUCCESS.split("\n")[1:-1]:
        number, brand, funding, country, suffix = line.split()
        threeds = ThreeDs.UNSUPPORTED if brand == "amex" else ThreeDs.NOT_ENROLLED
        cards.append(Card(number, brand, None if suffix == "-" else suffix, country, funding, three_ds=threeds))
    words = _COUNTRIES.split()
    cards += [
        Card(number, "visa", country.lower(), country) for country, number in zip(words[::2], words[1::2], strict=True)
    ]
    for line in _DECLINING.split("\n")[1:-1]:
        number, decline, token = line.split()
        cards.append(Card(number, "visa", token, decline=decline, attachable=False))
    for line in _EFFECTS.split("\n")[1:-1]:
        number, effect, token = line.split()
        cards.append(Card(number, "visa", token, effect=effect))
    # Known by token only; the number is ours and is not accepted as one.
    cards.append(Card("token_0010", "visa", "chargeDeclinedFraudulent", decline="fraudulent", attachable=False))
    return cards


_CARDS = _table()
_BY_NUMBER = {card.number: card for card in _CARDS if card.number.isdigit()}
_BY_TOKEN = {card.token: card for card in _CARDS if card.token}
_BY_FINGERPRINT = {card.fingerprint: card for card in _CARDS}


def by_number(number: str) -> Card | None:
    """The test card with this number."""
    return _BY_NUMBER.get(number)


def numbers() -> list[str]:
    """Every number that is a test card's; no secret, and the browser refuses all others before they are sent."""
    return list(_BY_NUMBER)


def by_token(token: str) -> Card | None:
    """The test card of `pm_card_…` or `tok_…`."""
    suffix = token.removeprefix("pm_card_").removeprefix("tok_")
    return _BY_TOKEN.get(_ALIASES.get(suffix, suffix))


def by_fingerprint(fingerprint: str) -> Card:
    """The test card a stored payment method was made of."""
    return _BY_FINGERPRINT[fingerprint]


def luhn_valid(number: str) -> bool:
    """Whether the check digit fits."""
    total = 0
    for index, digit in enumerate(reversed(number)):
        value = int(digit) * (1 + index % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0

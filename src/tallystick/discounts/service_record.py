"""`DiscountRecorder`: coupons, promotion codes and discounts from Stripe into the mirror, in whatever order they come.

Little of them can change, and what does has an order of its own: redemptions only grow, a deletion is final. Two
updates of one second that even this leaves open differ in names or metadata only; the event's own
`previous_attributes` decide then, and what comes later wins where they do not.
"""

from collections.abc import Sequence
from typing import Any, TypeVar

from msgspec import UnsetType

from tallystick.core.clock import Clock
from tallystick.core.ids import new_id
from tallystick.discounts.models import CodeFacts, CodeRow, CouponFacts, CouponRow, DiscountFacts, DiscountRow, Facts
from tallystick.discounts.repository import CODES, COUPONS, DISCOUNTS
from tallystick.platform.database import Transaction, await_makers
from tallystick.platform.mirror_table import MirrorTable
from tallystick.stripe_gateway.objects import pick
from tallystick.stripe_gateway.ordering import Source, Verdict, judge, later

__all__ = ["DiscountRecorder"]

Row = TypeVar("Row", CouponRow, CodeRow, DiscountRow)
Fact = TypeVar("Fact", CouponFacts, CodeFacts, DiscountFacts)


class DiscountRecorder:
    """Applies coupons, promotion codes and discounts to the mirror."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def record(self, tx: Transaction, facts: Sequence[Facts]) -> None:
        """Apply `facts` in their order; doing it again changes nothing."""
        await self._coupons(tx, [fact for fact in facts if isinstance(fact, CouponFacts)])
        await self._codes(tx, [fact for fact in facts if isinstance(fact, CodeFacts)])
        await self._discounts(tx, [fact for fact in facts if isinstance(fact, DiscountFacts)])

    async def _coupons(self, tx: Transaction, facts: Sequence[CouponFacts]) -> None:
        rows = await _lock(tx, COUPONS, facts)
        changed: dict[str, CouponRow] = {}
        for fact in facts:
            row = rows.get(fact.value.id)
            if row is None or _newer_coupon(row, fact):
                changed[fact.value.id] = rows[fact.value.id] = self._coupon(row, fact)
        await COUPONS.save(tx, list(changed.values()))

    def _coupon(self, row: CouponRow | None, fact: CouponFacts) -> CouponRow:
        coupon, now = fact.value, self._clock.now()
        return CouponRow(
            id=row.id if row else new_id(),
            stripe_coupon_id=coupon.id,
            name=pick(coupon.name, row.name if row else None),
            amount_off=pick(coupon.amount_off, row.amount_off if row else None),
            currency=pick(coupon.currency, row.currency if row else None),
            percent_off=pick(coupon.percent_off, row.percent_off if row else None),
            duration=pick(coupon.duration, row.duration if row else None),
            duration_in_months=pick(coupon.duration_in_months, row.duration_in_months if row else None),
            max_redemptions=pick(coupon.max_redemptions, row.max_redemptions if row else None),
            times_redeemed=_redeemed(coupon.times_redeemed, row, fact.source),
            redeem_by=pick(coupon.redeem_by, row.redeem_by if row else None),
            valid=not coupon.deleted and pick(coupon.valid, row.valid if row else True),
            deleted=coupon.deleted,
            metadata=coupon.metadata,
            revision=row.revision + 1 if row else 0,
            state_at=later(row.state_at if row else None, fact.source),
            created_at=coupon.created or (row.created_at if row else now),
            updated_at=now,
        )

    async def _codes(self, tx: Transaction, facts: Sequence[CodeFacts]) -> None:
        rows = await _lock(tx, CODES, facts)
        changed: dict[str, CodeRow] = {}
        for fact in facts:
            row = rows.get(fact.value.id)
            if row is None or _newer_code(row, fact):
                changed[fact.value.id] = rows[fact.value.id] = self._code(row, fact)
        await CODES.save(tx, list(changed.values()))

    def _code(self, row: CodeRow | None, fact: CodeFacts) -> CodeRow:
        code = fact.value
        return CodeRow(
            id=row.id if row else new_id(),
            stripe_promotion_code_id=code.id,
            code=code.code,
            stripe_coupon_id=code.coupon,
            stripe_customer_id=pick(code.customer, row.stripe_customer_id if row else None),
            active=code.active,
            expires_at=pick(code.expires_at, row.expires_at if row else None),
            max_redemptions=pick(code.max_redemptions, row.max_redemptions if row else None),
            times_redeemed=_redeemed(code.times_redeemed, row, fact.source),
            metadata=code.metadata,
            revision=row.revision + 1 if row else 0,
            state_at=later(row.state_at if row else None, fact.source),
            created_at=code.created,
            updated_at=self._clock.now(),
        )

    async def _discounts(self, tx: Transaction, facts: Sequence[DiscountFacts]) -> None:
        rows = await _lock(tx, DISCOUNTS, facts)
        changed: dict[str, DiscountRow] = {}
        for fact in facts:
            row = rows.get(fact.value.id)
            if row is None or _newer_discount(row, fact):
                changed[fact.value.id] = rows[fact.value.id] = self._discount(row, fact)
        await DISCOUNTS.save(tx, list(changed.values()))

    def _discount(self, row: DiscountRow | None, fact: DiscountFacts) -> DiscountRow:
        discount = fact.value
        return DiscountRow(
            id=row.id if row else new_id(),
            stripe_discount_id=discount.id,
            stripe_coupon_id=discount.coupon,
            stripe_promotion_code_id=discount.promotion_code,
            stripe_customer_id=discount.customer,
            stripe_subscription_id=discount.subscription,
            start_at=discount.start,
            end_at=discount.end,
            deleted=discount.deleted,
            revision=row.revision + 1 if row else 0,
            state_at=later(row.state_at if row else None, fact.source),
            created_at=discount.start,
            updated_at=self._clock.now(),
        )


async def _lock(tx: Transaction, table: MirrorTable[Row], facts: Sequence[Fact]) -> dict[str, Row]:
    if not facts:
        return {}
    ids = [fact.value.id for fact in facts]
    rows = await table.lock(tx, ids)
    if await await_makers(tx, set(ids) - rows.keys()):
        rows = await table.lock(tx, ids)
    return rows


def _newer_coupon(row: CouponRow, fact: CouponFacts) -> bool:
    coupon = fact.value
    if fact.source.mends(row.revision):
        return True
    if coupon.deleted or row.deleted:
        return not row.deleted
    shown = {"name": row.name, "metadata": row.metadata, "times_redeemed": row.times_redeemed, "valid": row.valid}
    redeemed = pick(coupon.times_redeemed, row.times_redeemed)
    state = {
        "name": pick(coupon.name, row.name),
        "metadata": coupon.metadata,
        "times_redeemed": redeemed,
        "valid": pick(coupon.valid, row.valid),
    }
    return _newer(row, fact.source, redeemed, shown, state)


def _newer_code(row: CodeRow, fact: CodeFacts) -> bool:
    code = fact.value
    if fact.source.mends(row.revision):
        return True
    redeemed = pick(code.times_redeemed, row.times_redeemed)
    shown = {"active": row.active, "metadata": row.metadata, "times_redeemed": row.times_redeemed}
    state = {"active": code.active, "metadata": code.metadata, "times_redeemed": redeemed}
    return _newer(row, fact.source, redeemed, shown, state)


def _redeemed(told: int | UnsetType, row: CouponRow | CodeRow | None, source: Source) -> int:
    known = row.times_redeemed if row else 0
    repaired = row is not None and source.mends(row.revision)
    return pick(told, known) if repaired else max(pick(told, 0), known)


def _newer(
    row: CouponRow | CodeRow, source: Source, redeemed: int, shown: dict[str, Any], state: dict[str, Any]
) -> bool:
    if source.at == row.state_at and redeemed != row.times_redeemed:
        return redeemed > row.times_redeemed
    verdict = judge(source, row_at=row.state_at, revision=row.revision, shown=shown, state=state)
    return verdict is not Verdict.KEEP


def _newer_discount(row: DiscountRow, fact: DiscountFacts) -> bool:
    if fact.value.deleted or row.deleted:
        return not row.deleted
    created = (fact.source.event_type or "").endswith(".created")
    return fact.source.at > row.state_at or (fact.source.at == row.state_at and not created)

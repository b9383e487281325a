"""The end of the story: our half of the tally beside Stripe's."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from rich.table import Table
from rich.text import Text

from tallystick.cli.demo_story import Story, check, short, usd
from tallystick.cli.demo_world import Json

__all__ = ["tally"]

_OURS = """
    SELECT p.* FROM payments p JOIN users u ON u.id = p.user_id WHERE u.external_id = $1 ORDER BY p.created_at, p.id
"""
_WIDE = 96


@dataclass(frozen=True, slots=True)
class _Half:
    """What one side knows of a payment; the sides are equal when these are."""

    intent: str
    amount: int
    currency: str
    status: str
    capturable: int
    received: int
    refunded: int
    charges: int


async def tally(story: Story) -> None:
    """Compare the two halves field by field, show both, and count what went out. Raises Amiss."""
    await _quiet(story)
    customer = await story.world.row(
        "SELECT id, stripe_customer_id FROM users WHERE external_id = $1", story.world.subject
    )
    check(customer is not None, "there should be a row for Ann in `users`")
    rows = await story.world.rows(_OURS, story.world.subject)
    ours = [await _our_half(story, row) for row in rows]
    theirs = await _their_halves(story, str(customer and customer["stripe_customer_id"]))
    pairs = [(row, half, theirs.pop(half.intent, None)) for row, half in zip(rows, ours, strict=True)]
    story.screen.show(_table(story, pairs))
    story.screen.text("")
    for row, half, other in pairs:
        check(half == other, f"payment {short(str(row['id']))} should be equal on both sides", f"{half} ≠ {other}")
    check(not theirs, "Stripe should have no payment of Ann's that we do not know", f"it has {', '.join(theirs)}")
    check(len(pairs) == len(story.payments), f"there should be {len(story.payments)} payments", f"not {len(pairs)}")
    await _mails(story)
    await _webhooks(story)
    await _secrets(story)


async def _quiet(story: Story) -> None:
    """Let what is still on its way arrive."""
    await story.world.control("POST", "/quiet?timeout_s=10")

    async def look() -> bool | None:
        waiting = await story.world.row(
            "SELECT 1 AS one FROM webhook_events WHERE state = 'pending' "
            "UNION ALL SELECT 1 FROM mails WHERE state = 'queued' AND recipient = $1 LIMIT 1",
            story.world.email,
        )
        return None if waiting else True

    await story.wait("the last webhooks and mails", look, "should all be done")


async def _our_half(story: Story, row: Json) -> _Half:
    counted = await story.world.row(
        "SELECT count(*) AS charges FROM charges WHERE payment_id = $1 AND status = 'succeeded'", row["id"]
    )
    return _Half(
        intent=row["stripe_payment_intent_id"] or "",
        amount=int(row["amount"]),
        currency=row["currency"],
        status=row["stripe_status"] or "",
        capturable=int(row["amount_capturable"]),
        received=int(row["amount_received"]),
        refunded=int(row["amount_refunded"]),
        charges=int(counted["charges"]) if counted else 0,
    )


async def _their_halves(story: Story, customer: str) -> dict[str, _Half]:
    intents: list[Json] = (await story.world.stripe("/v1/payment_intents", customer=customer, limit="100"))["data"]
    return {intent["id"]: await _their_half(story, intent) for intent in intents}


async def _their_half(story: Story, intent: Json) -> _Half:
    query = {"payment_intent": intent["id"], "limit": "100"}
    charges = (await story.world.stripe("/v1/charges", **query))["data"]
    refunds = (await story.world.stripe("/v1/refunds", **query))["data"]
    # Older API versions list the released part of an authorisation as a refund, too; nobody asked for that one.
    asked_for = [item for item in refunds if "tallystick_refund" in item["metadata"] and item["status"] == "succeeded"]
    return _Half(
        intent=intent["id"],
        amount=intent["amount"],
        currency=intent["currency"],
        status=intent["status"],
        capturable=intent["amount_capturable"],
        received=intent["amount_received"],
        refunded=sum(item["amount"] for item in asked_for),
        charges=sum(item["status"] == "succeeded" for item in charges),
    )


def _table(story: Story, pairs: list[tuple[Json, _Half, _Half | None]]) -> Table:
    wide = story.screen.width >= _WIDE
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for title, justify in (*_columns("Tallystick", wide), ("", "left"), *_columns("Stripe", wide), ("", "left")):
        table.add_column(title, justify=justify, no_wrap=True)
    for row, half, other in pairs:
        equal = half == other
        mark = Text("✓", "bold green") if equal else Text("✗", "bold red")
        missing = [""] * (2 + 2 * wide)
        stripe = _cells(short(other.intent), other, wide) if other else ["missing", *missing]
        table.add_row(*_cells(short(str(row["id"])), half, wide), Text("=" if equal else "≠", "dim"), *stripe, mark)
    return table


def _columns(side: str, wide: bool) -> list[tuple[str, Any]]:
    amounts = [("amount", "right"), ("received", "right"), ("back", "right")] if wide else [("amount", "right")]
    return [(side, "left"), *amounts, ("status", "left")]


def _cells(name: str, half: _Half, wide: bool) -> list[str | Text]:
    more: list[str | Text] = []
    if wide:
        more = [usd(half.received), usd(half.refunded) if half.refunded else Text("–", "dim")]
    return [name, usd(half.amount), *more, half.status]


async def _mails(story: Story) -> None:
    landed = Counter(mail["message_id"] for mail in await story.world.mails())
    queued = await story.world.rows("SELECT template, message_id FROM mails WHERE recipient = $1", story.world.email)
    kinds = Counter(str(row["template"]) for row in queued)
    check(kinds == story.expected_mails, f"the mails should be {story.expected_mails}", f"they are {dict(kinds)}")
    both = {row["message_id"] for row in queued} == set(landed) and all(number == 1 for number in landed.values())
    check(both, "each mail should be in the mailbox once", f"there are {landed.total()} for {len(queued)}")
    words = {"payment_confirmation": "receipts", "payment_failed": "decline", "refund": "refund"}
    parts = ", ".join(f"{kinds[kind]} {word}" for kind, word in words.items())
    await story.conclude(f"{landed.total()} mails, each once: {parts}")


async def _webhooks(story: Story) -> None:
    counted = await story.world.row(
        "SELECT count(*) AS number, count(*) FILTER (WHERE state IN ('pending', 'dead', 'parked')) AS waiting "
        "FROM webhook_events WHERE payload #>> '{data,object,customer}' = "
        "(SELECT stripe_customer_id FROM users WHERE external_id = $1)",
        story.world.subject,
    )
    number, waiting = (counted["number"], counted["waiting"]) if counted else (0, 0)
    check(not waiting, "no webhook should be left over", f"{waiting} of {number} are")
    await story.conclude(f"{number} webhooks stored, and none is left to do")


async def _secrets(story: Story) -> None:
    """What the customer's browser may know is nowhere in what we keep."""
    secrets = [payment.secret for payment in story.payments if payment.secret]
    found = await story.world.row(
        "SELECT (SELECT count(*) FROM webhook_events, unnest($1::text[]) s WHERE position(s IN payload::text) > 0) "
        "+ (SELECT count(*) FROM idempotency_keys, unnest($1::text[]) s WHERE position(s IN body) > 0) AS number",
        secrets,
    )
    number = found["number"] if found else 0
    check(number == 0, "no client secret should be stored", f"{number} rows hold one")
    await story.conclude("No client secret and no card number in the stored events and answers")

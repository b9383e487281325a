"""The end of the story: our half of the tally beside Stripe's."""

from collections import Counter
from dataclasses import dataclass

from rich.text import Text

from tallystick.cli.demo_story import Story, check, short, usd
from tallystick.cli.demo_world import Amiss, Json

__all__ = ["tally"]

_OURS = """
    SELECT p.*, (SELECT count(*) FROM charges c WHERE c.payment_id = p.id AND c.status = 'succeeded') AS charges
    FROM payments p JOIN users u ON u.id = p.user_id WHERE u.external_id = $1 ORDER BY p.created_at, p.id
"""
_SECRETS = """
    SELECT (SELECT count(*) FROM webhook_events, unnest($1::text[]) s WHERE position(s IN payload::text) > 0)
        + (SELECT count(*) FROM idempotency_keys, unnest($1::text[]) s WHERE position(s IN body) > 0)
        + (SELECT count(*) FROM attempts, unnest($1::text[]) s WHERE position(s IN request::text) > 0) AS number
"""
_WIDE = 96
_PAGES = 50


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


@dataclass(frozen=True, slots=True)
class _Pair:
    """A payment on our side, and what Stripe has of it."""

    id: str
    ours: _Half
    theirs: _Half | None

    @property
    def equal(self) -> bool:
        return self.ours == self.theirs


async def tally(story: Story) -> None:
    """Compare the two halves field by field, show both, and count what went out. Raises Amiss."""
    await _quiet(story)
    customer = await _customer(story)
    rows = await story.world.rows(_OURS, story.world.subject)
    theirs = await _their_halves(story, customer)
    pairs = [_Pair(str(row["id"]), half := _our_half(row), theirs.pop(half.intent, None)) for row in rows]
    story.screen.block(_table(pairs, wide=story.screen.width >= _WIDE))
    story.screen.paragraph()
    for pair in pairs:
        check(pair.equal, f"payment {pair.id} should be equal on both sides", f"{pair.ours} is not {pair.theirs}")
    check(not theirs, "Stripe should have no payment of Ann's that we do not know", f"it has {', '.join(theirs)}")
    check(len(pairs) == len(story.payments), f"there should be {len(story.payments)} payments", f"not {len(pairs)}")
    received, refunded = (sum(getattr(pair.ours, name) for pair in pairs) for name in ("received", "refunded"))
    await story.conclude(f"Equal in every field: {usd(received)} received, {usd(refunded)} refunded.")
    await _webhooks(story, customer)
    await _mails(story)
    await _secrets(story)


async def _quiet(story: Story) -> None:
    """Let what is still on its way arrive."""

    async def look() -> bool | None:
        await story.world.control("POST", "/quiet?timeout_s=10")
        waiting = await story.world.row(
            "SELECT 1 AS one FROM webhook_events WHERE state = 'pending' "
            "UNION ALL SELECT 1 FROM mails WHERE state = 'queued' AND recipient = $1 LIMIT 1",
            story.world.email,
        )
        return None if waiting else True

    await story.wait("the last webhooks and mails", look, "should all be done")


async def _customer(story: Story) -> str:
    found = await story.world.row("SELECT stripe_customer_id FROM users WHERE external_id = $1", story.world.subject)
    if found is None or not found["stripe_customer_id"]:
        raise Amiss("There should be a row for Ann in `users`, with her Stripe customer.")
    return str(found["stripe_customer_id"])


def _our_half(row: Json) -> _Half:
    return _Half(
        intent=row["stripe_payment_intent_id"] or "",
        amount=int(row["amount"]),
        currency=row["currency"],
        status=row["stripe_status"] or "",
        capturable=int(row["amount_capturable"]),
        received=int(row["amount_received"]),
        refunded=int(row["amount_refunded"]),
        charges=row["charges"],
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


def _table(pairs: list[_Pair], *, wide: bool) -> list[Text]:
    """Both halves of every payment side by side; where there is room, with what was captured and refunded."""
    names = ["amount", "received", "refunded"] if wide else ["amount"]
    rows = [["Tallystick", *names, "status", "", "Stripe", *names, "status", ""]]
    for pair in pairs:
        theirs = _cells(short(pair.theirs.intent), pair.theirs, wide) if pair.theirs else ["nothing", *names, ""]
        rows.append(
            [*_cells(short(pair.id), pair.ours, wide), "=" if pair.equal else "≠", *theirs, "✓" if pair.equal else "✗"]
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [_laid_out(row, widths, names, heading=not index) for index, row in enumerate(rows)]


def _cells(name: str, half: _Half, wide: bool) -> list[str]:
    amounts = [half.amount, half.received, half.refunded] if wide else [half.amount]
    return [name, *(usd(amount) if amount else "–" for amount in amounts), half.status]


def _laid_out(row: list[str], widths: list[int], names: list[str], *, heading: bool) -> Text:
    half = len(names) + 3
    line = Text()
    for column, (value, width) in enumerate(zip(row, widths, strict=True)):
        is_amount = 1 <= column % half <= len(names)
        style = (
            "dim" if heading or value == "=" else {"✓": "bold green", "✗": "bold red", "≠": "bold red"}.get(value, "")
        )
        line.append(f"{value:>{width}}" if is_amount else f"{value:{width}}", style).append("  ")
    line.rstrip()
    return line


async def _webhooks(story: Story, customer: str) -> None:
    """Every event that Stripe has about the customer is stored here, and none is left to do."""
    keys = [customer, *(payment.intent for payment in story.payments)]
    stored = await story.world.rows(
        "SELECT stripe_event_id AS id, state FROM webhook_events WHERE object_key = ANY($1::text[])", keys
    )
    waiting = [row["id"] for row in stored if row["state"] in ("pending", "dead", "parked")]
    check(not waiting, "no webhook should be left over", f"these are: {', '.join(waiting)}")
    missing = {event["id"] for event in await _events(story, set(keys))} - {row["id"] for row in stored}
    check(not missing, "every event of Stripe's should be stored", f"these are not: {', '.join(sorted(missing))}")
    await story.conclude(f"{len(stored)} webhooks: all that Stripe has, each stored once, none left to do.")


async def _events(story: Story, keys: set[str]) -> list[Json]:
    """Stripe's events about these objects; Ann is new, so the search ends with the first one about her."""
    found: list[Json] = []
    query: dict[str, str] = {"limit": "100"}
    for _ in range(_PAGES):
        page = await story.world.stripe("/v1/events", **query)
        for event in page["data"]:
            value = event["data"]["object"]
            if keys & {value["id"], value.get("payment_intent")}:
                found.append(event)
                if event["type"] == "customer.created":
                    return found
        if not page["has_more"]:
            break
        query["starting_after"] = page["data"][-1]["id"]
    return found


async def _mails(story: Story) -> None:
    landed = Counter(mail["message_id"] for mail in await story.world.mails())
    queued = await story.world.rows("SELECT template, message_id FROM mails WHERE recipient = $1", story.world.email)
    kinds = Counter(str(row["template"]) for row in queued)
    wanted = Counter(story.expected_mails)
    check(kinds == wanted, f"the mails should be {dict(wanted)}", f"they are {dict(kinds)}")
    once = {row["message_id"] for row in queued} == set(landed) and landed.total() == len(queued)
    check(once, "each mail should be in the mailbox once", f"there are {landed.total()} for {len(queued)}")
    words = {"payment_confirmation": "receipts", "payment_failed": "decline", "refund": "refund"}
    parts = ", ".join(f"{kinds[kind]} {word}" for kind, word in words.items())
    await story.conclude(f"{landed.total()} mails, each sent once: {parts}.")


async def _secrets(story: Story) -> None:
    """What only the customer's browser may have is not kept."""
    secrets = [payment.secret for payment in story.payments if payment.secret]
    found = await story.world.row(_SECRETS, secrets)
    number = found["number"] if found else 0
    check(number == 0, "no client secret should be stored", f"{number} rows hold one")
    await story.conclude("No client secret in any stored event, request or answer.")

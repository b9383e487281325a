"""`tallystick demo` against a whole `dev`: it tells the story, verifies it, and says so when something is amiss."""

import re
import sys
import time
from collections.abc import Iterator
from uuid import UUID

import asyncpg
import pytest
from rich.text import Text

from running_dev import RunningDev
from tallystick.cli.demo_payment import CHAPTERS
from tallystick.cli.demo_screen import DemoScreen
from tallystick.cli.demo_story import Story, short
from tallystick.cli.demo_tally import tally
from tallystick.cli.demo_world import Amiss, open_world
from tallystick.cli.instance import find_instance
from terminal import in_terminal

pytestmark = pytest.mark.timeout(120)

TITLES = [
    "The shop asks for a payment",
    "Ann pays in her browser",
    "A card without funds, then a good one",
    "The bank asks: 3D Secure",
    "The same request twice",
    "The same webhook twice",
    "Authorise now, capture a part later",
    "A refund, and one too many",
    "Stripe acts, and the line is cut",
    "The tally",
]


@pytest.fixture(autouse=True)
def no_faults(running_dev: RunningDev) -> Iterator[None]:
    """Whatever happens, the next test finds a sandbox that behaves."""
    yield
    assert running_dev.sandbox("DELETE", "/faults")["data"] == []


@pytest.fixture(scope="module")
def told(running_dev: RunningDev) -> str:
    """The output of a whole run through a pipe."""
    done = running_dev.call("demo")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return done.stdout


def test_it_tells_every_chapter_and_ends_well(told: str) -> None:
    places = [told.index(f"  {number}  {title}  ─") for number, title in enumerate(TITLES, 1)]
    assert places == sorted(places)
    assert told.rstrip().splitlines()[-2].strip() == "The two halves match."
    assert "✗" not in told


@pytest.mark.parametrize(
    "line",
    [
        r'→ POST /api/payments/payment-intent\n +\{"amount": 1050, "currency": "usd", "description": "A book"\}',
        r"← 201 · payment [0-9a-f]{8} · requires_payment_method +\d+ ms\n +client_secret pi_…\w{4}_secret_\w{4}…",
        r"Stripe   POST /v1/payment_intents  200 +req_\w+",
        r"webhook  payment_intent\.created +applied in \d+ ms",
        r"row      new → requires_payment_method +[0-9a-f]{8}",
        r"browser  → POST /v1/payment_methods +to Stripe\n +card 4242 4242 4242 4242",
        r"row      requires_payment_method → succeeded · \$10\.50 received",
        r"mail     “Payment received: \$10\.50 to Tallystick” +landed in \d+ ms",
        r"← 402 · INSUFFICIENT_FUNDS .*\n +“Your card has insufficient funds\.”\n +Use another payment method",
        r"row      new → failed",
        r"“Your payment of \$25\.00 to Tallystick did not go through”",
        r"row      failed → succeeded · \$25\.00 received",
        r"http://127\.0\.0\.1:\d+/_sandbox/authenticate/pi_…\w{4}",
        r"row      requires_action → succeeded · \$99\.00 received",
        r"Idempotency-Key: cart-",
        r"✓ One payment, one charge, one receipt; both answers are equal, byte for byte\.",
        r"✓ Delivered twice, stored once, applied once\.",
        r"row      new → requires_capture · \$50\.00 held",
        r"row      requires_capture → succeeded · \$30\.00 received",
        r"“Payment received: \$30\.00 to Tallystick”",
        r"row      succeeded · \$30\.00 received · \$12\.00 refunded",
        r"← 409 · REFUND_EXCEEDS_REMAINING · remaining \$18\.00",
        r"(POST /v1/payment_intents/pi_…\w{4}/confirm  cut +req_\w+\n +){3}|← 200 · payment \w+ · succeeded",
        r"worker   asks again, same key: unknown → succeeded",
        r"✓ 8 mails, each sent once: 6 receipts, 1 decline, 1 refund\.",
        r"✓ Equal in every field: \$259\.49 received, \$12\.00 refunded\.",
    ],
)
def test_it_shows(told: str, line: str) -> None:
    assert re.search(line, told), line


def test_the_tally_shows_both_halves(told: str) -> None:
    rows = re.findall(r"^  ([0-9a-f]{8}) +(\S+)  succeeded  =  (pi_…\w{4}) +(\S+)  succeeded  ✓$", told, re.MULTILINE)
    assert [row[1] for row in rows] == ["$10.50", "$25.00", "$99.00", "$19.99", "$50.00", "$75.00"]
    assert all(row[1] == row[3] for row in rows)


def test_it_is_plain_text_that_fits_80_columns(told: str) -> None:
    assert "\x1b" not in told
    assert "waiting for" not in told
    assert max(map(len, told.splitlines())) <= 80
    assert not [line for line in told.splitlines() if line != line.rstrip()]


def test_it_shows_no_secret(running_dev: RunningDev, told: str) -> None:
    found = running_dev.json
    for name in ("stripe_secret_key", "stripe_publishable_key", "stripe_webhook_secret", "database_url"):
        assert found[name] not in told
    assert not re.search(r"_secret_\w{5}", told)
    assert "eyJ" not in told


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_it_moves_in_a_terminal_and_can_be_run_again(running_dev: RunningDev, told: str) -> None:
    began = time.monotonic()
    code, shown = in_terminal(running_dev, "demo", "--fast")
    assert code == 0, shown
    assert time.monotonic() - began < 60
    assert "The two halves match." in shown
    assert re.search(r"[\d,]+ ms\x1b\[0m\x1b\[2m  waiting for the worker to find out", shown)
    text = Text.from_ansi(shown).plain
    # At 120 columns there is room for more, and the story is still not wider than can be read.
    assert re.search(r"\$50\.00 +\$30\.00 +\$12\.00  succeeded  =  pi_…\w{4} +\$50\.00 +\$30\.00 +\$12\.00", text)
    # Another customer than in the first run.
    assert set(re.findall(r"ann-\w+@", text)).isdisjoint(re.findall(r"ann-\w+@", told))


@pytest.mark.parametrize(
    ("fault", "step", "what"),
    [
        ({"target": "webhook", "kind": "drop"}, "step 1 of 10", "the webhook payment_intent.created"),
        (
            {"target": "webhook", "kind": "drop", "type": "payment_intent.succeeded"},
            "step 2 of 10, “Ann pays in her browser”",
            "the webhook payment_intent.succeeded",
        ),
        (
            {"target": "api", "kind": "status", "status": 400, "path": "/v1/payment_intents"},
            "step 1 of 10",
            "The answer should be 201, but it is 422",
        ),
    ],
)
def test_what_is_amiss_is_named(running_dev: RunningDev, fault: dict[str, object], step: str, what: str) -> None:
    running_dev.sandbox("POST", "/faults", {**fault, "times": None})
    done = running_dev.call("demo", "--patience=1.5")
    shown = " ".join(done.stdout.split())
    assert done.returncode == 1, shown
    assert f"✗ Not as it should be: {step}" in shown
    assert what in shown
    assert "The sandbox has a fault in force" in shown
    assert "The two halves match" not in shown
    assert "Traceback" not in done.stdout + done.stderr


async def test_a_difference_between_the_halves_is_seen(
    running_dev: RunningDev, capsys: pytest.CaptureFixture[str]
) -> None:
    async with open_world(find_instance(running_dev.folder)) as world:
        story = Story(world, DemoScreen(fast=True, plain=True), patience_s=15)
        for chapter in CHAPTERS[:2]:
            await chapter.tell(story)
        await tally(story)
        assert "succeeded  =" in capsys.readouterr().out
        ours = await asyncpg.connect(running_dev.json["database_url"])
        await ours.execute("UPDATE payments SET amount_received = 1049 WHERE id = $1", UUID(story.payments[0].id))
        await ours.close()
        with pytest.raises(Amiss, match=r"equal on both sides, but .*received=1049.* is not .*received=1050"):
            await tally(story)
        assert "succeeded  ≠" in capsys.readouterr().out


def test_errors_are_for_people(running_dev: RunningDev) -> None:
    nobody = running_dev.call("demo", "--data-dir", "/nowhere")
    assert nobody.returncode == 1
    assert "No `tallystick dev` runs in /nowhere" in nobody.stderr
    assert running_dev.call("demo", "--patience=0").returncode == 2
    assert "Traceback" not in nobody.stderr


def test_help_names_story_and_options(running_dev: RunningDev) -> None:
    shown = running_dev.call("demo", "--help").stdout
    for word in ("payment", "--data-dir", "--fast", "--plain", "--patience"):
        assert word in shown


# The parts


@pytest.mark.parametrize(
    ("identity", "shown"),
    [
        ("b1bb4cb1-c019-8e41-8508-7af1a8d6255c", "b1bb4cb1"),
        ("pm_1rpfFmmrJ9cFP1fPf0EX7ABf", "pm_…7ABf"),
        ("pi_3rpfXank5Aq_secret_xLZ35fudlq1dt", "pi_…k5Aq_secret_xLZ3…"),
    ],
)
def test_ids_are_shortened(identity: str, shown: str) -> None:
    assert short(identity) == shown


def test_a_complaint_never_holds_a_whole_secret() -> None:
    assert str(Amiss('it is 500: {"client_secret":"pi_1_secret_abcdefgh"}')).endswith('"pi_1_secret_abcd…"}')


async def test_long_lines_hang_and_keep_their_remark(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    screen = DemoScreen(fast=True, plain=True)
    await screen.line("app", '  {"amount": 1050, "currency": "usd", "description": "A book"}', "12 ms")
    await screen.line("app", "short", "right")
    await screen.line("mail", "x" * 70)
    lines = capsys.readouterr().out.splitlines()
    described = '"description": "A book"}'
    assert lines[0] == '  app        {"amount": 1050, "currency": "usd",'
    assert lines[1] == f"{'':15}{described:40}12 ms"
    assert lines[2] == f"{'':11}{'short':44}right"
    assert lines[3:] == [f"  mail     {'x' * 47}", f"{'':13}{'x' * 23}"]

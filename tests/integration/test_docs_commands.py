"""The commands of README.md and docs/*.md work by copy and paste: every `sh` block is run, in order, one shell a page.

How a block is treated is said by what follows `sh` in its fence, or by the tables below:

* `sh` is run. It has to succeed (`bash -e -o pipefail`), and may only answer with an error of the API where the page
  shows one.
* `sh needs-stripe` is skipped: it needs an account at the real Stripe.
* A block that is one of `MAPPED` starts what is running here already; `make -n` says whether it still does that.
* An `output` block after an `sh` block says what that one shows: its lines, in this order, each at the beginning of a
  line; `…` stands for anything.

Nothing is skipped in silence: what is not run is counted, and each is a skipped test with its reason.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import pytest

from running_dev import RunningDev

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
MAPPED = {"make up": "tallystick dev", "make test": "pytest"}
"""What stands for itself here: `dev` runs already, and this is one of the tests."""
SKIPPED = {"needs-stripe": "needs an account at the real Stripe"}
EXPECTED = {
    "README.md": ["make up", "make test", "run"],
    "docs/api-clients.md": ["run"],
    "docs/audit.md": ["run"],
    "docs/backup.md": ["run"],
    "docs/billing-pages.md": ["run"] * 2,
    "docs/catch-up.md": ["run"],
    "docs/checkout.md": ["run"] * 4,
    "docs/clock.md": ["run"] * 4,
    "docs/console.md": ["run"],
    "docs/customers.md": ["run"] * 4,
    "docs/dead-letters.md": ["run"] * 3,
    "docs/doctor.md": ["run"] * 2,
    "docs/drift.md": ["run"] * 2,
    "docs/dunning.md": ["run"] * 4,
    "docs/entitlements.md": ["run"] * 3,
    "docs/first-payment.md": ["make up", *["run"] * 11, "needs-stripe"],
    "docs/first-subscription.md": ["run"] * 6,
    "docs/going-live.md": ["needs-stripe"] * 5,
    "docs/import.md": ["run"] * 2,
    "docs/invoices.md": ["run"] * 5,
    "docs/languages.md": ["run"],
    "docs/mails.md": ["run"],
    "docs/metrics.md": ["run"] * 3,
    "docs/money.md": ["run"],
    "docs/monitoring.md": ["run"] * 2,
    "docs/privacy.md": ["run"] * 2,
    "docs/products.md": ["run"] * 3,
    "docs/reconcile.md": ["run"] * 3,
    "docs/reliability.md": ["run"],
    "docs/start.md": ["make up", *["run"] * 3],
    "docs/stripe-cli.md": ["needs-stripe"] * 3,
    "docs/subscriptions.md": ["run"] * 11,
    "docs/test-cards.md": ["run"] * 2,
    "docs/time-machine.md": ["run"] * 3,
    "docs/tracing.md": ["run"],
    "docs/troubleshooting.md": ["run"] * 10,
    "docs/upgrade.md": ["run"],
    "docs/webhook-endpoints.md": ["needs-stripe", "run", "needs-stripe", "needs-stripe", "needs-stripe"],
}
"""How the blocks of each page are treated, in their order."""

_FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_TIMEOUT_S = 60.0


@dataclass
class Block:
    """An `sh` block: where it is, its commands, how it is treated, and what it should show."""

    page: str
    line: int
    text: str
    treated: str = "run"
    output: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks_of(page: Path) -> list[Block]:
    """The `sh` blocks of a page."""
    content = page.read_text()
    found: list[Block] = []
    last_end = -1
    for fence in _FENCE.finditer(content):
        language, _, tag = fence["info"].strip().partition(" ")
        line = content.count("\n", 0, fence.start()) + 1
        if language == "sh":
            text = fence["text"]
            assert not tag or tag in SKIPPED, f"{page.name}:{line}: unknown tag {tag}"
            treated = tag or (text.strip() if text.strip() in MAPPED else "run")
            found.append(Block(str(page.relative_to(ROOT)), line, text, treated))
        elif language == "output":
            assert found, f"{page.name}:{line}: output of nothing"
            assert not content[last_end : fence.start()].strip(), f"{page.name}:{line}: not right after its commands"
            found[-1].output = fence["text"].splitlines()
        else:
            assert language not in ("bash", "shell", "console", "zsh"), (
                f"{page.name}:{line}: call it sh, or it is not run"
            )
        last_end = fence.end()
    return found


EVERY = [block for page in PAGES for block in blocks_of(page)]


class Shell:
    """A bash that is handed one block after the other, as a person does."""

    def __init__(self, environment: dict[str, str], transcript: Path) -> None:
        self._transcript = transcript
        self._output = transcript.open("w")
        self._process = subprocess.Popen(
            ["bash", "-e", "-o", "pipefail", "-s"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
        )

    def run(self, text: str) -> str:
        """What the block showed. Fails when it fails, or does not end."""
        assert self._process.stdin is not None
        before = self._transcript.stat().st_size
        mark = f"@@ done {before}"
        # In braces, so that bash has read all of it before a command of the block can read from the same place.
        self._process.stdin.write(f"{{\n{text}\n}} </dev/null\nprintf '\\n%s\\n' '{mark}'\n")
        self._process.stdin.flush()
        deadline = time.monotonic() + _TIMEOUT_S
        while True:
            ended = self._process.poll() is not None
            shown = self._transcript.read_bytes()[before:].decode()
            if shown.endswith(f"\n{mark}\n"):
                return shown.removesuffix(f"\n{mark}\n")
            assert not ended, f"exit code {self._process.returncode}:\n{text}\n{shown}"
            assert time.monotonic() < deadline, f"not done after {_TIMEOUT_S:.0f} s:\n{text}\n{shown}"
            time.sleep(0.02)

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=5)
        finally:
            self._process.kill()
            self._output.close()


@contextmanager
def shell_for(dev: RunningDev, transcript: Path) -> Iterator[Shell]:
    bin_folder = Path(sys.executable).parent
    environment = dev.environment | {"PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}", "LC_ALL": "C.UTF-8"}
    shell = Shell(environment, transcript)
    try:
        yield shell
    finally:
        shell.close()


def here(text: str, dev: RunningDev) -> str:
    """The block with the addresses and folders of this machine, which are the only things that differ."""
    for port, name in (("8000", "api_url"), ("12111", "sandbox_url"), ("8025", "mailbox_url")):
        text = re.sub(rf"(127\.0\.0\.1|localhost):{port}\b", dev.json[name].removeprefix("http://"), text)
    return text.replace(".venv/", f"{sys.prefix}/").replace(".data/", f"{dev.folder}/")


async def quiet(dev: RunningDev) -> None:
    """Between two blocks a person reads; meanwhile webhooks are applied and mails land."""
    connection = await asyncpg.connect(dev.json["database_url"])
    try:
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            dev.sandbox("POST", "/quiet?timeout_s=10")
            if not await connection.fetchval(
                "SELECT EXISTS (SELECT FROM webhook_events WHERE state = 'pending') "
                "OR EXISTS (SELECT FROM mails WHERE state = 'queued')"
            ):
                return
    finally:
        await connection.close()


def check_output(block: Block, shown: str) -> None:
    """Every line that the page shows has to be there, in this order; `…` stands for anything."""
    lines = iter(shown.splitlines())
    for wanted in block.output:
        if not wanted.strip():
            continue
        pattern = re.compile(".*".join(re.escape(part) for part in wanted.rstrip().split("…")))
        assert any(pattern.match(line) for line in lines), f"{block}: no line like {wanted!r} in\n{shown}"
    told = set(re.findall(r"urn:tallystick:error:\w+|\"code\":\"[A-Z_]+\"", shown))
    unexpected = [error for error in told if error.rpartition(":")[2].strip('"') not in "\n".join(block.output)]
    assert not unexpected, f"{block}: an error that the page does not show:\n{shown}"


def test_every_block_is_treated_as_expected() -> None:
    treated: dict[str, list[str]] = {}
    for block in EVERY:
        treated.setdefault(block.page, []).append(block.treated)
    assert treated == EXPECTED


@pytest.mark.parametrize("page", EXPECTED)
async def test_every_command_works(page: str, running_dev: RunningDev, tmp_path: Path) -> None:
    with shell_for(running_dev, tmp_path / "transcript") as shell:
        for block in EVERY:
            if block.page == page and block.treated == "run":
                check_output(block, shell.run(here(block.text, running_dev)))
                await quiet(running_dev)


@pytest.mark.parametrize("command", MAPPED)
def test_what_stands_for_itself_does_what_runs_here(command: str) -> None:
    if not (ROOT / "Makefile").exists() or shutil.which("make") is None:
        pytest.skip("there is no make")
    done = subprocess.run([*command.split(), "-n"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30)
    assert MAPPED[command] in done.stdout


@pytest.mark.parametrize("block", [block for block in EVERY if block.treated in SKIPPED], ids=str)
def test_what_cannot_be_run_here(block: Block) -> None:
    pytest.skip(SKIPPED[block.treated])


def test_the_payment_of_the_readme_succeeds(running_dev: RunningDev, tmp_path: Path) -> None:
    with shell_for(running_dev, tmp_path / "transcript") as shell:
        blocks = [block for block in EVERY if block.page == "README.md" and block.treated == "run"]
        assert '"status":"succeeded"' in "".join(shell.run(here(block.text, running_dev)) for block in blocks)


# The test tests itself: a page that does not work has to be seen.


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("false\necho never", "exit code 1"),
        ("false | cat", "exit code 1"),
        ("nonsense-command", "exit code 127"),
    ],
)
def test_a_command_that_fails_is_seen(running_dev: RunningDev, tmp_path: Path, text: str, complaint: str) -> None:
    with shell_for(running_dev, tmp_path / "transcript") as shell, pytest.raises(AssertionError, match=complaint):
        shell.run(text)


def test_blocks_share_a_shell_and_cannot_eat_each_other(running_dev: RunningDev, tmp_path: Path) -> None:
    with shell_for(running_dev, tmp_path / "transcript") as shell:
        assert shell.run('NAME=Ann\ngreet() { echo "Hello $1"; }\ncat') == ""
        assert shell.run('greet "$NAME"') == "Hello Ann\n"


@pytest.mark.parametrize(
    ("output", "shown", "right"),
    [
        (["a…c"], "abc\n", True),
        (["a…c"], "xabc\n", False),
        (["b", "a"], "a\nb\n", False),
        ([], '{"code":"AMOUNT_ERROR"}', False),
        (["…AMOUNT_ERROR"], '{"code":"AMOUNT_ERROR"}', True),
    ],
)
def test_output_is_compared(output: list[str], shown: str, *, right: bool) -> None:
    block = Block("page", 1, "", output=output)
    if right:
        check_output(block, shown)
    else:
        with pytest.raises(AssertionError):
            check_output(block, shown)

"""The commands of all pages work by copy and paste: every `sh` block is run, in order, one shell a page.

How a block is treated is said by what follows `sh` in its fence, or by the tables below:

* `sh` is run. It has to succeed (`bash -e -o pipefail`), and may only answer with an error of the API where the page
  shows one.
* `sh needs-stripe` is skipped: it needs an account at the real Stripe.
* `sh parsed` is for another machine (a server, a cluster) or takes hours. Instead of being run it is read: by bash,
  each command of ours by the program's own parser, and what it names of this repository has to be there.
* A block of nothing but what is `MAPPED` starts what is running here already; `make -n` says whether it still does.
* An `output` block after an `sh` block says what that one shows: its lines, in this order, each at the beginning of a
  line; `…` stands for anything.

Nothing is skipped in silence: what is not run is counted, and each is a skipped test with its reason. Blocks of other
languages are held by test_docs_samples.py.
"""

import importlib.metadata
import os
import re
import shlex
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
import yaml
from cyclopts.exceptions import CycloptsError, MissingArgumentError

import documented
from documented import ROOT
from running_dev import RunningDev
from system import LONG
from tallystick.cli.main import build_app
from tallystick.platform.settings import Settings

MAPPED = {
    "make up": "tallystick dev",
    "make test": "pytest",
    "make help": "Makefile",
    "make hooks": "pre-commit install",
}
"""What stands for itself here: `dev` runs already, this is one of the tests, and the rest would change the checkout."""
SKIPPED = {"needs-stripe": "needs an account at the real Stripe"}
EXPECTED = {
    "CONTRIBUTING.md": ["make", "parsed"],
    "README.md": ["make", "make", "run", "run"],
    "docs/api-clients.md": ["run"],
    "docs/audit.md": ["run"],
    "docs/backup.md": ["run", "parsed", "parsed", "parsed"],
    "docs/billing-pages.md": ["run"] * 2,
    "docs/catch-up.md": ["run"],
    "docs/checkout.md": ["run"] * 4,
    "docs/clock.md": ["run"] * 5,
    "docs/console.md": ["run"],
    "docs/customers.md": ["run"] * 4,
    "docs/dead-letters.md": ["run", "run", "parsed", "run"],
    "docs/deploy.md": ["parsed"] * 4,
    "docs/doctor.md": ["run"] * 2,
    "docs/drift.md": ["run"] * 2,
    "docs/dunning.md": ["run"] * 4,
    "docs/entitlements.md": ["run"] * 3,
    "docs/first-payment.md": ["make", *["run"] * 11, "needs-stripe"],
    "docs/first-subscription.md": ["run"] * 6,
    "docs/going-live.md": ["needs-stripe"] * 5,
    "docs/import.md": ["run"] * 2,
    "docs/install.md": ["parsed"] * 2,
    "docs/invoices.md": ["run"] * 5,
    "docs/languages.md": ["run"],
    "docs/mails.md": ["run", "parsed"],
    "docs/metrics.md": ["run"] * 3,
    "docs/money.md": ["run"],
    "docs/monitoring.md": ["run"] * 2,
    "docs/privacy.md": ["run"] * 2,
    "docs/products.md": ["run"] * 3,
    "docs/reconcile.md": ["run"] * 3,
    "docs/reliability.md": ["run", "parsed", "parsed", "parsed"],
    "docs/start.md": ["make", *["run"] * 3],
    "docs/stripe-cli.md": ["needs-stripe"] * 3,
    "docs/subscriptions.md": ["run"] * 11,
    "docs/test-cards.md": ["run"] * 2,
    "docs/time-machine.md": ["run"] * 3,
    "docs/tracing.md": ["run"],
    "docs/troubleshooting.md": ["run"] * 10,
    "docs/upgrade.md": ["parsed", "run"],
    "docs/webhook-endpoints.md": ["needs-stripe", "run", "needs-stripe", "needs-stripe", "needs-stripe"],
}
"""How the blocks of each page are treated, in their order."""

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


def treatment(block: documented.Block) -> str:
    """By the fence's tag; without one it is run, but for what runs already."""
    if block.tag:
        assert block.tag in {*SKIPPED, "parsed"}, f"{block}: unknown tag {block.tag}"
        return block.tag
    lines = [line.partition("#")[0].strip() for line in block.text.splitlines()]
    return "make" if all(line in MAPPED for line in lines if line) else "run"


def commands_of_all_pages() -> list[Block]:
    found: list[Block] = []
    for block in documented.EVERY:
        if block.language == "sh":
            found.append(Block(block.page, block.line, block.text, treatment(block)))
        elif block.language == "output":
            assert block.follows, f"{block}: not right after its commands"
            found[-1].output = block.text.splitlines()
    return found


EVERY = commands_of_all_pages()


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


@pytest.mark.parametrize("page", [page for page, treated in EXPECTED.items() if "run" in treated])
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


def commands_in(text: str) -> Iterator[list[str]]:
    """The words of each command, without what is set in front of it."""
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.shlex(line, posix=True, punctuation_chars="|&;")
        words.whitespace_split = True
        command: list[str] = []
        for word in [*words, ";"]:
            if not set(word) <= set("|&;"):
                command += [word] if command or not re.match(r"[A-Z_]+=", word) else []
            elif command:
                yield command
                command = []


def names_under_deploy() -> set[str]:
    """What is called `tallystick-…`: units, objects in the cluster, the wheel."""
    names = {path.stem.partition("@")[0] for path in (ROOT / "deploy/systemd").glob("*.service")}
    for path in (ROOT / "deploy/kubernetes").rglob("*.yaml"):
        for document in yaml.safe_load_all(path.read_text()):
            names |= {document["metadata"]["name"]} if document and "metadata" in document else set()
    return {*names, f"tallystick-{importlib.metadata.version('tallystick')}-py3-none-any.whl"}


def check_words(command: list[str]) -> None:
    """What a command names of ours is there: options of the program, files, names, extras, settings."""
    ours = command[command.index("exec") + 2 :] if command[0] == "docker" and "exec" in command else command
    if Path(ours[0]).name == "tallystick":
        _, _, ignored = build_app().parse_args(ours[1:], exit_on_error=False, print_error=False)
        assert not ignored, ignored
    for word in command:
        if re.match(r"(deploy|docs|scripts|src|tests)/", word):
            assert list(ROOT.glob(word.rstrip("/"))), f"there is no {word}"
        name = word.rpartition("/")[2].partition("@")[0]
        if name.startswith("tallystick-"):
            assert name in names_under_deploy(), f"nothing is called {name}"
        if extra := re.match(r"tallystick\[(.*)]$", word):
            assert extra[1] in (importlib.metadata.metadata("tallystick").get_all("Provides-Extra") or [])
        if word.startswith("--from-file="):
            assert word.removeprefix("--from-file=") in Settings.model_fields


@pytest.mark.parametrize("block", [block for block in EVERY if block.treated in ("parsed", *SKIPPED)], ids=str)
def test_what_is_not_run_is_read(block: Block) -> None:
    subprocess.run(["bash", "-n"], input=block.text, text=True, check=True, timeout=30)
    commands = list(commands_in(block.text))
    assert commands
    for command in commands:
        check_words(command)


@pytest.mark.skipif(not LONG, reason="two short simulations: TALLYSTICK_LONG=1")
def test_the_long_simulations_work_when_they_are_short(tmp_path: Path) -> None:
    from tallystick.simulation.story import draw, save

    story, seeds, _ = [
        block.text for block in EVERY if (block.page, block.treated) == ("docs/reliability.md", "parsed")
    ]
    save(draw(17, 2), tmp_path / "story-17.json")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for text in (story, seeds.replace("1-300", "1-2").replace("--steps 300", "--steps 2")):
        done = subprocess.run(
            ["bash", "-e"], input=text, cwd=tmp_path, env=os.environ | {"PATH": path},
            capture_output=True, text=True, check=False, timeout=170,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "held.json").exists()


def test_a_command_that_a_line_names_is_there_with_its_options() -> None:
    """`tallystick backup` in the midst of a line may leave out what it needs, and have no option that is not there."""
    wrong = []
    for page in documented.PAGES:
        for span in documented.spans_of(page.read_text(), str(page.relative_to(ROOT))):
            if span.text.startswith("tallystick "):
                try:
                    build_app().parse_args(shlex.split(span.text)[1:], exit_on_error=False, print_error=False)
                except MissingArgumentError:
                    continue
                except CycloptsError as error:
                    wrong.append(f"{span}: {span.text}: {error}")
    assert wrong == []


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


@pytest.mark.parametrize(
    "text",
    [
        "tallystick simulate --storey story-17.json",
        "tallystick tidy",
        "A=b docker compose exec api tallystick deploy chek",
        "pytest tests/nowhere -x",
        "true && systemctl start tallystick-robot@1",
        "pip install 'tallystick[lean]'",
        "kubectl create secret generic tallystick --from-file=no_such_setting",
    ],
)
def test_what_is_not_there_is_seen(text: str) -> None:
    commands = list(commands_in(text))
    with pytest.raises((AssertionError, CycloptsError)):
        check_words(commands[-1])

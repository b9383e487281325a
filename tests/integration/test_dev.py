"""`tallystick dev` as people and scripts use it: real processes, found by what it writes, killed in every way."""

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import jwt
import pytest

from system import LONG
from tallystick.cli.errors import Problem
from tallystick.cli.instance import Instance, find_instance, is_running
from tallystick.cli.plan import Plan, make_plan
from tallystick.cli.tokens import make_token, subject_of

pytestmark = pytest.mark.timeout(120)

COMMAND = [sys.executable, "-m", "tallystick.cli.main"]
# Whatever this shell has set would take the place of the embedded parts.
OURS = ("DATABASE_", "STRIPE_", "SMTP_", "JWT_", "PUBLIC_URL", "TALLYSTICK_DATA_DIR", "INSTALLATION_ID")
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
KEYS = {
    "api_url", "sandbox_url", "mailbox_url", "console_url", "database_url",
    "stripe_secret_key", "stripe_publishable_key", "stripe_webhook_secret", "pids",
}  # fmt: skip


class Dev:
    """One `tallystick dev` in its own folder."""

    def __init__(self, folder: Path, *options: str, **environment: str) -> None:
        self.folder = folder
        self.known: set[int] = set()
        self.screen = folder.with_name(f"{folder.name}.txt")
        with self.screen.open("w") as screen:
            self.process = subprocess.Popen(
                [*COMMAND, "dev", "--port=0", "--sandbox-port=0", f"--data-dir={folder}", *options],
                env=ENVIRONMENT | environment, stdin=subprocess.DEVNULL, stdout=screen,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def shown(self) -> str:
        return self.screen.read_text()

    def ready(self) -> "Dev":
        if not soon(self.is_ready, 60):
            self.process.kill()
            self.process.wait()
            pytest.fail(f"not ready:\n{self.shown()}")
        return self

    def is_ready(self) -> bool:
        if self.process.poll() is not None:
            pytest.fail(f"ended:\n{self.shown()}")
        return (self.folder / "dev.json").exists() and get(f"{self.json()['api_url']}/readyz") == 200

    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "dev.json").read_text())
        return found

    def end(self, number: signal.Signals = signal.SIGINT) -> tuple[int, str]:
        self.process.send_signal(number)
        return self.process.wait(timeout=40), self.shown()

    def processes(self) -> list[str]:
        """The command lines of everything that runs in this folder or under this supervisor."""
        listed = subprocess.run(
            ["ps", "-eo", "pid=,ppid=,stat=,args="], capture_output=True, text=True, check=True
        ).stdout.splitlines()
        rows = [line.split(None, 3) for line in listed]
        known = set(map(str, self.known))
        return [
            " ".join(row)
            for row in rows
            if not row[2].startswith("Z")
            and (row[0] in known or row[1] == str(self.process.pid) or str(self.folder) in row[3])
            and row[0] != str(self.process.pid)
        ]

    def remember(self) -> None:
        """Look for these processes, too, when asked what still runs."""
        self.known |= set(self.json()["pids"].values())


def get(url: str) -> int | None:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 (ours, and http)
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except OSError:
        return None


def soon(holds: Callable[[], bool], seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def call(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*COMMAND, *arguments], env=ENVIRONMENT | environment, capture_output=True, text=True, check=False, timeout=60
    )


async def ask(url: str, query: str) -> Any:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """One that most tests share; they leave it running."""
    running = Dev(tmp_path_factory.mktemp("dev") / "data").ready()
    running.remember()
    yield running
    if running.process.poll() is None:
        running.end()


async def test_dev_json_keeps_the_contract(dev: Dev) -> None:
    found = dev.json()
    assert set(found) == KEYS
    assert found["console_url"] == f"{found['api_url']}/console"
    assert found["stripe_secret_key"].startswith("sk_test_")
    assert found["stripe_publishable_key"].startswith("pk_test_")
    assert found["stripe_webhook_secret"].startswith("whsec_")
    assert set(found["pids"]) == {"api", "worker", "sandbox", "mailbox", "postgres"}
    assert get(f"{found['mailbox_url']}/") == 200
    assert get(f"{found['sandbox_url']}/_sandbox/health") == 200
    assert await ask(found["database_url"], "SELECT to_regclass('payments') IS NOT NULL")
    assert find_instance(dev.folder).api_url == found["api_url"]


def test_what_it_writes_is_private(dev: Dev) -> None:
    for path in dev.folder.rglob("*"):
        mode = stat.S_IMODE(path.lstat().st_mode)
        assert mode & 0o077 == 0, f"{path} has mode {mode:o}"


def test_a_token_is_the_last_line_and_holds(dev: Dev) -> None:
    done = call("token", "--email", "jo@example.com", "--role", "admin", "--days", "2", "--data-dir", str(dev.folder))
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("\n")
    secret = json.loads((dev.folder / "secrets.json").read_text())["JWT_SECRET"]
    claims = jwt.decode(
        done.stdout.splitlines()[-1], secret, algorithms=["HS256"], audience="tallystick", issuer="tallystick"
    )
    assert claims["email"] == "jo@example.com"
    assert claims["roles"] == ["admin"]
    assert claims["sub"] == subject_of("JO@example.com")
    assert claims["exp"] - claims["iat"] == 2 * 86_400
    by_environment = call("token", "--email", "jo@example.com", TALLYSTICK_DATA_DIR=str(dev.folder))
    jwt.decode(by_environment.stdout.strip(), secret, algorithms=["HS256"], audience="tallystick")


def test_a_second_one_in_the_same_folder_is_refused(dev: Dev) -> None:
    done = call("dev", "--port=0", "--sandbox-port=0", f"--data-dir={dev.folder}")
    assert done.returncode == 1
    assert "Another `tallystick dev` runs in" in done.stderr
    assert "Traceback" not in done.stderr
    assert dev.is_ready()


def test_a_taken_port_is_named_with_its_option(dev: Dev, tmp_path: Path) -> None:
    taken = dev.json()["api_url"].rpartition(":")[2]
    for option, other in (("--port", "--sandbox-port"), ("--sandbox-port", "--port")):
        done = call("dev", f"{option}={taken}", f"{other}=0", f"--data-dir={tmp_path}")
        assert done.returncode == 1
        assert f"Port {taken} is taken by another program" in done.stderr
        assert option in done.stderr


@pytest.mark.parametrize("role", ["worker", "api", "sandbox", "mailbox"] if LONG else ["worker", "sandbox"])
def test_a_killed_process_is_started_again(dev: Dev, role: str) -> None:
    before = dev.json()["pids"][role]
    os.kill(before, signal.SIGKILL)
    assert soon(lambda: dev.json()["pids"].get(role) not in (None, before))
    urls = {"api": "api_url/readyz", "sandbox": "sandbox_url/_sandbox/health", "mailbox": "mailbox_url/"}
    if role in urls:
        name, _, path = urls[role].partition("/")
        assert soon(lambda: get(f"{dev.json()[name]}/{path}") == 200)


async def test_a_killed_postgres_is_started_again(dev: Dev) -> None:
    found = dev.json()
    await ask(found["database_url"], "CREATE TABLE public.kept AS SELECT 42 AS answer")
    os.kill(found["pids"]["postgres"], signal.SIGKILL)
    assert soon(lambda: dev.json()["pids"].get("postgres") not in (None, found["pids"]["postgres"]))
    assert await ask(dev.json()["database_url"], "SELECT answer FROM public.kept") == 42
    assert soon(dev.is_ready)


def test_a_second_instance_runs_beside_it(dev: Dev, tmp_path: Path) -> None:
    other = Dev(tmp_path / "other").ready()
    mine, theirs = dev.json(), other.json()
    for name in ("api_url", "sandbox_url", "mailbox_url", "database_url", "stripe_secret_key"):
        assert mine[name] != theirs[name]
    assert other.end(signal.SIGTERM)[0] == 0
    assert dev.is_ready()


async def test_ctrl_c_stops_all_of_it_and_the_next_start_finds_the_data(tmp_path: Path) -> None:
    first = Dev(tmp_path / "data").ready()
    first.remember()
    before = first.json()
    await ask(before["database_url"], "CREATE TABLE public.kept AS SELECT 42 AS answer")
    assert soon(lambda: "Ctrl-C stops everything" in first.shown())
    code, shown = first.end()
    assert code == 0, shown
    assert "Tallystick is running" in shown
    assert "export TOKEN=ey" in shown
    assert "Traceback" not in shown
    assert not (first.folder / "dev.json").exists()
    assert first.processes() == []
    assert not is_running(first.folder)
    with pytest.raises(Problem, match="No `tallystick dev` runs in"):
        find_instance(first.folder)
    # The token of a stopped one stays good for the next.
    assert call("token", "--email=jo@example.com", f"--data-dir={first.folder}").returncode == 0
    second = Dev(tmp_path / "data").ready()
    after = second.json()
    assert await ask(after["database_url"], "SELECT answer FROM public.kept") == 42
    for name in ("mailbox_url", "stripe_secret_key", "stripe_webhook_secret"):
        assert after[name] == before[name]
    assert second.end()[0] == 0


def test_a_killed_supervisor_leaves_no_process(tmp_path: Path) -> None:
    running = Dev(tmp_path / "data").ready()
    running.remember()
    running.end(signal.SIGKILL)
    assert soon(lambda: running.processes() == [], 25), running.processes()
    # The file is still there, but nobody takes it for a running instance.
    with pytest.raises(Problem, match="No `tallystick dev` runs in"):
        find_instance(running.folder)
    again = Dev(tmp_path / "data").ready()
    assert again.end()[0] == 0


@pytest.mark.parametrize("after_s", [0.3, 0.8, 1.5] if LONG else [0.8])
def test_it_can_be_stopped_while_it_starts(tmp_path: Path, after_s: float) -> None:
    starting = Dev(tmp_path / "data")
    time.sleep(after_s)
    code, shown = starting.end(signal.SIGTERM)
    assert "Traceback" not in shown
    assert starting.processes() == []
    assert code in (0, -signal.SIGTERM)
    assert not (starting.folder / "dev.json").exists()


def test_twice_ctrl_c_stops_at_once(tmp_path: Path) -> None:
    running = Dev(tmp_path / "data").ready()
    running.remember()
    api = running.json()["pids"]["api"]
    # A process that does not react to anything but SIGKILL.
    os.kill(api, signal.SIGSTOP)
    running.process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    began = time.monotonic()
    assert running.end()[0] == 0
    assert time.monotonic() - began < 5
    assert running.processes() == []


def test_a_process_that_cannot_start_ends_it_with_the_reason(tmp_path: Path) -> None:
    running = Dev(tmp_path / "data", WEBHOOK_MAX_RETRIES="many")
    assert running.process.wait(timeout=60) == 1
    shown = running.shown()
    assert "WEBHOOK_MAX_RETRIES" in shown
    assert "Traceback" not in shown
    assert running.processes() == []


def test_a_database_that_is_not_there_is_named(tmp_path: Path) -> None:
    running = Dev(tmp_path / "data", DATABASE_URL="postgresql://me:secret@127.0.0.1:1/none")
    assert running.process.wait(timeout=60) == 1
    shown = running.shown()
    assert "DATABASE_URL: the database cannot be reached" in shown
    assert "Traceback" not in shown
    assert not (tmp_path / "data" / "pg").exists()


# What the environment replaces


def plan(folder: Path, **environment: str) -> Plan:
    return make_plan(folder, environment, port=0, sandbox_port=0)


def test_by_default_all_parts_are_ours(tmp_path: Path) -> None:
    made = plan(tmp_path)
    assert made.sandbox_url
    assert made.mailbox_url
    assert made.database_url is None
    assert made.environment["STRIPE_API_BASE"] == made.sandbox_url
    assert made.environment["PUBLIC_URL"] == made.api_url
    assert made.environment["SMTP_URL"] == f"smtp://127.0.0.1:{made.smtp_port}"
    assert made.environment["ENVIRONMENT"] == "development"
    assert made.environment["CLOCK_FILE"] == str(tmp_path / "clock")
    assert "STRIPE_EVENT_POLLING" not in made.environment
    assert len(made.environment["JWT_SECRET"]) >= 32
    again = plan(tmp_path)
    assert again.environment["JWT_SECRET"] == made.environment["JWT_SECRET"]
    assert again.smtp_port == made.smtp_port


def test_a_real_test_key_replaces_the_sandbox_and_events_are_polled(tmp_path: Path) -> None:
    made = plan(tmp_path, STRIPE_SECRET_KEY="sk_test_real", SMTP_URL="smtp://mail.example")
    assert made.sandbox_url is None
    assert made.mailbox_url is None
    assert made.environment["STRIPE_API_BASE"] == "https://api.stripe.com"
    assert made.environment["STRIPE_SECRET_KEY"] == "sk_test_real"
    assert made.environment["STRIPE_EVENT_POLLING"] == "true"
    assert "CLOCK_FILE" not in made.environment
    assert made.environment["SMTP_URL"] == "smtp://mail.example"


def test_a_public_url_receives_webhooks_instead(tmp_path: Path) -> None:
    made = plan(tmp_path, STRIPE_SECRET_KEY="sk_test_real", PUBLIC_URL="https://pay.example")
    assert "STRIPE_EVENT_POLLING" not in made.environment
    assert made.environment["PUBLIC_URL"] == "https://pay.example"


def test_settings_may_come_as_files(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("postgresql://me@db.example/pay\n")
    assert plan(tmp_path, DATABASE_URL_FILE=str(tmp_path / "url")).database_url == "postgresql://me@db.example/pay"
    with pytest.raises(Problem, match="DATABASE_URL_FILE: /nowhere cannot be read"):
        plan(tmp_path, DATABASE_URL_FILE="/nowhere")


def test_a_live_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="never uses a live key"):
        plan(tmp_path, STRIPE_SECRET_KEY="sk_live_x")


def test_damaged_secrets_are_told_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "secrets.json").write_text("{")
    with pytest.raises(Problem, match=r"secrets\.json cannot be used"):
        plan(tmp_path)
    assert (tmp_path / "secrets.json").read_text() == "{"


def test_the_mailbox_moves_when_its_port_is_taken(tmp_path: Path) -> None:
    first = plan(tmp_path)
    assert first.mailbox_port is not None
    with socket.socket() as owner:
        owner.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        owner.bind(("127.0.0.1", first.mailbox_port))
        owner.listen()
        assert plan(tmp_path).mailbox_port != first.mailbox_port


# Commands


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["token", "--email", "nobody"], 2, "is not an e-mail address"),
        (["token", "--email", "a@b.c", "--days", "0"], 2, "--days"),
        (["token", "--email", "a@b.c", "--data-dir", "/nowhere"], 1, "no `tallystick dev` has run in /nowhere"),
        (["migrate"], 2, "DATABASE_URL is not set"),
        (["migrate", "--database-url", "postgresql://a@127.0.0.1:1/x"], 1, "cannot be reached"),
        (["serve"], 1, "DATABASE_URL: is not set"),
        (["worker"], 1, "DATABASE_URL: is not set"),
        (["dev", "--port", "70000"], 2, "--port: should be 1 to 65535"),
    ],
)
def test_errors_are_for_people(arguments: list[str], code: int, message: str, tmp_path: Path) -> None:
    done = call(*arguments, TALLYSTICK_DATA_DIR=str(tmp_path))
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [["nonsense"], ["dev", "--nonsense"], ["token"]])
def test_wrong_use_is_told(arguments: list[str]) -> None:
    done = call(*arguments)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr + done.stdout


def test_help_names_the_commands() -> None:
    done = call("--help")
    assert done.returncode == 0
    for name in ("dev", "serve", "worker", "sandbox", "migrate", "token"):
        assert name in done.stdout


def test_a_token_uses_the_environment_where_no_folder_is_named(tmp_path: Path) -> None:
    secret = "s" * 40
    done = call("token", "--email=a@b.c", "--sub=user-1", JWT_SECRET=secret, JWT_AUDIENCE="mine")
    claims = jwt.decode(done.stdout.strip(), secret, algorithms=["HS256"], audience="mine")
    assert claims["sub"] == "user-1"
    assert claims["roles"] == []


def test_tokens_hold_any_name() -> None:
    made = make_token("s" * 40, email="jö@例え.jp", roles=["support"], subject="ü", days=1)
    assert jwt.decode(made, "s" * 40, algorithms=["HS256"], audience="tallystick")["sub"] == "ü"


def test_an_instance_has_every_key_of_the_contract() -> None:
    assert set(Instance.__slots__) == KEYS | {"data_dir"}


def test_the_first_payment_of_the_readme_works_by_copy_and_paste(dev: Dev) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    commands = readme.partition("## The first payment")[2].partition("```sh\n")[2].partition("```")[0]
    here = {
        "http://127.0.0.1:8000": dev.json()["api_url"],
        ".venv/bin/tallystick": " ".join(COMMAND),
        ".venv/bin/python": sys.executable,
    }
    commands = re.sub("|".join(map(re.escape, here)), lambda found: here[found[0]], commands)
    done = subprocess.run(
        ["sh", "-eu", "-c", commands],
        env=ENVIRONMENT | {"TALLYSTICK_DATA_DIR": str(dev.folder)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert json.loads(done.stdout)["status"] == "succeeded", done.stdout

    def receipts() -> list[Any]:
        with urllib.request.urlopen(f"{dev.json()['mailbox_url']}/api/messages?to=grace@") as answer:  # noqa: S310
            found: list[Any] = json.load(answer)["data"]
            return found

    assert soon(lambda: len(receipts()) == 1), "the receipt has not come"
    assert "25.00" in receipts()[0]["text"]

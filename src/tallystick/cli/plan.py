"""What `tallystick dev` runs, decided from its options, the environment and what earlier runs have left."""

import secrets as random
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tallystick.cli.errors import Problem
from tallystick.cli.files import read_json, write_json

__all__ = ["HOST", "Plan", "make_plan", "retries_of"]

HOST = "127.0.0.1"
_STRIPE = "https://api.stripe.com"
_MAILBOX_PORT = 8025


@dataclass(frozen=True, slots=True)
class Plan:
    """`environment` is that of every process, but for DATABASE_URL where PostgreSQL is ours.

    A port is None where that part does not run because the environment brings another in its place.
    """

    folder: Path
    environment: Mapping[str, str]
    api_port: int
    sandbox_port: int | None
    mailbox_port: int | None
    smtp_port: int | None
    database_url: str | None
    schema: str
    polls_events: bool

    @property
    def api_url(self) -> str:
        return f"http://{HOST}:{self.api_port}"

    @property
    def sandbox_url(self) -> str | None:
        return f"http://{HOST}:{self.sandbox_port}" if self.sandbox_port else None

    @property
    def mailbox_url(self) -> str | None:
        return f"http://{HOST}:{self.mailbox_port}" if self.mailbox_port else None


def make_plan(folder: Path, given: Mapping[str, str], *, port: int, sandbox_port: int) -> Plan:
    """Choose ports, and fill in every setting that the environment `given` leaves open.

    Writes `secrets.json` and `ports.json` in `folder` on first use. Raises Problem.
    """
    given = {name: value for name, value in given.items() if value}
    key = _setting(given, "STRIPE_SECRET_KEY")
    if key and "_live_" in key:
        raise Problem("STRIPE_SECRET_KEY: `tallystick dev` never uses a live key; set an sk_test_… key", 2)
    real_stripe = bool(key) or _setting(given, "STRIPE_API_BASE") is not None
    catches_mail = _setting(given, "SMTP_URL") is None
    api_port = _take(port, "--port")
    own_sandbox_port = None if real_stripe else _take(sandbox_port, "--sandbox-port")
    if api_port == own_sandbox_port:
        raise Problem("--port and --sandbox-port name the same port", 2)
    mailbox_port, smtp_port = _mail_ports(folder, {api_port, own_sandbox_port}) if catches_mail else (None, None)
    environment = dict(_secrets(folder))
    environment |= {
        "ENVIRONMENT": "development",
        "PUBLIC_URL": f"http://{HOST}:{api_port}",
        "STRIPE_API_BASE": f"http://{HOST}:{own_sandbox_port}" if own_sandbox_port else _STRIPE,
        "STRIPE_API_VERSION": "2023-10-16",
        "DATABASE_SCHEMA": "public",
        "MAIL_FROM": "Tallystick <payments@example.test>",
        "ADMIN_EMAIL": "admin@example.test",
        "LOG_FORMAT": "console",
    }
    if own_sandbox_port:
        environment["CLOCK_FILE"] = str(folder / "clock")
    if smtp_port:
        environment["SMTP_URL"] = f"smtp://{HOST}:{smtp_port}"
    # Stripe cannot reach a laptop, so its events are fetched instead.
    polls = real_stripe and _setting(given, "PUBLIC_URL") is None
    if polls:
        environment["STRIPE_EVENT_POLLING"] = "true"
    if key:
        # A key of ours beside theirs would be of another account.
        environment["STRIPE_PUBLISHABLE_KEY"] = ""
    environment |= given
    return Plan(
        folder=folder,
        environment=environment,
        api_port=api_port,
        sandbox_port=own_sandbox_port,
        mailbox_port=mailbox_port,
        smtp_port=smtp_port,
        database_url=_setting(given, "DATABASE_URL"),
        schema=environment["DATABASE_SCHEMA"],
        polls_events=polls,
    )


def retries_of(environment: Mapping[str, str]) -> dict[str, Any] | None:
    """How the sandbox is to try failed renewals again; None where the settings cannot be used, which the API tells.

    DUNNING_MODE=local wants a Stripe that does not.
    """
    from tallystick.platform.settings import SettingsError, load_settings

    try:
        settings = load_settings({"DATABASE_URL": "postgresql://", **environment})
    except SettingsError:
        return None
    if settings.dunning_mode == "local":
        return {"retry_days": [], "after_last_retry": "past_due"}
    return {"retry_days": settings.retry_schedule, "after_last_retry": "cancel"}


def _setting(given: Mapping[str, str], name: str) -> str | None:
    """A setting as the environment gives it: itself, or the content of the file that `<name>_FILE` names."""
    if path := given.get(f"{name}_FILE"):
        try:
            return Path(path).read_text().strip()
        except OSError as error:
            raise Problem(f"{name}_FILE: {path} cannot be read ({error.strerror})", 2) from error
    return given.get(name)


def _secrets(folder: Path) -> dict[str, str]:
    path = folder / "secrets.json"
    makers: dict[str, Callable[[], str]] = {
        "JWT_SECRET": lambda: random.token_urlsafe(32),
        "STRIPE_SECRET_KEY": lambda: f"sk_test_{random.token_hex(16)}",
        "STRIPE_PUBLISHABLE_KEY": lambda: f"pk_test_{random.token_hex(16)}",
        "STRIPE_WEBHOOK_SECRET": lambda: f"whsec_{random.token_hex(16)}",
        "INSTALLATION_ID": lambda: f"dev-{random.token_hex(6)}",
    }
    try:
        known = read_json(path)
        missing = {name: make() for name, make in makers.items() if name not in known}
        if missing:
            known |= missing
            write_json(path, known)
    except (OSError, ValueError) as error:
        raise Problem(f"{path} cannot be used: {error}") from error
    return {name: str(known[name]) for name in makers}


def _mail_ports(folder: Path, taken: set[int | None]) -> tuple[int, int]:
    """Ports of the mailbox page and of SMTP: those of the last time if they are free."""
    path = folder / "ports.json"
    try:
        known = read_json(path)
        wanted = {"mailbox": known.get("mailbox", _MAILBOX_PORT), "smtp": known.get("smtp", 0)}
        chosen = {
            name: port if port and port not in taken and is_free(port) else free_port() for name, port in wanted.items()
        }
        if chosen != known:
            write_json(path, chosen)
    except (OSError, ValueError, TypeError) as error:
        raise Problem(f"{path} cannot be used: {error}") from error
    return chosen["mailbox"], chosen["smtp"]


def _take(port: int, option: str) -> int:
    if not 0 <= port <= 65_535:
        raise Problem(f"{option}: should be 1 to 65535 (or 0 for any free one)", 2)
    if port == 0:
        return free_port()
    if not is_free(port):
        raise Problem(f"Port {port} is taken by another program; choose another one with {option}.")
    return port


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of the loopback now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A port on which nobody listens now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])

"""`tallystick webhooks`: the endpoint at Stripe that sends events here."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from tallystick.cli.configured import environment_of
from tallystick.cli.errors import Problem
from tallystick.cli.files import write_private
from tallystick.cli.stored import DataDir, builtins, print_json

if TYPE_CHECKING:
    from tallystick.platform.settings import Settings
    from tallystick.webhooks.service_endpoints import Installed, InstalledEndpoints, KnownEndpoint

__all__ = ["app"]

app = App(name="webhooks", help="Make, show and change the webhook endpoint at Stripe.")

Flag = Annotated[bool, Parameter(negative=())]
SecretFile = Annotated[
    Path | None,
    Parameter(help="Write what STRIPE_WEBHOOK_SECRET has to be into this file (mode 0600) instead of printing it."),
]


@app.command(name="list")
def list_endpoints(*, json: Flag = False, data_dir: DataDir = None) -> None:
    """Show the endpoints at Stripe that are ours or send events to our address.

    Parameters
    ----------
    json
        Print JSON.
    """

    async def work(service: "InstalledEndpoints", _: "Settings") -> None:
        found = await service.find_all()
        if json:
            print_json([_as_json(known) for known in found])
        else:
            _print_list(found, service.url)

    _run(data_dir, work)


@app.command
def install(
    *, replace: Flag = False, secret_file: SecretFile = None, json: Flag = False, data_dir: DataDir = None
) -> None:
    """Make the endpoint at PUBLIC_URL, with the events that are handled; one that is ours is put right.

    Parameters
    ----------
    replace
        Make a new one in place of an endpoint at our address whose secret nobody has any more.
    json
        Print JSON.
    """
    _writable(secret_file)

    async def work(service: "InstalledEndpoints", settings: "Settings") -> None:
        done = await service.install(replace=replace)
        _tell(done, [done.secret] if done.secret else [], secret_file, as_json=json)
        await service.told()
        version = done.endpoint.api_version
        if not json and version is not None and version != settings.stripe_api_version:
            print(
                f"Its events are of the version {version}, our calls of {settings.stripe_api_version}; both are read."
            )
            print(f"To change it: tallystick webhooks switch-version {settings.stripe_api_version}")

    _run(data_dir, work, "webhooks.install")


@app.command
def rotate(
    *,
    finish: Flag = False,
    cancel: Flag = False,
    secret_file: SecretFile = None,
    json: Flag = False,
    data_dir: DataDir = None,
) -> None:
    """Change the secret: a second endpoint is made, and with --finish the first is removed.

    Parameters
    ----------
    finish
        Remove the old endpoint, once events have come that the new secret verifies.
    cancel
        Remove the new endpoint instead.
    json
        Print JSON.
    """
    _replace(None, finish=finish, cancel=cancel, secret_file=secret_file, json=json, data_dir=data_dir)


@app.command(name="switch-version")
def switch_version(
    version: str | None = None,
    /,
    *,
    finish: Flag = False,
    cancel: Flag = False,
    secret_file: SecretFile = None,
    json: Flag = False,
    data_dir: DataDir = None,
) -> None:
    """Have events sent in another API version: by a second endpoint, and with --finish the first is removed.

    Parameters
    ----------
    version
        The API version, e.g. 2026-10-28.endive.
    finish
        Remove the old endpoint, once events have come that the new secret verifies.
    cancel
        Remove the new endpoint instead.
    json
        Print JSON.
    """
    if (version is None) != (finish or cancel):
        raise Problem("Name the version to begin, or --finish or --cancel to end.", 2)
    _replace(version, finish=finish, cancel=cancel, secret_file=secret_file, json=json, data_dir=data_dir)


def _replace(
    version: str | None,
    *,
    finish: bool,
    cancel: bool,
    secret_file: Path | None,
    json: bool,
    data_dir: Path | None,
) -> None:
    if finish and cancel:
        raise Problem("--finish and --cancel exclude each other.", 2)
    _writable(secret_file)

    async def work(service: "InstalledEndpoints", settings: "Settings") -> None:
        if finish or cancel:
            done = await (service.finish() if finish else service.cancel())
            _tell(done, [], None, as_json=json)
            if not json:
                print("Take the secret of the removed endpoint out of STRIPE_WEBHOOK_SECRET.")
                if finish and done.endpoint.api_version not in (None, settings.stripe_api_version):
                    print(f"Set STRIPE_API_VERSION={done.endpoint.api_version}, so that our calls follow.")
            return
        done = await service.begin(version)
        assert done.secret is not None
        known = [secret.get_secret_value() for secret in settings.stripe_webhook_secret]
        _tell(done, [*known, done.secret], secret_file, as_json=json)
        await service.told()
        if not json:
            print("Restart the API with both secrets. When an event has come, end it:")
            print(f"  tallystick webhooks {'switch-version' if version else 'rotate'} --finish")

    _run(data_dir, work, f"webhooks.{'finish' if finish else 'cancel' if cancel else 'begin'}")


def _run(
    data_dir: Path | None, work: "Callable[[InstalledEndpoints, Settings], Awaitable[None]]", action: str | None = None
) -> None:
    """Do `work`; one that changes something is written into the audit log as `action`."""
    settings = _settings(data_dir)

    async def run() -> None:
        from tallystick.app.parts import build_parts
        from tallystick.audit.service import audited
        from tallystick.core.clock import clock_of
        from tallystick.webhooks.service_endpoints import InstalledEndpoints

        clock = clock_of(settings.clock_file)
        parts = build_parts(settings, clock, "cli")
        await parts.database.open()
        try:
            await parts.reconciling.installation.verify()
            types = parts.registry.event_types()
            endpoints = InstalledEndpoints(parts.database, clock, settings, parts.stripe, types)
            async with audited(parts.database, action, clock=clock) if action else nullcontext():
                await work(endpoints, settings)
        finally:
            await parts.close()

    from tallystick.core.errors import DomainError
    from tallystick.platform.database import WEATHER
    from tallystick.stripe_gateway.errors import GatewayError, GatewayOutcomeUnknown

    try:
        asyncio.run(run())
    except DomainError as error:
        raise Problem(f"{error.detail} {error.suggested_action}") from None
    except GatewayOutcomeUnknown as error:
        raise Problem(
            f"Nobody knows whether Stripe has done it ({error}). Run the command again: it goes on where it was."
        ) from None
    except GatewayError as error:
        raise Problem(f"Stripe does not do it: {error}") from None
    except WEATHER as error:
        raise Problem(f"The database cannot be reached ({type(error).__name__}).") from None


def _settings(data_dir: Path | None) -> "Settings":
    """The settings, also before there is a secret: making the endpoint is what brings it."""
    from tallystick.platform.settings import load_settings

    given = dict(environment_of(data_dir))
    file = given.get("STRIPE_WEBHOOK_SECRET_FILE")
    if file and not Path(file).exists():
        del given["STRIPE_WEBHOOK_SECRET_FILE"]
        file = None
    if not file and not given.get("STRIPE_WEBHOOK_SECRET"):
        given["STRIPE_WEBHOOK_SECRET"] = "whsec_not_made_yet"  # noqa: S105  # it says that there is none
    return load_settings(given)


def _writable(secret_file: Path | None) -> None:
    """Raise Problem before anything is made whose secret could then not be written."""
    if secret_file is not None and not os.access(secret_file.absolute().parent, os.W_OK | os.X_OK):
        raise Problem(f"--secret-file: {secret_file.absolute().parent} is not a folder that can be written to", 2)


# How it looks


def _tell(done: "Installed", secrets: Sequence[str], secret_file: Path | None, *, as_json: bool) -> None:
    """What was done, and what STRIPE_WEBHOOK_SECRET has to be now, in its file where one is named."""
    setting = ",".join(secrets)
    if setting and secret_file is not None:
        write_private(secret_file, setting)
    if as_json:
        shown = {"done": done.done, "endpoint": _endpoint_json(done.endpoint), "removed": list(done.removed)}
        print_json(shown | ({"stripe_webhook_secret": setting} if setting and secret_file is None else {}))
        return
    print(f"{done.endpoint.id}  {done.done}  {done.endpoint.url}")
    for endpoint_id in done.removed:
        print(f"{endpoint_id}  removed")
    if setting and secret_file is not None:
        print(f"STRIPE_WEBHOOK_SECRET is in {secret_file}. Stripe shows this secret only once.")
    elif setting:
        print(f"STRIPE_WEBHOOK_SECRET={setting}")
        print("Stripe shows this secret only once.")


def _endpoint_json(endpoint: Any) -> dict[str, Any]:
    found: dict[str, Any] = builtins(endpoint)
    found.pop("secret")
    return found


def _as_json(known: "KnownEndpoint") -> dict[str, Any]:
    names = ("ours", "secret_known", "replaces")
    verified = known.seen.verified_at if known.seen else None
    return {
        **_endpoint_json(known.endpoint),
        **{name: getattr(known, name) for name in names},
        "verified_at": builtins(verified),
    }


def _print_list(found: "Sequence[KnownEndpoint]", url: str) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if not found:
        console.print(f"Stripe sends no events to {url}. Make an endpoint with: tallystick webhooks install")
        return
    for known in found:
        endpoint = known.endpoint
        table = Table(box=None, show_header=False, pad_edge=False)
        table.add_column(style="bold")
        table.add_column(overflow="fold")
        verified = f"{known.seen.verified_at:%Y-%m-%d %H:%M} UTC" if known.seen else "no event yet"
        rows = {
            "endpoint": f"{endpoint.id}  {'[green]enabled[/]' if endpoint.enabled else '[bold red]disabled[/]'}",
            "address": endpoint.url,
            "version": endpoint.api_version or "the account's default",
            "events": "all" if endpoint.events == ["*"] else str(len(endpoint.events)),
            "made by": "this installation" if known.ours else "somebody else",
            "secret": "in STRIPE_WEBHOOK_SECRET" if known.secret_known else "not known here",
            "verified": verified if known.secret_known else None,
            "replaces": known.replaces,
        }
        for name, value in rows.items():
            if value is not None:
                table.add_row(name, value)
        console.print(table)
        console.print()

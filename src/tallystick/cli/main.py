"""The entry point: names every command, and imports the one that is called."""

import importlib.util
import os
import signal
import sys
from importlib.metadata import version

from cyclopts import App

from tallystick.cli.errors import Problem

__all__ = ["build_app", "main"]

# name → where it is, what it does. A group that is not there (yet) is left out.
_COMMANDS = {
    "dev": ("dev:dev", "Run everything on this machine: database, API, worker, offline Stripe, mailbox."),
    "demo": ("demo:app", "Play a story against a running `dev`, a payment's or a year of a subscription's."),
    "token": ("tokens:token", "Print an access token for a running (or the last) `dev`."),
    "clock": ("clock:app", "Show business time of a running `dev`, and move it."),
    "events": ("events:app", "List, show, replay and discard webhook events."),
    "timeline": ("timeline:timeline", "Tell the story of a user or an object, in order."),
    "mails": ("mails:app", "List and show mails, and send dead ones again."),
    "doctor": ("doctor:doctor", "Look at everything that can be wrong, and say what to do."),
    "webhooks": ("webhook_endpoints:app", "Make, show and change the webhook endpoint at Stripe."),
    "serve": ("serve:serve", "Serve the API and its pages (production)."),
    "worker": ("worker:worker", "Do the background work (production; run as many as you like)."),
    "migrate": ("migrate:migrate", "Bring the database schema up to date."),
    "deploy": ("deploy:app", "Go through the list before and after a deployment."),
    "backup": ("backup:backup", "Write the database to a file, with a manifest beside it."),
    "restore": ("backup:restore", "Bring a backup into an empty database."),
    "import": ("importing:import_", "Bring what the Stripe account holds already into the mirror."),
    "catch-up": ("catch_up:catch_up", "Read the events that no webhook brought, now."),
    "reconcile": ("reconcile:reconcile", "Compare the mirror with Stripe, field by field, and repair it."),
    "rebuild": ("rebuild:rebuild", "Build the mirror anew from the stored events, and compare."),
    "alerts": ("alerts:app", "Show what is wrong now; print the rules and the board for Prometheus and Grafana."),
    "export": ("privacy:export", "Write everything that is held about a user, as JSON."),
    "erase": ("privacy:erase", "Remove what tells who a user is; amounts, dates and ids stay."),
    "openapi": ("openapi:openapi", "Print the API as an OpenAPI document."),
    "sandbox": ("sandbox:sandbox", "Serve the offline Stripe by itself."),
    "simulate": ("simulate:simulate", "Play stories in a world that misbehaves, and look whether all holds."),
}


def build_app() -> App:
    """All commands, none of them imported."""
    app = App(
        name="tallystick",
        help="Payments and subscriptions on PostgreSQL and Stripe.",
        version=lambda: version("tallystick"),
    )
    for name, (place, text) in _COMMANDS.items():
        module, _, attribute = place.partition(":")
        if importlib.util.find_spec(f"tallystick.cli.{module}") is not None:
            app.command(f"tallystick.cli.{module}:{attribute}", name=name, help=text)
    return app


def main() -> None:
    """Run the command of `sys.argv`. Exits with 0 done, 1 failed, 2 wrongly asked."""
    try:
        build_app()()
    except BrokenPipeError:
        # Whoever reads has seen enough (`| head`); what is left to write goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
    except Exception as error:
        if os.environ.get("TALLYSTICK_DEBUG") == "1":
            raise
        print(f"tallystick: {_explain(error)}", file=sys.stderr)
        sys.exit(error.code if isinstance(error, Problem) else 1)


def _explain(error: Exception) -> str:
    # Our own errors are written for people; anything else is a bug or the machine.
    if type(error).__module__.startswith("tallystick."):
        return str(error)
    from tallystick.platform.logging import scrub

    return f"{type(error).__name__}: {scrub(str(error))} (TALLYSTICK_DEBUG=1 shows where)"


if __name__ == "__main__":
    main()

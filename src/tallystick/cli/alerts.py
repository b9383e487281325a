"""`tallystick alerts`: what is wrong now, and the same rules for Prometheus with a board for Grafana."""

from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from tallystick.cli.stored import DataDir, builtins, plain, print_json, run_on_database

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tallystick.metrics.repository_alerts import Alert
    from tallystick.platform.database import Database

__all__ = ["app"]

app = App(name="alerts", help="Show what is wrong now; print the rules and the board for Prometheus and Grafana.")


@app.command(name="list")
def list_(*, json: Annotated[bool, Parameter(negative=())] = False, data_dir: DataDir = None) -> None:
    """List the alerts that hold, and those that are over.

    Parameters
    ----------
    json
        Print JSON.
    """
    found: list[Alert] = []

    async def read(database: "Database") -> None:
        from tallystick.metrics.service_alerts import list_alerts

        found.extend(await list_alerts(database))

    run_on_database(data_dir, read)
    if json:
        print_json(builtins(found))
    else:
        _print(found)


@app.command
def rules() -> None:
    """Print the rules for Prometheus (YAML)."""
    from tallystick.metrics.alerts import rules_file

    print(rules_file(), end="")


@app.command
def board() -> None:
    """Print the board for Grafana (JSON)."""
    from tallystick.metrics.board import board as board_of

    print_json(board_of())


def _print(alerts: "Sequence[Alert]") -> None:
    from rich.console import Console

    from tallystick.metrics.alerts import RULES

    console = Console(highlight=False)
    said = {rule.name: rule for rule in RULES}
    firing = [alert for alert in alerts if alert.state == "firing"]
    for alert in firing:
        rule = said.get(alert.name)
        console.print(f"[bold red]{plain(alert.name)}[/] since {alert.since:%Y-%m-%d %H:%M} UTC")
        if rule is not None:
            console.print(f"  {plain(rule.summary)}\n  [cyan]→ {plain(rule.todo)}[/]")
    if not firing:
        console.print("No alert fires.")
    for alert in alerts:
        if alert.state == "over" and alert.over_at is not None:
            console.print(f"[dim]{plain(alert.name)} is over since {alert.over_at:%Y-%m-%d %H:%M} UTC[/]")

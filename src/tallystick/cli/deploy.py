"""`tallystick deploy check`: the list before and after a deployment."""

import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from tallystick.cli.doctor import print_report, with_doctor
from tallystick.cli.stored import DataDir, builtins, print_json

if TYPE_CHECKING:
    from tallystick.app.parts import Parts
    from tallystick.doctor.models import Report
    from tallystick.doctor.service import Doctor

__all__ = ["app"]

app = App(name="deploy", help="Go through the list before and after a deployment.")

Flag = Annotated[bool, Parameter(negative=())]


@app.command
def check(
    *,
    stage: Literal["before", "after"] = "before",
    backup: Path | None = None,
    backup_hours: float = 24,
    no_backup: Flag = False,
    no_payment: Flag = False,
    json: Flag = False,
    data_dir: DataDir = None,
) -> None:
    """Say what is ready and what is to be done; exits with 1 where something fails. Run it with the new version.

    Before: settings, key, a backup, what will be migrated. After: the schema, health, worker, webhooks, queues,
    metrics, and a payment of the smallest amount by a test card, refunded (never with a live key).

    Parameters
    ----------
    stage
        Which side of the deployment it is.
    backup
        The file of `tallystick backup` that was made for it.
    backup_hours
        How old that may be.
    no_backup
        Backups are made elsewhere, and were looked at there.
    no_payment
        Make no test payment.
    json
        Print JSON.
    """
    left_out = {"deploy.backup"} if no_backup else set()
    left_out |= {"deploy.payment"} if no_payment else set()

    async def look(doctor: "Doctor", parts: "Parts") -> "Report":
        from tallystick.doctor.service_deploy import AFTER, BEFORE, DeployChecks

        own = DeployChecks(
            parts.database, parts.clock, parts.settings, backup=backup, backup_age=timedelta(hours=backup_hours)
        )
        more = [one for one in own.checks(stage) if one.name not in left_out]
        return await doctor.examine(BEFORE if stage == "before" else AFTER, more)

    report = with_doctor(data_dir, look)
    if json:
        print_json({"ready": report.healthy, "counts": report.counts, "checks": builtins(report.results)})
    else:
        print_report(report)
    if not report.healthy:
        sys.exit(1)

"""What stops reconciliation before it begins."""

from tallystick.core.errors import Conflict, NotFound

__all__ = [
    "DifferenceNotFound",
    "ReconcileRunning",
    "RunNotFound",
]


class ReconcileRunning(Conflict):
    code, title = "RECONCILE_RUNNING", "Another reconcile is running"
    action = "Wait until it is over, or look at GET /api/reconciliation."


class RunNotFound(NotFound):
    title = "There is no such reconcile run"
    action = "Check the id, or list the runs with GET /api/reconciliation."


class DifferenceNotFound(NotFound):
    title = "There is no such difference"
    action = "Check the id, or list the differences with GET /api/reconciliation/differences."

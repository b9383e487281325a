"""The wiring of export and erasure."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from fastapi import APIRouter

from tallystick.platform.auth import Identity
from tallystick.platform.work import Handler
from tallystick.privacy.controller import PrivacyController
from tallystick.privacy.service import ERASE_WORK, RESTORED_WORK, ErasureService
from tallystick.privacy.service_export import ExportService
from tallystick.privacy.service_late import LateNews
from tallystick.privacy.service_walk import ErasureWalk

if TYPE_CHECKING:
    from tallystick.app.parts import Parts

__all__ = ["Privacy"]


class Privacy:
    """What is held about a person, and removing it."""

    def __init__(self, parts: "Parts") -> None:
        database, clock = parts.database, parts.clock
        self.late_news = LateNews(clock)
        parts.registry.redactor = self.late_news
        self.exports = ExportService(database, clock)
        self.erasures = ErasureService(
            database,
            clock,
            parts.customers,
            parts.customer_commands,
            parts.payments,
            parts.billing.subscriptions,
            ErasureWalk(database, clock),
        )

    @property
    def work(self) -> dict[str, Handler]:
        """The kinds of work that the worker does for it."""
        return {ERASE_WORK: self.erasures.erase_due, RESTORED_WORK: self.erasures.restored}

    def router(self, identify: Callable[..., Awaitable[Identity]]) -> APIRouter:
        """The routes under `/api/users` and `/api/me`."""
        return PrivacyController(self.erasures, self.exports, identify).router

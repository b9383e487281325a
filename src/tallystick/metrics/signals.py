"""What alerts look at: figures of the last minutes and of this moment, all from the database. Pure."""

from collections.abc import Mapping

from msgspec import Struct

from tallystick.metrics.repository_health import Health, Window

__all__ = ["Signals"]


class Signals(Struct, frozen=True):
    """`hour`: what the database tells of the last hour; `minutes`: what all processes counted in the last ten."""

    health: Health
    hour: Window
    minutes: Mapping[str, int]

    def count(self, name: str) -> int:
        """How often something was counted in the last ten minutes."""
        return self.minutes.get(name, 0)

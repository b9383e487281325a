"""What a package with a hook (an entry point of the group `tallystick.hooks`) imports."""

from tallystick.notifications.hooks import Fact

__all__ = ["Fact"]

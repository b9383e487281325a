"""Tallystick: payments and subscriptions on PostgreSQL and Stripe.

What a host application imports is here, each name loaded when it is first used:

    app = create_app(load_settings(os.environ), logs=False)    # an ASGI application; `app.running()` is its lifespan
    worker = create_worker(load_settings(os.environ), logs=False)    # `await worker.run(stop)`

Hooks take a `Fact`. All else is internal and may change in any version.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tallystick.app import Application, Worker, create_app, create_worker
    from tallystick.notifications.hooks import Fact
    from tallystick.platform.settings import Settings, SettingsError, load_settings

__all__ = [
    "Application",
    "Fact",
    "Settings",
    "SettingsError",
    "Worker",
    "__version__",
    "create_app",
    "create_worker",
    "load_settings",
]

_PLACES = {
    "Application": "tallystick.app",
    "Fact": "tallystick.notifications.hooks",
    "Settings": "tallystick.platform.settings",
    "SettingsError": "tallystick.platform.settings",
    "Worker": "tallystick.app",
    "create_app": "tallystick.app",
    "create_worker": "tallystick.app",
    "load_settings": "tallystick.platform.settings",
}
__version__: str


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return importlib.import_module("importlib.metadata").version("tallystick")
    if name not in _PLACES:
        raise AttributeError(f"module 'tallystick' has no attribute {name!r}")
    return getattr(importlib.import_module(_PLACES[name]), name)

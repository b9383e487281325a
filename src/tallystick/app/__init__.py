"""The composition root: settings in, the wired application and the wired worker out."""

from tallystick.app.api import Application, create_app
from tallystick.app.parts import Parts, build_parts
from tallystick.app.worker import Worker, create_worker, retentions

__all__ = ["Application", "Parts", "Worker", "build_parts", "create_app", "create_worker", "retentions"]

"""The application as it would run, wired but not started: what the pages about events and the API read."""

import functools
from typing import Any

from tallystick.app import Parts, build_parts, create_app
from tallystick.cli.openapi import PLACEHOLDERS
from tallystick.core.clock import SystemClock
from tallystick.platform.settings import load_settings

__all__ = ["openapi_document", "parts"]


@functools.cache
def parts() -> Parts:
    """The parts of an application that is connected to nothing."""
    return build_parts(load_settings(PLACEHOLDERS), SystemClock(), "reference")


@functools.cache
def openapi_document() -> dict[str, Any]:
    """The OpenAPI document."""
    return create_app(load_settings(PLACEHOLDERS), logs=False).openapi()

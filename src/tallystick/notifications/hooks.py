"""Hooks: callables of a Python host that hear of our facts, found by their entry points (group `tallystick.hooks`).

An entry point resolves to `async def hook(fact: Fact) -> None`. It runs in the worker, at least once for each fact,
in order for each object; what it raises is tried again. It shares the worker's loop, so it must not block.
"""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import entry_points
from typing import Any

import structlog

__all__ = ["Fact", "Hook", "HookBroken", "Hooks"]

log = structlog.get_logger()

_GROUP = "tallystick.hooks"


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that happened. `id` is the same however often it is told; `occurred_at` is when it happened."""

    id: str
    type: str
    occurred_at: datetime
    data: Mapping[str, Any]


Hook = Callable[[Fact], Awaitable[None]]


class HookBroken(Exception):
    """The entry point cannot be loaded, or is no coroutine function."""


class Hooks:
    """The hooks that are installed. Their names are known at once; their code is loaded where it is called."""

    def __init__(self) -> None:
        self._found = {point.name: point for point in entry_points(group=_GROUP)}
        self._loaded: dict[str, Hook] = {}
        self.names = sorted(self._found)

    async def call(self, name: str, fact: Fact) -> None:
        """Hand `fact` to the hook called `name`; raises HookBroken, or whatever the hook raises."""
        hook = self._loaded.get(name)
        if hook is None:
            hook = self._loaded[name] = self._load(name)
        await hook(fact)

    def _load(self, name: str) -> Hook:
        try:
            loaded: Any = self._found[name].load()
        except Exception as error:  # the host's code: anything may come
            log.exception("hook.broken", hook=name)
            raise HookBroken(f"the hook cannot be loaded: {type(error).__name__}") from error
        if not inspect.iscoroutinefunction(loaded) and not inspect.iscoroutinefunction(
            getattr(loaded, "__call__", None)  # noqa: B004  # it is not asked whether it can be called, but how
        ):
            raise HookBroken("the hook is not an async function")
        hook: Hook = loaded
        return hook

"""Routes of `/v1`: method and path to a handler and its parameters."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from tallystick.sandbox.context import Context
from tallystick.sandbox.params import Fields
from tallystick.sandbox.shapes import Json

__all__ = ["Handler", "Route", "Router"]

Handler: TypeAlias = Callable[..., Json]
"""`handler(ctx: Context, params: Json, *ids: str) -> Json`."""


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint. `path` has `*` for an id; `publishable` lets browsers call it."""

    method: str
    path: str
    handler: Handler
    fields: Fields = field(default_factory=dict)
    required: tuple[str, ...] = ()
    publishable: bool = False

    def run(self, ctx: Context, params: Json, ids: list[str]) -> Json:
        return self.handler(ctx, params, *ids)


class Router:
    """Finds the route of a request; a literal segment wins over an id."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._routes: dict[tuple[str, int], list[tuple[list[str], Route]]] = {}
        for route in routes:
            parts = route.path.split("/")
            self._routes.setdefault((route.method, len(parts)), []).append((parts, route))
        for group in self._routes.values():
            group.sort(key=lambda item: item[0].count("*"))

    def find(self, method: str, path: str) -> tuple[Route, list[str]] | None:
        """The route and the ids of the path (below `/v1/`)."""
        parts = path.split("/")
        for pattern, route in self._routes.get((method, len(parts)), ()):
            if all(want in ("*", have) for want, have in zip(pattern, parts, strict=True)):
                return route, [have for want, have in zip(pattern, parts, strict=True) if want == "*"]
        return None

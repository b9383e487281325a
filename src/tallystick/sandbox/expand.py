"""`expand[]`: ids become objects, and the lists that are left out by default become keys."""

from collections.abc import Callable, Mapping
from typing import Any

from tallystick.sandbox.context import Context
from tallystick.sandbox.errors import invalid
from tallystick.sandbox.shapes import Json, clone

__all__ = ["Include", "expand"]

Include = Callable[[Context, Json], Any]
"""Builds what an object prints only when it is expanded, `charge.refunds` for one; None leaves it out."""

_MAX_LEVELS = 4


def expand(
    ctx: Context,
    value: Json,
    paths: list[str],
    expandable: Mapping[str, frozenset[str]],
    includes: Mapping[tuple[str, str], Include],
    fresh: Callable[[Context, Json], Json],
) -> Json:
    """A copy of `value` with every path expanded.

    `expandable` names the id fields by kind of object (dotted inside hashes), `includes` the lists;
    `fresh` prepares an object that is read. Raises 400 for a path that cannot be expanded or is too deep.
    """
    result = clone(value)
    walker = _Walker(ctx, expandable, includes, fresh)
    for path in paths:
        steps = path.split(".")
        if len(steps) > _MAX_LEVELS + (steps[0] == "data"):
            raise invalid(f"You cannot expand more than 4 levels of a property. Property: {path}")
        walker.walk(result, steps, path)
    return result


class _Walker:
    """Follows one path after another through a copy of an answer."""

    def __init__(
        self,
        ctx: Context,
        expandable: Mapping[str, frozenset[str]],
        includes: Mapping[tuple[str, str], Include],
        fresh: Callable[[Context, Json], Json],
    ) -> None:
        self._ctx = ctx
        self._expandable = expandable
        self._includes = includes
        self._fresh = fresh

    def walk(self, value: Json, steps: list[str], path: str) -> None:
        """Expand `steps` inside an object or a list."""
        if not steps:
            return
        if value["object"] in ("list", "search_result"):
            if steps[0] != "data":
                hint = f" You may want to try expanding 'data.{path}' instead."
                raise invalid(f"This property cannot be expanded ({path}).{hint}")
            for item in value["data"]:
                self.walk(item, steps[1:], path)
            return
        self._field(value, value["object"], steps, path)

    def _field(self, owner: Json, kind: str, steps: list[str], path: str) -> None:
        known = self._expandable.get(kind, frozenset())
        include = self._includes.get((kind, steps[0]))
        if include is not None:
            if not owner.get(steps[0]):
                found = include(self._ctx, owner)
                if found is None:
                    # `tiers` of a price without tiers: no key at all.
                    return
                owner[steps[0]] = clone(self._fresh(self._ctx, found))
            self._below(owner[steps[0]], steps[1:], path)
            return
        node: Any = owner
        for depth in range(1, len(steps) + 1):
            if ".".join(steps[:depth]) in known:
                self._reference(node, steps[depth - 1], steps[depth:], path)
                return
            node = node.get(steps[depth - 1]) if isinstance(node, dict) else None
            if node is None and any(field.startswith(".".join(steps[:depth]) + ".") for field in known):
                return
        raise invalid(f"This property cannot be expanded ({path}).")

    def _reference(self, holder: Json, field: str, rest: list[str], path: str) -> None:
        if field not in holder:
            raise invalid(f"This property cannot be expanded because it doesn't exist ({path}).")
        target = holder[field]
        if isinstance(target, str):
            found = self._ctx.store.get(target)
            if found is None:
                return
            target = holder[field] = clone(self._fresh(self._ctx, found))
        if isinstance(target, dict):
            self.walk(target, rest, path)
        elif isinstance(target, list):
            self._many(holder, field, rest, path)

    def _many(self, holder: Json, field: str, rest: list[str], path: str) -> None:
        for index, target in enumerate(holder[field]):
            found = self._ctx.store.get(target) if isinstance(target, str) else target
            if found is not None:
                holder[field][index] = clone(self._fresh(self._ctx, found) if isinstance(target, str) else found)
                self.walk(holder[field][index], rest, path)

    def _below(self, listed: Any, rest: list[str], path: str) -> None:
        if not isinstance(listed, dict) or "object" not in listed:
            if rest:
                raise invalid(f"This property cannot be expanded ({path}).")
            return
        # `refunds.charge` reaches through a nested list without naming `data`.
        if rest and rest[0] != "data":
            rest = ["data", *rest]
        self.walk(listed, rest, path)

"""Damage done to the mirror by hand, of many kinds, so that one can see whether it is found."""

import random
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from simulation.mirror import everything
from system import System
from tallystick.reconciliation.compare import COMPARED, expected_of
from tallystick.reconciliation.kinds import KINDS, Kind
from tallystick.stripe_gateway.dialect import Dialect

__all__ = ["Planted", "objects_at_stripe", "plant"]


@dataclass(frozen=True)
class Planted:
    """One damage: which field of which object is wrong now, and what the cause should be called."""

    object: str
    id: str
    field: str
    cause: str


# The places where something may be damaged: kind, Stripe's id, column.
Place = tuple[Kind, str, str]

# A row goes with what hangs on it.
_WITH = {
    "payments": ("charges:payment_id", "refunds:payment_id", "disputes:payment_id"),
    "subscriptions": (
        "subscription_history:subscription_id",
        "access_grants:subscription_id",
        "dunning_runs:subscription_id",
    ),
    "invoices": ("invoice_lines:invoice_id",),
}
_DAMAGE = {
    "text": "coalesce({0}, '') || '~'",
    "numeric": "coalesce({0}, 0) + 1",
    "integer": "coalesce({0}, 0) + 1",
    "smallint": "coalesce({0}, 0) + 1",
    "boolean": "NOT coalesce({0}, false)",
    "timestamp with time zone": "coalesce({0}, '2026-01-01Z') + interval '1 hour'",
    "jsonb": """CASE WHEN jsonb_typeof({0}) = 'array' AND {0} <> '[]' THEN {0} - 0
                     WHEN jsonb_typeof({0}) = 'array' THEN '["damaged"]' ELSE '{{"damaged": "yes"}}' END""",
    "uuid": "(SELECT id FROM payments p WHERE p.id <> t.{0} ORDER BY p.id LIMIT 1)",
}


async def objects_at_stripe(system: System) -> dict[str, list[dict[str, Any]]]:
    """What Stripe's lists show, by kind."""
    found: dict[str, list[dict[str, Any]]] = {}
    dialect = Dialect(system.settings.stripe_api_version)
    for kind in KINDS:
        if kind.object not in COMPARED:
            continue
        query = "".join(f"&{name}={value}" for name, value in kind.params.items())
        query += "".join(f"&expand[]=data.{name}" for name in kind.expand(dialect))
        assert kind.path is not None
        paths = [kind.path.removeprefix("/v1/")]
        if kind.per_customer:
            paths = [paths[0].format(customer=one["id"]) for one in found["customer"]]
        found[kind.object] = [one for path in paths for one in await everything(system.stripe, path, query)]
    return found


async def plant(system: System, rng: random.Random, *, fields: int, missing: int, foreign: int) -> list[Planted]:
    """Do so much damage to rows that mirror what Stripe lists: fields, missing rows and foreign rows.

    The order is such that no damage hides another one.
    """
    objects = await objects_at_stripe(system)
    rows = []
    for kind in KINDS:
        ids = {row[0] for row in await system.fetch(f"SELECT {kind.stripe_id} FROM {kind.table}")}
        rows += [(kind, obj) for obj in objects.get(kind.object, ()) if obj["id"] in ids]
    rng.shuffle(rows)
    gone = [await _remove(system, kind, obj) for kind, obj in _spread(rows, missing)]
    planted = [one for of_row in gone for one in of_row]
    lost = {(one.object, one.id) for one in planted}
    left = [(kind, obj) for kind, obj in rows if (kind.object, obj["id"]) not in lost]
    planted += [await _forge(system, kind, rng) for kind, _ in _spread(left, foreign)]
    places = [
        (kind, str(obj["id"]), field)
        for kind, obj in left
        for field in expected_of(kind.object, kind.read(obj), system.settings.installation_id)
        if (kind.object, field) != ("charge", "payment_id") or obj["payment_intent"]
    ]
    columns = await _types(system)
    for kind, object_id, field in rng.sample(places, fields):
        await _damage(system, (kind, object_id, field), columns)
        planted.append(Planted(kind.object, object_id, field, "ours"))
    return planted


def _spread(rows: Sequence[tuple[Kind, dict[str, Any]]], count: int) -> list[tuple[Kind, dict[str, Any]]]:
    """So many of these, of all kinds in turn."""
    by_kind: dict[str, list[tuple[Kind, dict[str, Any]]]] = {}
    for kind, obj in rows:
        by_kind.setdefault(kind.object, []).append((kind, obj))
    turns = [list(turn) for turn in by_kind.values()]
    found: list[tuple[Kind, dict[str, Any]]] = []
    while len(found) < count:
        found += [turn.pop() for turn in turns if turn][: count - len(found)]
    return found


async def _damage(system: System, place: Place, columns: dict[tuple[str, str], str]) -> None:
    kind, object_id, field = place
    where = f"WHERE t.{kind.stripe_id} = $1"
    if field == "lines":
        await system.fetch(
            f"""
            UPDATE invoice_lines SET amount = amount + 1 WHERE (invoice_id, position) IN
                (SELECT invoice_id, max(position) FROM invoice_lines WHERE invoice_id =
                    (SELECT id FROM invoices t {where}) GROUP BY invoice_id)
            """,
            object_id,
        )
        return
    expression = _DAMAGE[columns[kind.table, field]].format(field)
    changed = await system.fetch(f"UPDATE {kind.table} t SET {field} = {expression} {where} RETURNING id", object_id)
    assert len(changed) == 1, place


async def _remove(system: System, kind: Kind, obj: dict[str, Any]) -> list[Planted]:
    """Delete a row with its children; each of them that Stripe lists is one that is missing."""
    row_id = await system.value(f"SELECT id FROM {kind.table} WHERE {kind.stripe_id} = $1", obj["id"])
    if row_id is None:
        return []  # it went with its parent
    removed = []
    for child in _WITH.get(kind.table, ()):
        table, column = child.split(":")
        rows = await system.fetch(f"DELETE FROM {table} WHERE {column} = $1 RETURNING *", row_id)
        listed = next((other for other in KINDS if other.table == table), None)
        if listed is not None:
            removed += [Planted(listed.object, row[listed.stripe_id], "row", "ours") for row in rows]
    await system.fetch(f"DELETE FROM {kind.table} WHERE id = $1", row_id)
    return [Planted(kind.object, str(obj["id"]), "row", "ours"), *removed]


async def _forge(system: System, kind: Kind, rng: random.Random) -> Planted:
    """A copy of some row under ids that nobody has given."""
    prefix = kind.prefixes[0] if kind.prefixes else ""
    forged = f"{prefix}{rng.randrange(16**24):024x}"
    await system.fetch(
        f"""
        INSERT INTO {kind.table} SELECT (jsonb_populate_record(NULL::{kind.table}, to_jsonb(t) || $1::text::jsonb)).*
        FROM {kind.table} t LIMIT 1
        """,
        f'{{"id": "{uuid.UUID(int=rng.getrandbits(128))}", "{kind.stripe_id}": "{forged}"}}',
    )
    return Planted(kind.object, forged, "row", "foreign")


async def _types(system: System) -> dict[tuple[str, str], str]:
    rows = await system.fetch("SELECT table_name, column_name, data_type FROM information_schema.columns")
    return {(row[0], row[1]): row[2] for row in rows}

"""docs/reference/schema.md: every table with its columns, read from a migrated database."""

from collections import defaultdict

import asyncpg

from reference.markdown import cell, code, page, table

__all__ = ["schema_page"]

_COLUMNS = """
SELECT c.relname AS table_name, obj_description(c.oid) AS told, a.attname AS name,
       format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull AS needed,
       col_description(c.oid, a.attnum) AS comment, f.relname AS refers
FROM pg_class c
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_constraint k ON k.conrelid = c.oid AND k.contype = 'f' AND k.conkey = ARRAY[a.attnum]
LEFT JOIN pg_class f ON f.oid = k.confrelid
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
ORDER BY c.relname, a.attnum
"""
_UNIQUE = """
SELECT i.indrelid::regclass::text AS table_name,
       array_agg(a.attname ORDER BY array_position(i.indkey, a.attnum)) AS names,
       i.indisprimary AS main, i.indexrelid::regclass::text AS index_name
FROM pg_index i
JOIN pg_class c ON c.oid = i.indrelid AND NOT c.relispartition
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
WHERE i.indisunique AND i.indpred IS NULL AND c.relnamespace = current_schema()::regnamespace
GROUP BY 1, 3, 4 ORDER BY 1, 3 DESC, 4
"""
_INTERNAL = ("alembic_version",)


async def schema_page(connection: "asyncpg.Connection[asyncpg.Record]") -> str:
    """The page."""
    unique: dict[str, list[str]] = defaultdict(list)
    for row in await connection.fetch(_UNIQUE):
        word = "key" if row["main"] else "unique"
        unique[row["table_name"]].append(f"{word} ({', '.join(row['names'])})")
    tables: dict[str, list[asyncpg.Record]] = defaultdict(list)
    for row in await connection.fetch(_COLUMNS):
        if row["table_name"] not in _INTERNAL:
            tables[row["table_name"]].append(row)
    parts = []
    for name, columns in tables.items():
        told = columns[0]["told"]
        rows = [(code(row["name"]), _type(row), cell(_about(row))) for row in columns]
        parts.append(f"## {name}")
        parts.append(f"{told[0].upper()}{told[1:]}." if told else "")
        parts.append("; ".join(unique[name]) + "." if unique[name] else "")
        parts.append(table(("column", "type", "what"), rows))
    return page(
        "Schema",
        "Every table. Amounts are whole numbers of minor units beside their currency; times are with time zone. Read "
        "as you like; write through the API only, as rows hang together ([what always "
        "holds](../what-always-holds.md)). `not null` unless a type ends in `?`.",
        *parts,
    )


def _type(row: asyncpg.Record) -> str:
    short = row["type"].replace("timestamp with time zone", "timestamptz").replace("character varying", "text")
    return f"{short}{'' if row['needed'] else '?'}"


def _about(row: asyncpg.Record) -> str:
    refers = f"→ {row['refers']}" if row["refers"] else ""
    return "; ".join(part for part in (refers, row["comment"] or "") if part)

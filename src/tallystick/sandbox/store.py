"""The sandbox's memory: one SQLite file, written in one transaction a request.

Objects are JSON in their newest form. What lists filter by is in `refs`, so no list scans bodies. Within a
transaction each object is one dict, whoever asks for it.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tallystick.sandbox.shapes import Json, canonical, decode, encode

__all__ = ["Store"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, object TEXT NOT NULL,
    created INTEGER NOT NULL, deleted INTEGER NOT NULL DEFAULT 0, body BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS objects_kind ON objects (object);
CREATE INDEX IF NOT EXISTS objects_created ON objects (object, created);
CREATE INDEX IF NOT EXISTS objects_deleted ON objects (object) WHERE deleted;
CREATE TABLE IF NOT EXISTS refs (
    object TEXT NOT NULL, field TEXT NOT NULL, value TEXT NOT NULL, seq INTEGER NOT NULL,
    PRIMARY KEY (object, field, value, seq)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS notes (
    id TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (id, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS jobs (
    id INTEGER PRIMARY KEY, due_at REAL NOT NULL, kind TEXT NOT NULL, ref TEXT NOT NULL, data TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS jobs_due ON jobs (due_at, id);
CREATE INDEX IF NOT EXISTS jobs_ref ON jobs (ref);
CREATE TABLE IF NOT EXISTS clock_jobs (
    id INTEGER PRIMARY KEY, clock TEXT NOT NULL, due_at REAL NOT NULL, kind TEXT NOT NULL, ref TEXT NOT NULL,
    data TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS clock_jobs_due ON clock_jobs (clock, due_at, id);
CREATE INDEX IF NOT EXISTS clock_jobs_ref ON clock_jobs (ref);
CREATE TABLE IF NOT EXISTS idempotency (
    key TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, status INTEGER NOT NULL, body BLOB NOT NULL,
    request_id TEXT NOT NULL, created INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS idempotency_created ON idempotency (created);
CREATE TABLE IF NOT EXISTS event_bodies (
    event TEXT NOT NULL, version TEXT NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (event, version)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS deliveries (
    id INTEGER PRIMARY KEY, event TEXT NOT NULL, event_seq INTEGER NOT NULL, endpoint TEXT NOT NULL,
    version TEXT NOT NULL, due_at REAL NOT NULL, first_at REAL NOT NULL, state TEXT NOT NULL,
    tries TEXT NOT NULL DEFAULT '[]');
CREATE INDEX IF NOT EXISTS deliveries_event ON deliveries (event);
CREATE INDEX IF NOT EXISTS deliveries_open ON deliveries (endpoint, due_at) WHERE state = 'pending';
DROP INDEX IF EXISTS deliveries_failed;
CREATE INDEX IF NOT EXISTS deliveries_undelivered ON deliveries (state, event_seq) WHERE state <> 'delivered';
CREATE TABLE IF NOT EXISTS search_pending (
    seq INTEGER PRIMARY KEY, object TEXT NOT NULL, visible_at REAL NOT NULL);
CREATE INDEX IF NOT EXISTS search_pending_due ON search_pending (object, visible_at);
CREATE TABLE IF NOT EXISTS search_terms (
    object TEXT NOT NULL, field TEXT NOT NULL, value TEXT NOT NULL, seq INTEGER NOT NULL,
    PRIMARY KEY (object, field, value, seq)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS search_terms_seq ON search_terms (seq);
"""

_TABLES = (
    "objects", "refs", "notes", "meta", "jobs", "clock_jobs", "idempotency",
    "event_bodies", "deliveries", "search_pending", "search_terms",
)  # fmt: skip


class _Loaded:
    """One object of the running transaction: its row, its dict, and what was last stored."""

    __slots__ = ("body", "refs", "seq", "value")

    def __init__(self, seq: int, value: Json, body: bytes, refs: Mapping[str, str]) -> None:
        self.seq = seq
        self.value = value
        self.body = body
        self.refs = refs


class Store:
    """One SQLite database. `indexed` names, by kind, the fields (dotted inside hashes) that lists filter by."""

    def __init__(self, path: str, indexed: Mapping[str, Sequence[str]]) -> None:
        if path != ":memory:":
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        # A checkpoint waits for the disk: fewer, larger ones.
        self._db.execute("PRAGMA wal_autocheckpoint = 4000")
        self._db.executescript(_SCHEMA)
        self._indexed = indexed
        self._loaded: dict[str, _Loaded] = {}
        self.open = False

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit on leaving, roll back on an exception. Transactions do not nest."""
        self._loaded.clear()
        self._db.execute("BEGIN IMMEDIATE")
        self.open = True
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        else:
            self._db.execute("COMMIT")
        finally:
            self.open = False
            self._loaded.clear()

    @contextmanager
    def undone(self) -> Iterator[None]:
        """Within a transaction: whatever the block writes is undone at its end, so it only shows what would be.

        The block sees what is stored, in objects of its own: it must read anew what it needs.
        """
        outer, self._loaded = self._loaded, {}
        self._db.execute("SAVEPOINT undone")
        try:
            yield
        finally:
            self._db.execute("ROLLBACK TO undone")
            self._db.execute("RELEASE undone")
            self._loaded = outer

    def close(self) -> None:
        self._db.close()

    def reset(self) -> None:
        """Forget everything."""
        for table in _TABLES:
            self._db.execute(f"DELETE FROM {table}")

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        """One statement, for the modules that own a table of their own here."""
        return self._db.execute(sql, values)

    def get(self, object_id: str) -> Json | None:
        """The object, deleted ones as their stub; the same dict for the whole transaction."""
        found = self._loaded.get(object_id)
        if found is None:
            row = self._db.execute("SELECT seq, body FROM objects WHERE id = ?", (object_id,)).fetchone()
            if row is None:
                return None
            found = self._remember(row[0], row[1])
        return found.value

    def stored(self, object_id: str) -> Json:
        """A fresh copy of the object as it was last stored: the `before` of a change."""
        value: Json = decode(self._loaded[object_id].body)
        return value

    def keep_last_form(self, object_id: str) -> None:
        """Before an object becomes a stub."""
        self.set_note(object_id, "last_form", self._loaded[object_id].body.decode())

    def last_form(self, object_id: str) -> Json | None:
        """The object, a deleted one as it last was (where that was kept)."""
        found = self.get(object_id)
        if found is None or not found.get("deleted"):
            return found
        kept = self.note(object_id, "last_form")
        value: Json = decode(kept) if kept else found
        return value

    def known(self, object_id: str | None) -> bool:
        """Whether the running transaction has read or written this object."""
        return object_id in self._loaded

    def body(self, value: Json) -> bytes | None:
        """The stored JSON of this very dict, if it is an object of the running transaction."""
        known = self._loaded.get(value.get("id", ""))
        return known.body if known is not None and known.value is value else None

    def seq_of(self, object_id: str) -> int | None:
        """The object's place in the order of creation."""
        row = self._db.execute("SELECT seq FROM objects WHERE id = ?", (object_id,)).fetchone()
        return row[0] if row else None

    def put(self, value: Json, body: bytes | None = None) -> int:
        """Write the object, new or changed; answers its place in the order of creation.

        `body` spares ordering the keys of what has Stripe's order already.
        """
        body = body or encode(canonical(value))
        refs = self._refs(value)
        known = self._loaded.get(value["id"])
        if known is not None:
            self._db.execute(
                "UPDATE objects SET body = ?, deleted = ? WHERE seq = ?",
                (body, value.get("deleted") is True, known.seq),
            )
            self._update_refs(value["object"], known, refs)
            known.body, known.refs = body, refs
            return known.seq
        row = self._db.execute(
            "INSERT INTO objects (id, object, created, body) VALUES (?, ?, ?, ?) RETURNING seq",
            (value["id"], value["object"], value.get("created", 0), body),
        ).fetchone()
        seq: int = row[0]
        self._loaded[value["id"]] = _Loaded(seq, value, body, refs)
        for field, text in refs.items():
            self._db.execute("INSERT INTO refs VALUES (?, ?, ?, ?)", (value["object"], field, text, seq))
        return seq

    def select(self, sql: str, values: Sequence[Any]) -> list[Json]:
        """Objects of a query whose columns are `seq, id, body`."""
        found = []
        for seq, object_id, body in self._db.execute(sql, values).fetchall():
            loaded = self._loaded.get(object_id) or self._remember(seq, body)
            found.append(loaded.value)
        return found

    def find(self, kind: str, field: str, value: str) -> list[Json]:
        """The objects of a kind whose indexed `field` is `value`, oldest first."""
        return self.select(
            "SELECT o.seq, o.id, o.body FROM refs r JOIN objects o ON o.seq = r.seq "
            "WHERE r.object = ? AND r.field = ? AND r.value = ? AND NOT o.deleted ORDER BY r.seq",
            (kind, field, value),
        )

    def note(self, object_id: str, name: str) -> str | None:
        """What the sandbox remembers about an object without printing it."""
        row = self._db.execute("SELECT value FROM notes WHERE id = ? AND name = ?", (object_id, name)).fetchone()
        return row[0] if row else None

    def set_note(self, object_id: str, name: str, value: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO notes VALUES (?, ?, ?)", (object_id, name, value))

    def meta(self, name: str) -> str | None:
        """A fact about the whole sandbox: its account, clock and settings."""
        row = self._db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    def set_meta(self, name: str, value: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))

    def _remember(self, seq: int, body: bytes) -> _Loaded:
        value: Json = decode(body)
        loaded = _Loaded(seq, value, body, self._refs(value))
        if self.open:
            self._loaded[value["id"]] = loaded
        return loaded

    def _refs(self, value: Json) -> dict[str, str]:
        if value.get("deleted") is True:
            return {}
        found = {}
        for field in self._indexed.get(value["object"], ()):
            item = value.get(field) if "." not in field else _within(value, field)
            if isinstance(item, str):
                found[field] = item
            elif isinstance(item, bool):
                found[field] = "true" if item else "false"
        return found

    def _update_refs(self, kind: str, known: _Loaded, refs: Mapping[str, str]) -> None:
        if known.refs == refs:
            return
        for field, text in known.refs.items() - refs.items():
            self._db.execute(
                "DELETE FROM refs WHERE object = ? AND field = ? AND value = ? AND seq = ?",
                (kind, field, text, known.seq),
            )
        for field, text in refs.items() - known.refs.items():
            self._db.execute("INSERT INTO refs VALUES (?, ?, ?, ?)", (kind, field, text, known.seq))


def _within(value: Json, path: str) -> Any:
    found: Any = value
    for part in path.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found

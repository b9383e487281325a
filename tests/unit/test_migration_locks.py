"""Migrations that run on filled tables under traffic: what they may not do. Those of the first release are exempt.

A table that the same migration makes is empty, so anything goes there. docs/upgrade.md says how the rest is done.
"""

import importlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import tallystick.migrations.versions as package
from tallystick.platform.migrate import _INDEX

FIRST_RELEASE = "0014"
ROOT = Path(__file__).resolve().parents[2]

_MADE = re.compile(r"CREATE (?:UNLOGGED )?TABLE (?:IF NOT EXISTS )?(\w+)", re.IGNORECASE)
_NEVER = {
    "DROP TABLE": "the former version still reads it: drop it a release later, and name `serves_from`",
    "DROP COLUMN": "the former version still reads it: drop it a release later, and name `serves_from`",
    "RENAME": "the former version knows the old name: add a new one, and copy",
    "ALTER COLUMN SET NOT NULL": "the whole table is read under lock: add a CHECK … NOT VALID, and validate it",
    "ALTER COLUMN TYPE": "the whole table is written anew under lock: add another column, and copy",
    "UPDATE": "rows are written in batches: in the version's BACKFILLS",
    "DELETE": "rows are deleted in batches: in the version's BACKFILLS",
    "CREATE INDEX": "writes wait until it is built: CREATE INDEX CONCURRENTLY, in the version's CONCURRENT",
    "ADD CONSTRAINT": "the whole table is read under lock: NOT VALID, and VALIDATE CONSTRAINT in a later migration",
    "ADD COLUMN NOT NULL": "the former version inserts without it: give it a DEFAULT",
}
_RULES = ("ban-drop-column", "ban-drop-table", "renaming-column", "renaming-table", "changing-column-type",
          "adding-not-nullable-field", "adding-required-field", "constraint-missing-not-valid", "ban-drop-not-null",
          "adding-serial-primary-key-field", "adding-field-with-default")  # fmt: skip


def problems(sql: str, *, contracts: bool = False) -> list[str]:
    """What `sql` does to tables that it has not made and that its former version uses."""
    made = {name.lower() for name in _MADE.findall(sql)}
    found = []
    for statement in _statements(sql):
        kind = _kind(statement, made)
        if kind and not (contracts and kind.startswith("DROP")):
            found.append(f"{kind}: {_NEVER[kind]}")
    return found


def _statements(sql: str) -> list[str]:
    plain = re.sub(r"\$\$.*?\$\$|'(?:[^']|'')*'|--[^\n]*", " ", sql, flags=re.DOTALL)
    return [" ".join(part.split()) for part in plain.split(";") if part.strip()]


def _kind(statement: str, made: set[str]) -> str | None:
    words = statement.upper()
    table = re.match(
        r"(?:ALTER TABLE(?: ONLY)?|UPDATE|DELETE FROM|DROP TABLE(?: IF EXISTS)?|CREATE (?:UNIQUE )?INDEX .*? ON) (\w+)",
        statement,
        re.IGNORECASE,
    )
    if table is None or table[1].lower() in made:
        return None
    if words.startswith(("UPDATE", "DELETE", "DROP TABLE")):
        return " ".join(words.split()[: 2 if words.startswith("DROP") else 1])
    if words.startswith("CREATE"):
        return None if " CONCURRENTLY " in words else "CREATE INDEX"
    if " RENAME " in words:
        return "RENAME"
    if " DROP COLUMN" in words:
        return "DROP COLUMN"
    if re.search(r"ALTER COLUMN \w+ (SET DATA )?TYPE", words):
        return "ALTER COLUMN TYPE"
    if "SET NOT NULL" in words:
        return "ALTER COLUMN SET NOT NULL"
    if " ADD CONSTRAINT" in words and "NOT VALID" not in words and "USING INDEX" not in words:
        return "ADD CONSTRAINT"
    if re.search(r"ADD COLUMN [^,]*NOT NULL", words) and not re.search(r"ADD COLUMN [^,]*DEFAULT", words):
        return "ADD COLUMN NOT NULL"
    return None


def later() -> list[Any]:
    paths = sorted(Path(next(iter(package.__path__))).glob("[0-9]*.py"))
    return [
        importlib.import_module(f"{package.__name__}.{path.stem}") for path in paths if path.name[:4] > FIRST_RELEASE
    ]


def test_no_migration_after_the_first_release_holds_up_traffic_or_the_former_version() -> None:
    for version in later():
        assert problems(version.SQL, contracts=hasattr(version, "serves_from")) == [], version.revision
        assert all(_INDEX.match(statement) for statement in getattr(version, "CONCURRENT", ())), version.revision


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("ALTER TABLE payments DROP COLUMN note", "DROP COLUMN"),
        ("DROP TABLE payments", "DROP TABLE"),
        ("ALTER TABLE payments RENAME COLUMN a TO b", "RENAME"),
        ("ALTER TABLE payments ALTER COLUMN amount TYPE bigint", "ALTER COLUMN TYPE"),
        ("ALTER TABLE payments ALTER note SET NOT NULL", "ALTER COLUMN SET NOT NULL"),
        ("UPDATE payments SET note = ''", "UPDATE"),
        ("DELETE FROM payments", "DELETE"),
        ("CREATE UNIQUE INDEX one ON payments (note)", "CREATE INDEX"),
        ("ALTER TABLE payments ADD CONSTRAINT one CHECK (amount > 0)", "ADD CONSTRAINT"),
        ("ALTER TABLE payments ADD COLUMN note text NOT NULL", "ADD COLUMN NOT NULL"),
        ("CREATE TABLE other (id int); ALTER TABLE payments DROP COLUMN note", "DROP COLUMN"),
    ],
)
def test_what_would_hold_it_up_is_found(sql: str, kind: str) -> None:
    assert [problem.partition(":")[0] for problem in problems(sql)] == [kind]


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE payments ADD COLUMN note text",
        "ALTER TABLE payments ADD COLUMN note text NOT NULL DEFAULT ''",
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS one ON payments (note)",
        "ALTER TABLE payments ADD CONSTRAINT one CHECK (amount > 0) NOT VALID",
        "CREATE TABLE fresh (id int); CREATE INDEX one ON fresh (id); UPDATE fresh SET id = 1",
        "COMMENT ON TABLE payments IS 'DROP TABLE payments; UPDATE'",
        "CREATE FUNCTION f() RETURNS void LANGUAGE sql AS $$ UPDATE payments SET note = '' $$",
    ],
)
def test_what_holds_up_nobody_passes(sql: str) -> None:
    assert problems(sql) == []


def test_squawk_finds_nothing_that_breaks_the_former_version(tmp_path: Path) -> None:
    beside = Path(sys.executable).with_name("squawk")
    squawk = str(beside) if beside.exists() else shutil.which("squawk")
    if squawk is None:
        pytest.skip("squawk is not installed (dependency group `deploy`)")
    for version in later():
        if hasattr(version, "serves_from"):
            continue
        (tmp_path / f"{version.revision}.sql").write_text(version.SQL)
    files = [str(path) for path in sorted(tmp_path.glob("*.sql"))]
    done = subprocess.run(
        [squawk, "--pg-version=15", "--assume-in-transaction", "--reporter=json", *files],
        capture_output=True,
        text=True,
        check=False,
    )
    found = [one for one in json.loads(done.stdout) if one["rule_name"] in _RULES]
    assert found == []

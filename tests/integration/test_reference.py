"""docs/reference is what the source says: whoever changes a setting, an error or a table writes it anew."""

from pathlib import Path

import asyncpg
from reference.pages import pages
from reference.settings import TOLD

from system import MakeDatabase
from tallystick.platform.settings import Settings

DOCS = Path(__file__).resolve().parents[2] / "docs"


async def test_the_reference_is_current(make_database: MakeDatabase) -> None:
    connection = await asyncpg.connect(await make_database())
    try:
        made = await pages(connection, DOCS)
    finally:
        await connection.close()
    stale = [name for name, text in made.items() if (DOCS / name).read_text(encoding="utf-8") != text]
    assert stale == [], "run `make reference`"
    there = {path.relative_to(DOCS).as_posix() for path in (DOCS / "reference").rglob("*.md")}
    assert there == {name for name in made if name.startswith("reference/")}


def test_no_setting_is_told_that_is_not_there() -> None:
    assert set(TOLD) <= set(Settings.model_fields)

"""`make reference`: write the pages and the OpenAPI document."""

import asyncio
import sys
import tempfile
from pathlib import Path

import asyncpg

from reference.pages import pages
from tallystick.platform.embedded_postgres import EmbeddedPostgres
from tallystick.platform.migrate import migrate

DOCS = Path(__file__).resolve().parents[1] / "docs"


def main() -> int:
    """Write what has changed, remove what is no longer made, and say which."""
    with tempfile.TemporaryDirectory(prefix="tallystick-reference-") as folder:
        server = EmbeddedPostgres(Path(folder) / "pg", durable=False)
        try:
            made = asyncio.run(_pages(server.ensure()))
        finally:
            server.stop()
    changed = 0
    for name, text in made.items():
        path = DOCS / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(f"wrote docs/{name}")
            changed += 1
    for path in (DOCS / "reference").rglob("*.md"):
        if str(path.relative_to(DOCS)) not in made:
            path.unlink()
            print(f"removed {path.relative_to(DOCS.parent)}")
    print(f"{len(made)} files, {changed} written")
    return 0


async def _pages(url: str) -> dict[str, str]:
    await migrate(url, "public")
    connection = await asyncpg.connect(url)
    try:
        return await pages(connection, DOCS)
    finally:
        await connection.close()


if __name__ == "__main__":
    sys.exit(main())

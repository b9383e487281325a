"""All pages that are made from the source, by their names in docs/."""

import json
from pathlib import Path

import asyncpg

from reference.api import api_pages
from reference.cli import cli_page
from reference.decisions import decisions_page
from reference.document import openapi_document
from reference.errors import errors_page
from reference.events import events_page
from reference.invariants import invariants_page
from reference.metrics import alerts_page, metrics_page
from reference.schema import schema_page
from reference.settings import settings_page

__all__ = ["pages", "pages_of_source"]


def pages_of_source(docs: Path) -> dict[str, str]:
    """Those that need no database."""
    return {
        "openapi.json": json.dumps(openapi_document(), indent=2, ensure_ascii=False) + "\n",
        "decisions/index.md": decisions_page(docs / "decisions"),
        "reference/settings.md": settings_page(),
        "reference/events.md": events_page(),
        "reference/errors.md": errors_page(),
        "reference/metrics.md": metrics_page(),
        "reference/alerts.md": alerts_page(),
        "reference/invariants.md": invariants_page(),
        "reference/cli.md": cli_page(),
        **{f"reference/api/{name}": text for name, text in api_pages().items()},
    }


async def pages(connection: "asyncpg.Connection[asyncpg.Record]", docs: Path) -> dict[str, str]:
    """All; `connection` leads to a migrated database."""
    return {**pages_of_source(docs), "reference/schema.md": await schema_page(connection)}

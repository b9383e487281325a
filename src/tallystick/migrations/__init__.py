"""The schema's history: Alembic revisions, written as SQL, for PostgreSQL 15 and later."""

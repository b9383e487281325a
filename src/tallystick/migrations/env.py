"""Alembic's environment: runs on the connection that `platform.migrate` opened."""

from alembic import context

_attributes = context.config.attributes

context.configure(
    connection=_attributes["connection"],
    version_table_schema=_attributes["schema"],
    transaction_per_migration=True,
    on_version_apply=lambda **kw: _attributes["applied"].append(kw["step"].up_revision_id),
)
with context.begin_transaction():
    context.run_migrations()

"""What a row follows from, for traces that go on in another process."""

from tallystick.migrations.sql import run

revision = "0016"
down_revision = "0015"

SQL = """
ALTER TABLE attempts ADD COLUMN trace bytea;
ALTER TABLE mails ADD COLUMN trace bytea;
ALTER TABLE outbound_facts ADD COLUMN trace bytea;
ALTER TABLE work ADD COLUMN trace bytea;
COMMENT ON COLUMN attempts.trace IS
    'trace, span and flags (W3C Trace Context) of what stored it; NULL where nothing was traced';
"""


def upgrade() -> None:
    run(SQL)

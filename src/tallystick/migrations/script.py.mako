"""${message}"""

from tallystick.migrations.sql import run

revision = "${up_revision}"
down_revision = ${repr(down_revision)}

SQL = """
"""


def upgrade() -> None:
    run(SQL)

"""`python -m tallystick.sandbox --port 12111 --database sandbox.sqlite3`."""

import argparse
from pathlib import Path

from tallystick.sandbox.server import DEFAULT_PORT, run
from tallystick.sandbox.versions import OLDEST


def main() -> None:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(prog="tallystick sandbox", description="A stateful offline Stripe.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT)
    parser.add_argument("--database", default=":memory:", help="a file that keeps the state")
    parser.add_argument("--api-version", default=OLDEST, help="the account's default version")
    parser.add_argument("--record", type=Path, help="append each distinct answer and event to this file")
    parser.add_argument("--open-control", action="store_true", help="let other machines use /_sandbox")
    parser.add_argument("--clock-file", type=Path, help="tell how far business time is ahead in this file")
    options = parser.parse_args()
    run(
        host=options.host,
        port=options.port,
        database=options.database,
        api_version=options.api_version,
        record=options.record,
        open_control=options.open_control,
        clock_file=options.clock_file,
    )


if __name__ == "__main__":
    main()

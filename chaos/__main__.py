"""`make chaos`: real processes under traffic, while everything around them goes wrong; exits with 0 where all held."""

import argparse
import json
import logging
import os
import secrets
import sys
import tempfile
from pathlib import Path

import uvloop

from chaos.canary import CANARIES
from chaos.disk import Disk, enter_namespace
from chaos.faults import schedule
from chaos.report import Report
from chaos.run import Run
from chaos.wall_clock import find_library
from chaos.world import Sizes, World

_DISK_BYTES = 3 * 1024**3
_CACHE = Path(__file__).resolve().parents[1] / ".venv" / "lib" / "faketime"


def main() -> int:
    """The command."""
    options = _options()
    sizes = Sizes(options.apis, options.workers, options.clients)
    faults = schedule(options.seed, options.seconds, sizes)
    if options.plan:
        for fault in faults:
            _say(str(fault))
        return 0
    disk, library = enter_namespace(), find_library(_CACHE)
    left_out = {} if disk else {"full disk": "needs root and `unshare`, for a disk of its own"}
    left_out |= {} if library else {"wall clock": "libfaketime cannot be had"}
    faults = [fault for fault in faults if not fault.kind.startswith(tuple(left_out))]
    _say(f"Seed {options.seed}: {len(faults)} faults in {options.seconds:.0f} s.")
    for kind, reason in left_out.items():
        _say(f"Left out: {kind} ({reason}).")
    # A connection that breaks is the whole point.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="tallystick-chaos-") as name:
        folder = Path(options.keep or name).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        # PostgreSQL runs as another user where we are root, who has to pass through here.
        folder.chmod(0o711)
        os.umask(0o077)

        async def run() -> Report:
            world = World(folder, sizes, library=library, disk=Disk(folder / "pg", _DISK_BYTES) if disk else None)
            try:
                planned = Run(world, options.seed, options.seconds, faults, options.canary, list(left_out), say=_say)
                return await planned.execute()
            finally:
                await world.stop()

        report = uvloop.run(run())
    sys.stdout.write(report.table())
    if options.json:
        options.json.write_text(json.dumps(report.as_json(), indent=2) + "\n")
    return 1 if report.problems else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make chaos ARGS=", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="how long it goes wrong")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**32), help="decides the faults and when")
    parser.add_argument("--apis", type=int, default=2)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--clients", type=int, default=12)
    parser.add_argument("--canary", choices=sorted(CANARIES), help="plant such a wrong, with which it must fail")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there, too")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep data and logs there")
    parser.add_argument("--plan", action="store_true", help="only show the faults of this seed")
    return parser.parse_args()


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())

"""`make bench`: all measurements, or those named; figures go to the terminal and to bench/results.json."""

import argparse
import importlib
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.figures import Figure, Part, Run, machine, show

PARTS = {
    "ingest": "webhooks accepted a second at 1 to 256 connections, and doubled ones",
    "apply": "events applied a second by one worker and by two, and what ten idle ones cost",
    "delay": "from received to applied, flooded and at half load",
    "night": "a renewal night: 100,000 events in a burst",
    "reads": "one payment, a page of history, entitlements, products",
    "writes": "creating a payment, with Stripe instant",
    "growth": "what a page, an entitlement and an event cost at 10⁴ and 10⁶ payments (--long: 10⁷)",
    "processes": "memory and start-up time",
    "pages": "the pages customers see",
    "console": "the console's lists and figures as the record grows",
    "import": "an existing account into the mirror",
    "profile": "where the time of each hot path goes, and its statements",
}
_MODULES = {"import": "importing", "processes": "startup", "profile": "profiling"}
RESULTS = Path(__file__).with_name("results.json")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the named parts (all without names); 2 for a name that is none."""
    given = _parser().parse_args(arguments)
    if unknown := sorted(set(given.parts) - set(PARTS)):
        print(f"no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}", file=sys.stderr)
        return 2
    rounds = given.rounds or (1 if given.quick else 3)
    run = Run(rounds, 0.02 if given.quick else 1.0, quick=given.quick, long=given.long)
    results: dict[str, Any] = {"machine": {**machine(), "commit": given.commit}, "rounds": rounds, "parts": {}}
    found: list[Figure] = []
    for name in given.parts or PARTS:
        began = time.monotonic()
        part: Part = importlib.import_module(f"bench.{_MODULES.get(name, name)}").measure(run)
        took_s = round(time.monotonic() - began)
        found += part.figures
        results["parts"][name] = {"took_s": took_s, "at": time.strftime("%Y-%m-%d %H:%M"), **part.as_json()}
        show(part.figures, f"{name}: {PARTS[name]} ({took_s} s)")
    asked = [figure for figure in found if figure.reach]
    if asked:
        show(asked, f"What is to be reached (medians of {rounds} rounds, {results['machine']['cpus']} CPUs)")
    if not given.quick or given.json:
        _keep(Path(given.json) if given.json else RESULTS, results, fresh=bool(given.json) or not given.parts)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure. Each figure stands beside its floor, of the same rounds on the same PostgreSQL.",
        epilog="parts: " + "; ".join(f"{name}: {what}" for name, what in PARTS.items()),
    )
    parser.add_argument("parts", nargs="*", help="what is measured; all without")
    parser.add_argument("--rounds", type=int, help="3; medians are shown")
    parser.add_argument("--quick", action="store_true", help="a smoke run: a twentieth of everything, one round")
    parser.add_argument("--long", action="store_true", help="ten million payments, a million rows of the console, …")
    parser.add_argument("--json", metavar="FILE", help="write there instead of bench/results.json")
    parser.add_argument("--commit", help="what is measured, to be named in the file")
    return parser


def _keep(file: Path, results: Mapping[str, Any], *, fresh: bool) -> None:
    """Write the results; those of the parts that were not measured stay unless all were."""
    kept = json.loads(file.read_text()) if file.exists() and not fresh else {}
    parts = {**kept.get("parts", {}), **results["parts"]}
    file.write_text(json.dumps({**results, "parts": parts}, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    sys.exit(main())

"""`make bench`: all measurements, or those named; figures go to the terminal and to bench/results.json."""

import sys
from collections.abc import Callable, Sequence

from bench import console, importing, ingest, pages, reads

BENCHES: dict[str, Callable[[Sequence[str]], None]] = {
    "ingest": ingest.main,
    "entitlements": lambda options: reads.main(["entitlements", *options]),
    "products": lambda options: reads.main(["products", *options]),
    "import": importing.main,
    "pages": pages.main,
    "console": console.main,
}


def main() -> int:
    """Run the named benches (all without names); 2 for a name that is none."""
    names = [name for name in sys.argv[1:] if not name.startswith("-")] or list(BENCHES)
    options = [option for option in sys.argv[1:] if option.startswith("-")]
    if unknown := sorted(set(names) - set(BENCHES)):
        print(f"no such bench: {', '.join(unknown)}; there are {', '.join(BENCHES)}", file=sys.stderr)
        return 2
    for name in names:
        BENCHES[name](options)
    return 0


if __name__ == "__main__":
    sys.exit(main())

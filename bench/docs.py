"""`python -m bench.docs`: the table of docs/performance.md anew from bench/results.json."""

import json
from pathlib import Path
from typing import Any

__all__ = ["main"]

_RESULTS = Path(__file__).with_name("results.json")
_PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
_BEGIN, _END = "<!-- figures: written by python -m bench.docs -->\n", "<!-- end of figures -->\n"


def main() -> None:
    """Write it."""
    results = json.loads(_RESULTS.read_text())
    before, _, rest = _PAGE.read_text().partition(_BEGIN)
    _, _, after = rest.partition(_END)
    _PAGE.write_text(f"{before}{_BEGIN}\n{_told(results)}\n{_END}{after}")


def _told(results: dict[str, Any]) -> str:
    machine = results["machine"]
    of = f"{machine['cpus']} cores ({machine['cpu']}), PostgreSQL {machine['postgresql']}, Python {machine['python']}"
    lines = [
        f"{of}; medians of {results['rounds']} rounds.",
        "",
        "| figure | value | floor | ratio | to reach | |",
        "|---|---|---|---|---|---|",
    ]
    for part in results["parts"].values():
        lines += [_row(figure) for figure in part["figures"] if "reach" in figure]
    return "\n".join(lines) + "\n"


def _row(figure: dict[str, Any]) -> str:
    floor = f"{_number(figure['floor_value'])} {figure['unit']} ({figure['floor']})" if "floor_value" in figure else ""
    ratio = f"{figure['ratio']:.2f}" if "ratio" in figure else ""
    met = {True: "met", False: "**not met**", None: ""}[figure["met"]]
    value = f"{_number(figure['value'])} {figure['unit']}".strip()
    return f"| {figure['name']} | {value} | {floor} | {ratio} | {figure['reach']} | {met} |"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


if __name__ == "__main__":
    main()

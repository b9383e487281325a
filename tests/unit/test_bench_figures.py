"""What the benchmark suite says of a figure."""

import json
from pathlib import Path

import pytest
from bench import docs
from bench.__main__ import _keep
from bench.figures import Figure, Part, Reach, Run, at_least, at_most


def test_the_ratio_is_that_of_the_rounds_not_of_the_medians() -> None:
    figure = Figure("x", "/s", [10, 100, 30], "y", [10, 200, 20], at_least(1.0))
    assert figure.value == 30
    assert figure.ratio == 1.0
    assert figure.met is True


@pytest.mark.parametrize(
    ("figure", "met"),
    [
        (Figure("x", "ms", [25], reach=Reach("value", "<", 25)), False),
        (Figure("x", "ms", [24.9], reach=Reach("value", "<", 25)), True),
        (Figure("x", "MB", [150], reach=at_most(150)), True),
        (Figure("x", "/s", [4], "y", [10], at_least(0.5)), False),
        (Figure("x", "/s", [5], "y", [10], at_least(0.5)), True),
        (Figure("x", "/s", [5], reach=at_least(0.5)), None),
        (Figure("x", "/s", [5]), None),
    ],
)
def test_what_is_reached(figure: Figure, met: bool | None) -> None:
    assert figure.met is met
    assert figure.as_json().get("met") is met


def test_parts_that_were_not_measured_keep_their_figures(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    for name, fresh in (("ingest", True), ("reads", False)):
        part = Part([Figure(name, "/s", [1.0], "y", [2.0], at_least(0.5))]).as_json()
        _keep(file, {"machine": {"cpus": 2}, "rounds": 3, "parts": {name: part}}, fresh=fresh)
    assert list(json.loads(file.read_text())["parts"]) == ["ingest", "reads"]


def test_the_page_gets_its_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page, results = tmp_path / "page.md", tmp_path / "results.json"
    page.write_text(f"before\n{docs._BEGIN}old\n{docs._END}after\n")
    figures = [Figure("accepted", "/s", [1234.5], "pgbench", [2000.0], at_least(0.5)), Figure("told", "ms", [1.0])]
    machine = {"cpus": 2, "cpu": "a CPU", "postgresql": "18", "python": "3.11"}
    results.write_text(
        json.dumps({"machine": machine, "rounds": 3, "parts": {"ingest": Part(figures).as_json()}}, ensure_ascii=False)
    )
    monkeypatch.setattr(docs, "_PAGE", page)
    monkeypatch.setattr(docs, "_RESULTS", results)
    docs.main()
    docs.main()
    written = page.read_text()
    assert "| accepted | 1,234 /s | 2,000 /s (pgbench) | 0.62 | ≥ 0.5 × | met |" in written
    assert written.startswith("before\n")
    assert written.endswith("after\n")
    assert "told" not in written
    assert "old\n" not in written.replace("told", "")


def test_a_smoke_run_is_small() -> None:
    assert Run(scale=0.02).some(10_000, 200) == 200
    assert Run(quick=True).many((1, 8, 32), 32) == (32,)
    assert Run().many((1, 8, 32), 32) == (1, 8, 32)

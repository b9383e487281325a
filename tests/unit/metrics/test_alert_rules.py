"""Each alert fires and clears, in the built-in evaluator and in Prometheus, which see the same numbers."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from alerting import CALM, CASES, samples_of, signals_of
from tallystick.console.listings import LISTINGS
from tallystick.metrics.alerts import RULES, Rule, rules_file
from tallystick.metrics.exposition import Told, families
from tallystick.notifications.alerts import alert_context
from tallystick.notifications.locales import Catalogue
from tallystick.notifications.rendering import Renderer
from tallystick.platform.telemetry import REGISTRY, resource_of

ROOT = Path(__file__).parents[3]
RULES_FILE = ROOT / "deploy" / "prometheus" / "tallystick.rules.yml"
BOARD_FILE = ROOT / "deploy" / "grafana" / "tallystick.json"
_SPAN = 12
"""Minutes: somewhat longer than what the rules look back on."""


def test_the_files_are_what_the_commands_print() -> None:
    for command, path in (("rules", RULES_FILE), ("board", BOARD_FILE)):
        program = Path(sys.executable).with_name("tallystick")
        done = subprocess.run([program, "alerts", command], capture_output=True, text=True, timeout=60, check=True)
        assert done.stdout == path.read_text(), f"tallystick alerts {command} > {path.relative_to(ROOT)}"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule.name))
def test_an_alert_holds_over_its_limit_and_not_at_it(rule: Rule) -> None:
    below, over = CASES[rule.name]
    assert rule.holds(signals_of(CALM)) is None
    assert rule.holds(signals_of(below)) is None
    value = rule.holds(signals_of(over))
    assert value is not None
    assert value > rule.above


def test_an_alert_holds_in_its_own_trouble_only() -> None:
    held = {name: {rule.name for rule in RULES if rule.holds(signals_of(over))} for name, (_, over) in CASES.items()}
    assert held.keys() == {rule.name for rule in RULES}
    assert all(name in together for name, together in held.items())
    # A webhook that fails over and over is told as such; everything else is told by one alert.
    assert {name: together for name, together in held.items() if len(together) > 1} == {}


@pytest.fixture(scope="module")
def promtool() -> str:
    beside = Path(sys.executable).with_name("promtool")
    found = str(beside) if beside.exists() else shutil.which("promtool")
    if found is None:
        pytest.skip("promtool is not there: scripts/bootstrap.sh test fetches it on Debian; or install Prometheus")
    return found


def test_prometheus_fires_and_clears_where_the_built_in_evaluator_does(promtool: str, tmp_path: Path) -> None:
    rules = tmp_path / "tallystick.rules.yml"
    rules.write_text(rules_file())
    tests = tmp_path / "tests.yml"
    # JSON is YAML.
    content = {"rule_files": [str(rules)], "evaluation_interval": "30s", "tests": [_story(rule) for rule in RULES]}
    tests.write_text(json.dumps(content, indent=1))
    for arguments in (["check", "rules", str(rules)], ["test", "rules", str(tests)]):
        done = subprocess.run([promtool, *arguments], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def _story(rule: Rule) -> dict[str, Any]:
    """For some minutes close to the limit, then over it for long enough, then as before."""
    (gauges, counters), (bad_gauges, bad_counters) = map(samples_of, CASES[rule.name])
    spans = (_SPAN, _SPAN + rule.for_s // 60, _SPAN)
    series = {
        **{name: _gauge(gauges.get(name), bad_gauges.get(name), spans) for name in {*gauges, *bad_gauges}},
        **{name: _counter(counters.get(name, 0), bad, spans) for name, bad in bad_counters.items()},
    }
    named = set(re.findall(r"tallystick_\w+", rule.expression))
    fires = {
        "exp_labels": {"severity": rule.severity, "service": "tallystick"},
        "exp_annotations": {"summary": rule.summary, "description": rule.todo},
    }
    ends = [sum(spans[: number + 1]) - 1 for number in range(3)]
    return {
        "interval": "1m",
        "input_series": [
            {"series": name, "values": values} for name, values in series.items() if name.partition("{")[0] in named
        ],
        "alert_rule_test": [
            {"eval_time": f"{minute}m", "alertname": rule.name, "exp_alerts": expected}
            for minute, expected in zip(ends, ([], [fires], []), strict=True)
        ],
    }


def _gauge(calm: float | None, bad: float | None, spans: Sequence[int]) -> str:
    return " ".join(
        f"_x{minutes}" if value is None else f"{value}x{minutes - 1}"
        for value, minutes in zip((calm, bad, calm), spans, strict=True)
    )


def _counter(calm: float, bad: float, spans: Sequence[int]) -> str:
    """`calm` and `bad` are what ten minutes add."""
    told, total = [], 0.0
    for ten_minutes, minutes in zip((calm, bad, calm), spans, strict=True):
        step = ten_minutes / 10
        told.append(f"{total + step:f}+{step:f}x{minutes - 1}")
        total += step * minutes
    return " ".join(told)


def test_every_query_of_rules_and_board_names_a_metric_that_is_there() -> None:
    told = families(Told(signals_of(CASES["HighDeclineRate"][1]), {}, {}, 1.0, 20))
    there = {family.name for family in [*told, *REGISTRY.collect()]}
    there |= {f"{name}{ending}" for name in there for ending in ("_total", "_bucket", "_count", "_sum")}
    board = json.loads(BOARD_FILE.read_text())
    queries = [target["expr"] for panel in board["panels"] for target in panel.get("targets", ())]
    assert len(queries) > 30
    for query in [*queries, *(rule.expression for rule in RULES)]:
        named = re.findall(r"tallystick_\w+", query)
        assert named
        assert set(named) <= there, query


def test_the_reference_has_every_metric_and_every_alert() -> None:
    page = "".join((ROOT / "docs" / "reference" / name).read_text() for name in ("metrics.md", "alerts.md"))
    told = families(Told(signals_of(CALM), {}, {}, 1.0, 20))
    rows = {
        family.name + ("_total" if family.type == "counter" else ""): family.documentation
        for family in [*told, *REGISTRY.collect()]
    }
    rows["tallystick_up"] = "The database answers."
    listed = dict(re.findall(r"^\| `(tallystick_\w+)` \| [^|]*\| ([^|]*) \|$", page, flags=re.MULTILINE))
    assert listed == rows
    alerts = re.findall(r"^\| `([A-Z]\w+)` \| (\w+) \| ([^|]*) \| ([^|]*) \|$", page, flags=re.MULTILINE)
    assert alerts == [(rule.name, rule.severity, rule.summary, rule.todo) for rule in RULES]


@pytest.mark.parametrize("locale", ["en", "de", "ja"])
def test_a_mail_tells_each_alert_in_the_language_of_its_reader(locale: str) -> None:
    renderer = Renderer("Acme", Catalogue(), None)
    said = set()
    for rule in RULES:
        facts = {"alert": rule.name, "what": rule.summary, "severity": rule.severity, "todo": rule.todo, "value": "0.2"}
        fires = renderer.render("staff_alert", locale, alert_context("alert.incident", facts))
        over = renderer.render("staff_alert", locale, alert_context("alert.incident_over", facts))
        assert rule.name in fires.subject
        assert rule.name in over.subject
        assert fires.subject != over.subject
        # Links and commands are the same in every language; in English all of it is as Prometheus has it.
        text = " ".join(fires.text.split())
        told = re.findall(r"/console/\w+|tallystick \w+", rule.todo)
        assert all(word in text for word in told)
        assert (rule.summary in text) == (rule.todo in text) == (locale == "en"), rule.name
        said.add(fires.text)
    assert len(said) == len(RULES)


def test_what_to_do_leads_to_pages_that_are_there() -> None:
    links = [link for rule in RULES for link in re.findall(r"/console/(\w+)(?:\?(\w+)=(\w+))?", rule.todo)]
    assert len(links) > 5
    for name, asked, value in links:
        filters = {each.name: each for each in LISTINGS[name].filters}
        assert not asked or value in filters[asked].choices, (name, asked, value)


def test_panels_lie_beside_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    panels = json.loads(BOARD_FILE.read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        assert all(x < 24 for x, _ in cells)
        taken |= cells


def test_paths_of_stripe_are_told_without_ids() -> None:
    source = "\n".join(path.read_text() for path in (ROOT / "src/tallystick/stripe_gateway").glob("*.py"))
    paths = re.findall(r'f?"(/v1/[^"?]*)"', source)
    assert len(paths) > 30
    for path in paths:
        filled = re.sub(r"\{[^}]*\}", "sub_1OaB", path)
        assert resource_of(filled) == re.sub(r"\{[^}]*\}", "{id}", path)
    assert resource_of("/v1/coupons/SUMMER 25") == resource_of("/v1/coupons/winter") == "/v1/coupons/{id}"

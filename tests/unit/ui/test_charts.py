"""Charts: axes of round figures, a text for each point, nothing drawn of nothing, and names that cannot break out."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.ui.charts import Chart, Series, draw, ticks_of


def chart(values: list[float | None], *, kind: str = "line", title: str = "Sales") -> str:
    labels = [f"day {number}" for number in range(len(values))]
    return str(
        draw(Chart(title, labels, [Series("Sold", values)], lambda value: f"{value:g} €", "Nothing sold.", kind))
    )


def test_counts_have_no_ticks_between_whole_figures() -> None:
    assert ticks_of(0, 2, least=1.0) == [0, 1, 2]
    assert ticks_of(0, 0, least=1.0) == [0, 1]
    assert ticks_of(0, 9, least=1.0) == ticks_of(0, 9)


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 100, [0, 25, 50, 75, 100]),
        (0, 7, [0, 2, 4, 6, 8]),
        (0, 0, [0, 0.25, 0.5, 0.75, 1]),
        (-30, 90, [-50, 0, 50, 100]),
        (40, 44, [0, 20, 40, 60]),
    ],
)
def test_ticks_are_round_and_hold_all(low: float, high: float, ticks: list[float]) -> None:
    assert ticks_of(low, high) == ticks


@given(
    st.lists(st.one_of(st.none(), st.floats(-1e12, 1e12)), min_size=1, max_size=60), st.sampled_from(["line", "bar"])
)
def test_whatever_is_drawn_is_on_the_drawing(values: list[float | None], kind: str) -> None:
    drawn = chart(values, kind=kind)
    for number in re.findall(r'c?[xy][12]?="([-0-9.]+)"', drawn):
        assert -1 <= float(number) <= 641
    if kind == "line" and any(value is not None for value in values):
        assert drawn.count("<circle") == sum(value is not None for value in values)


def test_each_point_has_its_text_and_the_same_figures_are_a_table() -> None:
    drawn = chart([1, None, 3], kind="bar")
    assert "<title>day 0: 1 €</title>" in drawn
    assert "<title>day 2: 3 €</title>" in drawn
    assert "<td>–</td>" in drawn
    assert drawn.count("<tr>") == 4


def test_of_nothing_nothing_is_drawn() -> None:
    assert "Nothing sold." in chart([])
    assert "<svg" not in chart([None, None])


def test_names_do_not_break_out() -> None:
    assert "<b>" not in chart([1], title="<b>Sales</b>")

"""Charts drawn on the server, as SVG: real axes, units, a text for each point, and something to read without any.

Colours and fonts are the stylesheet's (`.chart`), so a chart is right in light and in dark. Each point has its text as
a `<title>`, which browsers show on hover and readers read; below the drawing the same figures are a table that opens.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from markupsafe import Markup, escape

__all__ = ["Chart", "Series", "draw", "ticks_of"]

_WIDTH, _HEIGHT = 640, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 76, 12, 14, 30
_TICKS = 4
_LABELS = 6
_SMALLEST = 1e-6


@dataclass(frozen=True, slots=True)
class Series:
    """One line, or one colour of bars; as many values as the chart has labels, None where there is nothing."""

    name: str
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Chart:
    """What is drawn: `labels` under the axis, `text` of a value with its unit, `kind` line or bar; `empty` is said
    where there is nothing to draw; `whole` values have no ticks between whole figures."""

    title: str
    labels: Sequence[str]
    series: Sequence[Series]
    text: Callable[[float], str]
    empty: str
    kind: str = "line"
    whole: bool = False


def ticks_of(low: float, high: float, count: int = _TICKS, least: float = 0.0) -> list[float]:
    """Round figures, at least `least` apart, that hold `low` and `high` between them; 0 is one of them."""
    low, high = min(low, 0.0), max(high, 0.0)
    if high - low < _SMALLEST:
        high = low + 1
    raw = max((high - low) / count, least)
    unit = 10.0 ** floor(log10(raw))
    step = next(unit * factor for factor in (1, 2, 2.5, 5, 10) if unit * factor >= raw)
    first, last = floor(low / step), ceil(high / step)
    return [step * number for number in range(first, last + 1)]


def draw(chart: Chart) -> Markup:
    """The chart as a figure, with its table."""
    known = [value for series in chart.series for value in series.values if value is not None]
    if not known or not chart.labels:
        return Markup('<figure class="chart"><figcaption>{}</figcaption><p class="empty">{}</p></figure>').format(
            chart.title, chart.empty
        )
    return Markup('<figure class="chart"><figcaption>{}{}</figcaption>{}{}</figure>').format(
        chart.title, _legend(chart), _svg(chart, known), _table(chart)
    )


def _legend(chart: Chart) -> Markup:
    if len(chart.series) < 2:
        return Markup("")
    entries = (
        Markup('<span class="chart__key chart__key--{}">{}</span>').format(number, series.name)
        for number, series in enumerate(chart.series)
    )
    return Markup('<span class="chart__legend">{}</span>').format(Markup("").join(entries))


class _Frame:
    """Where values stand on the drawing."""

    def __init__(self, labels: int, ticks: Sequence[float]) -> None:
        self._low, self._high = ticks[0], ticks[-1]
        self._labels = labels

    def y(self, value: float) -> float:
        share = (value - self._low) / (self._high - self._low)
        return round(_HEIGHT - _BOTTOM - share * (_HEIGHT - _BOTTOM - _TOP), 1)

    def slot(self) -> float:
        return (_WIDTH - _LEFT - _RIGHT) / self._labels

    def x(self, index: int) -> float:
        """The middle of a label's slot."""
        return round(_LEFT + (index + 0.5) * self.slot(), 1)


def _svg(chart: Chart, known: Sequence[float]) -> Markup:
    ticks = ticks_of(min(known), max(known), least=1.0 if chart.whole else 0.0)
    frame = _Frame(len(chart.labels), ticks)
    parts = [_grid(chart, frame, ticks), _axis(chart, frame)]
    for number, series in enumerate(chart.series):
        one = _bars if chart.kind == "bar" else _line
        parts.append(one(chart, frame, number, series))
    return Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        _WIDTH, _HEIGHT, chart.title, Markup("").join(parts)
    )


def _grid(chart: Chart, frame: _Frame, ticks: Sequence[float]) -> Markup:
    line = Markup('<line class="chart__grid" x1="{}" x2="{}" y1="{}" y2="{}"/>')
    text = Markup('<text x="{}" y="{}" class="chart__y">{}</text>')
    parts = []
    for tick in ticks:
        y = frame.y(tick)
        parts += [line.format(_LEFT, _WIDTH - _RIGHT, y, y), text.format(_LEFT - 8, y + 4, chart.text(tick))]
    return Markup("").join(parts)


def _axis(chart: Chart, frame: _Frame) -> Markup:
    every = max(ceil(len(chart.labels) / _LABELS), 1)
    texts = (
        Markup('<text x="{}" y="{}" class="chart__x">{}</text>').format(frame.x(index), _HEIGHT - 8, label)
        for index, label in enumerate(chart.labels)
        if index % every == 0
    )
    return Markup("").join(texts)


def _line(chart: Chart, frame: _Frame, number: int, series: Series) -> Markup:
    runs: list[list[str]] = [[]]
    dots = []
    for index, value in enumerate(series.values):
        if value is None:
            runs.append([])
            continue
        runs[-1].append(f"{frame.x(index)},{frame.y(value)}")
        dots.append(
            Markup(
                '<circle cx="{}" cy="{}" r="{}" class="chart__dot chart__dot--{}"><title>{}</title></circle>'
            ).format(
                frame.x(index),
                frame.y(value),
                3 if len(chart.labels) <= 40 else 1.5,
                number,
                _said(chart, series, index),
            )
        )
    lines = (
        Markup('<polyline class="chart__line chart__line--{}" points="{}"/>').format(number, " ".join(run))
        for run in runs
        if run
    )
    return Markup("").join([*lines, *dots])


def _bars(chart: Chart, frame: _Frame, number: int, series: Series) -> Markup:
    width = max(frame.slot() * 0.8 / len(chart.series), 1)
    bar = Markup(
        '<rect x="{}" y="{}" width="{}" height="{}" class="chart__bar chart__bar--{}"><title>{}</title></rect>'
    )
    bars = []
    for index, value in enumerate(series.values):
        if not value:
            continue
        left = frame.x(index) - frame.slot() * 0.4 + number * width
        top, zero = sorted((frame.y(value), frame.y(0)))
        height = max(round(zero - top, 1), 0.5)
        bars.append(bar.format(round(left, 1), top, round(width, 1), height, number, _said(chart, series, index)))
    return Markup("").join(bars)


def _said(chart: Chart, series: Series, index: int) -> str:
    value = series.values[index]
    name = f"{series.name}, " if len(chart.series) > 1 else ""
    return f"{name}{chart.labels[index]}: {chart.text(value or 0)}"


def _table(chart: Chart) -> Markup:
    heads = Markup("").join(Markup("<th scope=col>{}</th>").format(series.name) for series in chart.series)
    rows = []
    for index, label in enumerate(chart.labels):
        cells = Markup("").join(
            Markup("<td>{}</td>").format("–" if (value := series.values[index]) is None else chart.text(value))
            for series in chart.series
        )
        rows.append(Markup("<tr><th scope=row>{}</th>{}</tr>").format(label, cells))
    return Markup(
        "<details><summary>Figures</summary><table><thead><tr><th scope=col>{}</th>{}</tr></thead>"
        "<tbody>{}</tbody></table></details>"
    ).format(escape(""), heads, Markup("").join(rows))

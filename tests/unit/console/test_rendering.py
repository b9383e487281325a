"""What pages of the console make of texts: links to the console and to nothing else, and no way out of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.console.rendering import _inside, _paths
from tallystick.metrics.alerts import RULES, Rule


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_what_to_do_leads_to_pages_of_the_console(rule: Rule) -> None:
    text = str(_paths(rule.todo))
    assert text.count("<a ") == rule.todo.count("/console")
    assert '."' not in text


def test_a_text_is_escaped_around_its_links() -> None:
    shown = str(_paths('<b>/console/events?state=dead"><script>'))
    assert shown.startswith('&lt;b&gt;<a href="/console/events?state=dead">')
    assert "<script>" not in shown


@given(st.text() | st.text(alphabet="/\\:.?#@consle[]", max_size=30).map(lambda text: f"/console{text}"))
def test_nothing_leads_out(target: str) -> None:
    found = _inside(target)
    assert found.startswith("/console")
    assert "\\" not in found

"""Lists of the console: what is typed in never becomes SQL, and cursors are read or refused."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.console.errors import CursorInvalid, FilterInvalid
from tallystick.console.listing import Cursor, query_of
from tallystick.console.listings import LISTINGS


def text_of(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@given(st.text() | st.recursive(st.none() | st.text() | st.integers(), st.lists, max_leaves=4).map(text_of))
def test_any_text_is_a_cursor_or_refused(text: str) -> None:
    try:
        cursor = Cursor.read(text)
    except CursorInvalid:
        return
    assert Cursor.read(cursor.text()) == cursor


@pytest.mark.parametrize(
    "text",
    [
        text_of(["2026-01-01T00:00:00", "01234567-89ab-7def-8123-456789abcdef", False]),
        text_of([1, "01234567-89ab-7def-8123-456789abcdef", False]),
        text_of([None, 1, False]),
        base64.urlsafe_b64encode(b"[" * 30_000).decode(),
    ],
)
def test_a_cursor_that_somebody_made_up_is_refused(text: str) -> None:
    with pytest.raises(CursorInvalid):
        Cursor.read(text)


@given(st.sampled_from(sorted(LISTINGS)), st.text(max_size=400) | st.datetimes().map(str))
def test_what_is_typed_in_is_an_argument_or_refused(name: str, text: str) -> None:
    listing = LISTINGS[name]
    for each in listing.filters:
        try:
            query = query_of(listing, {each.name: text}, order=listing.orders[0], cursor=None, limit=25)
        except FilterInvalid:
            continue
        plain = query_of(listing, {}, order=listing.orders[0], cursor=None, limit=25)
        if not each.choices:
            assert len(query.arguments) == (1 if text.strip() else 0)
            same = query_of(listing, {each.name: "2026-01-31" if text.strip() else ""},
                            order=listing.orders[0], cursor=None, limit=25)  # fmt: skip
            assert query.sql == same.sql
        assert "{}" not in query.sql
        assert "\x00" not in str(query.arguments)
        assert len(query.sql) < len(plain.sql) + 300


@pytest.mark.parametrize("name", sorted(LISTINGS))
def test_a_choice_stands_in_the_statement(name: str) -> None:
    listing = LISTINGS[name]
    for each in listing.filters:
        for choice in each.choices:
            query = query_of(listing, {each.name: choice}, order=listing.orders[1], cursor=None, limit=25)
            assert not query.arguments
            assert "WHERE" in query.sql
        if each.choices:
            with pytest.raises(FilterInvalid):
                query_of(listing, {each.name: "' OR true --"}, order=listing.orders[0], cursor=None, limit=25)


@pytest.mark.parametrize("name", sorted(LISTINGS))
def test_every_link_has_its_values(name: str) -> None:
    listing = LISTINGS[name]
    columns = {column.name: "x" for column in (*listing.columns, *listing.hidden)}
    for column in listing.columns:
        if column.link:
            assert column.link.format(**columns).startswith(f"/console/{name}/")
        if column.shown == "money":
            assert "currency" in columns

"""`/search`: Stripe's query language over an index that lags behind, as Stripe's does.

Equality on metadata, e-mail, name, phone and the like is answered from the index; what remains of a query is
checked on the objects found.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tallystick.sandbox.context import Context
from tallystick.sandbox.errors import invalid
from tallystick.sandbox.params import Fields, array_of, integer, string
from tallystick.sandbox.shapes import Json

__all__ = ["SEARCH_FIELDS", "search"]

SEARCH_FIELDS: Fields = {
    "query": string(),
    "limit": integer(),
    "page": string(),
    "expand": array_of(string()),
}

_CLAUSE = re.compile(
    r"""\s*(?P<negate>-)?(?P<field>[a-z_0-9]+(?:\.[a-z_0-9]+)*)
        (?:\[(?P<quote>["'])(?P<key>[^"']+)(?P=quote)\])?
        \s*(?P<operator>:|~|>=|<=|>|<)\s*
        (?:"(?P<double>(?:[^"\\]|\\.)*)"|'(?P<single>(?:[^'\\]|\\.)*)'|(?P<bare>[^\s"']+))""",
    re.VERBOSE,
)
_JOIN = re.compile(r"\s+(AND|OR|and|or)\s+|\s+")
_TEXT_FIELDS = (
    "email", "name", "phone", "description", "customer", "status", "currency", "payment_intent",
    "lookup_key", "number", "product", "subscription", "type", "url",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Clause:
    field: str
    key: str | None
    operator: str
    value: str
    negate: bool

    def indexed(self) -> bool:
        return (
            self.operator == ":"
            and not self.negate
            and self.value != "null"
            and (self.key is not None or self.field in _TEXT_FIELDS)
        )

    def term(self) -> tuple[str, str]:
        name = f"{self.field}[{self.key}]" if self.key else self.field
        return name, self.value.lower()

    def matches(self, value: Json) -> bool:
        found: Any = value
        for part in self.field.split("."):
            found = found.get(part) if isinstance(found, dict) else None
        if self.key is not None:
            found = found.get(self.key) if isinstance(found, dict) else None
        return self._compare(found) != self.negate

    def _compare(self, found: Any) -> bool:
        if self.value == "null":
            return found is None
        if found is None:
            return False
        if isinstance(found, bool):
            return str(found).lower() == self.value.lower()
        if isinstance(found, int):
            return self.value.lstrip("-").isdigit() and _COMPARE[self.operator](found, int(self.value))
        text, wanted = str(found).lower(), self.value.lower()
        return wanted in text if self.operator == "~" else text == wanted


_COMPARE: dict[str, Callable[[int, int], bool]] = {
    ":": lambda a, b: a == b,
    "~": lambda a, b: a == b,
    ">": lambda a, b: a > b,
    "<": lambda a, b: a < b,
    ">=": lambda a, b: a >= b,
    "<=": lambda a, b: a <= b,
}


def search(ctx: Context, kind: str, url: str, params: Json) -> Json:
    """One page of results, newest first. Raises 400 for a query that cannot be read or mixes AND and OR."""
    if "query" not in params:
        raise invalid("Missing required param: query.", code="parameter_missing", param="query")
    clauses, any_of = _parse(params["query"])
    _index_due(ctx, kind)
    limit = min(max(params.get("limit", 10), 1), 100)
    before = _page_start(params.get("page"))
    found = _candidates(ctx, kind, clauses, before, any_of=any_of)
    data = []
    for value in found:
        if (any if any_of else all)(clause.matches(value) for clause in clauses):
            data.append(value)
            if len(data) > limit:
                break
    has_more = len(data) > limit
    data = data[:limit]
    next_page = str(ctx.store.seq_of(data[-1]["id"])) if has_more else None
    return {"object": "search_result", "data": data, "has_more": has_more, "next_page": next_page, "url": url}


def _parse(query: str) -> tuple[list[_Clause], bool]:
    clauses: list[_Clause] = []
    joins: set[str] = set()
    at = 0
    while at < len(query.rstrip()):
        match = _CLAUSE.match(query, at)
        if match is None:
            raise _bad(query)
        raw = next((match[name] for name in ("double", "single", "bare") if match[name] is not None), "")
        value = re.sub(r"\\(.)", r"\1", raw)
        field, key = match["field"], match["key"]
        clauses.append(_Clause(field, key, match["operator"], value, bool(match["negate"])))
        at = match.end()
        if at < len(query.rstrip()):
            join = _JOIN.match(query, at)
            if join is None:
                raise _bad(query)
            joins.add((join[1] or "AND").upper())
            at = join.end()
    if not clauses or len(joins) > 1:
        raise _bad(query)
    return clauses, joins == {"OR"}


def _bad(query: str) -> Exception:
    return invalid(
        'We were unable to parse your search query. Try using the format `metadata["key"]:"value"` to query '
        f'for metadata or key:"value" to query for other fields. Query: {query}'
    )


def _page_start(page: str | None) -> int | None:
    if page is None:
        return None
    if not page.isdigit():
        raise invalid(f"Invalid page: {page}", param="page")
    return int(page)


def _candidates(ctx: Context, kind: str, clauses: list[_Clause], before: int | None, *, any_of: bool) -> list[Json]:
    last = before if before is not None else 1 << 62
    indexed = [clause for clause in clauses if clause.indexed()]
    if indexed and not any_of:
        field, value = indexed[0].term()
        return ctx.store.select(
            "SELECT o.seq, o.id, o.body FROM search_terms t JOIN objects o ON o.seq = t.seq WHERE t.object = ? "
            "AND t.field = ? AND t.value = ? AND t.seq < ? AND NOT o.deleted ORDER BY t.seq DESC",
            (kind, field, value, last),
        )
    # Everything that the index has seen is a candidate.
    return ctx.store.select(
        "SELECT o.seq, o.id, o.body FROM search_terms t JOIN objects o ON o.seq = t.seq WHERE t.object = ? "
        "AND t.field = 'object' AND t.value = ? AND t.seq < ? AND NOT o.deleted ORDER BY t.seq DESC",
        (kind, kind, last),
    )


def _index_due(ctx: Context, kind: str) -> None:
    """Take what has become visible into the index."""
    due = ctx.store.execute(
        "SELECT p.seq, o.id FROM search_pending p JOIN objects o ON o.seq = p.seq "
        "WHERE p.object = ? AND p.visible_at <= ?",
        kind,
        ctx.clock.wall_unix(),
    ).fetchall()
    for seq, object_id in due:
        value = ctx.store.get(object_id) or {}
        ctx.store.execute("DELETE FROM search_pending WHERE seq = ?", seq)
        ctx.store.execute("DELETE FROM search_terms WHERE seq = ?", seq)
        terms = {("object", kind)}
        terms |= {(field, text.lower()) for field in _TEXT_FIELDS if isinstance(text := value.get(field), str)}
        terms |= {(f"metadata[{key}]", text.lower()) for key, text in (value.get("metadata") or {}).items()}
        for field, text in terms:
            ctx.store.execute("INSERT INTO search_terms VALUES (?, ?, ?, ?)", kind, field, text, seq)

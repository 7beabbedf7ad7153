"""Listings and details: documents that operations answer, as tables, facts and buttons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from gateway.console.desk import HOME, Visit
from gateway.console.pages import Button, Detail, Link, Listing, Table
from gateway.console.site import Act, PageEntry
from gateway.console.tables import Row, localised, parts_of, plain_table
from gateway.errors import NotFound
from gateway.pages.words import Words

LIMIT = 50
_JOIN = "~"  # between the parts of an entry's name in an address


def listing(visit: Visit, name: str) -> Listing:
    """One page of what the page's operation answers."""
    page, words = visit.desk.site.pages[name], visit.words
    rows, after = _page_of(visit, page)
    shown = rows[:LIMIT]
    last = entry_name(page, shown[-1]) if len(rows) > LIMIT else ""
    kept = {key: visit.query[key] for key in ("q", "state") if visit.query.get(key)}
    return Listing(
        title=words[f"page_{name}"],
        lead=words[f"lead_{name}"],
        table=table(page, name, localised(shown, visit.taste.language), words),
        buttons=[each for act in page.make for each in _button(visit, act, {}, page)],
        searches=page.paged,
        sought=kept.get("q", ""),
        states=_states(visit, name, page, rows),
        first=f"{HOME}/{name}" if after else "",
        next=f"{HOME}/{name}?{urlencode({**kept, 'after': last})}" if last else "",
    )


def _page_of(visit: Visit, page: PageEntry) -> tuple[list[Row], str]:
    """One row more than a page has, and what the page comes after."""
    after, state = visit.query.get("after", ""), visit.query.get("state", "")
    if page.paged:
        asked = {"limit": str(LIMIT + 1), "after": after}
        asked[page.search] = visit.query.get("q", "").strip()
        asked["state"] = state
        answer = visit.read(page.read, query={key: each for key, each in asked.items() if each})
        return rows_of(page, answer), after
    if page.newest:
        asked = {"limit": str(LIMIT + 1), "before": after or "0"}
        return rows_of(page, visit.read(page.read, query=asked)), after
    rows = rows_of(page, visit.read(page.read, query=page.wants))
    if state and page.state:
        rows = [row for row in rows if str(row.get(page.state)) == state]
    names = [entry_name(page, row) for row in rows]
    start = names.index(after) + 1 if after in names else 0
    return rows[start : start + LIMIT + 1], after if start else ""


def rows_of(page: PageEntry, answer: Any) -> list[Row]:  # Any: JSON of the operation's own shape
    """The rows of an answer."""
    rows = answer[page.rows] if page.rows else answer
    return list(rows)


def entry_name(page: PageEntry, row: Row) -> str:
    """What an entry is called in addresses."""
    return _JOIN.join(str(row[key]) for key in page.key)


def at_of(page: PageEntry, name: str) -> dict[str, str]:
    """The parts of the address of an entry's acts."""
    return dict(zip(page.at or page.key, name.split(_JOIN), strict=False))


def table(page: PageEntry, name: str, rows: Sequence[Row], words: Words) -> Table:
    """Rows as the page declares its columns; the first leads to the entry."""

    def href(row: Row) -> str:
        return f"{HOME}/{name}/{quote(entry_name(page, row), safe=_JOIN)}"

    told = href if page.opens else None
    return plain_table(words[f"page_{name}"], rows, words, page.columns, told)


def detail(visit: Visit, name: str, entry: str) -> Detail:
    """One entry with everything that is known of it: facts, then tables, then what is deeper."""
    page, words = visit.desk.site.pages[name], visit.words
    row = one_row(visit, page, entry)
    kinds = {key: kind for key, _, kind in (each.partition(":") for each in page.columns)}
    facts, tables, texts = parts_of(localised(row, visit.taste.language), words, kinds)
    return Detail(
        title=f"{words[f'page_{name}']} · {entry.replace(_JOIN, ' / ')}",
        lead="",
        facts=facts,
        tables=tables,
        texts=texts,
        charts=(),
        buttons=buttons(visit, page, entry, row),
        back=Link(words[f"page_{name}"], f"{HOME}/{name}"),
    )


def one_row(visit: Visit, page: PageEntry, entry: str) -> Row:
    """The entry of this name; raises `NotFound`."""
    if page.one is not None:
        found = visit.read(page.one, at_of(page, entry))
        if isinstance(found, dict):
            return found
    asked = {"id": entry, "limit": "1"} if page.paged else page.wants
    rows = rows_of(page, visit.read(page.read, query=asked))
    for row in rows:
        if entry_name(page, row) == entry:
            return row
    raise NotFound("unknown", "There is no such entry.", "没有该条目。")


def buttons(visit: Visit, page: PageEntry, entry: str, row: Row) -> list[Button]:
    """What may be done with an entry now."""
    at, state = at_of(page, entry), str(row.get(page.state)) if page.state else ""
    fitting = [act for act in page.acts if not act.when or state in act.when]
    return [
        each for act in fitting for each in _button(visit, act, at | _more(act, row), page, entry)
    ]


def _more(act: Act, row: Row) -> dict[str, str]:
    """What an act's form is filled with of the entry."""
    return {f"give.{field}": str(row[key]) for field, key in act.gives.items()}


def _button(
    visit: Visit, act: Act, at: Mapping[str, str], page: PageEntry, entry: str = ""
) -> list[Button]:
    """The act's button, where this person may press it."""
    if not visit.may(act.do):
        return []
    endpoint = visit.desk.site.endpoint(act.do)
    asked = endpoint.form is not None or endpoint.says_why or act.grave
    part = {key: each for key, each in at.items() if f"{{{key}}}" in endpoint.path}
    part |= {key: each for key, each in at.items() if key.startswith("give.")}
    tail = f"?{urlencode({**part, 'entry': entry} if entry else part)}" if part else ""
    return [
        Button(
            title=visit.words[f"act_{act.do.replace('.', '_')}"],
            href=f"{HOME}/do/{act.do}{tail}",
            at_once=not asked and endpoint.method != "GET",
            grave=act.grave,
        )
    ]


def _states(visit: Visit, name: str, page: PageEntry, rows: Sequence[Row]) -> list[Link]:
    """Filters by state: all, and each that the site's acts know of."""
    if not page.state or (not rows and not visit.query.get("state")):
        return []
    known = dict.fromkeys(state for act in page.acts for state in act.when)
    if len(known) < 2:
        return []
    chosen, words = visit.query.get("state", ""), visit.words
    links = [Link(words.all_of_them, f"{HOME}/{name}", not chosen)]
    return links + [
        Link(words.of(f"value_{each}", each), f"{HOME}/{name}?state={quote(each)}", each == chosen)
        for each in known
    ]


def plain_buttons(visit: Visit, name: str) -> list[Button]:
    """The acts of a page that is no list."""
    page = visit.desk.site.pages[name]
    return [each for act in (*page.make, *page.acts) for each in _button(visit, act, {}, page)]

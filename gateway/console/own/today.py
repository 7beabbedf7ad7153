"""The first page, and the counts of consents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.console.cells import cell
from gateway.console.desk import HOME, Visit
from gateway.console.listing import plain_buttons
from gateway.console.pages import Detail, Fact, Link, Notice, Overview
from gateway.console.tables import plain_table
from gateway.pages.charts import Bars, Point, bars
from gateway.pages.words import Words

_FIGURES = ("tenants", "clients", "grants", "consents")
_LIVE = {"active", "AUTHORISED"}


def overview(visit: Visit) -> Overview:
    """What waits for this person, the last days, and the most frequent refusals."""
    told: Any = visit.read("overview.read")  # Any: JSON of the operation's own shape
    words = visit.words
    return Overview(
        title=words.page_overview,
        lead="",
        waiting=[
            Link(
                words[f"waiting_{each['page']}"].format(number=each["number"]),
                f"{HOME}/{each['page']}",
            )
            for each in told["waiting"]
        ],
        figures=_figures(told, words),
        charts=[*_charts(told["days"], words), _withheld(told["days"], words)],
        tables=[
            plain_table(words[f"top_{key}"], told[key], words, ("name:word", "number:number"))
            for key in ("refusals", "tenants_asking", "services_asked")
        ],
        alarms=_alarms(visit, told),
    )


def _figures(told: Mapping[str, Any], words: Words) -> list[Fact]:
    """How many there are of each kind that are live now, and of all."""
    found = []
    for key in _FIGURES:
        live = sum(number for state, number in told[key].items() if state in _LIVE)
        shown = words.of_all.format(live=f"{live:,}", all=f"{sum(told[key].values()):,}")
        found.append(Fact(words[f"figure_{key}"], cell(shown, words)))
    answered = sum(each["answered"] for each in told["days"])
    refused = sum(each["refused"] for each in told["days"])
    share = _percent(refused / (answered + refused) if answered + refused else None)
    return [
        Fact(words.figure_answered, cell(answered, words)),
        Fact(words.figure_refused, cell(share, words)),
        Fact(words.figure_suppressed, cell(_percent(_suppressed(told["days"])), words)),
        Fact(
            words.figure_income.format(year=told["income"]["year"]),
            cell(told["income"]["fen"], words, "money"),
        ),
        *found,
        Fact(words.figure_releases, cell(told["releases"], words)),
        *_quality(told["quality"], words),
        Fact(words.figure_alarms, cell(told["alarms"], words)),
    ]


def _suppressed(days: Sequence[Mapping[str, Any]]) -> float | None:
    """The part of all cells asked for that disclosure control withheld; None of no cells."""
    hidden = sum(each["cells_suppressed"] for each in days)
    asked = hidden + sum(each["cells"] for each in days)
    return hidden / asked if asked else None


def _withheld(days: Sequence[Mapping[str, Any]], words: Words) -> Bars:
    """The suppressed part of each day's cells, in percent."""
    parts = [(each["day"][5:], _suppressed([each])) for each in days]
    points = [Point(day, 100 * (part or 0), _percent(part)) for day, part in parts]
    return bars(words.chart_suppressed, points)


def _percent(part: float | None) -> str:
    return "—" if part is None else f"{part:.1%}"


def _quality(told: Mapping[str, Any] | None, words: Words) -> list[Fact]:
    """How many of the figures measured of the newest month keep their limits, and which do not."""
    if told is None:
        return []
    missed = words.comma.join(words[f"kpi_{name}"] for name in told["missed"])
    number = len(told["measured"])
    kept = words.of_all.format(live=number - len(told["missed"]), all=number)
    shown = f"{kept}{words.colon}{missed}" if missed else kept
    return [Fact(words.figure_quality.format(period=told["period"]), cell(shown, words))]


def _charts(days: list[Mapping[str, Any]], words: Words) -> list[Bars]:
    return [
        bars(
            words[f"chart_{key}"],
            [Point(each["day"][5:], each[key], f"{each[key]:,}") for each in days],
        )
        for key in ("answered", "refused")
    ]


def _alarms(visit: Visit, told: Mapping[str, Any]) -> list[Notice]:
    words, found = visit.words, []
    if told["stops"]:
        found.append(Notice(words.stops_are_on.format(number=told["stops"]), "stop"))
    if not told["counted"]:
        found.append(Notice(words.still_counting, "warn"))
    return found


def consents(visit: Visit) -> Detail:
    """How many consents stand where, by organisation; never whose they are."""
    told: Any = visit.read("consent.counts")  # Any: JSON of the operation's own shape
    words = visit.words
    return Detail(
        title=words.page_consents,
        lead=words.lead_consents,
        facts=[
            Fact(words.of(f"value_{state}", state), cell(number, words))
            for state, number in sorted(told["states"].items())
        ],
        tables=[
            plain_table(
                words.consents_by_tenant,
                told["by_tenant"],
                words,
                ("tenant:code", "scenario:word", "state:state", "number:number"),
            )
        ],
        texts=(),
        charts=(),
        buttons=plain_buttons(visit, "consents"),
        back=Link(words.page_overview, f"{HOME}/overview"),
    )


def usage(visit: Visit) -> Detail:
    """Who asked what in the last thirty days, answered and refused."""
    told: Any = visit.read("usage.read")  # Any: JSON of the operation's own shape
    words = visit.words
    columns = ("tenant:code", "service:code", "answered:number", "refused:number")
    return Detail(
        title=words.page_usage,
        lead=words.lead_usage if told["counted"] else words.still_counting,
        facts=(),
        tables=[plain_table(words.page_usage, told["lines"], words, columns)],
        texts=(),
        charts=_charts(told["days"], words),
        buttons=(),
        back=Link(words.page_overview, f"{HOME}/overview"),
    )

"""Months, balances and prices."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from gateway.console.cells import cell, money
from gateway.console.desk import HOME, Visit
from gateway.console.listing import plain_buttons
from gateway.console.pages import Button, Detail, Fact, Link
from gateway.console.tables import plain_table
from gateway.pages.charts import Bars, Point, bars
from gateway.pages.words import Words

_CLOSES = {"billing.propose": "open", "billing.close": "proposed", "billing.replay": "closed"}


def months(visit: Visit, entry: str = "") -> Detail:
    """Every month and where it stands; or one of them with its checklist, fees and shares."""
    known: Any = visit.read("billing.months")  # Any: JSON of the operation's own shape
    states = {each["month"]: each["state"] for each in known}
    return _one(visit, entry, states.get(entry, "open")) if entry else _all(visit, known, states)


def _all(visit: Visit, known: Any, states: dict[str, str]) -> Detail:
    """The list alone: to rate a month takes its time."""
    words = visit.words
    now, before = _month(visit.now), _month(visit.now.replace(day=1) - timedelta(days=1))
    open_ = [{"month": each, "state": "open"} for each in {now, before} - states.keys()]
    rows = sorted([*open_, *known], key=lambda row: row["month"], reverse=True)
    listed = plain_table(
        words.all_months,
        rows,
        words,
        ("month", "state:state", "at:time", "by:code"),
        lambda row: f"{HOME}/months/{row['month']}",
    )
    return Detail(
        title=words.page_months,
        lead=words.lead_months,
        facts=(),
        tables=[listed],
        texts=(),
        charts=(),
        buttons=(),
        back=Link(words.page_overview, f"{HOME}/overview"),
    )


def _one(visit: Visit, month: str, state: str) -> Detail:
    words = visit.words
    rated: Any = visit.read("billing.rate", {"month": month})
    obstacles = [{"obstacle": each} for each in rated["obstacles"]]
    return Detail(
        title=f"{words.page_months} · {month}",
        lead=words.lead_months,
        facts=_facts(rated, state, words),
        tables=[
            plain_table(words.checklist, obstacles, words, ("obstacle",)),
            *_fees(rated, words),
        ],
        texts=(),
        charts=_chart(rated, words),
        buttons=_buttons(visit, month, state),
        back=Link(words.page_months, f"{HOME}/months"),
    )


def _month(moment: datetime) -> str:
    return (moment + timedelta(hours=8)).strftime("%Y-%m")


def _facts(rated: Any, state: str, words: Words) -> list[Fact]:
    return [
        Fact(words.field_month, cell(rated["month"], words)),
        Fact(words.field_state, cell(state, words, "state")),
        Fact(words.field_fees_fen, cell(rated["fees_fen"], words, "money")),
        Fact(words.field_obstacles, cell(len(rated["obstacles"]), words)),
    ]


def _fees(rated: Any, words: Words) -> list[Any]:
    shares = [
        {"service": service, "party": party, "amount_fen": amount}
        for service, parts in rated["shares"].items()
        for party, amount in (
            ("tax", parts["tax_fen"]),
            ("operator", parts["operator_fen"]),
            ("public_interest", parts["public_interest_fen"]),
            *parts["providers"].items(),
        )
    ]
    lines = (
        "tenant:code",
        "grant:code",
        "service:word",
        "unit:word",
        "units:number",
        "amount_fen:money",
    )
    return [
        plain_table(words.fee_lines, rated["lines"], words, lines),
        plain_table(
            words.share_lines, shares, words, ("service:word", "party:word", "amount_fen:money")
        ),
    ]


def _chart(rated: Any, words: Words) -> list[Bars]:
    sums: dict[str, int] = {}
    for line in rated["lines"]:
        sums[line["service"]] = sums.get(line["service"], 0) + line["amount_fen"]
    points = [Point(key, fen / 100, money(fen)) for key, fen in sorted(sums.items())]
    return [bars(words.chart_fees, points)] if points else []


def _buttons(visit: Visit, month: str, state: str) -> list[Button]:
    """Propose, close or replay: what the month's state allows and this person may."""
    return [
        Button(
            visit.words[f"act_{operation.replace('.', '_')}"],
            f"{HOME}/do/{operation}?{urlencode({'month': month, 'entry': month})}",
            at_once=operation == "billing.propose",
            grave=operation == "billing.close",
        )
        for operation, at in _CLOSES.items()
        if at == state and visit.may(operation)
    ]


def balances(visit: Visit) -> Detail:
    """Accounts, who owes and is owed, and the year's income against what is allowed."""
    words = visit.words
    told: Any = visit.read("billing.balances")
    cap: Any = visit.read("billing.revenue_cap")
    standings = [{"name": name, **each} for name, each in sorted(told["standings"].items())]
    columns = [
        f"{key}:money" if key.endswith("_fen") else key
        for key in (standings[0] if standings else ())
    ]
    capped = [f"{key}:money" if key.endswith("_fen") else key for key in (cap[0] if cap else ())]
    return Detail(
        title=words.page_balances,
        lead=words.lead_balances,
        facts=[
            Fact(name, cell(fen, words, "money")) for name, fen in sorted(told["accounts"].items())
        ],
        tables=[
            plain_table(words.standings, standings, words, columns),
            plain_table(words.revenue_cap, cap, words, capped),
            plain_table(
                words.ledger_faults, [{"fault": each} for each in told["faults"]], words, ("fault",)
            ),
        ],
        texts=(),
        charts=(),
        buttons=plain_buttons(visit, "balances"),
        back=Link(words.page_overview, f"{HOME}/overview"),
    )


def prices(visit: Visit) -> Detail:
    """Every service's unit and published prices, as the live edition has them."""
    words = visit.words
    told: Any = visit.read("catalogue.list")
    rows = [
        {
            "service": service["id"],
            "title": service["title"][visit.taste.language],
            "unit": service["tariff"]["unit"],
            **_price(price),
        }
        for service in told
        for price in service["tariff"].get("prices", [{}])
    ]
    columns = ("service:code", "title", "unit:word", "ref:code", "price", "valid_from", "valid_to")
    return Detail(
        title=words.page_prices,
        lead=words.lead_prices,
        facts=(),
        tables=[plain_table(words.page_prices, rows, words, columns)],
        texts=(),
        charts=(),
        buttons=(),
        back=Link(words.page_catalogue, f"{HOME}/catalogue"),
    )


def _price(price: Any) -> dict[str, object]:
    """A published price in one cell: per unit, per package, or by tiers."""
    if not price:
        return {}
    if "tiers" in price:
        parts = [
            f"≤{t['up_to']:,}: {money(t['price_fen'])}" if t.get("up_to") else money(t["price_fen"])
            for t in price["tiers"]
        ]
        shown = " · ".join(parts)
    else:
        shown = money(price["price_fen"]) + (f" / {price['size']:,}" if "size" in price else "")
    return {
        "ref": price["ref"],
        "price": shown,
        "valid_from": price["valid_from"],
        "valid_to": price.get("valid_to"),
    }

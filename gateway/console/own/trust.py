"""Questions and their answers: why a call was refused, whose answer a mark is, what ε was spent."""

from __future__ import annotations

from typing import Any

from gateway.console.desk import HOME, Visit
from gateway.console.listing import plain_buttons
from gateway.console.pages import Ask, Detail, Link
from gateway.console.tables import localised, parts_of, plain_table
from gateway.errors import NotFound


def decisions(visit: Visit) -> Ask:
    """Explain a decision by its id or the id of its request."""
    return _asked(visit, "decisions", "decision.explain", "decision")


def marks(visit: Visit) -> Ask:
    """The answer that carries a mark; a whole file is traced by the button."""
    return _asked(visit, "marks", "watermark.lookup", "mark")


def _asked(visit: Visit, name: str, operation: str, part: str) -> Ask:
    words, asked = visit.words, visit.query.get(part, "").strip()
    told: Any = visit.read(operation, {part: asked}) if asked else {}
    facts, tables, texts = parts_of(localised(told, visit.taste.language), words, {})
    return Ask(
        title=words[f"page_{name}"],
        lead=words[f"lead_{name}"],
        label=words[f"field_{part}"],
        name=part,
        asked=asked,
        hint=words.of(f"hint_{part}", ""),
        buttons=plain_buttons(visit, name),
        facts=facts,
        tables=tables,
        texts=texts,
    )


def privacy(visit: Visit) -> Detail:
    """What was spent of the privacy budgets, and whether the ledger is what was written."""
    words = visit.words
    told: Any = visit.read("privacy.list")
    if not isinstance(told, dict):
        raise NotFound("unknown", "There is no such ledger.", "没有该台账。")
    columns = ("year", "geo:code", "draws:number", "spent:number", "left:number")
    return Detail(
        title=words.page_privacy,
        lead=words.lead_privacy,
        facts=(),
        tables=[
            plain_table(words.page_privacy, told["balances"], words, columns),
            plain_table(
                words.ledger_faults, [{"fault": each} for each in told["faults"]], words, ("fault",)
            ),
        ],
        texts=(),
        charts=(),
        buttons=(),
        back=Link(words.page_overview, f"{HOME}/overview"),
    )

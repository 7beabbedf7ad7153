"""How the tour looks on a terminal: a request, its answer as a table, a refusal with its codes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

Json = Mapping[str, Any]  # a parsed JSON object; its values are whatever the server sent

HIDDEN = {"s": "▒▒ s", "c": "▒▒ c", "z": "0 z"}
LEGEND = "r rounded · s primary suppressed · c complementary suppressed · z structural zero"


class Screen:
    """Prints one scene after the other."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(width=118, highlight=False)

    def scene(self, number: int, zh: str, en: str) -> None:
        """Announce what happens next."""
        self.console.print(f"\n[bold cyan]{number}. {zh}[/] [dim]{en}[/]")

    def line(self, text: str) -> None:
        """One plain line."""
        self.console.print(text, soft_wrap=True)

    def request(self, method: str, path: str, body: Json | None = None) -> None:
        """The request as it is sent."""
        text = json.dumps(body, ensure_ascii=False) if body else ""
        self.console.print(f"[bold]→ {method} {path}[/] {text}", soft_wrap=True)

    def answer(self, reply: Json, limit: int = 12) -> None:
        """An answer's first rows as a table, and what its meta says."""
        rows = reply["data"]
        self.console.print(_table(rows[:limit]))
        if len(rows) > limit:
            self.console.print(f"  … {len(rows) - limit} more rows on this page")
        meta = reply["meta"]
        self.console.print(f"  [dim]{LEGEND}[/]")
        self.console.print(f"  [green]← 200[/] {_meta(meta)}", soft_wrap=True)

    def told(self, status: int, text: str) -> None:
        """What an answer comes to, in a line."""
        colour = "green" if status < 400 else "yellow"
        self.console.print(f"  [{colour}]← {status}[/] {text}", soft_wrap=True)

    def page(self, title: str, lines: Sequence[str]) -> None:
        """A page as its reader sees it."""
        text = Text("\n".join(lines))
        self.console.print(Panel(text, title=title, border_style="blue", expand=False))

    def problem(self, status: int, body: Json) -> None:
        """A refusal: status, code, deny codes and the sentence to act on."""
        said = [f"{one['code']}  {one['zh']} {one['en']}" for one in body.get("reasons", ())]
        text = "\n".join(said or [f"{body.get('detail_zh', '')} {body['detail']}"])
        self.console.print(
            Panel(
                f"[bold]{body['code']}[/]\n{text}",
                title=f"← {status} {body['title']}",
                border_style="yellow",
                expand=False,
            )
        )

    def usage(self, reply: Json) -> None:
        """What was counted and what it costs."""
        columns = (
            "grant",
            "service",
            "calls",
            "refusals",
            "cells_billable",
            "units",
            "unit_price",
            "amount",
        )
        rows = [
            {
                **row,
                "grant": row["grant"] or "—",  # refused before a grant was looked for
                "amount": f"{row['amount_fen'] / 100:.2f} {row['currency']}",
            }
            for row in reply["usage"]
        ]
        self.console.print(_plain([{name: row[name] for name in columns} for row in rows]))


def _table(rows: Sequence[Json]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, value in (rows[0] if rows else {}).items():
        table.add_column(name, justify="right" if isinstance(value, dict) else "left")
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()))
    return table


def _cell(value: object) -> str:
    if not isinstance(value, dict):
        return str(value)
    if value["value"] is None:
        return f"[red]{HIDDEN[value['flag']]}[/]"
    return f"{value['value']} [dim]{value['flag']}[/]"


def _plain(rows: Sequence[Json]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in rows[0] if rows else ():
        table.add_column(name)
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    return table


def _meta(meta: Json) -> str:
    charge = meta["charge"]
    return (
        f"release {meta['release']} · profile {meta['profile']} · {charge['cells_charged']} cells "
        f"charged · decision {meta['decision_id']} · watermark {str(meta['watermark'])[:12]}…"
    )

"""`sluice classify`: what the columns of a file may be, for a person to confirm."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
import yaml

from gateway.cli.masking import read_table
from gateway.cli.office import Json, by_edition, show
from gateway.masking.classify import SAMPLE, propose
from gateway.settings import Settings


def verb(
    file: Annotated[Path, typer.Argument(help="CSV or Parquet.", exists=True, dir_okay=False)],
    as_json: Json = False,
) -> None:
    """Propose item, level and row mask of every column; confirm, then write the item into the
    schema and, where it differs, the mask into row_masks.yaml. No value is printed."""
    table = read_table(file).slice(0, 4 * SAMPLE)
    columns = {name: table.column(name).to_pylist() for name in table.column_names}
    with by_edition(Settings()) as settings:
        rows = proposals(settings.policies, columns)
    show(rows, ("column", "item", "title_zh", "level", "mask", "sure", "why"), as_json)


def proposals(policies: Path, columns: dict[str, list[object]]) -> list[dict[str, object]]:
    """Proposals with the item's title and row mask, as rows for people."""
    text = (policies / "data" / "classification.yaml").read_text(encoding="utf-8")
    items = yaml.load(text, Loader=yaml.CSafeLoader)["classification"]["items"]
    masks = yaml.load(
        (policies / "person" / "row_masks.yaml").read_text(encoding="utf-8"), yaml.CSafeLoader
    )["items"]
    levels = {name: item["level"] for name, item in items.items()}
    return [
        {
            "column": each.column,
            "item": each.item,
            "title_zh": items[each.item]["title_zh"] if each.item else "",
            "level": each.level,
            "mask": masks.get(each.item, "suppress"),
            "sure": each.sure,
            "why": each.why,
        }
        for each in propose(columns, levels)
    ]

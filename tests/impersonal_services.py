"""Two services whose cells are about no person: an open one, and a ledger by scheme and county."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

_HEAD = """
id: {id}
code: test.{name}
version: "1.0"
title: {{zh: 测试, en: Test}}
summary: {{zh: 仅为测试。, en: For tests alone.}}
consumers: [insurer]
grain: aggregate
output_level: L1
sdc: {sdc}
scenarios: [SC01]
min_lag_days: 30
tariff: {{unit: free}}
free_for: ["*"]
periods: [month, quarter]
geo:
{geo}
"""
_MEASURES = """
measures:
- &sum
  name: amount
  title: {zh: 金额, en: Amount}
  item: C11-01
  level: L1
  unit: CNY
  define: {kind: sum, fact: entry, column: amount, style: amount}
- <<: *sum
  name: entries
  title: {zh: 笔数, en: Entries}
  unit: count
  define: {kind: sum, fact: entry, column: entries, style: count}
- <<: *sum
  name: mean
  title: {zh: 均值, en: Mean}
  define: {kind: ratio, num: amount, den: entries, decimals: 2}
example: {}
"""
_ENTRY = """
SELECT left(ym, 4) || '-' || right(ym, 2) AS period_m, insu_admdvs AS geo_county,
       city_of(insu_admdvs) AS geo_city, insutype2(insutype) AS insutype2, flow,
       amt AS amount, 1 AS entries
FROM fund_flow_m
"""
_DIMS = """
flow:
  title: {zh: 收支项目, en: Flow}
  item: C11-01
  level: L1
  axis: flow
  values: [contribution, benefit_ip, subsidy]
"""
OPEN = {
    "dims.yaml": _DIMS,
    "entry.sql": _ENTRY,
    "service.yaml": _HEAD.format(id="S29", name="open", sdc="DC0", geo="- {level: city}")
    + """dims: [insutype2, flow]
facts:
  entry: {query: entry.sql, dims: [insutype2, flow]}
disclosure: {subject: open}
"""
    + _MEASURES,
}
LEDGER = {
    "dims.yaml": _DIMS,
    "entry.sql": _ENTRY,
    "exposure.sql": """
SELECT period_m, geo_county, geo_city, insutype2, psn_no, NULL AS fixmedins_code,
       true AS counting, days AS magnitude, days
FROM insured_month
WHERE days > 0
""",
    "service.yaml": _HEAD.format(
        id="S31", name="ledger", sdc="DC2", geo="- {level: city}\n- {level: county}"
    )
    + """dims: [insutype2, flow]
facts:
  entry: {query: entry.sql, dims: [insutype2, flow]}
  exposure: {query: exposure.sql, dims: [insutype2]}
disclosure: {subject: ledger, side: [exposure]}
"""
    + _MEASURES,
}


def add(policies: Path, folder: dict[str, str], *, offered: bool = True) -> Path:
    """The policies with the folder, and the line by which SC01 offers it."""
    name: Any = yaml.load(folder["service.yaml"], Loader=yaml.CSafeLoader)["id"]
    own = policies / "catalogue" / name
    own.mkdir()
    for file, text in folder.items():
        (own / file).write_text(text.lstrip(), encoding="utf-8")
    if offered:
        path = policies / "data" / "scenarios" / "SC01.yaml"
        document = yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader)
        document["SC01"]["services"][name] = {}
        path.write_text(yaml.dump(document, allow_unicode=True), encoding="utf-8")
    return policies


def changed(
    folder: dict[str, str], old: str, new: str, file: str = "service.yaml"
) -> dict[str, str]:
    """The folder with a text replaced in one file."""
    assert old in folder[file]
    return {**folder, file: folder[file].replace(old, new)}

"""Every published figure, recomputed by other SQL straight from the Parquet files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

import duckdb
import pytest

from gateway.releases.listing import Listed, listing
from gateway.releases.store import ReleaseStore
from tests.release_warehouse import Built

Key = tuple[str, str, tuple[tuple[str, str], ...]]

QUARTER = "year(setl_time) || 'Q' || quarter(setl_time)"
DIMS = {
    "insutype2": "if(insutype = '310', 'employee', 'resident')",
    "psn_group6": "if(psn_type[1:2] = '14', if(psn_type = '1402', 'child', 'student'), "
    "map {'11': 'active', '12': 'retired', '15': 'adult_resident', '16': 'elder_resident'}"
    "[psn_type])",
    "age10": "if(age >= 80, '80+', (age::INT // 10 * 10) || '-' || (age::INT // 10 * 10 + 9))",
    "gend": "gend",
    "benefit5": "map {'11': 'OP', '14': 'OPSP', '21': 'IP', '41': 'RX'}[med_type]",
    "hosp_lv4": "map {'02': 'T', '05': 'S', '08': 'P', '09': 'P', '11': 'N'}[hosp_lv]",
    "pay_loc3": "if(fix_blng_admdvs[1:4] = insu_admdvs[1:4], 'local', 'in_province')",
    "fee_cat14": "med_chrgitm_type",
    "catalog_lv3": "chrgitm_lv",
    "mdc": "drg_code[1:1]",
    "adrg": "drg_code[1:3]",
    "drg": "drg_code",
    "drg_adrg": "drg_code[1:3]",
    "dx_cat3": "dscg_maindiag_code[1:3]",
    "atc2": "atc_code[1:3]",
    "atc4": "atc_code[1:5]",
    "generic": "atc_code || '.' || route",
    "route": "route",
}
# Stays: an encounter's group is that of its closing settlement; counted once, refunds take it back.
CARE = """
    SELECT s.*, floor(s.age) AS years, m.dscg_maindiag_code,
           coalesce(g.drg_code, '0000') AS drg_code,
           if(s.refd_setl_flag = '1', -1, if(s.mid_setl_flag = '1', 0, 1)) AS n,
           greatest(date_diff('day', s.first_day, s.last_day), 1) AS los
    FROM (SELECT *, min(begndate) OVER w AS first_day, max(enddate) OVER w AS last_day
          FROM setl_d WINDOW w AS (PARTITION BY mdtrt_id)) s
    JOIN mdtrt_d m USING (mdtrt_id)
    LEFT JOIN (SELECT mdtrt_id, any_value(d.drg_code) AS drg_code
               FROM drg_rslt_d d JOIN setl_d c USING (setl_id) GROUP BY 1) g USING (mdtrt_id)
"""
LINES = """
    SELECT c.*, l.med_chrgitm_type, l.chrgitm_lv, l.amount, l.cnt, l.med_list_codg, l.list_type,
           d.atc_code, d.route, d.prodentp_name
    FROM care c
    JOIN (SELECT setl_id, med_chrgitm_type, chrgitm_lv, med_list_codg, list_type,
                 sum(det_item_fee_sumamt) AS amount, sum(cnt) AS cnt
          FROM fee_list_d GROUP BY ALL) l USING (setl_id)
    LEFT JOIN drug_cat_b d USING (med_list_codg)
"""


@dataclass(frozen=True)
class Recount:
    """How one service's figures are counted here, from which rows."""

    rows: str
    where: str
    amount: str
    figures: dict[str, str]


SETTLEMENT = Recount(
    "care",
    "true",
    "medfee_sumamt",
    {
        "persons": "count(DISTINCT psn_no) FILTER (medfee_sumamt <> 0)",
        "settlements": "sum(n)",
        "medfee": "sum(medfee_sumamt)",
        "fund": "sum(fund_pay_sumamt)",
        "oop": "sum(psn_pay)",
        "inscp": "sum(inscp_amt)",
    },
)
RECOUNTS = {
    "S02": SETTLEMENT,
    "S02 lines": Recount("lines", "true", "amount", {"amount": "sum(amount)"}),
    "S04": Recount(
        "care", "med_type = '21'", "medfee_sumamt", {"stays": "sum(n)", "los_days": "sum(n * los)"}
    ),
    "S06": Recount(
        "care",
        "med_type = '21'",
        "medfee_sumamt",
        {"stays": "sum(n)", "medfee": "sum(medfee_sumamt)"},
    ),
    "S09": Recount(
        "lines",
        "list_type = '101'",
        "amount",
        {
            "patients": "count(DISTINCT psn_no) FILTER (amount <> 0)",
            "units": "sum(cnt)",
            "amount": "sum(amount)",
        },
    ),
}
# The lists of dims to recount: enough to meet every dim, alone and crossed, up to four deep.
SHAPES = {
    "S02": [
        (),
        ("insutype2",),
        ("psn_group6",),
        ("gend",),
        ("benefit5",),
        ("hosp_lv4",),
        ("pay_loc3",),
        ("benefit5", "gend"),
        ("gend", "benefit5", "hosp_lv4"),
    ],
    "S02 lines": [
        ("fee_cat14",),
        ("catalog_lv3",),
        ("fee_cat14", "catalog_lv3"),
        ("gend", "fee_cat14", "catalog_lv3"),
    ],
    "S04": [(), ("age10",), ("gend",), ("hosp_lv4",), ("dx_cat3",), ("gend", "drg_adrg")],
    "S06": [(), ("mdc",), ("adrg",), ("drg",), ("insutype2", "adrg"), ("hosp_lv4", "mdc")],
    "S09": [(), ("atc2",), ("atc4",), ("generic",), ("gend",), ("benefit5", "atc2")],
}


@pytest.fixture(scope="module")
def raw(built: Built) -> Iterator[duckdb.DuckDBPyConnection]:
    con = duckdb.connect()
    for path in built.warehouse.glob("*.parquet"):
        con.execute(f"CREATE VIEW {path.stem} AS FROM read_parquet('{path}')")
    con.execute(f"CREATE TABLE care AS {CARE}")
    con.execute("ALTER TABLE care ALTER age TYPE DOUBLE")
    con.execute("UPDATE care SET age = years")
    con.execute(f"CREATE TABLE lines AS {LINES}")
    yield con
    con.close()


def _cells(built: Built, service: str, columns: tuple[str, ...], grain: str) -> dict[Key, Listed]:
    store = ReleaseStore(built.home / "releases")
    manifest = store.latest(service[:3])
    assert manifest is not None
    folder = built.home / "releases" / manifest.service / manifest.release_id
    found = {}
    for key in manifest.profiles:
        for row in listing(folder, manifest, key):
            if row.grain == grain and {c for c, _ in row.values} == set(columns):
                found[row.period, row.geo, tuple(sorted(row.values))] = row
    return found


def _recounted(
    raw: duckdb.DuckDBPyConnection, recount: Recount, columns: tuple[str, ...], geo: str
) -> dict[Key, tuple[object, ...]]:
    dims = ", ".join(f"{DIMS[c]} AS d_{c}" for c in sorted(columns))
    names = "".join(f", d_{c}" for c in sorted(columns))
    figures = ", ".join(recount.figures.values())
    base = (
        f"SELECT *, {QUARTER} AS q, {geo} AS g{', ' + dims if dims else ''} "
        f"FROM {recount.rows} WHERE {recount.where}"
    )
    safety = _safety(recount.amount, names)
    result = raw.execute(
        f"WITH base AS ({base}), {safety} "
        f"SELECT q, g{names}, {figures}, max(persons_), max(houses), max(top1), max(top2), "
        f"max(top_person) FROM base JOIN safe USING (q, g{names}) GROUP BY q, g{names}"
    ).fetchall()
    n = len(columns)
    return {
        (row[0], row[1], tuple(zip(sorted(columns), row[2 : 2 + n], strict=True))): row[2 + n :]
        for row in result
    }


def _safety(amount: str, names: str) -> str:
    key = f"q, g{names}"
    return f"""
        house AS (SELECT {key}, fixmedins_code, sum({amount}) AS a FROM base GROUP BY ALL),
        ranked AS (SELECT *, row_number() OVER w AS r FROM house
                   WINDOW w AS (PARTITION BY {key} ORDER BY a DESC)),
        houses AS (SELECT {key}, count(*) AS houses, sum(a) AS whole,
                          max(a) AS top1, sum(a) FILTER (r <= 2) AS top2
                   FROM ranked GROUP BY {key}),
        person AS (SELECT {key}, psn_no, sum({amount}) AS a, bool_or({amount} <> 0) AS counts
                   FROM base GROUP BY ALL),
        people AS (SELECT {key}, count(*) FILTER (counts) AS persons_, max(a) AS top_person
                   FROM person GROUP BY {key}),
        safe AS (SELECT {key}, houses, persons_, top1 / whole AS top1, top2 / whole AS top2,
                        top_person / whole AS top_person
                 FROM houses JOIN people USING ({key}))
    """


def _within_rounding(shown: object, true: object, name: str) -> bool:
    exact = Decimal(str(true))
    error = abs(Decimal(str(shown)) - exact)
    if name in {"persons", "patients", "settlements", "stays", "los_days"}:
        return error < 5
    digits = exact.adjusted() - 3
    return error <= Decimal(1).scaleb(digits) / 2 + Decimal("0.01")


@pytest.mark.parametrize(
    ("service", "columns"),
    [(service, columns) for service, shapes in SHAPES.items() for columns in shapes],
    ids=lambda value: value if isinstance(value, str) else "+".join(value) or "total",
)
def test_published_cells_are_the_recount_within_their_rounding_and_break_no_rule(
    built: Built,
    raw: duckdb.DuckDBPyConnection,
    service: str,
    columns: tuple[str, ...],
) -> None:
    recount = RECOUNTS[service]
    cells = _cells(built, service, columns, "quarter")
    truth = _recounted(raw, recount, columns, "insu_admdvs[1:4] || '00'")
    truth |= _recounted(raw, recount, columns, "insu_admdvs")
    manifest = ReleaseStore(built.home / "releases").latest(service[:3])
    assert manifest is not None
    names = [measure.name for measure in manifest.measures]
    houses_least = 5 if service == "S09" else 3
    checked = 0
    for key, cell in cells.items():
        if not cell.shown or any("sensitive_other" in value for _, value in key[2]):
            continue
        *figures, persons, houses, top1, top2, top_person = truth[key]
        assert persons >= 11
        assert houses >= houses_least
        assert top1 <= 0.8
        assert top2 <= 0.9
        assert top_person <= 0.5
        for name, true in zip(recount.figures, figures, strict=True):
            at = names.index(name)
            if cell.marks[at] == "r":
                assert _within_rounding(cell.figures[at], true, name), (service, name)
                checked += 1
    assert checked > 0

"""S05, second implementation: yearly totals per person, their bands, and the tail of high costs.

What is made of published cells (exceedances, layers, mean excess) is made of them again, one cell
at a time, by `derived`; the cells themselves are counted from the settlements.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.release_recount import CHAPTER
from tests.served_recount import Found, Part, Quotient

BANDS = ("0", "0-1k", "1k-2k", "2k-5k", "5k-10k", "10k-20k", "20k-50k", "50k-100k", "100k-200k",
         "200k+")  # fmt: skip
EDGES = (0, 0, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000, 200_000)
COARSE = ("le1k", *BANDS[2:6], "20k+")
COARSE_EDGES = (0, *EDGES[2:7])
BASES = {"layer": "oop", "inscp": "oop_inscp", "out": "oop_out"}
"""The columns of each basis begin so; the amount they are bands of."""


def _band(amount: str, bands: Sequence[str], edges: Sequence[int]) -> str:
    listed = ", ".join(f"'{band}'" for band in bands)
    place = " + ".join(f"({amount} > {edge})::INT" for edge in edges)
    return f"[{listed}][1 + {place}]"


_BANDS = ", ".join(
    f"{_band(amount, bands, edges[1:])} AS {name}{len(bands)}"
    for name, amount in BASES.items()
    for bands, edges in ((COARSE, COARSE_EDGES), (BANDS, EDGES))
)
TABLES = {
    "year_visit": f"""
        SELECT psn_no, year(setl_time)::VARCHAR AS year, mdtrt_id, sum(medfee_sumamt) AS cost,
               any_value(if(length(dx_cat3) = 3, {CHAPTER}, NULL)) AS chapter
        FROM (SELECT *, dx_cat3 AS dx FROM care) GROUP BY ALL""",
    "year_person": """
        SELECT psn_no, year(setl_time)::VARCHAR AS year,
               arg_max((insutype2, gend, age10), (month, enddate, setl_id)) AS last,
               last[1] AS insutype2, last[2] AS gend, last[3] AS age10,
               bool_or(medfee_sumamt <> 0) AS cared, sum(medfee_sumamt) AS medfee,
               sum(psn_pay) AS oop, sum(inscp_amt - fund_pay_sumamt) AS oop_inscp,
               sum(fulamt_ownpay_amt + overlmt_selfpay) AS oop_out
        FROM care GROUP BY 1, 2""",
    "person_years": f"""
        SELECT p.*, {_BANDS}, dx_chapter
        FROM year_person p LEFT JOIN (
            SELECT psn_no, year, first(chapter ORDER BY cost DESC, mdtrt_id) AS dx_chapter
            FROM year_visit WHERE chapter IS NOT NULL GROUP BY 1, 2) USING (psn_no, year)""",
    "insured_years": """
        SELECT *, month[:4] AS year, row_number() OVER (
            PARTITION BY psn_no, month[:4] ORDER BY month DESC, days DESC, insutype2) AS place
        FROM insured""",
    "spending_years": """
        SELECT i.psn_no, i.year, i.insutype2, coalesce(greatest(p.medfee, 0), 0) AS cost
        FROM insured_years i LEFT JOIN year_person p USING (psn_no, year) WHERE place = 1""",
    "stay_years": """
        SELECT *, month[:4] AS year FROM care WHERE whole""",
}  # fmt: skip

CARE = """
    CREATE TABLE year_care AS
    SELECT p.* EXCLUDE (medfee), c.fixmedins_code, c.medfee_sumamt FROM care c
    JOIN person_years p ON p.psn_no = c.psn_no AND p.year = year(c.setl_time)::VARCHAR"""
"""Settlements with what their person's year is told apart by."""
_CARE = ("dx_chapter", *(f"{name}{level}" for name in BASES for level in (6, 10)))
_TOP = """list_sum(list_sort(list(cost::DOUBLE), 'DESC')[: round(count(*) / 100)::INT])
          / sum(cost)"""
MEASURES: dict[str, dict[str, Found]] = {
    "S05": {
        "exposure_py": Part("insured_years", "count", "sum(days) / 365.25", _CARE),
        "persons": Part("person_years", "count", "count(*) FILTER (cared)"),
        "medfee": Part("person_years", "amount", "sum(medfee)"),
        **{name: Part("person_years", "amount", f"sum({name})") for name in BASES.values()},
        "avg_oop": Quotient("oop", "persons", 2),
        "top1_share": Part("spending_years", "cv", _TOP),
        "stays": Part("stay_years", "count", "count(*)"),
    }
}

Figures = Mapping[str, float]


def bands_of(column: str) -> tuple[str, ...]:
    """The bands of a column, lowest first."""
    return BANDS if column.endswith("10") else COARSE


def derived(column: str, cells: Mapping[str, Figures], band: str) -> Figures:
    """Figures of one cell from those of its sisters, by band; empty where a band is missing."""
    bands = bands_of(column)
    edges = EDGES if bands is BANDS else COARSE_EDGES
    here = bands.index(band)
    above = [cells.get(name, {}) for name in bands[here:]]
    amount = BASES[column.rstrip("160")]
    suffix = amount.removeprefix("oop")
    if not all("persons" in cell for cell in above):
        return {}
    reached = sum(cell["persons"] for cell in above)
    found = {f"reached{suffix}": reached}
    if amount in cells[band]:
        low, own = edges[here], cells[band]
        if here + 1 == len(bands):
            inside = max(own[amount] - low * own["persons"], 0)
        else:
            width = edges[here + 1] - low
            raw = own[amount] - low * own["persons"] + width * (reached - own["persons"])
            inside = min(max(raw, 0), width * reached)
        found[f"layer_amount{suffix}"] = inside
    if all(amount in cell for cell in above):
        mean = sum(cell[amount] for cell in above) / reached - edges[here]
        found[f"mean_excess{suffix}"] = max(mean, 0)
    return found

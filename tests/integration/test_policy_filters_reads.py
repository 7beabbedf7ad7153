"""Decisions about persons, institutions and jobs, followed on a real warehouse: the rows that are
read are those a row-by-row look would pick, and the scans read no others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pytest

from gateway.policy.embedded import EmbeddedPolicy
from gateway.policy.filters import Query, Reading, duckdb_query, select
from gateway.policy.port import ColumnRule, Obligations
from gateway.policy.readable import of_warehouse
from synthetic.bureau import simulate
from tests.filter_oracle import World
from tests.policy_factory import POLICIES, Json, ask
from tests.policy_scenarios import PERSON_COLUMN, golden, grant, services, tenant, world

TREATED = """SELECT psn_no FROM mdtrt_d JOIN setl_d USING (psn_no, mdtrt_id)
WHERE dscg_maindiag_code BETWEEN 'F00' AND 'F99.9' AND mdtrt_d.insu_admdvs = '990101'
AND begndate >= '2025-02-01' AND enddate < '2025-11-01' GROUP BY psn_no
ORDER BY count(*) DESC, psn_no"""
"""Somebody with a sensitive diagnosis in the term that the tests ask for."""
FAMILY = """SELECT diag_code[1:3] FROM setl_diag_list_d WHERE psn_no = ? AND diag_code[1:1] IN
('E', 'I', 'J', 'K', 'M', 'R') AND diag_time >= '2025-02-01' AND diag_time < '2025-11-01'
GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1"""
"""An ordinary diagnosis of that person."""
HOSPITAL = "H99011100001"
KEYS = {
    "psn_insu_d": "psn_insu_rlts_id",
    "setl_d": "setl_id",
    "mdtrt_d": "mdtrt_id",
    "fee_list_d": "bkkp_sn",
    "setl_diag_list_d": "diag_info_id",
    "drg_rslt_d": "setl_id",
    "fixmedins_b": "fixmedins_code",
}
TOLD = {
    "vali_flag", "psn_no", "fixmedins_code", "insu_admdvs", "begndate", "enddate", "begntime",
    "fee_ocur_time", "diag_time", "crt_insu_date", "paus_insu_date", "dscg_maindiag_code",
    "diag_code", "med_list_codg", "adrg", "setl_id", "mdtrt_id", "invono",
}  # fmt: skip
"""Columns that some condition names."""
COVERAGE = [
    "coverage_status",
    "insutype",
    "psn_type_group",
    "insu_admdvs",
    "coverage_from",
    "coverage_to",
]
ALL_SCOPES = ["SETL", "DX", "FEE", "HIST"]
YEAR = {"from": "2025-01", "to": "2025-11", "grain": "month"}
LATE = {"from": "2025-04", "to": "2025-11", "grain": "month"}


@dataclass(frozen=True)
class Bureau:
    """A simulated warehouse with an opt-out register, by SQL and row by row."""

    sql: duckdb.DuckDBPyConnection
    world: World
    family: str

    def run(self, query: Query) -> list[tuple[Any, ...]]:
        return self.sql.execute(query.sql, list(query.parameters)).fetchall()


@pytest.fixture(scope="module")
def bureau(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bureau]:
    folder = tmp_path_factory.mktemp("mini")
    simulate(folder, "mini", 1)
    with duckdb.connect() as sql:
        rows = {name: _load(sql, folder, name, key) for name, key in KEYS.items()}
        sql.execute(
            "CREATE TABLE opt_out_register AS SELECT DISTINCT psn_no FROM psn_insu_d "
            "WHERE hash(psn_no) % 5 = 0"
        )
        out = frozenset(row[0] for row in sql.execute("FROM opt_out_register").fetchall())
        (person,) = sql.execute(f"{TREATED} LIMIT 1").fetchall()
        bound = {"subject": person, "institution": (HOSPITAL,)}
        ((family,),) = sql.execute(FAMILY, list(person)).fetchall()
        yield Bureau(sql, World(rows, bound, {"opt_out": out}), family)


def _load(
    sql: duckdb.DuckDBPyConnection, folder: Path, name: str, key: str
) -> list[dict[str, Any]]:
    sql.execute(f"CREATE VIEW {name} AS FROM '{folder / name}.parquet'")
    names = [each for each in of_warehouse().tables[name] if each in TOLD | {key}]
    rows = sql.execute(f"SELECT {', '.join(names)} FROM {name}").fetchall()
    return [dict(zip(names, row, strict=True)) for row in rows]


@pytest.fixture(scope="module")
def policy() -> Iterator[EmbeddedPolicy]:
    offered = dict(services())
    history = {"params": ["claim_ref", "policy_ref", "setl_id", "invono", "dx_family"]}
    offered["S19"] = offered["S19"] | history
    columns = offered["S19"]["columns"] | dict.fromkeys(COVERAGE, PERSON_COLUMN)
    coverage = {"scenarios": ["SC03"], "output_level": "L3", "columns": columns}
    offered["S18"] = offered["S19"] | coverage
    offered["S08"] = offered["S04"] | {"scenarios": ["SC09"], "sdc": "DC6", "periods": ["month"]}
    documents = world()
    documents["grants"][tenant("SC03")][grant("SC03")]["services"] = ["S18", "S19"]
    documents["grants"][tenant("SC09")][grant("SC09")]["services"] = ["S08"]
    documents["regions"] = {"990100": {"pilot": ["SC08"]}, "990102": {"data_open": False}}
    running = EmbeddedPolicy(POLICIES, offered, documents)
    yield running
    running.close()


def told(policy: EmbeddedPolicy, scenario: str, **change: Any) -> Obligations:
    """The obligations of this scenario's golden question with some attributes replaced."""
    question = golden(scenario) | {"period": YEAR}
    if question.get("consent"):
        consent = {**question["consent"], "services": ["S18", "S19", "S20", "S21"]}
        question["consent"] = consent | change.pop("consent", {})
        question |= {"dims": [], "measures": []}
    decision = policy.decide(ask(question, **change))
    assert decision.obligations is not None, decision.deny
    return decision.obligations


def claim(*scopes: str, **params: str) -> Json:
    return {"consent": {"scopes": list(scopes)}, "params": {"claim_ref": "claim-1", **params}}


CASES: dict[str, tuple[str, Json]] = {
    "a settlement summary": ("SC03", claim("SETL")),
    "lines and diagnoses": ("SC03", claim(*ALL_SCOPES)),
    "sensitive too": ("SC03", claim(*ALL_SCOPES, "DX_SENSITIVE")),
    "a history": ("SC03", claim("HIST", dx_family="FAMILY")),
    "coverage": ("SC03", claim("SETL") | {"service": "S18"}),
    "a short window": (
        "SC03",
        claim("SETL", "DX")
        | {
            "consent": {
                "scopes": ["SETL", "DX"],
                "window_from": date(2025, 3, 3),
                "window_to": date(2025, 6, 9),
            }
        },
    ),
    "a settlement inside": ("SC04", {"period": LATE}),
    "one's own record": ("SC10", {}),
    "own cases": ("SC09", {"service": "S08", "measures": ["stays"]}),
    "a job": ("SC08", {}),
}


def read(bureau: Bureau, obligations: Obligations, table: str) -> list[Any]:
    """The keys of the rows read of a table."""
    key = (ColumnRule("key", "C06-01", "L4", "token"),)
    statement = select(
        of_warehouse(),
        replace(obligations, columns=key),
        Reading(table, {"key": KEYS[table]}),
        bureau.world.bound,
    )
    return sorted(row[0] for row in bureau.run(duckdb_query(statement)))


@pytest.mark.parametrize("case", CASES)
def test_exactly_the_rows_the_decision_allows_are_read(
    bureau: Bureau, policy: EmbeddedPolicy, case: str
) -> None:
    scenario, change = CASES[case]
    if "dx_family" in change.get("params", {}):
        change = change | {"params": change["params"] | {"dx_family": bureau.family}}
    obligations = told(policy, scenario, **change)
    tables = {rule.column.split(".")[0] for rule in obligations.rows}
    found = {table: read(bureau, obligations, table) for table in tables}
    for table in tables:
        allowed = bureau.world.allowed(obligations.rows, table)
        assert found[table] == sorted(row[KEYS[table]] for row in allowed), table
    assert any(found.values())


def test_a_table_that_no_scope_opens_cannot_be_read(bureau: Bureau, policy: EmbeddedPolicy) -> None:
    obligations = told(policy, "SC03", **claim("SETL"))
    for table in ("mdtrt_d", "fee_list_d", "setl_diag_list_d", "psn_insu_d"):
        with pytest.raises(Exception, match="could not be made"):
            read(bureau, obligations, table)


def test_the_sensitive_scope_is_what_opens_sensitive_rows(
    bureau: Bureau, policy: EmbeddedPolicy
) -> None:
    guarded = set(read(bureau, told(policy, "SC03", **claim(*ALL_SCOPES)), "mdtrt_d"))
    shown = set(read(bureau, told(policy, "SC03", **claim(*ALL_SCOPES, "DX_SENSITIVE")), "mdtrt_d"))
    hidden = shown - guarded
    assert guarded < shown
    codes = {
        row["dscg_maindiag_code"]
        for row in bureau.world.rows["mdtrt_d"]
        if row["mdtrt_id"] in hidden
    }
    assert all(code[0] in "ABFNOQTZ" for code in codes)


def test_a_job_reads_nobody_who_opted_out(bureau: Bureau, policy: EmbeddedPolicy) -> None:
    keys = set(read(bureau, told(policy, "SC08"), "setl_d"))
    people = {row["psn_no"] for row in bureau.world.rows["setl_d"] if row["setl_id"] in keys}
    assert people
    assert not people & bureau.world.registers["opt_out"]


def test_a_hospital_reads_its_own_cases_alone(bureau: Bureau, policy: EmbeddedPolicy) -> None:
    keys = set(read(bureau, told(policy, "SC09", **CASES["own cases"][1]), "setl_d"))
    rows = [row for row in bureau.world.rows["setl_d"] if row["setl_id"] in keys]
    assert {row["fixmedins_code"] for row in rows} == {HOSPITAL}


def test_a_closed_county_is_not_read_with_its_city(bureau: Bureau, policy: EmbeddedPolicy) -> None:
    keys = set(read(bureau, told(policy, "SC08"), "mdtrt_d"))
    rows = [row for row in bureau.world.rows["mdtrt_d"] if row["mdtrt_id"] in keys]
    counties = {row["insu_admdvs"] for row in rows}
    assert "990101" in counties
    assert "990102" not in counties


def test_a_field_of_the_answer_is_read_under_its_own_name(
    bureau: Bureau, policy: EmbeddedPolicy
) -> None:
    obligations = told(policy, "SC03", **claim("SETL"), fields=["setl_ref", "begndate"])
    columns = {"setl_ref": "setl_id", "begndate": "begndate"}
    statement = select(of_warehouse(), obligations, Reading("setl_d", columns), bureau.world.bound)
    expected = [
        (row["setl_id"], row["begndate"])
        for row in bureau.world.allowed(obligations.rows, "setl_d")
    ]
    assert sorted(bureau.run(duckdb_query(statement))) == sorted(expected)


def scans(plan: Any) -> Iterator[Json]:
    """The table scans of an executed plan."""
    for node in plan if isinstance(plan, list) else [plan]:
        if "SCAN" in str(node.get("name", node.get("operator_name", ""))).upper():
            yield node
        yield from scans(node.get("children", []))


@pytest.mark.parametrize("case", ["lines and diagnoses", "own cases", "a job"])
def test_the_conditions_are_pushed_into_the_scan_of_the_table(
    bureau: Bureau, policy: EmbeddedPolicy, case: str
) -> None:
    scenario, change = CASES[case]
    obligations = told(policy, scenario, **change)
    for table in {rule.column.split(".")[0] for rule in obligations.rows}:
        key = (ColumnRule("key", "C06-01", "L4", "token"),)
        reading = Reading(table, {"key": KEYS[table]})
        bound = bureau.world.bound
        query = duckdb_query(
            select(of_warehouse(), replace(obligations, columns=key), reading, bound)
        )
        explained = bureau.run(replace(query, sql=f"EXPLAIN (FORMAT json) {query.sql}"))
        pushed = [
            str(scan["extra_info"].get("Filters")) for scan in scans(orjson.loads(explained[0][1]))
        ]
        for rule in obligations.rows:
            name, column = rule.column.split(".")
            if name == table and rule.op not in ("among", "absent"):
                assert any(column in filters for filters in pushed), rule.column

"""A filter is followed exactly or refused; no value of a question ever stands in the SQL text."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from gateway.db.consent_tables import ConsentRow
from gateway.policy.answer import read_answer
from gateway.policy.filters import MEANING, Reading, duckdb_query, select
from gateway.policy.port import ColumnRule, Obligations, PolicyUnavailable, RowRule, TariffRule
from gateway.policy.readable import Readable, of_tables, of_warehouse
from tests.policy_factory import GOLDEN, ask, embedded

TOLD = Obligations(
    profile={},
    columns=(
        ColumnRule("setl_ref", "C06-01", "L4", "token"),
        ColumnRule("invono_hash", "C05-09", "L4", "suppress"),
    ),
    sensitive_dx="show",
    max_cells=1,
    quota={},
    watermark="per_response",
    log_level="full",
    notify_person=True,
    tariff=TariffRule("free", 0, "", "", free=True),
    ttl=300,
)
SOUND = (
    RowRule("setl_d.psn_no", "is", "subject"),
    RowRule("setl_d.insu_admdvs", "in", ("990100", "990101")),
    RowRule("setl_d.begndate", "ge", "2025-01-01"),
    RowRule("setl_d.setl_time", "lt", "2025-04-01"),
)
READING = Reading("setl_d", {"setl_ref": "setl_id"})
BOUND = {"subject": ("990100P00000001",), "institution": ("H1", "H2")}


def statement(
    *rules: RowRule, reading: Reading = READING, bound: Any = None, readable: Readable | None = None
) -> sa.Select[tuple[Any, ...]]:
    told = replace(TOLD, rows=rules)
    return select(readable or of_warehouse(), told, reading, BOUND if bound is None else bound)


def test_a_sound_filter_becomes_one_query_of_parameters() -> None:
    query = duckdb_query(statement(*SOUND))
    assert " ".join(query.sql.split()) == (
        "SELECT setl_d.setl_id AS setl_ref FROM setl_d WHERE setl_d.psn_no = ? "
        "AND setl_d.insu_admdvs IN (?, ?) AND setl_d.begndate >= ? AND setl_d.setl_time < ?"
    )
    assert [str(each) for each in query.parameters] == [
        "990100P00000001", "990100", "990101", "2025-01-01", "2025-04-01 00:00:00",
    ]  # fmt: skip


HOSTILE = "x'; DROP TABLE setl_d; --"


def test_no_value_stands_in_the_text_of_a_query() -> None:
    rules = (
        RowRule("setl_d.psn_no", "is", "subject"),
        RowRule("setl_d.setl_id", "in", (HOSTILE,)),
        RowRule("setl_d.dise_no", "unlike", (HOSTILE,)),
        RowRule("setl_d.dise_no", "outside", ((HOSTILE, HOSTILE),)),
    )
    query = duckdb_query(statement(*rules, bound={"subject": (HOSTILE, "y")}))
    written = str(
        statement(*rules, bound={"subject": (HOSTILE, "y")}).compile(dialect=postgresql.dialect())
    )
    assert "DROP" not in query.sql + written
    assert query.parameters.count(HOSTILE) >= 4


def test_categories_are_compared_byte_by_byte_on_postgresql() -> None:
    told = statement(*SOUND, RowRule("setl_d.dise_no", "within", (("B20", "B24"),)))
    assert 'COLLATE "C" >= ' in str(told.compile(dialect=postgresql.dialect()))


def test_several_institutions_of_one_caller_are_all_its_own() -> None:
    query = duckdb_query(statement(RowRule("setl_d.fixmedins_code", "is", "institution")))
    assert query.parameters == ("H1", "H2")


AMONG = RowRule("setl_d.mdtrt_id", "among", "mdtrt_d.mdtrt_id")
UNSOUND = {
    "no condition at all": [],
    "conditions that bind it to nobody": [RowRule("setl_d.vali_flag", "in", ("1",))],
    "an unknown table": [*SOUND, RowRule("wages_d.psn_no", "is", "subject")],
    "an unknown column": [*SOUND, RowRule("setl_d.salary", "in", ("1",))],
    "a column without a table": [*SOUND, RowRule("psn_no", "is", "subject")],
    "an expression for a column": [*SOUND, RowRule("setl_d.psn_no = psn_no --", "in", ("1",))],
    "an unknown operator": [*SOUND, RowRule("setl_d.psn_no", "like", ("%",))],
    "an operator in capitals": [*SOUND, RowRule("setl_d.psn_no", "IN", ("1",))],
    "one text for a list": [*SOUND, RowRule("setl_d.vali_flag", "in", "1")],
    "an empty list": [*SOUND, RowRule("setl_d.vali_flag", "in", ())],
    "pairs for a list": [*SOUND, RowRule("setl_d.vali_flag", "in", (("1", "2"),))],
    "a list for pairs": [*SOUND, RowRule("setl_d.dise_no", "outside", ("B20", "B24"))],
    "no ranges": [*SOUND, RowRule("setl_d.dise_no", "outside", ())],
    "an empty prefix": [*SOUND, RowRule("setl_d.dise_no", "unlike", ("",))],
    "an amount compared with a text": [*SOUND, RowRule("setl_d.medfee_sumamt", "in", ("1",))],
    "a text compared with a day": [*SOUND, RowRule("setl_d.psn_no", "ge", "2025-01-01")],
    "a day that is none": [*SOUND, RowRule("setl_d.begndate", "ge", "2025-02-30")],
    "a day of another form": [*SOUND, RowRule("setl_d.begndate", "ge", "20250101")],
    "a list of days": [*SOUND, RowRule("setl_d.begndate", "ge", ("2025-01-01",))],
    "a person nobody named": [RowRule("setl_d.psn_no", "is", "relative")],
    "a register that is none": [RowRule("setl_d.psn_no", "absent", "debtors")],
    "a date in a register": [RowRule("setl_d.begndate", "absent", "opt_out")],
    "rows of a table that is not bound": [*SOUND, AMONG],
    "rows of an unknown table": [*SOUND, RowRule("setl_d.mdtrt_id", "among", "visits.mdtrt_id")],
    "tables that depend on each other": [
        *SOUND,
        AMONG,
        RowRule("mdtrt_d.mdtrt_id", "among", "setl_d.mdtrt_id"),
    ],
    "an unsound condition elsewhere": [*SOUND, RowRule("fee_list_d.psn_no", "is", "relative")],
}  # fmt: skip


@pytest.mark.parametrize("why", UNSOUND)
def test_what_is_not_exactly_known_is_refused(why: str) -> None:
    with pytest.raises(PolicyUnavailable):
        statement(*UNSOUND[why])


@pytest.mark.parametrize("bound", [{}, {"subject": ()}, {"subject": ("",)}])
def test_without_the_person_meant_nothing_is_read(bound: dict[str, tuple[str, ...]]) -> None:
    with pytest.raises(PolicyUnavailable):
        statement(*SOUND, bound=bound)


READINGS = {
    "a field the decision does not name": Reading("setl_d", {"psn_no": "psn_no"}),
    "a field that is suppressed": Reading("setl_d", {"invono_hash": "invono"}),
    "no field": Reading("setl_d", {}),
    "a column that is none": Reading("setl_d", {"setl_ref": "psn_no || setl_id"}),
    "a table without a condition": Reading("fee_list_d", {"setl_ref": "setl_id"}),
    "the register itself": Reading("opt_out_register", {"setl_ref": "psn_no"}),
}


@pytest.mark.parametrize("why", READINGS)
def test_nothing_is_read_that_was_not_allowed(why: str) -> None:
    with pytest.raises(PolicyUnavailable):
        statement(*SOUND, reading=READINGS[why])


def test_consents_are_read_from_our_own_tables_by_the_same_rules() -> None:
    readable = of_tables(sa.inspect(ConsentRow).local_table)  # type: ignore[arg-type]  # a Table
    rules = (RowRule("consent.tenant_id", "is", "receiver"),)
    told = statement(
        *rules,
        reading=Reading("consent", {"setl_ref": "state"}),
        bound={"receiver": ("T-INS",)},
        readable=readable,
    )
    assert "consent.tenant_id = " in str(told)
    assert "evidence" not in readable.tables["consent"]


def test_an_answer_carries_its_conditions_and_odd_ones_are_no_answer() -> None:
    policy = embedded()
    told = policy.decide(ask(GOLDEN["SC01"]))
    policy.close()
    assert told.obligations is not None
    assert told.obligations.rows == ()  # answered from releases
    text = (
        '{"allow":true,"deny":[],"obligations":{"profile":{},"columns":[{"field":"a","item":"b",'
        '"level":"L4","mask":"none"}],"sensitive_dx":"show","max_cells":1,"quota":{},"watermark":"",'
        '"log_level":"","notify_person":false,"tariff":{"unit":"free","qty_estimate":0,'
        '"price_ref":"","price_plan":"","free":true},"ttl":1,"rows":[%s]}}'
    )
    sound = '{"column":"setl_d.dise_no","op":"outside","value":[["B20","B24"]]}'
    found = read_answer(text % sound, "v").obligations
    assert found is not None
    assert found.rows == (RowRule("setl_d.dise_no", "outside", (("B20", "B24"),)),)
    for odd in ("7", "null", "[]", "[7]", '[["B20"]]', '[["B20",7]]', "{}", '[["a","b"],"c"]'):
        with pytest.raises(PolicyUnavailable):
            read_answer(text % sound.replace('[["B20","B24"]]', odd), "v")


def test_every_word_of_a_condition_is_explained_and_known_and_no_other() -> None:
    column = {"ge": "begndate", "lt": "begndate", "gt_or_null": "begndate"}
    value = {
        "is": "subject", "absent": "opt_out", "among": "setl_d.setl_id", "in": ("1",),
        "ge": "2025-01-01", "lt": "2025-01-01", "gt_or_null": "2025-01-01",
        "within": (("A00", "B99"),), "outside": (("A00", "B99"),), "unlike": ("X",),
    }  # fmt: skip
    assert value.keys() == MEANING.keys()
    for op, said in value.items():
        if op == "among":
            bound = RowRule("fee_list_d.setl_id", op, said)
            reading = Reading("fee_list_d", {"setl_ref": "setl_id"})
            assert statement(*SOUND, bound, reading=reading) is not None
        else:
            name = column.get(op, "setl_id")
            assert statement(*SOUND, RowRule(f"setl_d.{name}", op, said)) is not None
